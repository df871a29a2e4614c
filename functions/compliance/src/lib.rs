//! Compliance: a transaction was flagged by anti-money-laundering screening.
//!
//! The flag stands beside the transaction's status, whichever family reported it first.

use shared::clock::Moment;
use shared::family::{FamilyRules, transactions};
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{self, EventName, Meaning, Word, Words};
use shared::notice::Notice;

/// The family.
#[derive(Debug)]
pub struct Compliance;

impl FamilyRules for Compliance {
    const FAMILY: model::Family = model::Family::Compliance;
    type Data = Transaction;

    fn meaning(event: &EventName, transaction: &Transaction, _: Moment) -> Option<Meaning> {
        transaction.says(event, None)
    }

    fn audience(event: &EventName) -> Audience {
        match event.word() {
            Word::Flag => Audience::People("the money may be tainted: somebody has to look"),
            _ => Audience::Programs("routine"),
        }
    }

    fn words(notice: &Notice<'_>) -> Words {
        transactions::words(notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::model::{Entity, Kind};

    #[test]
    fn the_flag_goes_to_the_transaction_it_is_about() {
        for (transaction_type, kind) in
            [(Some("TRANSFER"), Kind::Transfer), (Some("DEPOSIT"), Kind::Deposit), (None, Kind::Unknown)]
        {
            let transaction = Transaction {
                uid: Some("u".to_owned()),
                transaction_type: transaction_type.map(str::to_owned),
                ..Transaction::default()
            };
            let event = EventName::new("transaction.compliance.aml_flag");
            let meaning = Compliance::meaning(&event, &transaction, Moment::from_millis(0)).unwrap();
            assert_eq!((meaning.entity, meaning.word), (Entity::transaction(kind, "u"), Word::Flag));
        }
    }
}
