//! Events, and when their contents were seen.

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::keys::{self, EVENT_PREFIX};
use super::query::{Cursor, Page, RangeQuery};
use super::table::{StoreError, Table};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::fold::Effect;
use crate::model::{Entity, EntityRef, EventId, Family, Kind, Oddity};

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventItem {
    /// Its public id.
    pub id: EventId,
    /// Whose world it is.
    pub environment: Environment,
    /// Its type.
    pub event: String,
    /// Its family.
    pub family: Family,
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
    /// Why the money that it speaks of counts for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oddity: Option<Oddity>,
    /// Whether its entity's events contradicted each other once it was applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conflict: bool,
    /// Whether somebody has looked at what is wrong with it, as it stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acknowledged: bool,
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
    /// Of which version of its entity's counts it notifies; none where nobody is notified. The notification is with the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notified: Option<u64>,
}

/// The latest occurrence of a content: kept with the body of the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenItem {
    /// 1 for the first.
    pub occurrence: u64,
    /// When the first delivery of this occurrence was received: the horizon counts from here.
    pub received_at: Moment,
    /// The sort key of its event.
    pub event_sk: String,
    /// Whether personal data was erased from it: then it is erased from what comes with this content, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

impl SeenItem {
    /// The id of its event. What was kept about nothing, and is understood now, has the one that it had.
    pub fn event_id(&self) -> &str {
        keys::id_of(&self.event_sk)
    }
}

impl Table {
    /// The events of some entities together, oldest first: of a transaction, what was said of its kind and of no kind.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] for a cursor that is none.
    pub async fn history(
        &self,
        environment: Environment,
        entities: &[Entity],
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<EventItem>, StoreError> {
        let after = cursor.map_or(Ok(String::new()), Cursor::in_time)?;
        let queries = entities.iter().map(|entity| RangeQuery {
            index: None,
            partition: keys::entity(environment, entity),
            // The position itself was in the page before.
            low: if after.is_empty() { EVENT_PREFIX.to_owned() } else { format!("{EVENT_PREFIX}{after}!") },
            high: format!("{EVENT_PREFIX}~"),
            newest_first: false,
        });
        let read = async |query| self.query(&query, limit + 1).await;
        let found = try_join_all(queries.map(read)).await?;
        let events = found.into_iter().flatten().map(serde_dynamo::from_item);
        let mut events: Vec<EventItem> = events.collect::<Result<_, _>>()?;
        events.sort_by_cached_key(|event| keys::log_position(event.recorded_at, &event.id));
        let more = events.len() > limit;
        events.truncate(limit);
        let last = events.last().filter(|_| more);
        let cursor = last.map(|event| Cursor::at(&keys::log_position(event.recorded_at, &event.id)));
        Ok(Page { items: events, cursor })
    }
}
