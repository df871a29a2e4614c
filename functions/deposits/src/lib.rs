//! Deposits: money comes in.
//!
//! From `created` over `pending` and `awaiting_confirmation` to `success`. Until then the amount is pending,
//! from then on it is received. An AML flag stands beside the status and moves nothing.

use shared::clock::Moment;
use shared::family::FamilyRules;
use shared::model::lifecycle::Step;
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{self, EventType, Kind, Meaning, Words};
use shared::notice::Telling;

/// The family.
#[derive(Debug)]
pub struct Deposits;

impl FamilyRules for Deposits {
    const FAMILY: model::Family = model::Family::Deposits;
    type Data = Transaction;

    fn meaning(event: EventType, deposit: &Transaction, _: Moment) -> Option<Meaning> {
        match event {
            EventType::DepositAmlFlagged => deposit.flag(Kind::Deposit, event.last_word()),
            _ => deposit.step(Kind::Deposit, Step::named(event.last_word())?),
        }
    }

    fn audience(event: EventType) -> Audience {
        match event {
            EventType::DepositSuccess => Audience::People("money has come in"),
            EventType::DepositAmlFlagged => {
                Audience::People("the money may be tainted: somebody has to look")
            }
            _ => Audience::Programs("on its way"),
        }
    }

    fn words(event: EventType, telling: &Telling<'_>) -> Words {
        let happened = match event {
            EventType::DepositCreated => "was announced",
            EventType::DepositPending => "is pending",
            EventType::DepositAwaitingConfirmation => "awaits confirmation",
            EventType::DepositAmlFlagged => "was flagged by AML screening",
            _ => "has arrived",
        };
        telling.say(
            &format!("Deposit of {} {happened}", telling.amount()),
            &[
                ("Amount", "amount"),
                ("Asset", "asset"),
                ("Chain", "chain"),
                ("Account", "account_id"),
                ("Customer", "customer"),
                ("To", "address"),
                ("From", "from_address"),
                ("Reference", "reference"),
                ("Hash", "hash"),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::environment::Environment;
    use shared::model::lenient;

    #[test]
    fn people_read_how_much_of_what_and_that_it_is_a_test() {
        let json = r#"{"uid":"d","amount":0.02999761,"assetType":"BTC"}"#;
        let deposit = lenient::object(&serde_json::from_str(json).unwrap()).unwrap();
        let meaning = Deposits::meaning(EventType::DepositSuccess, &deposit, Moment::from_millis(0)).unwrap();
        let telling =
            Telling { environment: Environment::Test, facts: &meaning.facts, conflict: false, uid: "d" };
        let words = Deposits::words(EventType::DepositSuccess, &telling);
        assert_eq!(words.subject, "[test] Deposit of 0.02999761 BTC has arrived");
        assert_eq!(words.sms, "(test) Deposit of 0.02999761 BTC has arrived");
        assert!(words.text.contains("Identifier: d"));
    }

    #[test]
    fn a_flag_is_no_step() {
        let json = r#"{"uid":"d","status":"SUCCESS"}"#;
        let deposit = lenient::object(&serde_json::from_str(json).unwrap()).unwrap();
        let meaning =
            Deposits::meaning(EventType::DepositAmlFlagged, &deposit, Moment::from_millis(0)).unwrap();
        assert_eq!(meaning.status, "aml_flagged");
        assert!(!meaning.facts.steps.contains("success"));
        assert_eq!(meaning.facts.set("flags").collect::<Vec<_>>(), ["aml_flagged"]);
    }
}
