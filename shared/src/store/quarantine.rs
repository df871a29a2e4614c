//! The quarantine: bodies that could not be read, and why.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, Update};
use serde::{Deserialize, Serialize};

use super::actions::{Action, ActionItem, Mandate, Target, TargetType};
use super::backoff::Backoff;
use super::bodies::{BodyItem, Content};
use super::commit::Writes;
use super::deliveries::{DELIVERIES, deliveries, delivery_ids};
use super::keys::{self, Key, List};
use super::lists::list;
use super::log::{Bounds, QUERIES};
use super::query::{Cursor, Page};
use super::table::{StoreError, Table, to_item};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::model::identity::Identity;
use crate::model::{DeliveryId, Reason};
use crate::verify::Envelope;

/// The most bytes of bodies in one page: written as JSON they fit the 6 MB that a Lambda function may answer.
const PAGE_BYTES: usize = 1024 * 1024;

/// A body that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineItem {
    /// Its public id.
    pub id: String,
    /// Whose world it is.
    pub environment: Environment,
    /// Why it cannot be read.
    pub reason: Reason,
    /// The same in words.
    pub detail: String,
    /// How many HTTP requests brought it.
    pub deliveries: u64,
    /// When the first of them came.
    pub received_at: Moment,
    /// When it was recorded.
    pub recorded_at: Moment,
    /// When it was handed over once more, so that it is no longer listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_at: Option<Moment>,
}

/// A body that was put into quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// Whether this delivery brought it first.
    pub new: bool,
}

/// A body in quarantine, and all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineRecord {
    /// Why it is there.
    pub item: QuarantineItem,
    /// The body, byte for byte.
    pub raw: Vec<u8>,
    /// The HTTP requests that brought it.
    pub delivery_ids: BTreeSet<DeliveryId>,
}

impl Table {
    /// Keeps a delivery that cannot be applied, and why; the same bytes once, with their deliveries counted.
    ///
    /// # Errors
    /// [`StoreError`]; the delivery stays where it is.
    pub async fn quarantine(
        &self,
        envelope: &Envelope,
        (reason, detail): (Reason, &str),
        now: Moment,
    ) -> Result<Kept, StoreError> {
        let (environment, raw, delivery_id) = (envelope.environment, &envelope.body, &envelope.delivery_id);
        let item = QuarantineItem {
            // Of a body that is too large only the head is here; the detail has the hash of all of it.
            id: Identity::of_unreadable(environment, reason.as_str(), detail, raw).id(1).to_string(),
            environment,
            reason,
            detail: detail.to_owned(),
            deliveries: 1,
            received_at: envelope.received_at,
            recorded_at: now,
            retried_at: None,
        };
        let key = keys::quarantine(item.environment, &item.id);
        let kept = |new| Kept { id: item.id.clone(), new };
        let mut backoff = Backoff::default();
        loop {
            if let Some(found) = self.get::<QuarantineItem>(&key).await? {
                self.count(&key, delivery_id).await?;
                if found.retried_at.is_some() {
                    self.relist(&key, &found).await?;
                }
                return Ok(kept(false));
            }
            self.mark_day(item.environment, List::Quarantine, item.recorded_at).await?;
            let mut contents = to_item(&key, &item)?;
            list(&mut contents, item.environment, List::Quarantine, &item.id, item.recorded_at);
            contents.insert(DELIVERIES.to_owned(), deliveries(delivery_id));
            let mut writes = Writes::new(self);
            writes.create(contents)?;
            let content = Content { raw: raw.to_vec(), notification: None };
            let body = BodyItem::new(&content, None)?;
            writes.restate(to_item(&keys::raw(item.environment, &item.id), &body)?)?;
            if writes.commit().await? {
                return Ok(kept(true));
            }
            backoff.wait().await?;
        }
    }

    /// Puts a body back into the list of the quarantine: it was retried, and it is back.
    async fn relist(&self, key: &Key, item: &QuarantineItem) -> Result<(), StoreError> {
        let (place, position) =
            keys::log_place(item.environment, List::Quarantine, item.recorded_at, &item.id);
        self.client
            .update_item()
            .table_name(&*self.name)
            .set_key(Some(key.to_item()))
            .update_expression("SET #log = :place, log_sk = :position REMOVE retried_at")
            .expression_attribute_names("#log", keys::LOG_INDEX)
            .expression_attribute_values(":place", place.to_attribute())
            .expression_attribute_values(":position", AttributeValue::S(position))
            .send()
            .await
            .map_err(StoreError::aws)?;
        Ok(())
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
        let (item, raw) = futures::try_join!(self.get_item(&key), self.get::<BodyItem>(&body))?;
        let Some((item, raw)) = item.zip(raw) else { return Ok(None) };
        let delivery_ids = delivery_ids(&item);
        let item = serde_dynamo::from_item(item)?;
        Ok(Some(QuarantineRecord { item, raw: raw.content()?.raw, delivery_ids }))
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
        let found: Page<QuarantineItem> = self.list(environment, List::Quarantine, limit, cursor).await?;
        let keys: Vec<_> = found.items.iter().map(|item| keys::raw(environment, &item.id)).collect();
        let mut bodies = self.batch_get(&keys).await?;
        let mut items: Vec<(QuarantineItem, Vec<u8>)> = Vec::new();
        let mut bytes = 0;
        for (item, key) in found.items.into_iter().zip(keys) {
            let body: Option<BodyItem> = bodies.remove(&key).map(serde_dynamo::from_item).transpose()?;
            let raw = body.map(BodyItem::content).transpose()?.unwrap_or_default().raw;
            bytes += raw.len();
            if let Some((last, _)) = items.last().filter(|_| bytes > PAGE_BYTES) {
                let cursor = Cursor::at(&keys::log_position(last.recorded_at, &last.id));
                return Ok(Page { items, cursor: Some(cursor) });
            }
            items.push((item, raw));
        }
        Ok(Page { items, cursor: found.cursor })
    }

    /// How many bodies are in quarantine; at most `most`, and whether there are more.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn quarantine_size(
        &self,
        environment: Environment,
        most: usize,
    ) -> Result<(usize, bool), StoreError> {
        let bounds = Bounds::new((None, None), None)?;
        let found =
            self.by_day(environment, List::Quarantine, (&bounds, &[]), most, &mut { QUERIES }).await?;
        Ok((found.entries.len().min(most), found.entries.len() > most || found.floor.is_some()))
    }

    /// Notes that a body of the quarantine was handed over once more, and lists it no longer.
    ///
    /// # Errors
    /// [`StoreError`]; it stays listed.
    pub async fn retried(
        &self,
        environment: Environment,
        id: &str,
        mandate: &Mandate,
    ) -> Result<ActionItem, StoreError> {
        let key = keys::quarantine(environment, id);
        let target = Target { target_type: TargetType::Quarantine, id: id.to_owned() };
        let action = ActionItem::new(environment, Action::Retry, target, mandate);
        let unlist = Update::builder()
            .set_key(Some(key.to_item()))
            .update_expression("SET retried_at = :at REMOVE #log, #position")
            .expression_attribute_names("#log", keys::LOG_INDEX)
            .expression_attribute_names("#position", keys::POSITION)
            .expression_attribute_values(":at", AttributeValue::S(mandate.at.to_string()));
        Ok(self.record(&key.pk, action, |writes| writes.update(unlist.clone())).await?.into_action())
    }
}
