//! What a rebuild found.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::fold::Known;
use crate::model::ledger::BrokenChain;
use crate::model::money::Amounts;
use crate::model::{Account, Asset, Entity, EntityRef, Fact, Facts, Kind, lifecycle};

/// What a rebuild found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Events of the log.
    pub events: u64,
    /// Entities that were folded anew.
    pub entities: u64,
    /// Shards of balances that were added up.
    pub balances: u64,
    /// Shards that somebody posted to meanwhile: their ledger was added up, but not compared to the transactions.
    pub busy: u64,
    /// Events that were kept about nothing, and are understood now.
    pub taken_up: Vec<TakenUp>,
    /// States that differ.
    pub differences: Vec<Difference>,
    /// Balances that differ.
    pub imbalances: Vec<Imbalance>,
    /// Lines of ledgers that do not follow the one before them, or are missing.
    pub broken: Vec<Broken>,
    /// Entities that could not be folded anew, and why.
    pub unread: Vec<Unread>,
}

impl Report {
    /// Whether everything is as the log says.
    pub fn is_clean(&self) -> bool {
        self.taken_up.is_empty()
            && self.differences.is_empty()
            && self.imbalances.is_empty()
            && self.broken.is_empty()
            && self.unread.is_empty()
    }
}

/// An event that was kept about nothing, and is understood now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TakenUp {
    /// The event's id; it stays.
    pub event: String,
    /// What it is about.
    pub entity: EntityRef,
    /// For a transaction its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Whether it was moved there.
    pub written: bool,
}

/// An entity whose state is not what its events say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The entity.
    pub entity: EntityRef,
    /// For a transaction its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// What differs: names of facts, `contribution`.
    pub differs: BTreeSet<String>,
    /// The status before …
    pub before: Option<String>,
    /// … and as the events say.
    pub after: String,
    /// Whether it was written.
    pub written: bool,
}

impl Difference {
    /// What differs between what is known and what the events say.
    pub(super) fn between(entity: &Entity, before: Option<&Known>, after: &Known) -> Self {
        let nothing = Known::default();
        let known = before.unwrap_or(&nothing);
        let mut differs = BTreeSet::new();
        facts_that_differ(&known.facts, &after.facts, &mut differs);
        for kind in Kind::ALL {
            let of = |known: &Known| known.kinds.get(&kind).cloned().unwrap_or_default();
            facts_that_differ(&of(known), &of(after), &mut differs);
        }
        if known.posted != after.posted {
            differs.insert("contribution".to_owned());
        }
        if !known.kinds.keys().eq(after.kinds.keys()) {
            differs.insert("kind".to_owned());
        }
        let kind = |known: &Known| known.sole_kind().or_else(|| known.kinds.keys().next().copied());
        let status = |known: &Known| lifecycle::status(entity.entity_type, &known.of(kind(known))).to_owned();
        Self {
            entity: EntityRef::from(entity),
            kind: kind(after),
            differs,
            before: before.map(status),
            after: status(after),
            written: false,
        }
    }
}

fn facts_that_differ(before: &Facts, after: &Facts, differs: &mut BTreeSet<String>) {
    fn keys<V: PartialEq>(a: &BTreeMap<Fact, V>, b: &BTreeMap<Fact, V>) -> Vec<String> {
        let differ = a.keys().chain(b.keys()).filter(|key| a.get(*key) != b.get(*key));
        differ.map(|fact| fact.as_str().to_owned()).collect()
    }
    differs.extend(keys(&before.fields, &after.fields));
    differs.extend(keys(&before.counts, &after.counts));
    differs.extend(keys(&before.members, &after.members));
    for (name, is_different) in
        [("steps", before.steps != after.steps), ("updated_at", before.updated_at != after.updated_at)]
    {
        if is_different {
            differs.insert(name.to_owned());
        }
    }
}

/// A shard of a balance that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imbalance {
    /// The account.
    pub account: Account,
    /// The asset.
    pub asset: Asset,
    /// The shard.
    pub shard: u8,
    /// What the balance says.
    pub balance: Amounts,
    /// What its ledger adds up to.
    pub ledger: Amounts,
    /// What the transactions add up to; none where somebody posted meanwhile, so that it cannot be said.
    pub contributions: Option<Amounts>,
    /// Whether it was written.
    pub written: bool,
}

/// A line of a ledger that does not follow the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Which, and what is wrong with it.
    #[serde(flatten)]
    pub line: BrokenChain,
    /// Whether a line that closes the gap was written.
    pub written: bool,
}

/// An entity whose events could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The entity.
    pub entity: EntityRef,
    /// Why, with the event's id.
    pub why: String,
}
