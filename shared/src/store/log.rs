//! The log: events by time and by what they are about, the quarantine and the actions, newest first, in pages of
//! bounded cost. No page scans the table.
//!
//! A search reads the timelines of its most selective part (an entity's partition, a facet's index, else the
//! days of the log), filters by the rest, and then reads what is shown from the table itself.

use std::collections::{BTreeMap, HashMap};

use futures::future::try_join_all;
use serde::de::DeserializeOwned;

use super::actions::ActionItem;
use super::events::EventItem;
use super::facets::{self, Facet};
use super::keys::{self, BUCKETS, EVENT_PREFIX, Key, LOG_INDEX, List, POSITION, Partition};
use super::listed::ListedEvent;
use super::query::{Condition, Cursor, Page, RangeQuery, Start};
use super::table::{Item, StoreError, Table};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::model::{Entity, EntityRef, EntityType, Kind};

/// How many queries one page may cost. A filter that matches rarely gives a short page and a cursor.
pub(super) const QUERIES: usize = 40;

/// How many items a query with a filter looks at.
const EXAMINED: usize = 200;

/// Which events to list.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Only about the entity of this uid …
    pub entity: Option<String>,
    /// … and of this type.
    pub entity_type: Option<EntityType>,
    /// Only with these values.
    pub facets: Vec<(Facet, String)>,
    /// Recorded at this moment or later.
    pub from: Option<Moment>,
    /// Recorded before this moment.
    pub to: Option<Moment>,
}

impl LogFilter {
    /// The facet that fewest events are expected to share, of those that have an index.
    fn most_selective(&self) -> Option<(Facet, &str)> {
        let rank = |facet: Facet| match facet {
            Facet::Hash => 0,
            Facet::Reference => 1,
            Facet::Address => 2,
            Facet::Customer => 3,
            Facet::SubAccount => 4,
            Facet::Account => 5,
            _ => 6,
        };
        let facets = self.facets.iter().map(|(facet, value)| (*facet, value.as_str()));
        facets.filter(|(facet, value)| !facet.indexes(value).is_empty()).min_by_key(|(facet, _)| rank(*facet))
    }

    /// What is filtered by, the facet `read` apart: its index has nothing else.
    fn conditions(&self, read: Option<Facet>) -> Vec<Condition> {
        let rest = self.facets.iter().filter(|(facet, _)| Some(*facet) != read);
        rest.map(|(facet, value)| match facet {
            Facet::Effect => Condition::Equals("effect", value.clone()),
            other => Condition::Contains(facets::TERMS, other.term_of(value)),
        })
        .collect()
    }
}

/// What an event of the log is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logged {
    /// An entity.
    About(Entity),
    /// Nothing that was known when it came; the event's id.
    Nothing(String),
}

/// A partition whose items are ordered by the moment of recording.
pub(super) struct Timeline {
    index: Option<&'static str>,
    partition: Partition,
    /// What stands before the position in the sort key.
    prefix: &'static str,
}

impl Timeline {
    pub(super) fn query(&self, bounds: &Bounds) -> RangeQuery {
        RangeQuery {
            index: self.index,
            partition: self.partition.clone(),
            low: format!("{}{}", self.prefix, bounds.from),
            high: format!("{}{}", self.prefix, bounds.below),
            newest_first: true,
        }
    }

    pub(super) fn position(&self, item: &Item) -> String {
        let attribute = if self.index.is_some() { POSITION } else { "sk" };
        let sort_key = item.get(attribute).and_then(|value| value.as_s().ok());
        sort_key.map(|key| key.trim_start_matches(self.prefix).to_owned()).unwrap_or_default()
    }
}

/// The bounds of a page: positions below `below`, not below `from`.
pub(super) struct Bounds {
    pub(super) below: String,
    from: String,
}

impl Bounds {
    pub(super) fn new(
        (from, to): (Option<Moment>, Option<Moment>),
        cursor: Option<&Cursor>,
    ) -> Result<Self, StoreError> {
        // '~' sorts after every position.
        let to = to.map_or_else(|| "~".to_owned(), |to| to.to_string());
        let cursor = cursor.map(Cursor::in_time).transpose()?;
        let below = cursor.map_or(to.clone(), |cursor| cursor.min(to));
        // A space sorts before every position; DynamoDB takes no empty key, not even to compare with.
        Ok(Self { below, from: from.map_or_else(|| " ".to_owned(), |from| from.to_string()) })
    }
}

/// What a look at a few timelines found: index entries newest first, and down to which position it looked.
pub(super) struct Stretch {
    pub(super) entries: Vec<(String, Item)>,
    /// Nothing is known below it; none: everything was seen.
    pub(super) floor: Option<String>,
}

impl Stretch {
    /// Cuts it to a page of keys.
    fn page(mut self, limit: usize) -> Page<Key> {
        let more = self.entries.len() > limit;
        self.entries.truncate(limit);
        let last = self.entries.last().map(|(position, _)| position.clone());
        let next = if more { last } else { self.floor };
        Page {
            items: self.entries.iter().filter_map(|(_, item)| Some(Key::of(item)?.pointed_to())).collect(),
            cursor: next.as_deref().map(Cursor::at),
        }
    }
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
        let bounds = Bounds::new((filter.from, filter.to), cursor)?;
        let mut queries = QUERIES;
        let (timelines, conditions) = match (&filter.entity, filter.most_selective()) {
            (Some(uid), _) => (of_entity(environment, filter.entity_type, uid), filter.conditions(None)),
            (None, Some((facet, value))) => {
                (of_facet(environment, facet, value), filter.conditions(Some(facet)))
            }
            (None, None) => {
                let conditions = filter.conditions(None);
                let page =
                    self.by_day(environment, List::Log, (&bounds, &conditions), limit, &mut queries).await?;
                return self.listed(page.page(limit)).await;
            }
        };
        let found = self.stretch(&timelines, &bounds, &conditions, limit, &mut queries).await?;
        self.listed(found.page(limit)).await
    }

    /// The events of a page, as a list shows them.
    async fn listed(&self, page: Page<Key>) -> Result<Page<EventItem>, StoreError> {
        let found = self.batch_get_of(&page.items, Some(ListedEvent::FIELDS)).await?;
        in_order(found, page)
    }

    /// What somebody did, newest first.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] for a cursor that is none.
    pub async fn actions(
        &self,
        environment: Environment,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<ActionItem>, StoreError> {
        self.list(environment, List::Actions, limit, cursor).await
    }

    /// The days on which a list has entries, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn days(&self, environment: Environment, list: List) -> Result<Vec<String>, StoreError> {
        let query = RangeQuery {
            index: None,
            partition: keys::days(environment, list),
            low: " ".to_owned(),
            high: "~".to_owned(),
            newest_first: false,
        };
        let days = self.query(&query, usize::MAX).await?;
        Ok(days.iter().filter_map(Key::of).map(|key| key.sk).collect())
    }

    /// What some events of a bucket of a day are about, as far as the index knows by now; and where the next ones
    /// start.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn logged(
        &self,
        environment: Environment,
        (day, bucket): (&str, u8),
        start: Option<Start>,
    ) -> Result<(Vec<Logged>, Option<Start>), StoreError> {
        #[derive(serde::Deserialize)]
        struct About {
            log_sk: String,
            entity: Option<EntityRef>,
            #[serde(default)]
            kind: Option<Kind>,
        }
        let query = RangeQuery {
            index: Some(LOG_INDEX),
            partition: keys::log_partition(environment, List::Log, day, bucket),
            low: " ".to_owned(),
            high: "~".to_owned(),
            newest_first: false,
        };
        let (events, reached) = self.query_once(&query, &[], 1000, start.map(Start::into_key)).await?;
        let about = |item| {
            let About { log_sk, entity, kind } = serde_dynamo::from_item(item)?;
            Ok(match entity {
                Some(EntityRef { entity_type, uid }) => Logged::About(Entity { entity_type, kind, uid }),
                None => Logged::Nothing(keys::id_of(&log_sk).to_owned()),
            })
        };
        let found = events.into_iter().map(about).collect::<Result<_, StoreError>>()?;
        Ok((found, reached.map(Start::at)))
    }

    /// A list, newest first.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        environment: Environment,
        list: List,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<T>, StoreError> {
        let bounds = Bounds::new((None, None), cursor)?;
        let page = self.by_day(environment, list, (&bounds, &[]), limit, &mut { QUERIES }).await?.page(limit);
        in_order(self.batch_get(&page.items).await?, page)
    }

    /// Walks a list back day by day until there is more than a page.
    pub(super) async fn by_day(
        &self,
        environment: Environment,
        list: List,
        (bounds, conditions): (&Bounds, &[Condition]),
        limit: usize,
        queries: &mut usize,
    ) -> Result<Stretch, StoreError> {
        let mut stretch = Stretch { entries: Vec::new(), floor: None };
        let mut after: Option<String> = None;
        loop {
            let (days, next) = self.days_back(environment, list, bounds, after.as_deref()).await?;
            for day in days {
                let timelines = of_day(environment, list, &day);
                let wanted = limit - stretch.entries.len().min(limit);
                let found = self.stretch(&timelines, bounds, conditions, wanted, queries).await?;
                stretch.entries.extend(found.entries);
                stretch.floor =
                    found.floor.or_else(|| (*queries == 0).then(|| format!("{day}T00:00:00.000Z#")));
                if stretch.floor.is_some() || stretch.entries.len() > limit {
                    return Ok(stretch);
                }
            }
            after = next;
            if after.is_none() {
                return Ok(stretch);
            }
        }
    }

    /// Some of the days on which a list has entries, newest first, before those that were seen: `after` is the last of
    /// them. And where the next ones go on; none at the end.
    pub(super) async fn days_back(
        &self,
        environment: Environment,
        list: List,
        bounds: &Bounds,
        after: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), StoreError> {
        /// Days are looked up in portions of this size.
        const DAYS: usize = 50;
        let newest = bounds.below.get(..10).unwrap_or("~");
        let query = RangeQuery {
            index: None,
            partition: keys::days(environment, list),
            low: bounds.from.get(..10).unwrap_or(&bounds.from).to_owned(),
            high: after.unwrap_or(newest).to_owned(),
            newest_first: true,
        };
        let found = self.query(&query, DAYS + 1).await?;
        let has_more = found.len() > DAYS;
        let mut days: Vec<String> = found.iter().filter_map(Key::of).map(|key| key.sk).collect();
        // The range includes the day that was seen.
        days.retain(|day| Some(day.as_str()) != after);
        let next = days.last().cloned().filter(|_| has_more);
        // What is no day has no entries.
        days.retain(|day| format!("{day}T00:00:00Z").parse::<Moment>().is_ok());
        Ok((days, next))
    }

    /// The newest entries of several timelines together: more than `limit`, unless there are no more, or the
    /// queries are used up.
    async fn stretch(
        &self,
        timelines: &[Timeline],
        bounds: &Bounds,
        conditions: &[Condition],
        limit: usize,
        queries: &mut usize,
    ) -> Result<Stretch, StoreError> {
        let share = (*queries / timelines.len().max(1)).max(1);
        let wanted = limit.saturating_add(1);
        let found = try_join_all(
            timelines
                .iter()
                .map(async |timeline| self.newest(timeline, bounds, conditions, wanted, share).await),
        )
        .await?;
        *queries = queries.saturating_sub(found.iter().map(|(_, _, used)| used).sum());
        // Below the highest position at which one of them stopped early, the order is unknown.
        let floor = found.iter().filter_map(|(_, floor, _)| floor.clone()).max();
        // An event may be on two of them: with the same address at both ends.
        let mut entries = BTreeMap::new();
        for (timeline, (items, _, _)) in timelines.iter().zip(found) {
            for item in items {
                let position = timeline.position(&item);
                if floor.as_ref().is_none_or(|floor| position >= *floor) {
                    entries.insert(position, item);
                }
            }
        }
        Ok(Stretch { entries: entries.into_iter().rev().collect(), floor })
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
        let query = timeline.query(bounds);
        let examined = if conditions.is_empty() { wanted.saturating_add(1) } else { EXAMINED };
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
}

/// The partitions of one day of a list.
pub(super) fn of_day(environment: Environment, list: List, day: &str) -> Vec<Timeline> {
    let of = |bucket| Timeline {
        index: Some(LOG_INDEX),
        partition: keys::log_partition(environment, list, day, bucket),
        prefix: "",
    };
    (0..BUCKETS).map(of).collect()
}

/// The partitions of the entities of this uid.
fn of_entity(environment: Environment, only: Option<EntityType>, uid: &str) -> Vec<Timeline> {
    let of = |entity| Timeline {
        index: None,
        partition: keys::entity(environment, &entity),
        prefix: EVENT_PREFIX,
    };
    let types = EntityType::ALL.into_iter().filter(|known| only.is_none_or(|only| only == *known));
    types
        .flat_map(|entity_type| match entity_type {
            EntityType::Transaction => {
                Kind::ALL.map(|kind| of(Entity::transaction(kind, uid))).into_iter().collect()
            }
            other => vec![of(Entity::new(other, uid))],
        })
        .collect()
}

/// The partitions of the indexes of a facet, and of the entities that it names.
fn of_facet(environment: Environment, facet: Facet, value: &str) -> Vec<Timeline> {
    let partition = facet.partition(environment, value);
    let of = |index: &&'static str| Timeline { index: Some(index), partition: partition.clone(), prefix: "" };
    let entities = facet.entity_type().map(|entity_type| of_entity(environment, Some(entity_type), value));
    facet.indexes(value).iter().map(of).chain(entities.into_iter().flatten()).collect()
}

/// What was found, in the order of its keys.
fn in_order<T: DeserializeOwned>(
    mut found: HashMap<Key, Item>,
    page: Page<Key>,
) -> Result<Page<T>, StoreError> {
    let items = page.items.iter().filter_map(|key| found.remove(key));
    let items = items.map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
    Ok(Page { items, cursor: page.cursor })
}

/// The moment of a position.
pub(super) fn moment_of(position: &str) -> Option<Moment> {
    position.split('#').next()?.parse().ok()
}
