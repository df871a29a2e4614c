//! What events can be searched by, other than by time and by entity.
//!
//! An event carries, for each index that it has a value for, the partition of that index, and all its values once more
//! as its set of `terms`. Where it has several values for one index, the further ones have items of their own beside
//! it, which point to it. A search by several reads the index of the most selective and filters by the terms.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;

use super::events::EventItem;
use super::keys::{self, BUCKETS, Key, POSITION, Partition, component, spread};
use super::schema::INDEX_PROJECTION;
use super::table::Item;
use crate::environment::Environment;
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
        /// Why its money is not counted. Few events have one: the effects' index has those as well.
        Oddity "oddity";
        /// Its own last word.
        Status "status";
        /// The asset.
        Asset "asset";
        /// The chain. It has no index: every search by it looks at the log.
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

/// The indexes, by the name of the attribute that is the partition key.
pub(super) const INDEXES: [&str; 10] = [
    "by_family",
    "by_event",
    "by_effect",
    "by_status",
    "by_asset",
    "by_hash",
    "by_reference",
    "by_address",
    "by_from_address",
    "by_customer",
];

impl Facet {
    /// The indexes that have its values. The references' index has those of accounts as well.
    pub(super) fn indexes(self) -> &'static [&'static str] {
        match self {
            Self::Family => &["by_family"],
            Self::Event => &["by_event"],
            Self::Effect | Self::Oddity => &["by_effect"],
            Self::Status => &["by_status"],
            Self::Asset => &["by_asset"],
            Self::Chain => &[],
            Self::Hash => &["by_hash"],
            Self::Reference | Self::Account | Self::SubAccount => &["by_reference"],
            Self::Address => &["by_address", "by_from_address"],
            Self::Customer => &["by_customer"],
        }
    }

    /// The partitions of an index of the events that have this value.
    pub(super) fn partitions(self, environment: Environment, value: &str) -> impl Iterator<Item = Partition> {
        let value = self.indexed(value);
        (0..BUCKETS).map(move |bucket| keys::facet_partition(environment, &value, bucket))
    }

    /// What the set of terms of such an event has.
    pub(super) fn term_of(self, value: &str) -> String {
        format!("{self}={}", component(&shorten(&self.compared(value))))
    }

    /// A value as its index has it.
    fn indexed(self, value: &str) -> String {
        let value = shorten(&self.compared(value));
        let value = component(&value);
        match self {
            // Apart from the references, and the effects: no component has an equals sign.
            Self::Account | Self::SubAccount | Self::Oddity => format!("{self}={value}"),
            _ => value.into_owned(),
        }
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

/// What an event can be found by, in each index the value first that the event itself carries.
fn of<'a>(event: &'a EventItem, facts: &'a Facts) -> Vec<(Facet, &'static str, &'a str)> {
    let about = |entity_type| event.entity.as_ref().filter(|entity| entity.entity_type == entity_type);
    let uid = |entity_type| about(entity_type).map(|entity| entity.uid.as_str());
    let account = money::account(facts);
    let mut found = vec![
        (Facet::Family, "by_family", Some(event.family.as_str())),
        (Facet::Event, "by_event", Some(event.event.as_str())),
        (Facet::Effect, "by_effect", Some(event.effect.as_str())),
        (Facet::Oddity, "by_effect", event.oddity.map(Oddity::as_str)),
        (Facet::Status, "by_status", Some(event.status.as_str())),
        (Facet::Asset, "by_asset", event.asset.as_deref().or_else(|| money::asset(facts))),
        (Facet::Chain, "", facts.get(Fact::Chain)),
        (Facet::Hash, "by_hash", facts.get(Fact::Hash)),
        (Facet::Reference, "by_reference", facts.get(Fact::Reference)),
        (Facet::Reference, "by_reference", facts.get(Fact::IdempotencyKey)),
        (Facet::Reference, "by_reference", facts.get(Fact::Memo)),
        (Facet::Reference, "by_reference", facts.get(Fact::ExternalId)),
        (Facet::Account, "by_reference", Some(account).filter(|account| *account != money::UNATTRIBUTED)),
        (Facet::Account, "by_reference", facts.get(Fact::WalletId)),
        (Facet::Account, "by_reference", uid(EntityType::Account)),
        (Facet::SubAccount, "by_reference", facts.get(Fact::SubAccountId)),
        (Facet::Address, "by_address", facts.get(Fact::Address)),
        (Facet::Address, "by_from_address", facts.get(Fact::FromAddress)),
        (Facet::Address, "by_from_address", facts.get(Fact::SenderAddress)),
        (Facet::Customer, "by_customer", uid(EntityType::Customer).or_else(|| facts.get(Fact::Customer))),
    ];
    let ends =
        facts.set(Fact::Recipients).take(RECIPIENTS).chain(facts.set(Fact::Addresses).take(RECIPIENTS));
    found.extend(ends.map(|address| (Facet::Address, "by_address", Some(address))));
    let some = |(facet, index, value): (_, _, Option<&'a str>)| {
        Some((facet, index, value.filter(|value| !value.is_empty())?))
    };
    found.into_iter().filter_map(some).collect()
}

/// Gives an event its places in the indexes, and makes the items that point to it for its further values.
pub(super) fn enter(item: &mut Item, event: &EventItem, facts: &Facts) -> Vec<Item> {
    let mut terms = BTreeSet::new();
    let mut places: BTreeMap<&str, Vec<Partition>> = BTreeMap::new();
    for (facet, index, value) in of(event, facts) {
        // The effect may change later; it is an attribute of its own.
        if facet != Facet::Effect {
            terms.insert(facet.term_of(value));
        }
        let place = place(facet, event.environment, value, &event.id);
        let places = places.entry(index).or_default();
        if !index.is_empty() && !places.contains(&place) {
            places.push(place);
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

/// An event's partition of a facet's index.
pub(super) fn place(facet: Facet, environment: Environment, value: &str, id: &str) -> Partition {
    keys::facet_partition(environment, &facet.indexed(value), spread(id, BUCKETS))
}

/// What is left of an item's search values without personal data: its terms, if some go, and the indexes that it leaves.
/// References are what somebody chose to know a customer or a payment by; a customer's addresses are the customer's.
pub(super) fn without_personal_data(
    item: &Item,
    environment: Environment,
    family: Family,
) -> (Option<Vec<String>>, Vec<&'static str>) {
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
    // The references' index has the accounts, too, each marked as one.
    let is_left = |index: &&str| {
        let place = item.get(*index).and_then(|place| place.as_s().ok());
        place.and_then(|place| place.strip_prefix(&format!("{environment}#"))).is_some_and(|value| {
            ![Facet::Account, Facet::SubAccount].iter().any(|facet| is_of(*facet, value))
        })
    };
    (left, personal.iter().flat_map(|facet| facet.indexes()).copied().filter(is_left).collect())
}

/// The set of an event's terms.
pub(super) const TERMS: &str = "terms";

/// What an item's terms say of a facet.
pub(super) fn word(item: &Item, facet: Facet) -> Option<&str> {
    let terms = item.get(TERMS)?.as_ss().ok()?;
    terms.iter().find_map(|term| term.strip_prefix(facet.as_str())?.strip_prefix('='))
}
