//! An event with all that belongs to it: its body, the deliveries that brought it, what was done to it.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, Update};

use super::actions::{Action, ActionItem, Mandate, Target, TargetType};
use super::bodies::{BodyItem, Content};
use super::deliveries::delivery_ids;
use super::events::EventItem;
use super::keys::{self, EVENT_PREFIX, Key, Partition};
use super::query::{RangeQuery, Start};
use super::table::{StoreError, Table};
use crate::environment::Environment;
use crate::model::identity::Identity;
use crate::model::{DeliveryId, Notification};

/// An event, and all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The event.
    pub event: EventItem,
    /// Where it is.
    pub(super) key: Key,
    /// Its body, byte for byte.
    pub raw: Vec<u8>,
    /// Its notification; none where nobody is notified.
    pub notification: Option<Notification>,
    /// The HTTP requests that brought it.
    pub delivery_ids: BTreeSet<DeliveryId>,
    /// What was done to it, oldest first.
    pub actions: Vec<ActionItem>,
}

impl EventRecord {
    /// The content as which an event was kept that is about nothing.
    pub(crate) fn content_of_nothing(&self) -> Option<Identity> {
        keys::content_of_nothing(&self.key.pk)
    }
}

impl Table {
    /// One event, with its body and what was done to it.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn event(&self, environment: Environment, id: &str) -> Result<Option<EventRecord>, StoreError> {
        let Some(body) = self.get::<BodyItem>(&keys::raw(environment, id)).await? else {
            return Ok(None);
        };
        // Only an event's own body: another may say where the latest of a content is.
        let Some(key) = body.event_key.clone().filter(|key| keys::event_id(key).as_deref() == Some(id))
        else {
            return Ok(None);
        };
        let Content { raw, notification } = body.content()?;
        let (item, actions) = futures::try_join!(self.get_item(&key), self.actions_on(&key.pk, id))?;
        let Some(item) = item else { return Ok(None) };
        let delivery_ids = delivery_ids(&item);
        let event = serde_dynamo::from_item(item)?;
        Ok(Some(EventRecord { event, key, raw, notification, delivery_ids, actions }))
    }

    /// Notifies of an event again: everybody, or one endpoint only. None where nobody ever was: of what was overtaken or
    /// repeated.
    ///
    /// # Errors
    /// [`StoreError`]; trying again with the same mandate does it once.
    pub async fn resend(
        &self,
        record: &EventRecord,
        endpoint: Option<String>,
        mandate: &Mandate,
    ) -> Result<Option<ActionItem>, StoreError> {
        let event = &record.event;
        let Some(notification) = &record.notification else { return Ok(None) };
        let target = Target { target_type: TargetType::Event, id: event.id.to_string() };
        let action = ActionItem {
            notification: Some(notification.again(&mandate.id, mandate.at, endpoint)?),
            ..ActionItem::new(event.environment, Action::Resend, target, mandate)
        };
        Ok(Some(self.record(&record.key.pk, action, |_| Ok(())).await?.into_action()))
    }

    /// Records that somebody has looked at an event, as it stands: its marks stay.
    ///
    /// # Errors
    /// [`StoreError`]; trying again with the same mandate does it once.
    pub async fn acknowledge(
        &self,
        record: &EventRecord,
        mandate: &Mandate,
    ) -> Result<ActionItem, StoreError> {
        let event = &record.event;
        let target = Target { target_type: TargetType::Event, id: event.id.to_string() };
        let action = ActionItem::new(event.environment, Action::Acknowledge, target, mandate);
        let mark = Update::builder()
            .set_key(Some(record.key.to_item()))
            .update_expression("SET acknowledged = :true")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":true", AttributeValue::Bool(true));
        Ok(self.record(&record.key.pk, action, |writes| writes.update(mark.clone())).await?.into_action())
    }

    /// Some events of a partition, oldest first, each with its body, if it is there; and where the next ones start.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn bodies(
        &self,
        environment: Environment,
        pk: &Partition,
        start: Option<Start>,
    ) -> Result<(Vec<(EventItem, Option<Vec<u8>>)>, Option<Start>), StoreError> {
        let query = RangeQuery {
            index: None,
            partition: pk.clone(),
            low: EVENT_PREFIX.to_owned(),
            high: format!("{EVENT_PREFIX}~"),
            newest_first: false,
        };
        let (items, reached) = self.query_once(&query, &[], 100, start.map(Start::into_key)).await?;
        let events: Vec<EventItem> =
            items.into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
        let body = |event: &EventItem| keys::raw(environment, &event.id);
        let keys: Vec<_> = events.iter().map(body).collect();
        let mut bodies = self.batch_get(&keys).await?;
        let mut found = Vec::new();
        for event in events {
            let body: Option<BodyItem> =
                bodies.remove(&body(&event)).map(serde_dynamo::from_item).transpose()?;
            found.push((event, body.map(BodyItem::content).transpose()?.map(|content| content.raw)));
        }
        Ok((found, reached.map(Start::at)))
    }
}
