//! Deposits: money comes in.
//!
//! From `created` over `pending` and `awaiting_confirmation` to `success`. Until then the amount is pending,
//! from then on it is received. An AML flag stands beside the status and moves nothing.

use shared::clock::Moment;
use shared::family::{FamilyRules, transactions};
use shared::model::lifecycle::Step;
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{self, EventName, Kind, Meaning, Word, Words};
use shared::notice::Notice;

/// The family.
#[derive(Debug)]
pub struct Deposits;

impl FamilyRules for Deposits {
    const FAMILY: model::Family = model::Family::Deposits;
    type Data = Transaction;

    fn meaning(event: &EventName, deposit: &Transaction, _: Moment) -> Option<Meaning> {
        deposit.says(event, Some(Kind::Deposit))
    }

    fn audience(event: &EventName) -> Audience {
        match event.word() {
            Word::Step(Step::Success) => Audience::People("money has come in"),
            Word::Step(step) if step.is_terminal() => Audience::People("announced money will not come"),
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
    use shared::environment::Environment;
    use shared::fold::fold;
    use shared::model::{Fact, lenient};

    fn words(event: &str, json: &str) -> Words {
        let deposit = lenient::object(&serde_json::from_str(json).unwrap()).unwrap();
        let event = EventName::new(event);
        let meaning = Deposits::meaning(&event, &deposit, Moment::from_millis(0)).unwrap();
        let folded = fold(None, &meaning);
        Deposits::words(&Notice::new(Environment::Test, &event, &meaning, &folded))
    }

    #[test]
    fn people_read_how_much_of_what_and_that_it_is_a_test() {
        let json = r#"{"uid":"d","amount":0.02999761,"assetType":"BTC","memo":"771"}"#;
        let words = words("transaction.deposit.success", json);
        assert_eq!(words.subject, "[test] Deposit of 0.02999761 BTC has arrived");
        assert_eq!(words.sms, "(test) Deposit of 0.02999761 BTC has arrived");
        assert!(words.text.contains("Memo: 771\n") && words.text.contains("Identifier: d"));
    }

    #[test]
    fn money_that_does_not_count_never_reads_as_arrived() {
        for (amount, why) in [
            (r#""1,000.5","assetType":"SHIB""#, "the amount is not a number"),
            (r#""-1","assetType":"SHIB""#, "the amount is negative"),
            (r#""5""#, "the asset is unknown"),
        ] {
            let words = words("transaction.deposit.success", &format!(r#"{{"uid":"d","amount":{amount}}}"#));
            assert!(words.text.contains(&format!("succeeded, but is not counted: {why}")), "{}", words.text);
            assert!(!words.text.contains("arrived"));
        }
    }

    #[test]
    fn a_flag_is_no_step() {
        let json = r#"{"uid":"d","status":"SUCCESS"}"#;
        let deposit = lenient::object(&serde_json::from_str(json).unwrap()).unwrap();
        let event = EventName::new("transaction.deposit.aml_flagged");
        let meaning = Deposits::meaning(&event, &deposit, Moment::from_millis(0)).unwrap();
        assert_eq!(meaning.status, "aml_flagged");
        assert!(!meaning.facts.steps.contains("success"));
        assert_eq!(meaning.facts.set(Fact::Flags).collect::<Vec<_>>(), ["aml_flagged"]);
    }
}
