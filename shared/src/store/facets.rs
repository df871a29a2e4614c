//! What events can be searched by, other than by time and by entity: an index for each.
//!
//! An event carries, for each facet that it has a word on, the partition of that facet's index, and all of them
//! once more as its set of `terms`. A search by several reads the index of the first and filters by the terms.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use super::events::EventItem;
use super::keys::{BUCKETS, component, spread};
use super::table::Item;
use crate::environment::Environment;
use crate::model::facts::shorten;
use crate::model::{EntityType, Facts};

/// What events can be searched by, each by an index of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Facet {
    /// The event's family.
    Family,
    /// Its type.
    Event,
    /// What it did.
    Effect,
    /// Its own last word.
    Status,
    /// The asset.
    Asset,
    /// The transaction's hash on its chain.
    Hash,
    /// The reference that the customer of Bitpowr gave.
    Reference,
    /// Where money goes, or the address itself.
    Address,
    /// Where money comes from.
    FromAddress,
    /// The customer.
    Customer,
}

impl Facet {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Family,
        Self::Event,
        Self::Effect,
        Self::Status,
        Self::Asset,
        Self::Hash,
        Self::Reference,
        Self::Address,
        Self::FromAddress,
        Self::Customer,
    ];

    /// The name of the index, and of the attribute that is its partition key.
    pub fn index(self) -> &'static str {
        match self {
            Self::Family => "by_family",
            Self::Event => "by_event",
            Self::Effect => "by_effect",
            Self::Status => "by_status",
            Self::Asset => "by_asset",
            Self::Hash => "by_hash",
            Self::Reference => "by_reference",
            Self::Address => "by_address",
            Self::FromAddress => "by_from_address",
            Self::Customer => "by_customer",
        }
    }

    /// How an event's terms name it. Both ends of a transaction are addresses.
    fn term(self) -> &'static str {
        match self {
            Self::Address | Self::FromAddress => "address",
            other => other.index().trim_start_matches("by_"),
        }
    }
}

impl Facet {
    /// The index's partitions of the events that have this value.
    pub(super) fn partitions(self, environment: Environment, value: &str) -> impl Iterator<Item = String> {
        let value = value_key(environment, value);
        (0..BUCKETS).map(move |bucket| format!("{value}#{bucket}"))
    }

    /// What the set of terms of such an event has.
    pub(super) fn term_of(self, value: &str) -> String {
        format!("{}={}", self.term(), component(&shorten(value)))
    }
}

fn value_key(environment: Environment, value: &str) -> String {
    format!("{environment}#{}", component(&shorten(value)))
}

/// What an event can be found by; `facts` is what is known of its entity.
fn of(event: &EventItem, facts: Option<&Facts>) -> Vec<(Facet, String)> {
    let fact = |name| facts.and_then(|facts: &Facts| facts.get(name)).map(str::to_owned);
    let customer = match &event.entity {
        Some(entity) if entity.entity_type == EntityType::Customer => Some(entity.uid.clone()),
        _ => fact("customer"),
    };
    let found = [
        (Facet::Family, Some(event.family.to_string())),
        (Facet::Event, Some(event.event.clone())),
        (Facet::Effect, Some(event.effect.to_string())),
        (Facet::Status, Some(event.status.clone())),
        (Facet::Asset, event.asset.clone()),
        (Facet::Hash, fact("hash")),
        (Facet::Reference, fact("reference")),
        (Facet::Address, fact("address")),
        (Facet::FromAddress, fact("from_address")),
        (Facet::Customer, customer),
    ];
    found
        .into_iter()
        .filter_map(|(facet, value)| Some((facet, value.filter(|value| !value.is_empty())?)))
        .collect()
}

/// Gives an event its places in the indexes.
pub(super) fn enter(item: &mut Item, event: &EventItem, facts: Option<&Facts>) {
    let mut terms = BTreeSet::new();
    for (facet, value) in of(event, facts) {
        item.insert(facet.index().to_owned(), place(event.environment, &value, &event.id));
        // The effect may change later; it is an attribute of its own.
        if facet != Facet::Effect {
            terms.insert(facet.term_of(&value));
        }
    }
    item.insert(TERMS.to_owned(), AttributeValue::Ss(terms.into_iter().collect()));
}

/// An event's partition of a facet's index.
pub(super) fn place(environment: Environment, value: &str, id: &str) -> AttributeValue {
    AttributeValue::S(format!("{}#{}", value_key(environment, value), spread(id, BUCKETS)))
}

/// The set of an event's terms.
pub(super) const TERMS: &str = "terms";

/// What an item's terms say of a facet.
pub(super) fn word(item: &Item, facet: Facet) -> Option<&str> {
    let terms = item.get(TERMS)?.as_ss().ok()?;
    terms.iter().find_map(|term| term.strip_prefix(facet.term())?.strip_prefix('='))
}
