//! Money: what the events of a transaction say of it together, and what it adds to which balance.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::amount::{Decimal, Oddity};
use super::entity::Kind;
use super::facts::{Fact, Facts};
use super::ids::{Account, Asset};
use super::lifecycle::{self, Outcome};

/// The balance that a transaction without any account counts for.
pub const UNATTRIBUTED: &str = "unattributed";

/// The field that names the transaction's account: `accountId`, else `walletId`, else `subAccountId`, whichever event
/// said it.
fn account_field(facts: &Facts) -> Option<Fact> {
    [Fact::AccountId, Fact::WalletId, Fact::SubAccountId]
        .into_iter()
        .find(|field| facts.fields.contains_key(field))
}

/// The account whose balance a transaction belongs to.
pub fn account(facts: &Facts) -> &str {
    account_field(facts).and_then(|field| facts.get(field)).unwrap_or(UNATTRIBUTED)
}

/// The field that names the transaction's asset: any `assetType` that was ever said, else `assetId`.
fn asset_field(facts: &Facts) -> Fact {
    if facts.fields.contains_key(&Fact::Asset) { Fact::Asset } else { Fact::AssetId }
}

/// The asset in whose units the amounts are.
pub fn asset(facts: &Facts) -> Option<&str> {
    facts.get(asset_field(facts))
}

/// Where the money comes from.
pub fn sender(facts: &Facts) -> Option<&str> {
    facts.get(Fact::FromAddress).or_else(|| facts.get(Fact::SenderAddress))
}

crate::names! {
    /// What the events of a transaction can contradict each other about.
    "contradiction" Contradiction {
        /// It is said to have succeeded and to have failed.
        Outcome "outcome";
        /// Different amounts from the furthest step, and no `updatedAt` that shows which is the later word.
        Amount "amount";
        /// Different assets, likewise.
        Asset "asset";
        /// Different accounts, likewise.
        Account "account";
    }
}

/// What the events of a transaction contradict each other about; empty where they agree. A later word corrects; it
/// does not contradict.
pub fn contradictions(facts: &Facts) -> Vec<Contradiction> {
    let has = |outcome| lifecycle::steps(facts).any(|step| step.outcome() == outcome);
    let is_contradicted =
        |field: &Fact| facts.fields.get(field).is_some_and(super::facts::Register::is_contradicted);
    let found = [
        (Contradiction::Outcome, has(Outcome::Success) && has(Outcome::Failure)),
        (Contradiction::Amount, is_contradicted(&Fact::Amount)),
        (Contradiction::Asset, is_contradicted(&asset_field(facts))),
        (Contradiction::Account, account_field(facts).is_some_and(|field| is_contradicted(&field))),
    ];
    found.into_iter().filter_map(|(about, is_so)| is_so.then_some(about)).collect()
}

/// What is said of money, by the name under which a change of it is explained. The spellings of one amount are one.
pub fn said_of_money(facts: &Facts) -> BTreeMap<&'static str, BTreeSet<Cow<'_, str>>> {
    let account = account_field(facts).map(|field| facts.said(field)).unwrap_or_default();
    BTreeMap::from([
        ("amount", facts.said(Fact::Amount)),
        ("asset", facts.said(asset_field(facts))),
        ("account", account),
        ("fee", facts.said(Fact::Fee)),
    ])
}

/// The values that contradict each other, as a person reads them: `: 1 or 2`. Nothing for the outcome.
pub fn values(facts: &Facts, about: Contradiction) -> String {
    match said_of_money(facts).get(about.as_str()) {
        Some(values) => {
            let values: Vec<_> = values.iter().map(|value| readable(value)).collect();
            format!(": {}", values.join(" or "))
        }
        None => String::new(),
    }
}

/// A value as a person reads it: an amount without exponent.
pub fn readable(value: &str) -> String {
    Decimal::read(value).map_or_else(|_| value.to_owned(), |amount| amount.to_string())
}

/// Whether an event says of amount, asset, account or fee what is not among the values that are known, and nothing
/// shows which is the later word.
pub fn is_contradicted_by(facts: &Facts, event: &Facts) -> bool {
    let fields = [Some(Fact::Amount), Some(asset_field(facts)), account_field(facts), Some(Fact::Fee)];
    fields.into_iter().flatten().any(|field| facts.is_contradicted_by(event, field))
}

/// Why the money of a transaction counts for nothing, or would; none where it counts, or where there is none.
pub fn oddity(kind: Kind, facts: &Facts) -> Option<Oddity> {
    let amount = facts.get(Fact::Amount).map(Decimal::read);
    let some = match amount {
        Some(Err(oddity)) => return Some(oddity),
        Some(Ok(amount)) => !amount.is_zero(),
        None => false,
    };
    if some && asset(facts).is_none() {
        return Some(Oddity::AssetUnknown);
    }
    match kind {
        Kind::Unknown => Some(Oddity::DirectionUnknown),
        Kind::Contract if some => lifecycle::furthest(facts)
            .filter(|step| step.outcome() == Outcome::Success)
            .map(|_| Oddity::NotCounted),
        Kind::Deposit | Kind::Transfer | Kind::Contract => None,
    }
}

/// What a transaction adds to one balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// The account.
    pub account: Account,
    /// The asset, in whose units the amounts are.
    pub asset: Asset,
    /// How much of what.
    pub amounts: Amounts,
}

impl Posting {
    /// Whether money has come in or gone out.
    pub fn has_moved(&self) -> bool {
        !self.amounts.received.is_zero() || !self.amounts.sent.is_zero()
    }
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

    /// The columns that have something, by their names.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &Decimal)> {
        let columns = [
            ("received", &self.received),
            ("sent", &self.sent),
            ("fees", &self.fees),
            ("pending", &self.pending),
        ];
        columns.into_iter().filter(|(_, amount)| !amount.is_zero())
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
    let amount = facts.get(Fact::Amount).map_or(Ok(Decimal::zero()), Decimal::read).ok()?;
    let amounts = match (kind, lifecycle::furthest(facts)?.outcome()) {
        (Kind::Deposit, Outcome::Success) => Amounts { received: amount, ..Amounts::default() },
        (Kind::Deposit, Outcome::Open) => Amounts { pending: amount, ..Amounts::default() },
        (Kind::Transfer, Outcome::Success) => {
            // Of fees that contradict each other none is counted.
            let fee = facts.fields.get(&Fact::Fee).filter(|fee| !fee.is_contradicted());
            let fees = fee.and_then(|fee| Decimal::read(fee.value()).ok()).unwrap_or_default();
            Amounts { sent: amount, fees, ..Amounts::default() }
        }
        (Kind::Deposit, Outcome::Failure) | (Kind::Transfer | Kind::Contract | Kind::Unknown, _) => {
            return None;
        }
    };
    if amounts.is_zero() {
        return None;
    }
    Some(Posting { account: account(facts).into(), asset: asset(facts)?.into(), amounts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lenient;
    use crate::model::lifecycle::Step;
    use crate::model::transaction::Transaction;

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
        assert_eq!(contradictions(&facts), [Contradiction::Outcome]);
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
        assert_eq!(contradictions(&facts), [Contradiction::Amount]);
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
    fn any_asset_type_wins_over_an_asset_id() {
        let by_id = r#"{"uid":"u","amount":"1","assetId":"as-9","accountId":"a"}"#;
        let posted = |events: &[(Step, &str)]| contribution(Kind::Deposit, &known(Kind::Deposit, events));
        assert_eq!(posted(&[(Step::Success, by_id)]).unwrap().asset, "as-9");
        assert_eq!(posted(&[(Step::Success, by_id), (Step::Created, ONE)]).unwrap().asset, "BTC");
        assert_eq!(posted(&[(Step::Created, ONE), (Step::Success, by_id)]).unwrap().asset, "BTC");
    }

    #[test]
    fn money_that_counts_for_nothing_has_its_mark() {
        for (kind, json, expected) in [
            (Kind::Deposit, ONE, None),
            (Kind::Deposit, r#"{"uid":"u","amount":"1,5","assetType":"BTC"}"#, Some(Oddity::NotANumber)),
            (Kind::Deposit, r#"{"uid":"u","amount":"-1","assetType":"BTC"}"#, Some(Oddity::Negative)),
            (Kind::Deposit, r#"{"uid":"u","amount":"1e39","assetType":"BTC"}"#, Some(Oddity::TooLong)),
            (Kind::Deposit, r#"{"uid":"u","amount":"1"}"#, Some(Oddity::AssetUnknown)),
            (Kind::Deposit, r#"{"uid":"u","amount":"0"}"#, None),
            (Kind::Unknown, ONE, Some(Oddity::DirectionUnknown)),
            (Kind::Unknown, r#"{"uid":"u","amount":"1"}"#, Some(Oddity::AssetUnknown)),
            (Kind::Contract, ONE, Some(Oddity::NotCounted)),
            (Kind::Contract, r#"{"uid":"u"}"#, None),
        ] {
            assert_eq!(oddity(kind, &known(kind, &[(Step::Success, json)])), expected, "{kind} {json}");
        }
    }

    #[test]
    fn a_transfer_without_an_amount_has_its_fee() {
        let fee = r#"{"uid":"u","amount":null,"fee":"0.1","assetType":"BTC"}"#;
        let posted = contribution(Kind::Transfer, &known(Kind::Transfer, &[(Step::Success, fee)])).unwrap();
        assert_eq!(
            (posted.amounts.sent.to_string(), posted.amounts.fees.to_string()),
            ("0".into(), "0.1".into())
        );
    }
}
