//! Answers among whose own fields stand those of something else: an event's, a body's, a transaction's.

#![allow(
    clippy::disallowed_types,
    reason = "what serde derives to read a flattened struct names floats; no amount here is a number"
)]

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{Action, Event};
use crate::clock::Moment;
use crate::endpoints::Attempt;
use crate::environment::Environment;
use crate::model::{Contradiction, DeliveryId, Kind, Oddity, Reason, Words};

/// An event by itself: with its body, its notification, and what was done to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// Its notification.
    #[serde(rename = "told")]
    pub notification: Rendered,
    /// The requests that brought it.
    pub delivery_ids: BTreeSet<DeliveryId>,
    /// The attempts to send it to endpoints, oldest first.
    pub attempts: Vec<Attempt>,
    /// What was done to it, oldest first.
    pub actions: Vec<Action>,
    /// Its body.
    #[serde(flatten)]
    pub raw: Raw,
}

/// The notification of an event, as it was rendered when the event was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    /// For programs; none where nobody is notified.
    pub programs: Option<Value>,
    /// For people; none where they are not notified.
    pub people: Option<Words>,
}

/// A body, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Raw {
    /// As it is, where it is UTF-8.
    #[serde(rename = "raw")]
    Text(String),
    /// Else in Base64.
    #[serde(rename = "raw_base64")]
    Base64(String),
}

/// A body that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Its public id.
    pub id: String,
    /// Whose world it is.
    pub environment: Environment,
    /// Why it cannot be read.
    pub reason: Reason,
    /// The same in words.
    pub detail: String,
    /// How many HTTP requests brought it.
    pub deliveries: u64,
    /// When the first of them came.
    pub received_at: Moment,
    /// When it was recorded.
    pub recorded_at: Moment,
    /// The body.
    #[serde(flatten)]
    pub raw: Raw,
}

/// An entity: what is known of it, and the events that said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityState {
    /// The latest word on each field that any event named, and the sets that grow.
    #[serde(flatten, deserialize_with = "facts")]
    pub facts: Map<String, Value>,
    /// Bitpowr's identifier.
    pub uid: String,
    /// Its status.
    pub status: String,
    /// When it changed last.
    pub updated_at: Option<Moment>,
    /// What only a transaction has.
    #[serde(flatten)]
    pub transaction: Option<TransactionState>,
    /// Its events, oldest first.
    pub history: Vec<Event>,
    /// Where the next page of them starts; none at the end.
    pub cursor: Option<String>,
}

/// What is known of a transaction beside its facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionState {
    /// Its kind.
    pub kind: Kind,
    /// The account whose balance it belongs to.
    pub account: String,
    /// The sub-account.
    pub sub_account: Option<String>,
    /// The type that is known for the asset, where its identifier stands in for one.
    pub asset_type: Option<String>,
    /// The most blocks that any event named.
    pub confirmations: Option<u64>,
    /// Whether its events contradict each other.
    pub conflict: bool,
    /// What they contradict each other about …
    pub contradictions: Vec<Contradiction>,
    /// … and the values that they name.
    pub disagreements: Vec<Disagreement>,
    /// Why its money is not counted; none where it is counted or absent.
    pub oddity: Option<Oddity>,
}

/// What the events of a transaction contradict each other about, and the values that they name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disagreement {
    /// About what.
    pub about: Contradiction,
    /// The values; none where it is the outcome.
    pub values: Vec<String>,
}

/// The facts among what is left of an entity's fields: all that is not of a transaction's state.
fn facts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    const STATE: [&str; 9] = [
        "kind",
        "account",
        "sub_account",
        "asset_type",
        "confirmations",
        "conflict",
        "contradictions",
        "disagreements",
        "oddity",
    ];
    let mut facts = Map::deserialize(deserializer)?;
    facts.retain(|name, _| !STATE.contains(&name.as_str()));
    Ok(facts)
}
