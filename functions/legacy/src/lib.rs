//! Version 1 of Bitpowr's webhooks, `transaction.*`, translated into the version-2 model.
//!
//! A transaction counts once, whether version 1, version 2 or both announce it: both lead to the same entity.
//! This folder can be deleted in one piece when Bitpowr retires version 1.

use shared::clock::Moment;
use shared::family::FamilyRules;
use shared::model::lifecycle::Step;
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{self, EventType, Kind, Meaning, Words};
use shared::notice::Telling;

/// The family.
#[derive(Debug)]
pub struct Legacy;

impl FamilyRules for Legacy {
    const FAMILY: model::Family = model::Family::Legacy;
    type Data = Transaction;

    fn meaning(event: EventType, transaction: &Transaction, _: Moment) -> Option<Meaning> {
        if event == EventType::LegacyIncoming {
            // The name says which way the money goes, but not how far it is; the object's own `status` does.
            let step = transaction.own_step().unwrap_or(Step::Created);
            return transaction.step_by_status(Kind::Deposit, step);
        }
        // The name says how far it is, but not which way the money goes; the object does. Where it does not,
        // the event is kept and moves nothing: a guess could turn a payment into income.
        transaction.step(transaction.kind()?, Step::named(event.last_word())?)
    }

    fn audience(event: EventType) -> Audience {
        match event {
            EventType::LegacySuccess => Audience::People("money has moved"),
            EventType::LegacyFailed => Audience::People("a payment did not go through"),
            _ => Audience::Programs("on its way"),
        }
    }

    fn words(event: EventType, telling: &Telling<'_>) -> Words {
        let happened = match event {
            EventType::LegacyIncoming => "is coming in",
            EventType::LegacyNew => "was created",
            EventType::LegacyPendingApproval => "awaits approval",
            EventType::LegacyPending => "is pending",
            EventType::LegacyQueue => "is queued",
            EventType::LegacyProcessing => "is processed",
            EventType::LegacyAwaitingConfirmation => "awaits confirmation",
            EventType::LegacyFailed => "failed",
            _ => "succeeded",
        };
        telling.say(
            &format!("Transaction of {} {happened}", telling.amount()),
            &[
                ("Amount", "amount"),
                ("Asset", "asset"),
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
    use shared::model::{Entity, Family as Families, lenient};

    fn meaning(event: EventType, json: &str) -> Option<Meaning> {
        let transaction = lenient::object(&serde_json::from_str(json).unwrap()).unwrap();
        Legacy::meaning(event, &transaction, Moment::from_millis(0))
    }

    #[test]
    fn incoming_is_as_far_as_the_object_says() {
        for (json, status) in [
            (r#"{"uid":"u","status":"SUCCESS"}"#, "success"),
            (r#"{"uid":"u","status":"AWAITING_CONFIRMATION"}"#, "awaiting_confirmation"),
            (r#"{"uid":"u","status":"something new"}"#, "created"),
            (r#"{"uid":"u"}"#, "created"),
        ] {
            let meaning = meaning(EventType::LegacyIncoming, json).unwrap();
            assert_eq!(
                (meaning.entity, meaning.status.as_str()),
                (Entity::transaction(Kind::Deposit, "u"), status)
            );
        }
    }

    #[test]
    fn every_event_becomes_a_step_of_the_version_2_model() {
        for event in EventType::ALL.iter().filter(|event| event.family() == Families::Legacy) {
            let meaning = meaning(*event, r#"{"uid":"u","type":"TRANSFER","status":"PENDING"}"#).unwrap();
            assert!(Step::named(&meaning.status).is_some(), "{}", event.as_str());
        }
    }

    #[test]
    fn what_does_not_say_which_way_it_goes_moves_nothing() {
        assert_eq!(meaning(EventType::LegacySuccess, r#"{"uid":"u","amount":"1"}"#), None);
    }
}
