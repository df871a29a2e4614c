//! The ledger: lines that each follow another, and the balance that the last of them makes.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::entity::{Entity, EntityRef, Kind};
use super::ids::{Account, Asset, EventId};
use super::money::{Amounts, Posting};
use crate::clock::Moment;

/// A shard of a balance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceItem {
    /// Counts the writes; the ledger line of this number made it.
    pub version: u64,
    /// Its amounts.
    pub amounts: Amounts,
    /// When the last line was entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Moment>,
}

/// One change of one balance. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// The account.
    pub account: Account,
    /// The asset.
    pub asset: Asset,
    /// The shard of the balance.
    pub shard: u8,
    /// The line's number within its shard, from 1 without gaps.
    pub number: u64,
    /// The event that caused it; none where `rebuild` mended the balance itself.
    pub event_id: Option<EventId>,
    /// The transaction it counts.
    pub transaction: Option<EntityRef>,
    /// The transaction's kind.
    pub kind: Option<Kind>,
    /// By which rule: `deposit.success` …; `rebuild` where nothing new was said.
    pub rule: Rule,
    /// What was added.
    pub change: Amounts,
    /// The shard before …
    pub before: Amounts,
    /// … and after.
    pub after: Amounts,
    /// When; never before the line before it.
    pub recorded_at: Moment,
}

/// By which rule a line was entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// An event's last word on a transaction of a kind: `deposit.success`.
    Said {
        /// The kind that counts it.
        kind: Kind,
        /// The word.
        status: String,
    },
    /// `rebuild` moved money, without any new event.
    Rebuild,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said { kind, status } => f.pad(&format!("{kind}.{status}")),
            Self::Rebuild => f.pad("rebuild"),
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.split_once('.') {
            Some((kind, status)) => {
                let kind = kind.parse().map_err(D::Error::custom)?;
                Ok(Self::Said { kind, status: status.to_owned() })
            }
            None if text == "rebuild" => Ok(Self::Rebuild),
            None => Err(D::Error::custom("a rule is a kind and a status, or rebuild")),
        }
    }
}

/// Why a balance changes.
#[derive(Clone, Debug)]
pub struct Cause<'a> {
    /// The transaction that it counts; none where `rebuild` mends the balance itself.
    pub entity: Option<&'a Entity>,
    /// The event that says so, if there is one.
    pub event_id: Option<&'a EventId>,
    /// By which rule.
    pub rule: Rule,
    /// When.
    pub at: Moment,
}

/// A line does not follow the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("line {number} of the ledger {account} {asset}, shard {shard}, {why}: rebuild --check says more")]
pub struct BrokenChain {
    /// The account.
    pub account: Account,
    /// The asset.
    pub asset: Asset,
    /// The shard.
    pub shard: u8,
    /// The line.
    pub number: u64,
    /// What is wrong with it.
    pub why: &'static str,
}

impl LedgerLine {
    /// The line that changes a balance, which is that of its last line: the next number, before as the balance is,
    /// after what follows from the change, and never earlier than the last one.
    pub fn following(
        balance: &BalanceItem,
        (account, asset, shard): (&Account, &Asset, u8),
        change: Amounts,
        cause: &Cause<'_>,
    ) -> Self {
        let line = Self {
            account: account.clone(),
            asset: asset.clone(),
            shard,
            number: balance.version + 1,
            event_id: cause.event_id.cloned(),
            transaction: cause.entity.map(EntityRef::from),
            kind: cause.entity.and_then(|entity| entity.kind),
            rule: cause.rule.clone(),
            after: &balance.amounts + &change,
            change,
            // The lines of a shard are in the order of time, whatever the clocks of its writers say.
            recorded_at: balance.recorded_at.map_or(cause.at, |last| last.max(cause.at)),
            before: balance.amounts.clone(),
        };
        debug_assert_eq!(line.check(balance), Ok(()));
        line
    }

    /// Whether the line follows the one that made this balance.
    ///
    /// # Errors
    /// [`BrokenChain`], which names the line.
    pub fn check(&self, balance: &BalanceItem) -> Result<(), BrokenChain> {
        let why = if self.number != balance.version + 1 {
            "does not follow the number before it"
        } else if self.before != balance.amounts {
            "does not begin where the line before it ends"
        } else if self.after != &self.before + &self.change {
            "does not add up"
        } else if balance.recorded_at.is_some_and(|last| self.recorded_at < last) {
            "is earlier than the line before it"
        } else {
            return Ok(());
        };
        Err(self.broken(why))
    }

    /// Whether the line adds up, by itself.
    ///
    /// # Errors
    /// [`BrokenChain`], which names the line.
    pub fn check_alone(&self) -> Result<(), BrokenChain> {
        if self.after == &self.before + &self.change { Ok(()) } else { Err(self.broken("does not add up")) }
    }

    /// That this line is broken, and why.
    pub fn broken(&self, why: &'static str) -> BrokenChain {
        let (account, asset) = (self.account.clone(), self.asset.clone());
        BrokenChain { account, asset, shard: self.shard, number: self.number, why }
    }

    /// The balance that the line makes.
    pub fn balance(&self) -> BalanceItem {
        BalanceItem { version: self.number, amounts: self.after.clone(), recorded_at: Some(self.recorded_at) }
    }
}

/// What changes on which balance, by the kind of transaction: the new contributions minus the old ones.
pub fn changes(before: &BTreeMap<Kind, Posting>, after: &BTreeMap<Kind, Posting>) -> Vec<(Kind, Posting)> {
    let of_kind = |kind: Kind| {
        let changes = change(before.get(&kind).cloned(), after.get(&kind).cloned());
        changes.into_iter().map(move |posting| (kind, posting))
    };
    Kind::ALL.into_iter().flat_map(of_kind).collect()
}

fn change(before: Option<Posting>, after: Option<Posting>) -> Vec<Posting> {
    let minus = |posting: Posting| Posting { amounts: &Amounts::default() - &posting.amounts, ..posting };
    let changes = match (before, after) {
        (Some(before), Some(after)) if (&before.account, &before.asset) == (&after.account, &after.asset) => {
            vec![Posting { amounts: &after.amounts - &before.amounts, ..after }]
        }
        (before, after) => before.map(minus).into_iter().chain(after).collect(),
    };
    changes.into_iter().filter(|posting| !posting.amounts.is_zero()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posting(account: &str, received: &str) -> Posting {
        let amounts = Amounts { received: received.parse().unwrap(), ..Amounts::default() };
        Posting { account: account.into(), asset: "BTC".into(), amounts }
    }

    fn cause(at: i64) -> Cause<'static> {
        Cause { entity: None, event_id: None, rule: Rule::Rebuild, at: Moment::from_millis(at) }
    }

    fn amounts(received: &str) -> Amounts {
        Amounts { received: received.parse().unwrap(), ..Amounts::default() }
    }

    #[test]
    fn a_line_follows_another_whatever_its_clock_says() {
        let first = LedgerLine::following(
            &BalanceItem::default(),
            (&"a".into(), &"BTC".into(), 0),
            amounts("2"),
            &cause(5),
        );
        let second = LedgerLine::following(
            &first.balance(),
            (&"a".into(), &"BTC".into(), 0),
            amounts("-0.5"),
            &cause(3),
        );
        assert_eq!((first.number, second.number), (1, 2));
        assert_eq!((&second.before, second.after.received.to_string()), (&first.after, "1.5".to_owned()));
        assert_eq!(second.recorded_at, first.recorded_at);
        assert_eq!(second.check(&first.balance()), Ok(()));
    }

    #[test]
    fn a_broken_chain_names_its_line() {
        let first = LedgerLine::following(
            &BalanceItem::default(),
            (&"a".into(), &"BTC".into(), 0),
            amounts("2"),
            &cause(5),
        );
        let second =
            LedgerLine::following(&first.balance(), (&"a".into(), &"BTC".into(), 0), amounts("1"), &cause(6));
        let third = LedgerLine::following(
            &second.balance(),
            (&"a".into(), &"BTC".into(), 0),
            amounts("1"),
            &cause(7),
        );
        let other = LedgerLine { before: amounts("7"), ..second.clone() };
        let sum = LedgerLine { after: amounts("7"), ..second.clone() };
        let early = LedgerLine { recorded_at: Moment::from_millis(1), ..second };
        for (line, number, why) in [
            (&third, 3, "does not follow the number before it"),
            (&other, 2, "does not begin where the line before it ends"),
            (&sum, 2, "does not add up"),
            (&early, 2, "is earlier than the line before it"),
        ] {
            let broken = line.check(&first.balance()).unwrap_err();
            assert_eq!((broken.number, broken.why), (number, why));
        }
    }

    #[test]
    fn a_contribution_moves_by_its_difference() {
        assert_eq!(change(None, Some(posting("a", "2"))), [posting("a", "2")]);
        assert_eq!(change(Some(posting("a", "2")), Some(posting("a", "5"))), [posting("a", "3")]);
        assert_eq!(change(Some(posting("a", "2")), Some(posting("a", "2"))), []);
        assert_eq!(change(Some(posting("a", "2")), None), [posting("a", "-2")]);
        assert_eq!(
            change(Some(posting("a", "2")), Some(posting("b", "3"))),
            [posting("a", "-2"), posting("b", "3")]
        );
    }
}
