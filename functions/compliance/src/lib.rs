//! Compliance: a transaction was flagged by anti-money-laundering screening.
//!
//! The flag stands beside the transaction's status, whichever family told of it first.

use shared::clock::Moment;
use shared::family::FamilyRules;
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{self, EventType, Kind, Meaning, Words};
use shared::notice::Telling;

/// The family.
#[derive(Debug)]
pub struct Compliance;

impl FamilyRules for Compliance {
    const FAMILY: model::Family = model::Family::Compliance;
    type Data = Transaction;

    fn meaning(event: EventType, transaction: &Transaction, _: Moment) -> Option<Meaning> {
        match transaction.kind() {
            Some(kind) => transaction.flag(kind, event.last_word()),
            // Most likely it is incoming money that is screened; but no amount is counted on a guess.
            None => Transaction { uid: transaction.uid.clone(), ..Transaction::default() }
                .flag(Kind::Deposit, event.last_word()),
        }
    }

    fn audience(_: EventType) -> Audience {
        Audience::People("the money may be tainted: somebody has to look")
    }

    fn words(_: EventType, telling: &Telling<'_>) -> Words {
        telling.say(
            &format!("Transaction of {} was flagged by AML screening", telling.amount()),
            &[
                ("Amount", "amount"),
                ("Asset", "asset"),
                ("Account", "account_id"),
                ("Customer", "customer"),
                ("From", "from_address"),
                ("To", "address"),
                ("Hash", "hash"),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::model::Entity;

    #[test]
    fn the_flag_goes_to_the_transaction_it_is_about() {
        for (transaction_type, kind) in
            [(Some("TRANSFER"), Kind::Transfer), (Some("DEPOSIT"), Kind::Deposit), (None, Kind::Deposit)]
        {
            let transaction = Transaction {
                uid: Some("u".to_owned()),
                transaction_type: transaction_type.map(str::to_owned),
                ..Transaction::default()
            };
            let meaning =
                Compliance::meaning(EventType::ComplianceAmlFlag, &transaction, Moment::from_millis(0))
                    .unwrap();
            assert_eq!(meaning.entity, Entity::transaction(kind, "u"));
        }
    }
}
