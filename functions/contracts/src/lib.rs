//! Contracts: a smart contract was deployed or called, or that failed. It moves no balance.

use shared::clock::Moment;
use shared::family::FamilyRules;
use shared::model::lifecycle::Step;
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{self, EventType, Kind, Meaning, Words};
use shared::notice::Telling;

/// The family.
#[derive(Debug)]
pub struct Contracts;

impl FamilyRules for Contracts {
    const FAMILY: model::Family = model::Family::Contracts;
    type Data = Transaction;

    fn meaning(event: EventType, contract: &Transaction, _: Moment) -> Option<Meaning> {
        contract.step(Kind::Contract, Step::named(event.last_word())?)
    }

    fn audience(event: EventType) -> Audience {
        match event {
            EventType::ContractDeploymentFailed | EventType::ContractInteractionFailed => {
                Audience::People("it has to be done again")
            }
            EventType::ContractDeploymentSuccess => Audience::People("a contract is live"),
            _ => Audience::Programs("routine"),
        }
    }

    fn words(event: EventType, telling: &Telling<'_>) -> Words {
        let happened = match event {
            EventType::ContractDeploymentSuccess => "was deployed",
            EventType::ContractDeploymentFailed => "could not be deployed",
            EventType::ContractInteractionFailed => "could not be called",
            _ => "was called",
        };
        telling.say(
            &format!("Contract on {} {happened}", telling.field("chain", "an unknown chain")),
            &[
                ("Contract", "address"),
                ("Chain", "chain"),
                ("Account", "account_id"),
                ("Fee", "fee"),
                ("Hash", "hash"),
                ("Error", "error"),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::model::transaction::contribution;

    #[test]
    fn a_contract_moves_no_balance() {
        let contract = Transaction {
            uid: Some("c".to_owned()),
            amount: Some("5".to_owned()),
            asset_type: Some("ETH".to_owned()),
            ..Transaction::default()
        };
        let meaning =
            Contracts::meaning(EventType::ContractInteractionSuccess, &contract, Moment::from_millis(0))
                .unwrap();
        assert_eq!(contribution(Kind::Contract, &meaning.facts), None);
    }
}
