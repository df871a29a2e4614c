//! Transactions: what an event says of one, how it stands, and what it adds to which balance.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::amount::{Decimal, Oddity};
use super::entity::{Entity, Kind};
use super::facts::{ANNOUNCED, Facts, Stamp};
use super::lenient;
use super::lifecycle::{self, Outcome, Step};
use super::meaning::Meaning;
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
    /// Where the money comes from.
    #[serde(deserialize_with = "lenient::text")]
    pub from_address: Option<String>,
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
        let named = self.transaction_type.as_deref().map(str::to_ascii_uppercase);
        match named.as_deref() {
            Some("DEPOSIT" | "INCOMING" | "RECEIVE") => Some(Kind::Deposit),
            Some("TRANSFER" | "WITHDRAWAL" | "OUTGOING" | "SEND") => Some(Kind::Transfer),
            Some("CONTRACT" | "CONTRACT_DEPLOYMENT" | "CONTRACT_INTERACTION") => Some(Kind::Contract),
            _ if self.deposit_id.is_some() => Some(Kind::Deposit),
            _ if self.transfer_id.is_some() => Some(Kind::Transfer),
            _ => None,
        }
    }

    /// When the object says that this happened.
    pub fn occurred_at(&self) -> Option<Moment> {
        self.updated_at.or(self.completed_at).or(self.created_at)
    }

    /// What an event says that announces `step` by its name. None where the object has no identifier: it moves
    /// no money.
    pub fn step(&self, kind: Kind, step: Step) -> Option<Meaning> {
        let meaning = self.step_by_status(kind, step)?;
        Some(Meaning { facts: meaning.facts.member(ANNOUNCED, Some(step.as_str())), ..meaning })
    }

    /// What an event says whose object, not its name, says how far it is. The event that announces the same step
    /// by its name is still told when it comes.
    pub fn step_by_status(&self, kind: Kind, step: Step) -> Option<Meaning> {
        Some(Meaning {
            entity: Entity::transaction(kind, self.uid.clone()?),
            facts: self.facts(step),
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
        Some(Meaning { facts: meaning.facts.member("flags", Some(flag)), status: flag.to_owned(), ..meaning })
    }

    /// How far the object's own `status` says it is.
    pub fn own_step(&self) -> Option<Step> {
        self.status.as_deref().and_then(Step::named)
    }

    fn facts(&self, step: Step) -> Facts {
        let stamp = Stamp { rank: step.rank(), at: self.updated_at };
        Facts::default()
            .step(step.as_str())
            .field("amount", stamp, self.amount.as_deref())
            .field("asset", stamp, self.asset_type.as_deref())
            .field("account_id", stamp, self.account_id.as_deref())
            .field("wallet_id", stamp, self.wallet_id.as_deref())
            .field("sub_account_id", stamp, self.sub_account_id.as_deref())
            .field("fee", stamp, self.fee.as_deref())
            .field("dollar_amount", stamp, self.dollar_amount.as_deref())
            .field("chain", stamp, self.chain.as_deref())
            .field("hash", stamp, self.hash.as_deref())
            .field("customer", stamp, self.customer_id.as_deref())
            .field("address", stamp, self.address.as_deref())
            .field("from_address", stamp, self.from_address.as_deref())
            .field("reference", stamp, self.transaction_ref.as_deref().or(self.reference.as_deref()))
            .field("error", stamp, self.error_message.as_deref().or(self.error_reason.as_deref()))
            .count("confirmations", self.confirmation)
            .at(self.occurred_at())
    }
}

/// The balance that a transaction without any account counts for.
pub const UNATTRIBUTED: &str = "unattributed";

/// The field that names the transaction's account: `accountId`, else `walletId`, else `subAccountId`.
fn account_field(facts: &Facts) -> Option<&'static str> {
    ["account_id", "wallet_id", "sub_account_id"].into_iter().find(|field| facts.fields.contains_key(*field))
}

/// The account whose balance a transaction belongs to.
pub fn account(facts: &Facts) -> &str {
    account_field(facts).and_then(|field| facts.get(field)).unwrap_or(UNATTRIBUTED)
}

/// In what the events of a transaction contradict each other; empty where they agree.
///
/// * `outcome`: it is said to have succeeded and to have failed.
/// * `amount`, `asset`, `account`: different values from the furthest step, and no `updatedAt` that would tell
///   which is the later word. A later word corrects; it does not contradict.
pub fn contradictions(facts: &Facts) -> Vec<&'static str> {
    let mut found = Vec::new();
    let has = |outcome| lifecycle::steps(facts).any(|step| step.outcome() == outcome);
    if has(Outcome::Success) && has(Outcome::Failure) {
        found.push("outcome");
    }
    let [amount, asset, account, _] = said_of_money(facts);
    for (name, values) in [("amount", amount), ("asset", asset), ("account", account)] {
        if values.len() > 1 {
            found.push(name);
        }
    }
    found
}

/// What the furthest step says of amount, asset, account and fee; more than one value where it contradicts
/// itself. `1.0` and `1.00` are one amount.
pub fn said_of_money(facts: &Facts) -> [BTreeSet<String>; 4] {
    let values =
        |field: &str| facts.fields.get(field).map(|register| register.values.clone()).unwrap_or_default();
    let canonical = |text: String| Decimal::read(&text).map_or(text, |amount| amount.to_string());
    let amounts = |field: &str| values(field).into_iter().map(canonical).collect();
    let account = account_field(facts).map(values).unwrap_or_default();
    [amounts("amount"), values("asset"), account, amounts("fee")]
}

/// Why the amount of a transaction is kept but not counted; none where it is counted or absent.
pub fn oddity(facts: &Facts) -> Option<Oddity> {
    facts.get("amount").and_then(|text| Decimal::read(text).err())
}

/// What a transaction adds to one balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// The account.
    pub account: String,
    /// The asset, in whose units the amounts are.
    pub asset: String,
    /// How much of what.
    pub amounts: Amounts,
}

/// The columns of a balance, or what is added to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Deposits that succeeded.
    pub received: Decimal,
    /// Transfers that succeeded.
    pub sent: Decimal,
    /// Fees of transfers that succeeded. They stand beside: a token's fee is paid in another asset.
    pub fees: Decimal,
    /// Deposits seen and not yet ended.
    pub pending: Decimal,
}

impl Amounts {
    /// What is there: received − sent.
    pub fn balance(&self) -> Decimal {
        &self.received - &self.sent
    }

    /// Whether nothing is in any column.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl std::ops::Add for &Amounts {
    type Output = Amounts;

    fn add(self, other: Self) -> Amounts {
        Amounts {
            received: &self.received + &other.received,
            sent: &self.sent + &other.sent,
            fees: &self.fees + &other.fees,
            pending: &self.pending + &other.pending,
        }
    }
}

impl std::ops::Sub for &Amounts {
    type Output = Amounts;

    fn sub(self, other: Self) -> Amounts {
        Amounts {
            received: &self.received - &other.received,
            sent: &self.sent - &other.sent,
            fees: &self.fees - &other.fees,
            pending: &self.pending - &other.pending,
        }
    }
}

/// What a transaction that is so known adds to which balance. None where it adds nothing: contradicted, ended
/// without success, without asset, or with an amount that cannot be counted.
pub fn contribution(kind: Kind, facts: &Facts) -> Option<Posting> {
    if !contradictions(facts).is_empty() {
        return None;
    }
    let amount = Decimal::read(facts.get("amount")?).ok()?;
    let amounts = match (kind, lifecycle::furthest(facts)?.outcome()) {
        (Kind::Deposit, Outcome::Success) => Amounts { received: amount, ..Amounts::default() },
        (Kind::Deposit, Outcome::Open) => Amounts { pending: amount, ..Amounts::default() },
        (Kind::Transfer, Outcome::Success) => {
            // Of fees that contradict each other none is counted.
            let [.., fees] = said_of_money(facts);
            let fee = if fees.len() == 1 { facts.get("fee") } else { None };
            let fees = fee.and_then(|text| Decimal::read(text).ok()).unwrap_or_default();
            Amounts { sent: amount, fees, ..Amounts::default() }
        }
        (Kind::Deposit, Outcome::Failure) | (Kind::Transfer, _) | (Kind::Contract, _) => return None,
    };
    if amounts.is_zero() {
        return None;
    }
    Some(Posting { account: account(facts).to_owned(), asset: facts.get("asset")?.to_owned(), amounts })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(json: &str) -> Transaction {
        lenient::object(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn known(kind: Kind, events: &[(Step, &str)]) -> Facts {
        events.iter().fold(Facts::default(), |facts, (step, json)| {
            facts.join(transaction(json).step(kind, *step).unwrap().facts)
        })
    }

    const ONE: &str = r#"{"uid":"u","amount":"1","assetType":"BTC","accountId":"a"}"#;

    #[test]
    fn a_deposit_is_pending_until_it_succeeds() {
        let open = contribution(Kind::Deposit, &known(Kind::Deposit, &[(Step::Pending, ONE)])).unwrap();
        assert_eq!(
            (open.amounts.pending.to_string(), open.amounts.received.to_string()),
            ("1".into(), "0".into())
        );
        let steps = [(Step::Success, ONE), (Step::Pending, ONE)];
        let done = contribution(Kind::Deposit, &known(Kind::Deposit, &steps)).unwrap();
        assert_eq!(
            (done.amounts.pending.to_string(), done.amounts.received.to_string()),
            ("0".into(), "1".into())
        );
    }

    #[test]
    fn success_and_failure_contradict_and_count_nothing() {
        let facts = known(Kind::Transfer, &[(Step::Success, ONE), (Step::Failed, ONE)]);
        assert_eq!(contradictions(&facts), ["outcome"]);
        assert_eq!(contribution(Kind::Transfer, &facts), None);
        assert_eq!(lifecycle::furthest(&facts), Some(Step::Failed));
    }

    #[test]
    fn a_later_word_corrects_and_an_undated_one_contradicts() {
        let dated = |amount: &str, at: &str| {
            format!(
                r#"{{"uid":"u","amount":"{amount}","assetType":"BTC","updatedAt":"2026-11-0{at}T00:00:00Z"}}"#
            )
        };
        let (first, second) = (dated("1", "1"), dated("2", "2"));
        let facts = known(Kind::Deposit, &[(Step::Success, &second), (Step::Success, &first)]);
        assert_eq!(contribution(Kind::Deposit, &facts).unwrap().amounts.received.to_string(), "2");

        let undated = r#"{"uid":"u","amount":"2","assetType":"BTC","accountId":"a"}"#;
        let facts = known(Kind::Deposit, &[(Step::Success, ONE), (Step::Success, undated)]);
        assert_eq!(contradictions(&facts), ["amount"]);
        assert_eq!(contribution(Kind::Deposit, &facts), None);

        let same = r#"{"uid":"u","amount":"1.00","assetType":"BTC","accountId":"a"}"#;
        let facts = known(Kind::Deposit, &[(Step::Success, ONE), (Step::Success, same)]);
        assert!(contradictions(&facts).is_empty());
    }

    #[test]
    fn the_account_falls_back_to_wallet_and_sub_account() {
        for (json, expected) in [
            (r#"{"uid":"u","accountId":"a","walletId":"w","subAccountId":"s"}"#, "a"),
            (r#"{"uid":"u","walletId":"w","subAccountId":"s"}"#, "w"),
            (r#"{"uid":"u","subAccountId":"s"}"#, "s"),
            (r#"{"uid":"u","accountId":null}"#, UNATTRIBUTED),
        ] {
            assert_eq!(account(&known(Kind::Deposit, &[(Step::Created, json)])), expected);
        }
    }

    #[test]
    fn without_an_identifier_there_is_nothing_to_count() {
        let anonymous = transaction(r#"{"uid":null,"amount":"1","assetType":"BTC"}"#);
        assert!(anonymous.step(Kind::Deposit, Step::Success).is_none());
    }

    #[test]
    fn a_flag_ends_nothing_whatever_the_object_says() {
        for (status, step) in [("SUCCESS", "created"), ("AML_FLAGGED", "created"), ("PENDING", "pending")] {
            let json = format!(r#"{{"uid":"u","amount":"1","assetType":"BTC","status":"{status}"}}"#);
            let meaning = transaction(&json).flag(Kind::Deposit, "aml_flagged").unwrap();
            let posting = contribution(Kind::Deposit, &meaning.facts).unwrap();
            assert_eq!(
                (posting.amounts.received.to_string(), posting.amounts.pending.to_string()),
                ("0".into(), "1".into())
            );
            assert_eq!(lifecycle::furthest(&meaning.facts).unwrap().as_str(), step);
        }
    }

    #[test]
    fn of_fees_that_contradict_each_other_none_is_counted() {
        let with_fee = |fee: &str| format!(r#"{{"uid":"u","amount":"1","assetType":"BTC","fee":"{fee}"}}"#);
        for (other, counted) in [("10", "0"), ("9.0", "9")] {
            let (first, second) = (with_fee("9"), with_fee(other));
            let facts = known(Kind::Transfer, &[(Step::Success, &first), (Step::Success, &second)]);
            assert_eq!(contribution(Kind::Transfer, &facts).unwrap().amounts.fees.to_string(), counted);
        }
    }

    #[test]
    fn the_kind_is_read_from_the_type_or_the_ids() {
        for (json, kind) in [
            (r#"{"type":"DEPOSIT"}"#, Some(Kind::Deposit)),
            (r#"{"type":"transfer","depositId":"d"}"#, Some(Kind::Transfer)),
            (r#"{"depositId":"d"}"#, Some(Kind::Deposit)),
            (r#"{"transferId":"t"}"#, Some(Kind::Transfer)),
            ("{}", None),
        ] {
            assert_eq!(transaction(json).kind(), kind, "{json}");
        }
    }
}
