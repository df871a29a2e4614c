//! The items, as they are written.

use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::environment::Environment;
use crate::fold::{Effect, Known};
use crate::model::transaction::{Amounts, Posting};
use crate::model::{Entity, EntityType, Facts, Kind, Notification};

/// How an event names its entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityRef {
    /// What it is.
    #[serde(rename = "type")]
    pub entity_type: EntityType,
    /// Bitpowr's identifier.
    pub uid: String,
}

impl From<&Entity> for EntityRef {
    fn from(entity: &Entity) -> Self {
        Self { entity_type: entity.entity_type, uid: entity.uid.clone() }
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventItem {
    /// Its public id.
    pub id: String,
    /// Whose world it is.
    pub environment: Environment,
    /// Its type.
    pub event: String,
    /// Its family's name.
    pub family: String,
    /// What it is about; none where its type or object is unknown.
    pub entity: Option<EntityRef>,
    /// For a transaction its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// What it did.
    pub effect: Effect,
    /// Why.
    pub why: String,
    /// Its own last word: `created`, `success` …
    pub status: String,
    /// The asset it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// For a transaction how much it is about, as this event says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// How many HTTP requests brought it.
    pub deliveries: u64,
    /// When the first of them came.
    pub received_at: Moment,
    /// When it was applied.
    pub recorded_at: Moment,
    /// When it happened, as the object says; else when it was received.
    pub occurred_at: Moment,
    /// What was told; none where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
}

impl EventItem {
    /// The attributes that a list shows: all but what was told.
    pub(super) const LISTED: [&str; 15] = [
        "id",
        "environment",
        "event",
        "family",
        "entity",
        "kind",
        "effect",
        "why",
        "status",
        "asset",
        "amount",
        "deliveries",
        "received_at",
        "recorded_at",
        "occurred_at",
    ];
}

/// The latest occurrence of a content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeenItem {
    /// 1 for the first.
    pub(super) occurrence: u64,
    /// When the first delivery of this occurrence was received: the horizon counts from here.
    pub(super) received_at: Moment,
    /// The sort key of its event.
    pub(super) event_sk: String,
}

/// An entity's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateItem {
    /// Counts the writes.
    pub version: u64,
    /// What is known.
    pub facts: Facts,
    /// What it has added to a balance: what a later change takes away again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posted: Option<Posting>,
    /// When it was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Moment>,
}

impl StateItem {
    /// The state that follows `version`.
    pub(super) fn after(version: Option<u64>, known: Known, now: Moment) -> Self {
        Self {
            version: version.unwrap_or(0) + 1,
            facts: known.facts,
            posted: known.posted,
            recorded_at: Some(now),
        }
    }

    /// What it says of its entity.
    pub fn known(&self) -> Known {
        Known { facts: self.facts.clone(), posted: self.posted.clone() }
    }
}

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
    pub account: String,
    /// The asset.
    pub asset: String,
    /// The shard of the balance.
    pub shard: u8,
    /// The line's number within its shard, from 1 without gaps.
    pub number: u64,
    /// The event that caused it; none where `rebuild` mended the balance itself.
    pub event_id: Option<String>,
    /// The transaction it counts.
    pub transaction: Option<EntityRef>,
    /// The transaction's kind.
    pub kind: Option<Kind>,
    /// By which rule: `deposit.success` …; `rebuild` where nothing new was said.
    pub rule: String,
    /// What was added.
    pub change: Amounts,
    /// The shard before …
    pub before: Amounts,
    /// … and after.
    pub after: Amounts,
    /// When; never before the line before it.
    pub recorded_at: Moment,
}

/// An entry in the list of balances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BalanceEntry {
    pub(super) account: String,
    pub(super) asset: String,
}

/// A body, byte for byte: text if it is UTF-8, else binary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RawItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_bytes")]
    pub(super) bytes: Option<Vec<u8>>,
    /// Where the event is that came in this body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) event_key: Option<super::Key>,
}

impl RawItem {
    pub(super) fn new(body: &[u8], event_key: Option<super::Key>) -> Self {
        match std::str::from_utf8(body) {
            Ok(text) => Self { text: Some(text.to_owned()), bytes: None, event_key },
            Err(_) => Self { text: None, bytes: Some(body.to_vec()), event_key },
        }
    }
}

/// A body that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineItem {
    /// Its public id.
    pub id: String,
    /// Whose world it is.
    pub environment: Environment,
    /// Why it cannot be read.
    pub reason: String,
    /// The same in words.
    pub detail: String,
    /// How many HTTP requests brought it.
    pub deliveries: u64,
    /// When the first of them came.
    pub received_at: Moment,
    /// When it was recorded.
    pub recorded_at: Moment,
    /// When it was handed over once more, so that it is no longer listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_at: Option<Moment>,
}
