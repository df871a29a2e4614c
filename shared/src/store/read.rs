//! Reading the table: events, states, balances and the ledger, in pages of bounded cost.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::try_join_all;

use super::apply::DELIVERIES;
use super::items::{BalanceEntry, BalanceItem, EventItem, LedgerLine, QuarantineItem, RawItem, StateItem};
use super::keys::{self, EVENT_PREFIX, LINE_PREFIX, POSITION, SHARDS};
use super::{ActionItem, Item, Key, StoreError, Table};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::model::Entity;
use crate::model::transaction::Amounts;

/// A position in a list: opaque, URL-safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    pub(super) fn at(position: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(position))
    }

    /// The cursor as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn decode(&self) -> Result<String, StoreError> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| StoreError::Cursor)?;
        String::from_utf8(bytes).map_err(|_| StoreError::Cursor)
    }

    /// A sort key, or a part of one.
    fn position(&self) -> Result<String, StoreError> {
        /// Sort keys are no longer (Amazon DynamoDB, developer guide, quotas).
        const LONGEST: usize = 1000;
        self.decode().and_then(|position| match position.len() {
            1..=LONGEST => Ok(position),
            _ => Err(StoreError::Cursor),
        })
    }

    /// The position in a list that is ordered by the moment of recording.
    pub(super) fn in_time(&self) -> Result<String, StoreError> {
        let position = self.position()?;
        let time = position.split('#').next().unwrap_or_default();
        time.parse::<Moment>().map_err(|_| StoreError::Cursor)?;
        Ok(position)
    }
}

impl From<String> for Cursor {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page starts; none at the end.
    pub cursor: Option<Cursor>,
}

/// An event, and all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The event.
    pub event: EventItem,
    /// Where it is.
    pub(super) key: Key,
    /// Its body, byte for byte.
    pub raw: Vec<u8>,
    /// The HTTP requests that brought it.
    pub delivery_ids: BTreeSet<String>,
    /// What was done to it, oldest first.
    pub actions: Vec<ActionItem>,
}

/// A body in quarantine, and all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineRecord {
    /// Why it is there.
    pub item: QuarantineItem,
    /// The body, byte for byte.
    pub raw: Vec<u8>,
    /// The HTTP requests that brought it.
    pub delivery_ids: BTreeSet<String>,
}

/// A balance: the sum of its shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The account.
    pub account: String,
    /// The asset.
    pub asset: String,
    /// The amounts.
    pub amounts: Amounts,
}

impl Table {
    /// One event, with its body and what was done to it.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn event(&self, environment: Environment, id: &str) -> Result<Option<EventRecord>, StoreError> {
        let Some(raw) = self.get::<RawItem>(&keys::raw(environment, id)).await? else {
            return Ok(None);
        };
        let Some(key) = raw.event_key.clone() else {
            return Ok(None);
        };
        let (item, actions) = futures::try_join!(self.get_item(&key), self.actions_on(&key.pk, id))?;
        let Some(item) = item else { return Ok(None) };
        let delivery_ids = delivery_ids(&item);
        let event = serde_dynamo::from_item(item)?;
        Ok(Some(EventRecord { event, key, raw: raw.into_bytes(), delivery_ids, actions }))
    }

    /// A body in quarantine, and the deliveries that brought it.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn quarantined_body(
        &self,
        environment: Environment,
        id: &str,
    ) -> Result<Option<QuarantineRecord>, StoreError> {
        let (key, body) = (keys::quarantine(environment, id), keys::raw(environment, id));
        let (item, raw) = futures::try_join!(self.get_item(&key), self.get::<RawItem>(&body))?;
        let Some((item, raw)) = item.zip(raw) else { return Ok(None) };
        let delivery_ids = delivery_ids(&item);
        let item = serde_dynamo::from_item(item)?;
        Ok(Some(QuarantineRecord { item, raw: raw.into_bytes(), delivery_ids }))
    }

    /// What is known of these entities; those that nothing is known of are absent.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn states(
        &self,
        environment: Environment,
        entities: &[Entity],
    ) -> Result<Vec<(Entity, StateItem)>, StoreError> {
        let key = |entity| keys::state(&keys::entity(environment, entity));
        let keys: Vec<_> = entities.iter().map(key).collect();
        let mut found = self.batch_get(&keys).await?;
        let mut states = Vec::new();
        for entity in entities {
            if let Some(item) = found.remove(&key(entity)) {
                states.push((entity.clone(), serde_dynamo::from_item(item)?));
            }
        }
        Ok(states)
    }

    /// The events of an entity, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] for a cursor that is none.
    pub async fn history(
        &self,
        environment: Environment,
        entity: &Entity,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<EventItem>, StoreError> {
        let after = cursor.map_or(Ok(String::new()), Cursor::in_time)?;
        let query = RangeQuery {
            index: None,
            partition: keys::entity(environment, entity),
            // The position itself was in the page before.
            low: if after.is_empty() { EVENT_PREFIX.to_owned() } else { format!("{EVENT_PREFIX}{after}!") },
            high: format!("{EVENT_PREFIX}~"),
            newest_first: false,
        };
        let mut items = self.query(&query, limit + 1).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let events: Vec<EventItem> =
            items.into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
        let last = events.last().filter(|_| more);
        let cursor = last.map(|event| Cursor::at(&keys::log_position(event.recorded_at, &event.id)));
        Ok(Page { items: events, cursor })
    }

    /// Balances, by account and asset; of one account, if it is given; as they were at a moment, if one is given.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] for a cursor that is none.
    pub async fn balances(
        &self,
        environment: Environment,
        account: Option<&str>,
        at: Option<Moment>,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Balance>, StoreError> {
        let page = self.balance_entries(environment, account, limit, cursor).await?;
        let partitions =
            |entry: &BalanceEntry| keys::balance_partitions(environment, &entry.account, &entry.asset);
        let mut balances = Vec::new();
        if let Some(at) = at {
            for entry in page.items {
                let lines = partitions(&entry);
                let lines = try_join_all(lines.iter().map(|partition| self.line_at(partition, at))).await?;
                let amounts = lines.iter().flatten().fold(Amounts::default(), |sum, line| &sum + &line.after);
                balances.push(Balance { account: entry.account, asset: entry.asset, amounts });
            }
            return Ok(Page { items: balances, cursor: page.cursor });
        }
        let keys: Vec<Key> =
            page.items.iter().flat_map(partitions).map(|partition| keys::balance(&partition)).collect();
        let mut found = self.batch_get(&keys).await?;
        for entry in page.items {
            let mut amounts = Amounts::default();
            for partition in partitions(&entry) {
                if let Some(item) = found.remove(&keys::balance(&partition)) {
                    amounts = &amounts + &serde_dynamo::from_item::<_, BalanceItem>(item)?.amounts;
                }
            }
            balances.push(Balance { account: entry.account, asset: entry.asset, amounts });
        }
        Ok(Page { items: balances, cursor: page.cursor })
    }

    /// The last line that was entered into a ledger by a moment. Lines are numbered without gaps, in the order of
    /// time.
    async fn line_at(&self, partition: &str, at: Moment) -> Result<Option<LedgerLine>, StoreError> {
        let query = RangeQuery {
            index: None,
            partition: partition.to_owned(),
            low: LINE_PREFIX.to_owned(),
            high: keys::line(partition, u64::MAX).sk,
            newest_first: true,
        };
        let newest = self.query(&query, 1).await?.pop().map(serde_dynamo::from_item).transpose()?;
        let Some(newest): Option<LedgerLine> = newest else { return Ok(None) };
        if newest.recorded_at <= at {
            return Ok(Some(newest));
        }
        // Halves what lies between a line that was entered by then (0: none) and one that was not.
        let (mut entered, mut later, mut found) = (0, newest.number, None);
        while later - entered > 1 {
            let middle = entered + (later - entered) / 2;
            let line: Option<LedgerLine> = self.get(&keys::line(partition, middle)).await?;
            let line = line.ok_or_else(|| StoreError::LineMissing(partition.to_owned(), middle))?;
            if line.recorded_at <= at {
                (entered, found) = (middle, Some(line));
            } else {
                later = middle;
            }
        }
        Ok(found)
    }

    pub(super) async fn balance_entries(
        &self,
        environment: Environment,
        account: Option<&str>,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<BalanceEntry>, StoreError> {
        let prefix = account.map_or_else(String::new, keys::balance_prefix);
        let after = cursor.map(Cursor::position).transpose()?;
        let query = RangeQuery {
            index: None,
            partition: keys::balances(environment),
            // After the cursor, but not before the account: a cursor may come from another question.
            low: after
                .map_or_else(String::new, |after| format!("{after}!"))
                .max(prefix.clone())
                .max(" ".to_owned()),
            // Encoded text is ASCII up to '~'.
            high: format!("{prefix}\u{7f}"),
            newest_first: false,
        };
        let mut items = self.query(&query, limit + 1).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more).and_then(Key::of);
        let cursor = last.map(|key| Cursor::at(&key.sk));
        let items = items.into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
        Ok(Page { items, cursor })
    }

    /// The ledger of an account, or of one of its assets, newest first; as it was at a moment, if one is given.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] for a cursor that is none.
    pub async fn ledger(
        &self,
        environment: Environment,
        (account, asset): (&str, Option<&str>),
        at: Option<Moment>,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<LedgerLine>, StoreError> {
        // The cursor says for each shard below which number the next page goes on.
        let below: BTreeMap<String, u64> = match cursor {
            Some(cursor) => serde_json::from_str(&cursor.decode()?).map_err(|_| StoreError::Cursor)?,
            None => BTreeMap::new(),
        };
        let assets = match asset {
            Some(asset) => vec![asset.to_owned()],
            None => self.assets(environment, account).await?,
        };
        let shards =
            assets.into_iter().flat_map(|asset| (0..SHARDS).map(move |shard| (asset.clone(), shard)));
        let mut found = try_join_all(shards.map(async |(asset, shard)| {
            let partition = keys::balance_partition(environment, account, &asset, shard);
            let below = match (below.get(&place(&asset, shard)), at) {
                (Some(below), _) => *below,
                (None, Some(at)) => {
                    self.line_at(&partition, at).await?.map_or(0, |line| line.number).saturating_add(1)
                }
                (None, None) => u64::MAX,
            };
            let query = RangeQuery {
                index: None,
                low: LINE_PREFIX.to_owned(),
                high: keys::line(&partition, below.saturating_sub(1)).sk,
                partition,
                newest_first: true,
            };
            let items = self.query(&query, limit + 1).await?;
            let lines = items.into_iter().map(serde_dynamo::from_item).collect::<Result<VecDeque<_>, _>>();
            Ok::<VecDeque<LedgerLine>, StoreError>(lines?)
        }))
        .await?;
        // Within a shard the number orders, between shards the time: a line may bear an earlier time than the
        // one before it, but it is never shown before, and so never skipped.
        let mut lines = Vec::new();
        let newest = |found: &mut Vec<VecDeque<LedgerLine>>| {
            let shard = found.iter_mut().max_by_key(|shard| shard.front().map(|line| line.recorded_at))?;
            shard.pop_front()
        };
        while lines.len() < limit
            && let Some(line) = newest(&mut found)
        {
            lines.push(line);
        }
        let more = found.iter().any(|shard| !shard.is_empty());
        let mut next = below;
        for line in &lines {
            next.insert(place(&line.asset, line.shard), line.number);
        }
        let cursor = more.then(|| serde_json::to_string(&next)).transpose()?;
        Ok(Page { items: lines, cursor: cursor.as_deref().map(Cursor::at) })
    }

    /// The assets of an account that have balances.
    async fn assets(&self, environment: Environment, account: &str) -> Result<Vec<String>, StoreError> {
        /// Entries are looked up in portions of this size.
        const ENTRIES: usize = 100;
        let mut assets = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.balance_entries(environment, Some(account), ENTRIES, cursor.as_ref()).await?;
            assets.extend(page.items.into_iter().map(|entry| entry.asset));
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(assets);
            }
        }
    }

    /// The first `limit` items of a range.
    pub(super) async fn query(&self, query: &RangeQuery, limit: usize) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let (found, reached) = self.query_once(query, &[], limit - items.len(), start).await?;
            items.extend(found);
            start = reached;
            if start.is_none() || items.len() >= limit {
                return Ok(items);
            }
        }
    }

    /// One query: the items that fit, and the key it reached if there is more.
    pub(super) async fn query_once(
        &self,
        query: &RangeQuery,
        conditions: &[Condition],
        limit: usize,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        let (pk, sk) = query.index.map_or(("pk", "sk"), |index| (index, POSITION));
        if query.low > query.high {
            return Ok((Vec::new(), None));
        }
        let mut names = HashMap::from([("#pk".to_owned(), pk.to_owned()), ("#sk".to_owned(), sk.to_owned())]);
        let mut values = HashMap::from([
            (":pk".to_owned(), AttributeValue::S(query.partition.clone())),
            (":low".to_owned(), AttributeValue::S(query.low.clone())),
            (":high".to_owned(), AttributeValue::S(query.high.clone())),
        ]);
        let mut filters = Vec::new();
        for (number, condition) in conditions.iter().enumerate() {
            let (attribute, value, filter) = match condition {
                Condition::Equals(attribute, value) => (attribute, value, format!("#f{number} = :f{number}")),
                Condition::Contains(attribute, value) => {
                    (attribute, value, format!("contains(#f{number}, :f{number})"))
                }
            };
            names.insert(format!("#f{number}"), (*attribute).to_owned());
            values.insert(format!(":f{number}"), AttributeValue::S(value.clone()));
            filters.push(filter);
        }
        let answer = self
            .client
            .query()
            .table_name(&*self.name)
            .set_index_name(query.index.map(str::to_owned))
            .consistent_read(query.index.is_none())
            .scan_index_forward(!query.newest_first)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :low AND :high")
            .set_filter_expression((!filters.is_empty()).then(|| filters.join(" AND ")))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(StoreError::aws)?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }
}

/// The HTTP requests that brought an item.
fn delivery_ids(item: &Item) -> BTreeSet<String> {
    let ids = item.get(DELIVERIES).and_then(|ids| ids.as_ss().ok());
    ids.into_iter().flatten().cloned().collect()
}

/// A range of one partition.
pub(super) struct RangeQuery {
    pub(super) index: Option<&'static str>,
    pub(super) partition: String,
    pub(super) low: String,
    pub(super) high: String,
    pub(super) newest_first: bool,
}

/// What an item must have.
pub(super) enum Condition {
    /// An attribute of this value.
    Equals(&'static str, String),
    /// An attribute that is a set with this member.
    Contains(&'static str, String),
}

fn place(asset: &str, shard: u8) -> String {
    format!("{asset}#{shard}")
}

impl RawItem {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.text.map(String::into_bytes).or(self.bytes).unwrap_or_default()
    }
}
