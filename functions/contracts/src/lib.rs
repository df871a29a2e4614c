//! Contracts: a smart contract was deployed or called, or that failed. It moves no balance.

use shared::clock::Moment;
use shared::family::{FamilyRules, transactions};
use shared::model::lifecycle::{Outcome, Step};
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{self, EventName, Fact, Kind, Meaning, Word, Words};
use shared::notice::Notice;

/// The family.
#[derive(Debug)]
pub struct Contracts;

impl FamilyRules for Contracts {
    const FAMILY: model::Family = model::Family::Contracts;
    type Data = Transaction;

    fn meaning(event: &EventName, contract: &Transaction, _: Moment) -> Option<Meaning> {
        contract.says(event, Some(Kind::Contract))
    }

    fn audience(event: &EventName) -> Audience {
        match event.word() {
            Word::Step(step) if step.outcome() == Outcome::Failure => {
                Audience::People("it has to be done again")
            }
            Word::Step(Step::Success) if is_deployment(event) => Audience::People("a contract is live"),
            Word::Flag => Audience::People("the money may be tainted: somebody has to look"),
            _ => Audience::Programs("routine"),
        }
    }

    fn words(notice: &Notice<'_>) -> Words {
        let happened = match (notice.word, is_deployment(notice.event)) {
            (Word::Step(Step::Success), true) => "was deployed",
            (Word::Step(Step::Success), false) => "was called",
            (Word::Step(Step::Failed), true) => "could not be deployed",
            (Word::Step(Step::Failed), false) => "could not be called",
            _ => return transactions::words(notice),
        };
        let chain = notice.field(Fact::Chain, "an unknown chain");
        transactions::say(notice, &format!("Contract on {chain} {happened}"))
    }
}

fn is_deployment(event: &EventName) -> bool {
    event.as_str().contains(".deployment.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::model::money::contribution;

    #[test]
    fn a_contract_moves_no_balance() {
        let contract = Transaction {
            uid: Some("c".to_owned()),
            amount: Some("5".to_owned()),
            asset_type: Some("ETH".to_owned()),
            ..Transaction::default()
        };
        let event = EventName::new("transaction.contract.interaction.success");
        let meaning = Contracts::meaning(&event, &contract, Moment::from_millis(0)).unwrap();
        assert_eq!(contribution(Kind::Contract, &meaning.facts), None);
    }
}
