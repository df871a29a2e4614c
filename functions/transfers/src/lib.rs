//! Transfers: money goes out.
//!
//! Approved or rejected, by the customer's own people or by a counterparty; then on its chain to `success`,
//! or failed, cancelled, dropped. Only a success is sent money.

use shared::clock::Moment;
use shared::family::FamilyRules;
use shared::model::lifecycle::Step;
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{self, EventType, Kind, Meaning, Words};
use shared::notice::Telling;

/// The family.
#[derive(Debug)]
pub struct Transfers;

impl FamilyRules for Transfers {
    const FAMILY: model::Family = model::Family::Transfers;
    type Data = Transaction;

    fn meaning(event: EventType, transfer: &Transaction, _: Moment) -> Option<Meaning> {
        transfer.step(Kind::Transfer, Step::named(event.last_word())?)
    }

    fn audience(event: EventType) -> Audience {
        match event {
            EventType::TransferSuccess => Audience::People("money has gone out: if it was not you, act"),
            EventType::TransferFailed | EventType::TransferDropped => {
                Audience::People("a payment did not go through: somebody has to pay again")
            }
            EventType::TransferRejected | EventType::TransferRejectedByCounterparty => {
                Audience::People("a payment was refused: somebody has to ask why")
            }
            EventType::TransferCancelled => Audience::People("a payment will not be made"),
            _ => Audience::Programs("on its way"),
        }
    }

    fn words(event: EventType, telling: &Telling<'_>) -> Words {
        let happened = match event {
            EventType::TransferCreated => "was created",
            EventType::TransferApproved => "was approved",
            EventType::TransferApprovedByCounterparty => "was approved by the counterparty",
            EventType::TransferAwaitingConfirmation => "awaits confirmation",
            EventType::TransferFailed => "failed",
            EventType::TransferCancelled => "was cancelled",
            EventType::TransferRejected => "was rejected",
            EventType::TransferRejectedByCounterparty => "was rejected by the counterparty",
            EventType::TransferDropped => "was dropped",
            _ => "has been sent",
        };
        telling.say(
            &format!("Transfer of {} {happened}", telling.amount()),
            &[
                ("Amount", "amount"),
                ("Asset", "asset"),
                ("Fee", "fee"),
                ("Chain", "chain"),
                ("Account", "account_id"),
                ("Customer", "customer"),
                ("To", "address"),
                ("Reference", "reference"),
                ("Hash", "hash"),
                ("Error", "error"),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::model::Family as Families;

    #[test]
    fn every_event_of_the_family_is_a_step() {
        let transfer = Transaction { uid: Some("t".to_owned()), ..Transaction::default() };
        for event in EventType::ALL.iter().filter(|event| event.family() == Families::Transfers) {
            let meaning = Transfers::meaning(*event, &transfer, Moment::from_millis(0)).unwrap();
            assert_eq!(meaning.status, event.last_word());
        }
    }
}
