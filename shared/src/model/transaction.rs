//! What an event says of a transaction.

use serde::Deserialize;
use serde_json::Value;

use super::catalogue::EventName;
use super::entity::{Entity, Kind};
use super::facts::{Fact, Facts, Stamp, shorten};
use super::lenient;
use super::lifecycle::Step;
use super::meaning::{Meaning, Word};
use crate::clock::Moment;

/// Bitpowr's transaction object (source: reference API, "Transactions"), as far as it is used. Every field may
/// be absent, null or of another JSON type.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Transaction {
    /// Bitpowr's identifier; without it nothing is counted.
    #[serde(deserialize_with = "lenient::identifier")]
    pub uid: Option<String>,
    /// How far it is, in Bitpowr's words.
    #[serde(deserialize_with = "lenient::text")]
    pub status: Option<String>,
    /// `DEPOSIT`, `TRANSFER` …
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    pub transaction_type: Option<String>,
    /// The transaction's hash on its chain.
    #[serde(deserialize_with = "lenient::text")]
    pub hash: Option<String>,
    /// How many blocks confirm it.
    #[serde(deserialize_with = "lenient::count")]
    pub confirmation: Option<u64>,
    /// Set on deposits.
    #[serde(deserialize_with = "lenient::text")]
    pub deposit_id: Option<String>,
    /// Set on transfers.
    #[serde(deserialize_with = "lenient::text")]
    pub transfer_id: Option<String>,
    /// The account it belongs to.
    #[serde(deserialize_with = "lenient::text")]
    pub account_id: Option<String>,
    /// The wallet it belongs to: stands in for a missing account.
    #[serde(deserialize_with = "lenient::text")]
    pub wallet_id: Option<String>,
    /// The sub-account it belongs to: stands in for a missing account and wallet.
    #[serde(deserialize_with = "lenient::text")]
    pub sub_account_id: Option<String>,
    /// The customer it concerns.
    #[serde(deserialize_with = "lenient::text")]
    pub customer_id: Option<String>,
    /// Where the money goes.
    #[serde(deserialize_with = "lenient::text")]
    pub address: Option<String>,
    /// Where the money comes from …
    #[serde(deserialize_with = "lenient::text")]
    pub from_address: Option<String>,
    /// … under its other name.
    #[serde(deserialize_with = "lenient::text")]
    pub sender_address: Option<String>,
    /// Where a batch goes.
    #[serde(deserialize_with = "recipients")]
    pub tos: Vec<String>,
    /// The label of the address.
    #[serde(deserialize_with = "lenient::text")]
    pub label: Option<String>,
    /// What tells customers apart where an address is shared.
    #[serde(deserialize_with = "lenient::text")]
    pub memo: Option<String>,
    /// The key that the customer set so that the transaction is made once.
    #[serde(deserialize_with = "lenient::text")]
    pub idempotency_key: Option<String>,
    /// The customer's own identifier.
    #[serde(deserialize_with = "lenient::text")]
    pub external_id: Option<String>,
    /// The customer's own reference …
    #[serde(deserialize_with = "lenient::text")]
    pub transaction_ref: Option<String>,
    /// … under its other name.
    #[serde(rename = "ref", deserialize_with = "lenient::text")]
    pub reference: Option<String>,
    /// How much, in units of the asset.
    #[serde(deserialize_with = "lenient::amount")]
    pub amount: Option<String>,
    /// What the chain took.
    #[serde(deserialize_with = "lenient::amount")]
    pub fee: Option<String>,
    /// The amount in US dollars.
    #[serde(deserialize_with = "lenient::amount")]
    pub dollar_amount: Option<String>,
    /// `BTC`, `USDT_TRON` …
    #[serde(deserialize_with = "lenient::text")]
    pub asset_type: Option<String>,
    /// The asset's identifier, where older objects name no type.
    #[serde(deserialize_with = "lenient::text")]
    pub asset_id: Option<String>,
    /// `BITCOIN`, `TRON` …
    #[serde(deserialize_with = "lenient::text")]
    pub chain: Option<String>,
    /// Why it failed.
    #[serde(deserialize_with = "lenient::text")]
    pub error_reason: Option<String>,
    /// Why it failed, in more words.
    #[serde(deserialize_with = "lenient::text")]
    pub error_message: Option<String>,
    /// When it was created.
    #[serde(deserialize_with = "lenient::moment")]
    pub created_at: Option<Moment>,
    /// When this version of the object was made.
    #[serde(deserialize_with = "lenient::moment")]
    pub updated_at: Option<Moment>,
    /// When it ended.
    #[serde(deserialize_with = "lenient::moment")]
    pub completed_at: Option<Moment>,
}

impl Transaction {
    /// The kind that the object itself shows: by its `type`, else by which id it carries.
    pub fn kind(&self) -> Option<Kind> {
        let named = self.transaction_type.as_deref().map(|named| named.trim().to_ascii_uppercase());
        match named.as_deref() {
            Some("DEPOSIT" | "CREDIT" | "INCOMING" | "RECEIVE") => Some(Kind::Deposit),
            Some("TRANSFER" | "WITHDRAWAL" | "DEBIT" | "OUTGOING" | "SEND") => Some(Kind::Transfer),
            Some(contract) if contract.starts_with("CONTRACT") => Some(Kind::Contract),
            _ => match (&self.deposit_id, &self.transfer_id) {
                (Some(_), None) => Some(Kind::Deposit),
                (None, Some(_)) => Some(Kind::Transfer),
                _ => None,
            },
        }
    }

    /// When the object says that this happened.
    pub fn occurred_at(&self) -> Option<Moment> {
        self.updated_at.or(self.completed_at).or(self.created_at)
    }

    /// How far the object's own `status` says it is.
    pub fn own_step(&self) -> Option<Step> {
        self.status.as_deref().and_then(Step::named)
    }

    /// What an event of this name says of the transaction; `kind` is what the name says of which way the money goes,
    /// else the object does, else nothing does. None where the object has no identifier: it moves no money.
    pub fn says(&self, event: &EventName, kind: Option<Kind>) -> Option<Meaning> {
        let kind = kind.or_else(|| self.kind()).unwrap_or(Kind::Unknown);
        match event.word() {
            Word::Step(step) => self.step(kind, step),
            Word::Flag => self.flag(kind, event.last_word()),
            Word::Object(_) | Word::Unknown => self.unknown_word(kind, event.last_word()),
        }
    }

    /// What an event says that announces `step` by its name. Where it is an end, and the object itself names another
    /// outcome, it says both, and contradicts itself.
    pub fn step(&self, kind: Kind, step: Step) -> Option<Meaning> {
        let meaning = self.step_by_status(kind, step)?;
        let mut facts = meaning.facts.member(Fact::Announced, Some(step.as_str()));
        if step.is_terminal()
            && let Some(own) = self.own_step()
            && own.is_terminal()
            && own.outcome() != step.outcome()
        {
            facts = facts.step(own.as_str());
        }
        Some(Meaning { facts, ..meaning })
    }

    /// What an event says whose object, not its name, says how far it is. The event that announces the same step
    /// by its name still notifies when it comes.
    pub fn step_by_status(&self, kind: Kind, step: Step) -> Option<Meaning> {
        Some(Meaning {
            entity: Entity::transaction(kind, self.uid.clone()?),
            facts: self.facts(step.rank()).step(step.as_str()),
            word: Word::Step(step),
            status: step.as_str().to_owned(),
            occurred_at: self.occurred_at(),
            dated: true,
        })
    }

    /// What an event says that raises a flag. A flag stands beside the status. It proves that the transaction is
    /// on its way, as far as the object's own `status` says; an end waits for the event that announces it.
    pub fn flag(&self, kind: Kind, flag: &str) -> Option<Meaning> {
        let step = self.own_step().filter(|step| !step.is_terminal()).unwrap_or(Step::Created);
        let meaning = self.step_by_status(kind, step)?;
        let facts = meaning.facts.member(Fact::Flags, Some(flag));
        Some(Meaning { facts, word: Word::Flag, status: flag.to_owned(), ..meaning })
    }

    /// What an event says whose name ends in a word that is not understood: that it belongs to this transaction.
    pub fn unknown_word(&self, kind: Kind, word: &str) -> Option<Meaning> {
        let meaning = self.step_by_status(kind, Step::Created)?;
        Some(Meaning { facts: self.facts(0), word: Word::Unknown, status: shorten(word), ..meaning })
    }

    /// All that the object says, as said at a step of this rank.
    pub fn facts(&self, rank: u16) -> Facts {
        let stamp = Stamp { rank, at: self.updated_at };
        let facts = Facts::default()
            .field(Fact::Amount, stamp, self.amount.as_deref())
            .field(Fact::Asset, stamp, self.asset_type.as_deref())
            .field(Fact::AssetId, stamp, self.asset_id.as_deref())
            .field(Fact::AccountId, stamp, self.account_id.as_deref())
            .field(Fact::WalletId, stamp, self.wallet_id.as_deref())
            .field(Fact::SubAccountId, stamp, self.sub_account_id.as_deref())
            .field(Fact::Fee, stamp, self.fee.as_deref())
            .field(Fact::DollarAmount, stamp, self.dollar_amount.as_deref())
            .field(Fact::Chain, stamp, self.chain.as_deref())
            .field(Fact::Hash, stamp, self.hash.as_deref())
            .field(Fact::Customer, stamp, self.customer_id.as_deref())
            .field(Fact::Address, stamp, self.address.as_deref())
            .field(Fact::FromAddress, stamp, self.from_address.as_deref())
            .field(Fact::SenderAddress, stamp, self.sender_address.as_deref())
            .field(Fact::Label, stamp, self.label.as_deref())
            .field(Fact::Memo, stamp, self.memo.as_deref())
            .field(Fact::IdempotencyKey, stamp, self.idempotency_key.as_deref())
            .field(Fact::ExternalId, stamp, self.external_id.as_deref())
            .field(Fact::Reference, stamp, self.transaction_ref.as_deref().or(self.reference.as_deref()))
            .field(Fact::Error, stamp, self.error_message.as_deref().or(self.error_reason.as_deref()))
            .count(Fact::Confirmations, self.confirmation)
            .at(self.occurred_at());
        self.tos.iter().fold(facts, |facts, to| facts.member(Fact::Recipients, Some(to)))
    }
}

/// The addresses of `tos: [{address, value}]`; of anything else none.
fn recipients<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let Value::Array(tos) = Value::deserialize(deserializer)? else { return Ok(Vec::new()) };
    let address = |to: &Value| {
        let address = to.get("address").unwrap_or(to).as_str()?;
        Some(address.to_owned()).filter(|address| !address.is_empty())
    };
    Ok(tos.iter().filter_map(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(json: &str) -> Transaction {
        lenient::object(&serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn without_an_identifier_there_is_nothing_to_count() {
        let anonymous = transaction(r#"{"uid":null,"amount":"1","assetType":"BTC"}"#);
        assert!(anonymous.step(Kind::Deposit, Step::Success).is_none());
    }

    #[test]
    fn the_kind_is_read_from_the_type_or_the_ids() {
        for (json, kind) in [
            (r#"{"type":"DEPOSIT"}"#, Some(Kind::Deposit)),
            (r#"{"type":"transfer","depositId":"d"}"#, Some(Kind::Transfer)),
            (r#"{"type":"Credit"}"#, Some(Kind::Deposit)),
            (r#"{"type":"DEBIT"}"#, Some(Kind::Transfer)),
            (r#"{"type":"CONTRACT_INTERACTION"}"#, Some(Kind::Contract)),
            (r#"{"depositId":"d","transferId":"t"}"#, None),
            (r#"{"depositId":"d"}"#, Some(Kind::Deposit)),
            (r#"{"transferId":"t"}"#, Some(Kind::Transfer)),
            ("{}", None),
        ] {
            assert_eq!(transaction(json).kind(), kind, "{json}");
        }
    }
    fn says(event: &str, json: &str) -> Meaning {
        transaction(json).says(&EventName::new(event), None).unwrap()
    }

    #[test]
    fn every_step_word_is_that_step_in_any_case() {
        for (event, step) in [
            ("TRANSACTION.CONFIRMED", Step::Success),
            ("transaction.deposit.failed", Step::Failed),
            ("Transaction.Transfer.Pre-Broadcast", Step::PreBroadcast),
            ("transaction.contract.interaction.pending", Step::Pending),
        ] {
            let meaning = says(event, r#"{"uid":"u"}"#);
            assert_eq!((meaning.word, meaning.status.as_str()), (Word::Step(step), step.as_str()), "{event}");
        }
    }

    #[test]
    fn an_unknown_word_belongs_to_its_transaction_and_says_no_step() {
        let meaning = says("transaction.frobnicated", r#"{"uid":"u","type":"DEPOSIT","hash":"h"}"#);
        assert_eq!(meaning.entity, Entity::transaction(Kind::Deposit, "u"));
        assert_eq!((meaning.word, meaning.status.as_str()), (Word::Unknown, "frobnicated"));
        assert!(meaning.facts.steps.is_empty());
        assert_eq!(meaning.facts.get(Fact::Hash), Some("h"));
    }

    #[test]
    fn an_end_whose_object_names_another_outcome_contradicts_itself() {
        for (event, status, contradicts) in [
            ("transaction.success", "FAILED", true),
            ("transaction.failed", "SUCCESS", true),
            ("transaction.failed", "CANCELLED", false),
            ("transaction.success", "PENDING", false),
            ("transaction.pending", "FAILED", false),
        ] {
            let meaning = says(event, &format!(r#"{{"uid":"u","status":"{status}"}}"#));
            let found = crate::model::money::contradictions(&meaning.facts);
            assert_eq!(!found.is_empty(), contradicts, "{event} {status}");
        }
    }

    #[test]
    fn the_recipients_of_a_batch_are_kept() {
        let json = r#"{"uid":"u","tos":[{"address":"a","value":"1"},{"address":"b"},7,{"x":1}]}"#;
        let meaning = says("transaction.transfer.success", json);
        assert_eq!(meaning.facts.set(Fact::Recipients).collect::<Vec<_>>(), ["a", "b"]);
    }
}
