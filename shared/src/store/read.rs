//! Reading the table: the log, states, balances, ledger and quarantine, in pages of bounded cost.

use std::collections::{BTreeMap, HashMap, VecDeque};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::try_join_all;
use serde::de::DeserializeOwned;

use super::items::{BalanceEntry, BalanceItem, EventItem, LedgerLine, QuarantineItem, RawItem, StateItem};
use super::keys::{self, BUCKETS, EVENT_PREFIX, LINE_PREFIX, LOG_INDEX, List, SHARDS};
use super::{Item, Key, StoreError, Table};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::fold::Effect;
use crate::model::transaction::Amounts;
use crate::model::{Entity, EntityType, Kind};

/// How many queries one page may cost. A filter that matches rarely gives a short page and a cursor.
const QUERIES: usize = 40;

/// How many items a query with a filter looks at.
const EXAMINED: usize = 200;

/// The most bytes of bodies in one page: written as JSON they fit the 6 MB that a Lambda function may answer.
const PAGE_BYTES: usize = 1024 * 1024;

/// A position in a list: opaque, URL-safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    fn at(position: &str) -> Self {
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
    fn in_time(&self) -> Result<String, StoreError> {
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

/// Which events to list.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Only of this family.
    pub family: Option<String>,
    /// Only of this type.
    pub event: Option<String>,
    /// Only about the entity of this uid …
    pub entity: Option<String>,
    /// … and of this type.
    pub entity_type: Option<EntityType>,
    /// Only with this effect.
    pub effect: Option<Effect>,
    /// Recorded at this moment or later.
    pub from: Option<Moment>,
    /// Recorded before this moment.
    pub to: Option<Moment>,
}

/// What is known of an entity, and the events that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityState {
    /// Which entity.
    pub entity: Entity,
    /// What is known.
    pub state: StateItem,
    /// Its events, oldest first.
    pub history: Page<EventItem>,
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

/// A partition whose items are ordered by the moment of recording.
struct Timeline {
    index: Option<&'static str>,
    partition: String,
    /// What stands before the position in the sort key.
    prefix: &'static str,
}

/// The bounds of a page: positions below `below`, not below `from`.
struct Bounds {
    below: String,
    from: String,
}

impl Bounds {
    fn new(filter: &LogFilter, cursor: Option<&Cursor>) -> Result<Self, StoreError> {
        // '~' sorts after every position.
        let to = filter.to.map_or_else(|| "~".to_owned(), |to| to.to_string());
        let cursor = cursor.map(Cursor::in_time).transpose()?;
        let below = cursor.map_or(to.clone(), |cursor| cursor.min(to));
        // A space sorts before every position; DynamoDB takes no empty key, not even to compare with.
        Ok(Self { below, from: filter.from.map_or_else(|| " ".to_owned(), |from| from.to_string()) })
    }
}

/// What a scan of a few timelines found: entries newest first, and down to which position it looked.
struct Stretch<T> {
    entries: Vec<(String, T)>,
    /// Nothing is known below it; none: everything was seen.
    floor: Option<String>,
}

impl Table {
    /// Events, newest first.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] for a cursor that is none.
    pub async fn log(
        &self,
        environment: Environment,
        filter: &LogFilter,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<EventItem>, StoreError> {
        let bounds = Bounds::new(filter, cursor)?;
        let conditions = conditions(filter);
        let Some(uid) = &filter.entity else {
            return self.by_day(environment, List::Log, &bounds, &conditions, limit).await;
        };
        let of = |entity| Timeline {
            index: None,
            partition: keys::entity(environment, &entity),
            prefix: EVENT_PREFIX,
        };
        let types =
            EntityType::ALL.into_iter().filter(|known| filter.entity_type.is_none_or(|only| only == *known));
        let timelines: Vec<_> = types
            .flat_map(|entity_type| match entity_type {
                EntityType::Transaction => {
                    Kind::ALL.map(|kind| of(Entity::transaction(kind, uid))).into_iter().collect()
                }
                other => vec![of(Entity::new(other, uid))],
            })
            .collect();
        let mut queries = QUERIES;
        let stretch = self.stretch(&timelines, &bounds, &conditions, limit, &mut queries).await?;
        Ok(page(stretch, limit))
    }

    /// Bodies that could not be read, newest first, each with its bytes.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] for a cursor that is none.
    pub async fn quarantined(
        &self,
        environment: Environment,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<(QuarantineItem, Vec<u8>)>, StoreError> {
        let bounds = Bounds::new(&LogFilter::default(), cursor)?;
        let found: Page<QuarantineItem> =
            self.by_day(environment, List::Quarantine, &bounds, &[], limit).await?;
        let keys: Vec<_> = found.items.iter().map(|item| keys::raw(environment, &item.id)).collect();
        let mut bodies = self.batch_get(&keys).await?;
        let mut items: Vec<(QuarantineItem, Vec<u8>)> = Vec::new();
        let mut bytes = 0;
        for (item, key) in found.items.into_iter().zip(keys) {
            let raw: Option<RawItem> = bodies.remove(&key).map(serde_dynamo::from_item).transpose()?;
            let raw = raw.map(RawItem::into_bytes).unwrap_or_default();
            bytes += raw.len();
            if let Some((last, _)) = items.last().filter(|_| bytes > PAGE_BYTES) {
                let cursor = Cursor::at(&keys::log_position(last.recorded_at, &last.id));
                return Ok(Page { items, cursor: Some(cursor) });
            }
            items.push((item, raw));
        }
        Ok(Page { items, cursor: found.cursor })
    }

    /// One event and its body.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn event(
        &self,
        environment: Environment,
        id: &str,
    ) -> Result<Option<(EventItem, Vec<u8>)>, StoreError> {
        let Some(raw) = self.get::<RawItem>(&keys::raw(environment, id)).await? else {
            return Ok(None);
        };
        let Some(key) = raw.event_key.clone() else {
            return Ok(None);
        };
        Ok(self.get(&key).await?.map(|event| (event, raw.into_bytes())))
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

    /// Walks a list back day by day until the page is full.
    async fn by_day<T: DeserializeOwned>(
        &self,
        environment: Environment,
        list: List,
        bounds: &Bounds,
        conditions: &[Condition],
        limit: usize,
    ) -> Result<Page<T>, StoreError> {
        /// Days are looked up in portions of this size.
        const DAYS: usize = 50;
        let mut stretch = Stretch { entries: Vec::new(), floor: None };
        let mut queries = QUERIES;
        let mut before = bounds.below.clone();
        loop {
            let query = RangeQuery {
                index: None,
                partition: keys::days(environment, list),
                low: bounds.from.get(..10).unwrap_or(&bounds.from).to_owned(),
                high: before.get(..10).unwrap_or("~").to_owned(),
                newest_first: true,
            };
            let days = self.query(&query, DAYS).await?;
            let last_portion = days.len() < DAYS;
            for day in days.iter().filter_map(Key::of).map(|key| key.sk) {
                let timelines: Vec<_> = (0..BUCKETS)
                    .map(|bucket| Timeline {
                        index: Some(LOG_INDEX),
                        partition: keys::log_partition(environment, list, &day, bucket),
                        prefix: "",
                    })
                    .collect();
                let wanted = limit - stretch.entries.len().min(limit);
                let found = self.stretch(&timelines, bounds, conditions, wanted, &mut queries).await?;
                stretch.entries.extend(found.entries);
                stretch.floor =
                    found.floor.or_else(|| (queries == 0).then(|| format!("{day}T00:00:00.000Z#")));
                if stretch.floor.is_some() || stretch.entries.len() > limit {
                    return Ok(page(stretch, limit));
                }
                before = previous_day(&day);
            }
            if last_portion {
                return Ok(page(stretch, limit));
            }
        }
    }

    /// The newest entries of several timelines together: more than `limit`, unless there are no more, or the
    /// queries are used up.
    async fn stretch<T: DeserializeOwned>(
        &self,
        timelines: &[Timeline],
        bounds: &Bounds,
        conditions: &[Condition],
        limit: usize,
        queries: &mut usize,
    ) -> Result<Stretch<T>, StoreError> {
        let share = (*queries / timelines.len().max(1)).max(1);
        let found = try_join_all(
            timelines
                .iter()
                .map(async |timeline| self.newest(timeline, bounds, conditions, limit + 1, share).await),
        )
        .await?;
        *queries = queries.saturating_sub(found.iter().map(|(_, _, used)| used).sum());
        // Below the highest position at which one of them stopped early, the order is unknown.
        let floor = found.iter().filter_map(|(_, floor, _)| floor.clone()).max();
        let mut entries = Vec::new();
        for (timeline, (items, _, _)) in timelines.iter().zip(found) {
            for item in items {
                let position = timeline.position(&item);
                if floor.as_ref().is_none_or(|floor| position >= *floor) {
                    entries.push((position, serde_dynamo::from_item(item)?));
                }
            }
        }
        entries.sort_by(|(a, _), (b, _)| b.cmp(a));
        Ok(Stretch { entries, floor })
    }

    /// The newest `wanted` items of one timeline that fit; where it had to stop before the end for having
    /// used its queries, the position it reached; and how many queries it took.
    async fn newest(
        &self,
        timeline: &Timeline,
        bounds: &Bounds,
        conditions: &[Condition],
        wanted: usize,
        queries: usize,
    ) -> Result<(Vec<Item>, Option<String>, usize), StoreError> {
        let query = RangeQuery {
            index: timeline.index,
            partition: timeline.partition.clone(),
            low: format!("{}{}", timeline.prefix, bounds.from),
            high: format!("{}{}", timeline.prefix, bounds.below),
            newest_first: true,
        };
        let examined = if conditions.is_empty() { wanted + 1 } else { EXAMINED };
        let mut items = Vec::new();
        let mut start: Option<Item> = None;
        for used in 1..=queries {
            let (found, reached) = self.query_once(&query, conditions, examined, start).await?;
            // A range includes its upper end; the page does not.
            items.extend(found.into_iter().filter(|item| timeline.position(item) < bounds.below));
            start = reached;
            if start.is_none() || items.len() >= wanted {
                return Ok((items, None, used));
            }
        }
        let floor = start.map(|key| timeline.position(&key));
        Ok((items, floor, queries))
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
        let (pk, sk) = if query.index.is_some() { ("log_pk", "log_sk") } else { ("pk", "sk") };
        if query.low > query.high {
            return Ok((Vec::new(), None));
        }
        let mut names = HashMap::new();
        let mut values = HashMap::from([
            (":pk".to_owned(), AttributeValue::S(query.partition.clone())),
            (":low".to_owned(), AttributeValue::S(query.low.clone())),
            (":high".to_owned(), AttributeValue::S(query.high.clone())),
        ]);
        let mut filters = Vec::new();
        for (number, (attribute, value)) in conditions.iter().enumerate() {
            names.insert(format!("#f{number}"), (*attribute).to_owned());
            values.insert(format!(":f{number}"), AttributeValue::S(value.clone()));
            filters.push(format!("#f{number} = :f{number}"));
        }
        let answer = self
            .client
            .query()
            .table_name(&*self.name)
            .set_index_name(query.index.map(str::to_owned))
            .consistent_read(query.index.is_none())
            .scan_index_forward(!query.newest_first)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .key_condition_expression(format!("{pk} = :pk AND {sk} BETWEEN :low AND :high"))
            .set_filter_expression((!filters.is_empty()).then(|| filters.join(" AND ")))
            .set_expression_attribute_names((!names.is_empty()).then_some(names))
            .set_expression_attribute_values(Some(values))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(StoreError::aws)?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }
}

/// A range of one partition.
pub(super) struct RangeQuery {
    pub(super) index: Option<&'static str>,
    pub(super) partition: String,
    pub(super) low: String,
    pub(super) high: String,
    pub(super) newest_first: bool,
}

/// An attribute and the value it must have.
pub(super) type Condition = (&'static str, String);

fn conditions(filter: &LogFilter) -> Vec<Condition> {
    let conditions = [
        ("family", filter.family.clone()),
        ("event", filter.event.clone()),
        ("effect", filter.effect.map(|effect| effect.to_string())),
    ];
    conditions.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

impl Timeline {
    fn position(&self, item: &Item) -> String {
        let attribute = if self.index.is_some() { "log_sk" } else { "sk" };
        let sort_key = item.get(attribute).and_then(|value| value.as_s().ok());
        sort_key.map(|key| key.trim_start_matches(self.prefix).to_owned()).unwrap_or_default()
    }
}

/// Cuts a stretch to a page.
fn page<T>(mut stretch: Stretch<T>, limit: usize) -> Page<T> {
    let more = stretch.entries.len() > limit;
    stretch.entries.truncate(limit);
    let last = stretch.entries.last().map(|(position, _)| position.clone());
    let next = if more { last } else { stretch.floor };
    Page {
        items: stretch.entries.into_iter().map(|(_, item)| item).collect(),
        cursor: next.as_deref().map(Cursor::at),
    }
}

fn place(asset: &str, shard: u8) -> String {
    format!("{asset}#{shard}")
}

/// The day before, as text.
fn previous_day(day: &str) -> String {
    let start = format!("{day}T00:00:00Z").parse::<Moment>();
    start.map_or_else(|_| String::new(), |start| Moment::from_millis(start.as_millis() - 1).day())
}

impl RawItem {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.text.map(String::into_bytes).or(self.bytes).unwrap_or_default()
    }
}
