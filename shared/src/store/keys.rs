//! Keys: which item is where.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::table::Item;
use crate::clock::Moment;
use crate::environment::Environment;
use crate::hash::hex;
use crate::model::identity::Identity;
use crate::model::{Account, Asset, Entity, Family};

/// The index of events, quarantine and actions by the moment they were recorded. An index has the name of the
/// attribute that is its partition key; what orders it is [`POSITION`].
pub const LOG_INDEX: &str = "log";

/// The sort key of every index: the moment of recording, then the id.
pub const POSITION: &str = "log_sk";

/// Over how many partitions of an index a day of the log, or a value of a [`Facet`](super::Facet), is spread: each takes
/// 1,000 writes a second (Amazon DynamoDB, developer guide, "Partitions"), and every page reads all of them.
pub const BUCKETS: u8 = 4;

/// Over how many items a balance is spread: each takes about a hundred transactions a second. A transaction
/// always posts to the same one.
pub const SHARDS: u8 = 4;

/// The partition of an item in the table, or in an index: an environment, what kind of thing is there, and which.
/// It is made here only, or read from an item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(String);

impl Partition {
    fn new(environment: Environment, rest: impl fmt::Display) -> Self {
        Self(format!("{environment}#{rest}"))
    }

    /// As it is written in the table.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The environment it belongs to.
    pub(super) fn environment(&self) -> Option<Environment> {
        self.0.split('#').next()?.parse().ok()
    }

    /// As an attribute of an item.
    pub(super) fn to_attribute(&self) -> AttributeValue {
        AttributeValue::S(self.0.clone())
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A primary key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Partition key.
    pub pk: Partition,
    /// Sort key.
    pub sk: String,
}

impl Key {
    fn new(pk: Partition, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }

    /// The attributes of the key.
    pub(super) fn to_item(&self) -> Item {
        HashMap::from([
            ("pk".to_owned(), self.pk.to_attribute()),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }

    /// Where an item points to this one, by which an index finds it under one more value.
    pub(super) fn pointer(&self, number: usize) -> Self {
        Self::new(self.pk.clone(), format!("{POINTER_PREFIX}{number:03}#{}", self.sk))
    }

    /// What an item of this key points to; itself where it is no pointer.
    pub(super) fn pointed_to(self) -> Self {
        match self.sk.strip_prefix(POINTER_PREFIX).and_then(|rest| rest.split_once('#')) {
            Some((_, sk)) => Self { sk: sk.to_owned(), pk: self.pk },
            None => self,
        }
    }

    /// The key of an item.
    pub(super) fn of(item: &Item) -> Option<Self> {
        let text = |name| item.get(name)?.as_s().ok().cloned();
        Some(Self { pk: Partition(text("pk")?), sk: text("sk")? })
    }
}

/// Where everything about an entity is.
pub fn entity(environment: Environment, entity: &Entity) -> Partition {
    let uid = component(&entity.uid);
    match entity.kind {
        Some(kind) => Partition::new(environment, format_args!("{}#{kind}#{uid}", entity.entity_type)),
        None => Partition::new(environment, format_args!("{}#{uid}", entity.entity_type)),
    }
}

/// Where an event is that is about no entity.
pub fn nothing(environment: Environment, identity: &Identity) -> Partition {
    Partition::new(environment, format_args!("nothing#{}", identity.hex()))
}

/// A key at which nothing is.
pub(super) fn warm(environment: Environment) -> Key {
    Key::new(Partition::new(environment, "nothing#warm"), "warm")
}

/// The content of the event about no entity that is in this partition.
pub(crate) fn content_of_nothing(pk: &Partition) -> Option<Identity> {
    let (place, content) = pk.as_str().rsplit_once('#')?;
    Identity::from_hex(content).filter(|_| place.ends_with("#nothing"))
}

/// The state of all that is known under an entity's uid: of a transaction, of every kind.
pub fn state(environment: Environment, entity: &Entity) -> Key {
    let Entity { entity_type, uid, .. } = entity;
    Key::new(Partition::new(environment, format_args!("{entity_type}#{}", component(uid))), "state")
}

/// That people were asked on this day to look at events of this type.
pub fn asked(environment: Environment, day: &str, event: &str) -> Key {
    Key::new(Partition::new(environment, format_args!("asked#{day}")), component(event))
}

/// Where it stands which is the latest event of a content: with the body of the first.
pub fn seen(environment: Environment, identity: &Identity) -> Key {
    seen_of(environment, &identity.id(1))
}

/// The same, for the content of an event that is where it was applied.
pub(super) fn seen_of(environment: Environment, id: &str) -> Key {
    // The ids of its later occurrences are that of the first, and a number.
    raw(environment, id.split('-').next().unwrap_or_default())
}

/// The start of the sort keys of an entity's events.
pub const EVENT_PREFIX: &str = "event#";

/// The start of the sort keys of items that point to another of the same partition.
const POINTER_PREFIX: &str = "pointer#";

/// The start of the sort keys of actions.
pub const ACTION_PREFIX: &str = "action#";

/// What somebody did to `target`, which is in this partition.
pub fn action(pk: &Partition, target: &str, id: &str) -> Key {
    Key::new(pk.clone(), format!("{}{id}", action_prefix(target)))
}

/// The start of the sort keys of what was done to a target.
pub fn action_prefix(target: &str) -> String {
    format!("{ACTION_PREFIX}{}#", component(target))
}

/// The partition of what was done to a family's dead letters.
pub fn dead_letters(environment: Environment, family: Family) -> Partition {
    Partition::new(environment, format_args!("dead-letters#{family}"))
}

/// A job: something that is done to many events, one after the other.
pub fn job(environment: Environment, id: &str) -> Key {
    Key::new(Partition::new(environment, format_args!("job#{}", component(id))), "job")
}

/// The partition of the endpoints, and of what was done to them.
pub fn endpoints(environment: Environment) -> Partition {
    Partition::new(environment, "endpoints")
}

/// The start of the sort keys of endpoints.
pub const ENDPOINT_PREFIX: &str = "endpoint#";

/// An endpoint.
pub fn endpoint(environment: Environment, id: &str) -> Key {
    Key::new(endpoints(environment), format!("{ENDPOINT_PREFIX}{}", component(id)))
}

/// The attempts of an event.
pub fn attempts(environment: Environment, id: &str) -> Key {
    Key::new(Partition::new(environment, format_args!("attempts#{}", component(id))), "attempts")
}

/// The partition of what waits for an endpoint.
pub fn waiting_partition(environment: Environment, endpoint: &str) -> Partition {
    Partition::new(environment, format_args!("waiting#{}", component(endpoint)))
}

/// What waits for an endpoint, at its position in the log.
pub fn waiting(environment: Environment, endpoint: &str, position: &str) -> Key {
    Key::new(waiting_partition(environment, endpoint), position)
}

/// An event.
pub fn event(pk: &Partition, recorded_at: Moment, id: &str) -> Key {
    Key::new(pk.clone(), format!("{EVENT_PREFIX}{recorded_at}#{id}"))
}

/// When the event was recorded that is at a key.
pub(super) fn recorded_at(key: &Key) -> Option<Moment> {
    key.sk.strip_prefix(EVENT_PREFIX)?.split_once('#')?.0.parse().ok()
}

/// The id of the event that is at a key, or that an action is on which is there.
pub(super) fn event_id(key: &Key) -> Option<String> {
    match (key.sk.strip_prefix(EVENT_PREFIX), key.sk.strip_prefix(ACTION_PREFIX)) {
        (Some(event), _) => event.split_once('#').map(|(_, id)| id.to_owned()),
        (None, Some(action)) => action.split_once('#').map(|(target, _)| target.to_owned()),
        (None, None) => None,
    }
}

/// A body.
pub fn raw(environment: Environment, id: &str) -> Key {
    Key::new(Partition::new(environment, format_args!("raw#{}", component(id))), BODY)
}

/// The sort key of bodies.
const BODY: &str = "raw";

/// Whether a body is at a key.
pub(super) fn is_body(key: &Key) -> bool {
    key.sk == BODY
}

/// A body in quarantine.
pub fn quarantine(environment: Environment, id: &str) -> Key {
    Key::new(Partition::new(environment, format_args!("quarantine#{}", component(id))), "quarantine")
}

/// The partition of a shard of a balance.
pub fn balance_partition(environment: Environment, account: &Account, asset: &Asset, shard: u8) -> Partition {
    Partition::new(environment, format_args!("balance#{}#{}#{shard}", component(account), component(asset)))
}

/// The partitions of all shards of a balance, in their order.
pub fn balance_partitions(environment: Environment, account: &Account, asset: &Asset) -> Vec<Partition> {
    (0..SHARDS).map(|shard| balance_partition(environment, account, asset, shard)).collect()
}

/// A shard of a balance.
pub fn balance(partition: &Partition) -> Key {
    Key::new(partition.clone(), "balance")
}

/// The start of the sort keys of ledger lines.
pub const LINE_PREFIX: &str = "line#";

/// The ledger line that made the balance's version of this number.
pub fn line(partition: &Partition, number: u64) -> Key {
    Key::new(partition.clone(), format!("{LINE_PREFIX}{number:020}"))
}

/// Which shard of a balance a transaction posts to.
pub fn shard(entity: &Partition) -> u8 {
    spread(entity.as_str(), SHARDS)
}

/// The list of balances.
pub fn balances(environment: Environment) -> Partition {
    Partition::new(environment, "balances")
}

/// The entry of a balance in that list.
pub fn balance_entry(environment: Environment, account: &Account, asset: &Asset) -> Key {
    Key::new(balances(environment), format!("{}#{}", component(account), component(asset)))
}

/// The start of the sort keys of an account's entries in the list of balances.
pub fn balance_prefix(account: &Account) -> String {
    format!("{}#", component(account))
}

crate::names! {
    /// What the index lists, newest first.
    "list" List {
        /// Events.
        Log "log";
        /// Bodies that could not be read.
        Quarantine "quarantine";
        /// What somebody did.
        Actions "actions";
    }
}

/// The partition of the index for one bucket of one day.
pub fn log_partition(environment: Environment, list: List, day: &str, bucket: u8) -> Partition {
    Partition::new(environment, format_args!("{list}#{day}#{bucket}"))
}

/// An item's place in the index `log`: partition and position.
pub fn log_place(environment: Environment, list: List, recorded_at: Moment, id: &str) -> (Partition, String) {
    let partition = log_partition(environment, list, &recorded_at.day(), spread(id, BUCKETS));
    (partition, log_position(recorded_at, id))
}

/// The partition of an index of the events that have this value.
pub(super) fn facet_partition(environment: Environment, value: &str) -> Partition {
    Partition::new(environment, component(value))
}

/// The order within the log: by time, then by id.
pub fn log_position(recorded_at: Moment, id: &str) -> String {
    format!("{recorded_at}#{id}")
}

/// The id of an event, from its sort key or its place in the log.
pub(super) fn id_of(position: &str) -> &str {
    position.rsplit_once('#').map_or(position, |(_, id)| id)
}

/// The partition that marks on which days a list has entries.
pub fn days(environment: Environment, list: List) -> Partition {
    Partition::new(environment, format_args!("days#{}", list.as_str()))
}

/// The marker of one day.
pub fn day(environment: Environment, list: List, day: &str) -> Key {
    Key::new(days(environment, list), day)
}

/// A number below `parts` that depends evenly on `text`.
pub(super) fn spread(text: &str, parts: u8) -> u8 {
    let first = Sha256::digest(text.as_bytes()).first().copied().unwrap_or_default();
    first % parts
}

/// A part of a key: percent-encoded, so that no text can run into the next part; where that is longer than
/// 256 bytes, its hash.
pub(super) fn component(text: &str) -> Cow<'_, str> {
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    let encoded: Cow<'_, str> = utf8_percent_encode(text, ENCODED).into();
    if encoded.len() <= 256 {
        return encoded;
    }
    // No encoded text starts with an equals sign.
    Cow::Owned(format!("={}", hex(&Sha256::digest(text.as_bytes()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EntityType, Kind};
    use proptest::prelude::*;

    #[test]
    fn keys_read_as_designed() {
        let deposit = Entity::transaction(Kind::Deposit, "a-1");
        let account = Entity::new(EntityType::Account, "x#y$z");
        let identity = Identity::of_unreadable(Environment::Test, "", "", b"");
        let (test, live) = (Environment::Test, Environment::Live);
        for (partition, written) in [
            (entity(test, &deposit), "test#transaction#deposit#a-1"),
            (entity(live, &account), "live#account#x%23y%24z"),
            (nothing(test, &identity), &format!("test#nothing#{}", identity.hex())),
            (state(test, &deposit).pk, "test#transaction#a-1"),
            (asked(test, "2026-01-02", "x.y").pk, "test#asked#2026-01-02"),
            (dead_letters(test, Family::Deposits), "test#dead-letters#deposits"),
            (job(test, "j#").pk, "test#job#j%23"),
            (endpoints(live), "live#endpoints"),
            (attempts(test, "e").pk, "test#attempts#e"),
            (waiting_partition(test, "ep"), "test#waiting#ep"),
            (raw(test, "e").pk, "test#raw#e"),
            (quarantine(test, "q").pk, "test#quarantine#q"),
            (balance_partition(test, &"a".into(), &"USDT_TRON".into(), 2), "test#balance#a#USDT_TRON#2"),
            (balances(test), "test#balances"),
            (log_partition(test, List::Log, "2026-01-02", 3), "test#log#2026-01-02#3"),
            (facet_partition(test, "a#1"), "test#a%231"),
            (days(test, List::Actions), "test#days#actions"),
        ] {
            assert_eq!(partition.as_str(), written);
            assert_eq!(serde_json::to_value(&partition).unwrap(), written);
            assert_eq!(partition.environment(), written.split('#').next().unwrap().parse().ok());
        }
    }

    proptest! {
        #[test]
        fn no_two_entities_share_a_key(a in "\\PC{0,300}", b in "\\PC{0,300}") {
            let key = |uid: &str| entity(Environment::Test, &Entity::new(EntityType::Account, uid));
            prop_assert_eq!(a == b, key(&a) == key(&b));
            prop_assert!(key(&a).as_str().len() < 1024);
        }

        #[test]
        fn no_part_of_a_key_can_end_its_part(account in "\\PC{1,40}", asset in "\\PC{1,40}") {
            let key = balance_partition(Environment::Test, &account.into(), &asset.into(), 0);
            prop_assert_eq!(key.as_str().split('#').count(), 5);
        }
    }
}
