//! What nobody knows yet: authenticated events of unknown type, kept in the log without a state change; and
//! authenticated bodies that cannot be read, kept in quarantine. The pipeline does both; nothing here has
//! state or words of its own.

use shared::clock::Moment;
use shared::family::FamilyRules;
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{self, EventType, Meaning, Words};
use shared::notice::Telling;

/// The family.
#[derive(Debug)]
pub struct Unrecognised;

impl FamilyRules for Unrecognised {
    const FAMILY: model::Family = model::Family::Unrecognised;
    type Data = Transaction;

    fn meaning(_: EventType, _: &Transaction, _: Moment) -> Option<Meaning> {
        None
    }

    fn audience(_: EventType) -> Audience {
        Audience::Programs("nobody can say what it means")
    }

    fn words(event: EventType, telling: &Telling<'_>) -> Words {
        telling.say(&format!("An event {} came", event.as_str()), &[])
    }
}
