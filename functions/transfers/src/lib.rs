//! Transfers: money goes out.
//!
//! Approved or rejected, by the customer's own people or by a counterparty; then on its chain to `success`,
//! or failed, cancelled, dropped. Only a success is sent money.

use shared::clock::Moment;
use shared::family::{FamilyRules, transactions};
use shared::model::lifecycle::Step;
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{self, EventName, Kind, Meaning, Word, Words};
use shared::notice::Notice;

/// The family.
#[derive(Debug)]
pub struct Transfers;

impl FamilyRules for Transfers {
    const FAMILY: model::Family = model::Family::Transfers;
    type Data = Transaction;

    fn meaning(event: &EventName, transfer: &Transaction, _: Moment) -> Option<Meaning> {
        transfer.says(event, Some(Kind::Transfer))
    }

    fn audience(event: &EventName) -> Audience {
        match event.word() {
            Word::Step(Step::Success) => Audience::People("money has gone out: if it was not you, act"),
            Word::Step(Step::Failed | Step::Dropped) => {
                Audience::People("a payment did not go through: somebody has to pay again")
            }
            Word::Step(Step::Rejected | Step::RejectedByCounterparty) => {
                Audience::People("a payment was refused: somebody has to ask why")
            }
            Word::Step(Step::Cancelled) => Audience::People("a payment will not be made"),
            Word::Flag => Audience::People("the money may be tainted: somebody has to look"),
            _ => Audience::Programs("on its way"),
        }
    }

    fn words(notice: &Notice<'_>) -> Words {
        transactions::words(notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::model::{EventType, Family as Families};

    #[test]
    fn every_event_of_the_family_is_a_step() {
        let transfer = Transaction { uid: Some("t".to_owned()), ..Transaction::default() };
        for event in EventType::ALL.into_iter().filter(|event| event.family() == Families::Transfers) {
            let meaning = Transfers::meaning(&event.into(), &transfer, Moment::from_millis(0)).unwrap();
            assert_eq!(meaning.status, event.last_word());
        }
    }
}
