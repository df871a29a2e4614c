//! What events can be searched by, other than by time and by entity.
//!
//! What few events share has an index: an event carries, for each index that it has a value for, the partition of that
//! index. What many share, such as the family or the asset, has none: a search by it looks through the log. All values
//! stand once more in the event's set of `terms`: a search by several reads the index of the most selective and filters by
//! the terms. Where an event has several values for one index, the further ones have items of their own beside it, which
//! point to it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;

use super::events::EventItem;
use super::keys::{self, Key, POSITION, Partition, component};
use super::schema::INDEX_PROJECTION;
use super::table::Item;
use crate::environment::Environment;
use crate::fold::Effect;
use crate::model::facts::{hexadecimal, shorten};
use crate::model::{EntityType, Fact, Facts, Family, Oddity, money};

crate::names! {
    /// What events can be searched by. The names are those of the parameters.
    "facet" Facet {
        /// The event's family.
        Family "family";
        /// Its type.
        Event "event";
        /// What it did.
        Effect "effect";
        /// Why its money is not counted.
        Oddity "oddity";
        /// Its own last word.
        Status "status";
        /// The asset.
        Asset "asset";
        /// The chain.
        Chain "chain";
        /// The transaction's hash on its chain.
        Hash "hash";
        /// What the customer of Bitpowr knows it by: reference, idempotency key, memo, external identifier.
        Reference "reference";
        /// Where money goes or comes from, or the address itself.
        Address "address";
        /// The customer.
        Customer "customer";
        /// The account or wallet.
        Account "account";
        /// The sub-account.
        SubAccount "sub_account";
    }
}

/// The indexes, by the name of the attribute that is the partition key. A table may have 20, the log's included (Amazon
/// DynamoDB, developer guide, "Quotas").
pub(super) const INDEXES: [&str; 14] = [
    "by_effect",
    "by_oddity",
    "by_hash",
    "by_reference",
    "by_idempotency_key",
    "by_memo",
    "by_external_id",
    "by_account",
    "by_wallet",
    "by_sub_account",
    "by_address",
    "by_from_address",
    "by_sender_address",
    "by_customer",
];

impl Facet {
    /// The indexes that have the events with this value; none where the log is to be looked through.
    pub(super) fn indexes(self, value: &str) -> &'static [&'static str] {
        match self {
            Self::Effect if value == Effect::Applied.as_str() => &[],
            Self::Effect => &["by_effect"],
            Self::Oddity => &["by_oddity"],
            Self::Hash => &["by_hash"],
            Self::Reference => &["by_reference", "by_idempotency_key", "by_memo", "by_external_id"],
            Self::Address => &["by_address", "by_from_address", "by_sender_address"],
            Self::Customer => &["by_customer"],
            Self::Account => &["by_account", "by_wallet"],
            Self::SubAccount => &["by_sub_account"],
            Self::Family | Self::Event | Self::Status | Self::Asset | Self::Chain => &[],
        }
    }

    /// The type of the entities whose uid is such a value: their own events are found in their partition.
    pub(super) fn entity_type(self) -> Option<EntityType> {
        match self {
            Self::Account => Some(EntityType::Account),
            Self::Customer => Some(EntityType::Customer),
            _ => None,
        }
    }

    /// The partition of an index of the events that have this value. It takes 1,000 writes a second (Amazon DynamoDB,
    /// developer guide, "Partitions"): five times what the HTTP API lets in.
    pub(super) fn partition(self, environment: Environment, value: &str) -> Partition {
        keys::facet_partition(environment, &shorten(&self.compared(value)))
    }

    /// What the set of terms of such an event has.
    pub(super) fn term_of(self, value: &str) -> String {
        format!("{self}={}", component(&shorten(&self.compared(value))))
    }

    /// A value as it is compared: hexadecimal, and what Bitpowr writes in capitals or we in small letters, without
    /// regard to case.
    fn compared(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Hash | Self::Address | Self::Reference => hexadecimal(value),
            Self::Asset | Self::Chain => Cow::Owned(value.to_uppercase()),
            Self::Family | Self::Event | Self::Effect | Self::Oddity | Self::Status => {
                Cow::Owned(value.to_lowercase())
            }
            Self::Customer | Self::Account | Self::SubAccount => Cow::Borrowed(value),
        }
    }
}

/// How many recipients of a batch an event is found by.
const RECIPIENTS: usize = 20;

/// What an event can be found by, each with its index, if it has one; in each index the value first that the event itself
/// carries.
fn of<'a>(event: &'a EventItem, facts: &'a Facts) -> Vec<(Facet, Option<&'static str>, &'a str)> {
    let uid = |entity_type| {
        let about = event.entity.as_ref().filter(|entity| entity.entity_type == entity_type);
        about.map(|entity| entity.uid.as_str())
    };
    let account = money::account(facts);
    let effect = Some(event.effect).filter(|effect| *effect != Effect::Applied);
    let found = [
        (Facet::Family, None, Some(event.family.as_str())),
        (Facet::Event, None, Some(event.event.as_str())),
        (Facet::Status, None, Some(event.status.as_str())),
        (Facet::Asset, None, event.asset.as_deref().or_else(|| money::asset(facts))),
        (Facet::Chain, None, facts.get(Fact::Chain)),
        // Their own partition has the events about them.
        (Facet::Account, None, uid(EntityType::Account)),
        (Facet::Customer, None, uid(EntityType::Customer)),
        (Facet::Effect, Some("by_effect"), effect.map(Effect::as_str)),
        (Facet::Oddity, Some("by_oddity"), event.oddity.map(Oddity::as_str)),
        (Facet::Hash, Some("by_hash"), facts.get(Fact::Hash)),
        (Facet::Reference, Some("by_reference"), facts.get(Fact::Reference)),
        (Facet::Reference, Some("by_idempotency_key"), facts.get(Fact::IdempotencyKey)),
        (Facet::Reference, Some("by_memo"), facts.get(Fact::Memo)),
        (Facet::Reference, Some("by_external_id"), facts.get(Fact::ExternalId)),
        (Facet::Account, Some("by_account"), Some(account).filter(|account| *account != money::UNATTRIBUTED)),
        (Facet::Account, Some("by_wallet"), facts.get(Fact::WalletId)),
        (Facet::SubAccount, Some("by_sub_account"), facts.get(Fact::SubAccountId)),
        (Facet::Address, Some("by_address"), facts.get(Fact::Address)),
        (Facet::Address, Some("by_from_address"), facts.get(Fact::FromAddress)),
        (Facet::Address, Some("by_sender_address"), facts.get(Fact::SenderAddress)),
        (Facet::Customer, Some("by_customer"), facts.get(Fact::Customer)),
    ];
    let ends =
        facts.set(Fact::Recipients).take(RECIPIENTS).chain(facts.set(Fact::Addresses).take(RECIPIENTS));
    let ends = ends.map(|address| (Facet::Address, Some("by_address"), Some(address)));
    let some = |(facet, index, value): (_, _, Option<&'a str>)| {
        Some((facet, index, value.filter(|value| !value.is_empty())?))
    };
    found.into_iter().chain(ends).filter_map(some).collect()
}

/// Gives an event its places in the indexes, and makes the items that point to it for its further values.
pub(super) fn enter(item: &mut Item, event: &EventItem, facts: &Facts) -> Vec<Item> {
    let mut terms = BTreeSet::new();
    let mut places: BTreeMap<&str, Vec<Partition>> = BTreeMap::new();
    for (facet, index, value) in of(event, facts) {
        // The effect may change later; it is an attribute of its own.
        let is_new = facet == Facet::Effect || terms.insert(facet.term_of(value));
        // A value that a facet has twice is found by one of its indexes.
        if let Some(index) = index.filter(|_| is_new) {
            places.entry(index).or_default().push(facet.partition(event.environment, value));
        }
    }
    item.insert(TERMS.to_owned(), AttributeValue::Ss(terms.into_iter().collect()));
    let mut pointers: Vec<Item> = Vec::new();
    for (index, places) in places {
        for (number, place) in places.into_iter().enumerate() {
            let place = place.to_attribute();
            if number == 0 {
                item.insert(index.to_owned(), place);
                continue;
            }
            let Some(key) = Key::of(item) else { continue };
            let mut pointer = key.pointer(pointers.len()).to_item();
            let copied = std::iter::once(POSITION).chain(INDEX_PROJECTION);
            pointer.extend(copied.filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))));
            pointer.insert(index.to_owned(), place);
            pointers.push(pointer);
        }
    }
    pointers
}

/// What an effect makes of an event's place in the index of effects: it has one where it is not [`Effect::Applied`].
pub(super) fn effect_place(environment: Environment, effect: Effect) -> Option<Partition> {
    let indexed = Some(effect).filter(|effect| !Facet::Effect.indexes(effect.as_str()).is_empty());
    indexed.map(|effect| Facet::Effect.partition(environment, effect.as_str()))
}

/// What is left of an item's search values without personal data: its terms, if some go, and the indexes that it leaves.
/// References are what somebody chose to know a customer or a payment by; a customer's addresses are the customer's.
pub(super) fn without_personal_data(item: &Item, family: Family) -> (Option<Vec<String>>, Vec<&'static str>) {
    let personal: &[Facet] = match family {
        Family::Customers => &[Facet::Reference, Facet::Address],
        _ => &[Facet::Reference],
    };
    let is_of = |facet: Facet, text: &str| {
        text.strip_prefix(facet.as_str()).is_some_and(|value| value.starts_with('='))
    };
    let is_personal = |term: &String| personal.iter().any(|facet| is_of(*facet, term));
    let terms = item.get(TERMS).and_then(|terms| terms.as_ss().ok());
    let terms = terms.filter(|terms| terms.iter().any(is_personal));
    let left = terms.map(|terms| terms.iter().filter(|term| !is_personal(term)).cloned().collect());
    let is_left = |index: &&str| item.contains_key(*index);
    (left, personal.iter().flat_map(|facet| facet.indexes("")).copied().filter(is_left).collect())
}

/// The set of an event's terms.
pub(super) const TERMS: &str = "terms";

/// What an item's terms say of a facet.
pub(super) fn word(item: &Item, facet: Facet) -> Option<&str> {
    let terms = item.get(TERMS)?.as_ss().ok()?;
    terms.iter().find_map(|term| term.strip_prefix(facet.as_str())?.strip_prefix('='))
}
