//! What `api` and `actions` answer: rendered there, described in `docs/openapi.json`, read by the command line.
//!
//! | answer | to |
//! | --- | --- |
//! | [`List`] of [`Event`], [`Balance`], [`LedgerLine`], [`Quarantined`], [`Action`] | `events`, `balances`, `ledger`, `quarantine`, `actions` |
//! | [`EventRecord`] | `events/{id}` |
//! | [`EntityState`] | `transactions/{uid}` and the other entities |
//! | [`Stats`], [`Health`] | `stats`, `health` |
//! | [`Endpoint`], [`EndpointRecord`] | `endpoints`, `endpoints/{id}` |
//! | [`Done`], [`Redriven`], [`WithSecret`], [`Switched`], [`Tested`] | what was done |
//!
//! A field that is not known is null. [`read`] reads them all.

mod endpoints;
mod flattened;
#[cfg(test)]
mod tests;

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::clock::Moment;
use crate::environment::Environment;
use crate::model::ledger::LedgerLine;
use crate::model::money::Amounts;
use crate::model::{Account, Asset, Decimal, Family};
use crate::queue::Depth;
use crate::shown::shown;
use crate::store::{self, ActionItem, Page, Target};

pub use self::endpoints::{Endpoint, EndpointRecord, Missed, Switched, Test, Tested, WithSecret};
pub use self::flattened::{
    Disagreement, EntityState, EventRecord, Quarantined, Raw, Rendered, TransactionState,
};
pub use crate::store::ListedEvent as Event;

/// Reads an answer. Numbers are read as JSON first: serde cannot carry one with all its digits through a flattened
/// struct.
///
/// # Errors
/// Where it is not this answer.
pub fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    T::deserialize(serde_json::from_slice::<Value>(json)?)
}

/// What there are lists of.
pub trait Entry: Serialize + DeserializeOwned {
    /// The list's path, and the name of its entries in it.
    const LIST: &'static str;
}

impl Entry for Event {
    const LIST: &'static str = "events";
}

impl Entry for Balance {
    const LIST: &'static str = "balances";
}

impl Entry for LedgerLine {
    const LIST: &'static str = "ledger";
}

impl Entry for Quarantined {
    const LIST: &'static str = "quarantine";
}

impl Entry for Action {
    const LIST: &'static str = "actions";
}

/// A page of a list: `{"events": […], "cursor": …}`, and a `hint` where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T> {
    /// Its entries.
    pub entries: Vec<T>,
    /// Where the next page starts; none at the end.
    pub cursor: Option<String>,
    /// Where nothing is found: what may have been meant.
    pub hint: Option<String>,
}

impl<S, T: From<S>> From<Page<S>> for List<T> {
    fn from(page: Page<S>) -> Self {
        Self {
            entries: page.items.into_iter().map(T::from).collect(),
            cursor: page.cursor.map(String::from),
            hint: None,
        }
    }
}

impl<T: Entry> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry(T::LIST, &self.entries)?;
        fields.serialize_entry("cursor", &self.cursor)?;
        if let Some(hint) = &self.hint {
            fields.serialize_entry("hint", hint)?;
        }
        fields.end()
    }
}

impl<'de, T: Entry> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let entries = fields.remove(T::LIST).ok_or_else(|| D::Error::missing_field(T::LIST))?;
        let cursor = fields.remove("cursor").unwrap_or_default();
        let hint = fields.remove("hint").unwrap_or_default();
        Ok(Self {
            entries: Vec::deserialize(entries).map_err(D::Error::custom)?,
            cursor: Option::deserialize(cursor).map_err(D::Error::custom)?,
            hint: Option::deserialize(hint).map_err(D::Error::custom)?,
        })
    }
}

/// A balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The account.
    pub account: Account,
    /// The asset.
    pub asset: Asset,
    /// Deposits that succeeded.
    pub received: Decimal,
    /// Transfers that succeeded.
    pub sent: Decimal,
    /// Fees of those transfers.
    pub fees: Decimal,
    /// Deposits seen and not yet ended.
    pub pending: Decimal,
    /// What is there: received − sent.
    pub balance: Decimal,
}

impl From<store::Balance> for Balance {
    fn from(store::Balance { account, asset, amounts }: store::Balance) -> Self {
        let balance = amounts.balance();
        let Amounts { received, sent, fees, pending } = amounts;
        Self { account, asset, received, sent, fees, pending, balance }
    }
}

shown! {
    /// What somebody did.
    Action of ActionItem without more, notification {
        /// Its id, unique among those of its target.
        id: String,
        /// Whose world it is.
        environment: Environment,
        /// What was done …
        action: store::Action,
        /// … to what …
        target: Target,
        /// … by whom …
        who: String,
        /// … why …
        why: String,
        /// … and when.
        at: Moment,
        /// How many dead letters were put back; none for other actions.
        moved: Option<usize>,
    }
}

/// Something was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What.
    pub action: Action,
}

/// Dead letters were put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redriven {
    /// What was done.
    pub action: Action,
    /// How many were put back.
    pub moved: usize,
    /// Whether there may be more.
    pub more: bool,
}

/// How many events there were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// From when on, inclusive …
    pub from: Moment,
    /// … until when, exclusive.
    pub to: Moment,
    /// The length of an interval, in seconds.
    pub step: i64,
    /// Whether all were counted.
    pub complete: bool,
    /// From when on they were.
    pub counted_from: Moment,
    /// How many, in the order of time; only what is not zero.
    pub counts: Vec<Count>,
}

/// How many events of a family and an effect there were in an interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The start of the interval.
    pub at: Moment,
    /// The family.
    pub family: String,
    /// The effect.
    pub effect: String,
    /// How many.
    pub count: u64,
}

/// What waits, what failed, when the last event came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The version of the product.
    pub version: String,
    /// When the newest event was recorded; none where there is none.
    pub last_event_at: Option<Moment>,
    /// How many bodies could not be read.
    pub quarantine: Size,
    /// What waits for each family.
    pub queues: Vec<Queue>,
    /// How the endpoints are.
    pub endpoints: EndpointCounts,
}

/// How many endpoints are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointCounts {
    /// Those that get their events.
    pub active: usize,
    /// Those whose last attempts failed.
    pub failing: usize,
    /// Those that get nothing.
    pub disabled: usize,
}

/// How many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// How many, as far as they were counted.
    pub count: usize,
    /// Whether there are more.
    pub more: bool,
}

/// What waits for a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// The family.
    pub family: Family,
    /// Deliveries to be handled.
    pub waiting: u64,
    /// Deliveries that are being handled, or wait to be tried again.
    pub in_flight: u64,
    /// Deliveries that were given up.
    pub dead_letters: u64,
    /// For how long the oldest one has been waiting; none where none is, or where it is not known.
    pub oldest_seconds: Option<u64>,
}

impl From<(Family, Depth)> for Queue {
    fn from((family, depth): (Family, Depth)) -> Self {
        let Depth { waiting, in_flight, dead_letters, oldest_seconds } = depth;
        Self { family, waiting, in_flight, dead_letters, oldest_seconds }
    }
}
