//! Version 1 of Bitpowr's webhooks, `transaction.*`, translated into the version-2 model.
//!
//! A transaction counts once, whether version 1, version 2 or both announce it: both lead to the same entity.
//! This folder can be deleted in one piece when Bitpowr retires version 1.

use shared::clock::Moment;
use shared::family::{FamilyRules, transactions};
use shared::model::lifecycle::Step;
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{self, EventName, Kind, Meaning, Word, Words};
use shared::notice::Notice;

/// The family.
#[derive(Debug)]
pub struct Legacy;

impl FamilyRules for Legacy {
    const FAMILY: model::Family = model::Family::Legacy;
    type Data = Transaction;

    fn meaning(event: &EventName, transaction: &Transaction, _: Moment) -> Option<Meaning> {
        if event.last_word() == "incoming" {
            // The name says which way the money goes, but not how far it is; the object's own `status` does.
            let step = transaction.own_step().unwrap_or(Step::Created);
            return transaction.step_by_status(Kind::Deposit, step);
        }
        // The name says how far it is, but not which way the money goes; the object does, or another event of the uid.
        transaction.says(event, None)
    }

    fn audience(event: &EventName) -> Audience {
        match event.word() {
            Word::Step(Step::Success) => Audience::People("money has moved"),
            Word::Step(step) if step.is_terminal() => Audience::People("a payment did not go through"),
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
    use shared::model::{Entity, EventType, Family as Families, lenient};

    fn meaning(event: EventType, json: &str) -> Meaning {
        let transaction = lenient::object(&serde_json::from_str(json).unwrap()).unwrap();
        Legacy::meaning(&event.into(), &transaction, Moment::from_millis(0)).unwrap()
    }

    #[test]
    fn incoming_is_as_far_as_the_object_says() {
        for (json, status) in [
            (r#"{"uid":"u","status":"SUCCESS"}"#, "success"),
            (r#"{"uid":"u","status":"AWAITING_CONFIRMATION"}"#, "awaiting_confirmation"),
            (r#"{"uid":"u","status":"something new"}"#, "created"),
            (r#"{"uid":"u"}"#, "created"),
        ] {
            let meaning = meaning(EventType::LegacyIncoming, json);
            assert_eq!(
                (meaning.entity, meaning.status.as_str()),
                (Entity::transaction(Kind::Deposit, "u"), status)
            );
        }
    }

    #[test]
    fn every_event_becomes_a_step_of_the_version_2_model() {
        for event in EventType::ALL.into_iter().filter(|event| event.family() == Families::Legacy) {
            let meaning = meaning(event, r#"{"uid":"u","type":"TRANSFER","status":"PENDING"}"#);
            assert!(matches!(meaning.word, Word::Step(_)), "{}", event.as_str());
        }
    }

    #[test]
    fn what_does_not_say_which_way_it_goes_is_of_no_kind() {
        let meaning = meaning(EventType::LegacySuccess, r#"{"uid":"u","amount":"1"}"#);
        assert_eq!(meaning.entity, Entity::transaction(Kind::Unknown, "u"));
    }
}
