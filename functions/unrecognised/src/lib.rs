//! What nobody knows yet: authenticated events of unknown type, kept in the log without a state change; and
//! authenticated bodies that cannot be read, kept in quarantine. Of a transaction an event belongs to its history.

use shared::clock::Moment;
use shared::family::{FamilyRules, transactions};
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{self, EventName, Meaning, Words};
use shared::notice::Notice;

/// The family.
#[derive(Debug)]
pub struct Unrecognised;

impl FamilyRules for Unrecognised {
    const FAMILY: model::Family = model::Family::Unrecognised;
    type Data = Transaction;

    fn meaning(event: &EventName, object: &Transaction, _: Moment) -> Option<Meaning> {
        event.as_str().starts_with("transaction.").then(|| object.says(event, None))?
    }

    fn audience(_: &EventName) -> Audience {
        Audience::Programs("its meaning is unknown")
    }

    fn words(notice: &Notice<'_>) -> Words {
        transactions::words(notice)
    }
}
