//! What came of POSTing events to endpoints; and what still waits for that.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::bodies::{BodyItem, Carrier};
use super::keys::{self, Key};
use super::query::{RangeQuery, Start};
use super::table::{StoreError, Table, to_item};
use crate::clock::Moment;
use crate::endpoints::{Attempt, Outgoing};
use crate::environment::Environment;

/// How many attempts of one event are kept at most: an item has at most 400 KB.
const MOST: u32 = 400;

/// The attempts of an event.
#[derive(Deserialize)]
struct AttemptsItem {
    attempts: Vec<Attempt>,
    /// When it may be deleted, in seconds since 1970.
    expires_at: i64,
}

/// What an endpoint has not got yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What it is to get.
    pub outgoing: Outgoing,
    /// Its place in the order of the log.
    pub position: String,
    /// When it is tried again, unless the endpoint is failing: then all wait for that.
    pub due_at: Moment,
    /// When it may be deleted, in seconds since 1970.
    pub expires_at: i64,
}

impl Table {
    /// The attempts of some events, by their ids: oldest first, none that has expired.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn attempts(
        &self,
        environment: Environment,
        ids: impl IntoIterator<Item = &str>,
        now: Moment,
    ) -> Result<HashMap<String, Vec<Attempt>>, StoreError> {
        let mut ids: Vec<_> = ids.into_iter().collect();
        ids.sort();
        ids.dedup();
        let keys: Vec<_> = ids.iter().map(|id| keys::attempts(environment, id)).collect();
        let mut items = self.batch_get(&keys).await?;
        let mut found = HashMap::new();
        for (id, key) in ids.into_iter().zip(keys) {
            let item = items.remove(&key).map(serde_dynamo::from_item::<_, AttemptsItem>).transpose()?;
            if let Some(item) = item.filter(|item| item.expires_at * 1000 > now.as_millis()) {
                found.insert(id.to_owned(), item.attempts);
            }
        }
        Ok(found)
    }

    /// Adds an attempt to those of an event. Where there are too many already it is not kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_attempt(
        &self,
        environment: Environment,
        id: &str,
        attempt: &Attempt,
        expires_at: i64,
    ) -> Result<(), StoreError> {
        let one = AttributeValue::L(vec![serde_dynamo::to_attribute_value(attempt)?]);
        let noted = self
            .client
            .update_item()
            .table_name(&*self.name)
            .set_key(Some(keys::attempts(environment, id).to_item()))
            .update_expression(
                "SET attempts = list_append(if_not_exists(attempts, :none), :one), expires_at = :expires",
            )
            .condition_expression("attribute_not_exists(pk) OR size(attempts) < :most")
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":one", one)
            .expression_attribute_values(":expires", AttributeValue::N(expires_at.to_string()))
            .expression_attribute_values(":most", AttributeValue::N(MOST.to_string()))
            .send()
            .await;
        match noted {
            Err(error)
                if !error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Err(StoreError::aws(error))
            }
            _ => Ok(()),
        }
    }

    /// What carries some notifications, by where it is; what is gone, or carries none, is absent.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn carriers(&self, keys: &[Key]) -> Result<HashMap<Key, Carrier>, StoreError> {
        let mut keys = keys.to_vec();
        keys.sort();
        keys.dedup();
        let mut items = self.batch_get(&keys).await?;
        keys.retain(|key| !items.contains_key(key));
        if !keys.is_empty() {
            let moved = self.moved(keys).await?;
            let mut there = self.batch_get(&moved.values().cloned().collect::<Vec<_>>()).await?;
            items.extend(moved.into_iter().filter_map(|(from, to)| Some((from, there.remove(&to)?))));
        }
        let carriers =
            items.into_iter().map(|(key, item)| Ok(Carrier::of(&key, item)?.map(|carrier| (key, carrier))));
        carriers.filter_map(Result::transpose).collect()
    }

    /// Where actions on events are that were moved: into the partition of what an event turned out to be about.
    async fn moved(&self, keys: Vec<Key>) -> Result<HashMap<Key, Key>, StoreError> {
        let body = |key: &Key| Some(keys::raw(key.pk.environment()?, &keys::event_id(key)?));
        let bodies: Vec<_> = keys.into_iter().filter_map(|key| Some((body(&key)?, key))).collect();
        let wanted: Vec<_> = bodies.iter().map(|(body, _)| body.clone()).collect();
        let found = self.batch_get(&wanted).await?;
        let mut moved = HashMap::new();
        for (body, key) in bodies {
            let body = found.get(&body).cloned().map(serde_dynamo::from_item::<_, BodyItem>).transpose()?;
            if let Some(to) = body.and_then(|body| body.event_key).filter(|to| to.pk != key.pk) {
                moved.insert(key.clone(), Key { pk: to.pk, sk: key.sk });
            }
        }
        Ok(moved)
    }

    /// The body of an event.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn body(&self, environment: Environment, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let body: Option<BodyItem> = self.get(&keys::raw(environment, id)).await?;
        Ok(body.map(BodyItem::content).transpose()?.map(|content| content.raw))
    }

    /// Has something wait for its endpoint.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn wait(&self, environment: Environment, waiting: &Waiting) -> Result<(), StoreError> {
        let key = keys::waiting(environment, &waiting.outgoing.endpoint, &waiting.position);
        let put = self.client.put_item().table_name(&*self.name);
        put.set_item(Some(to_item(&key, waiting)?)).send().await.map_err(StoreError::aws)?;
        Ok(())
    }

    /// Something waits no longer: its endpoint has it, or will not get it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn waits_no_longer(
        &self,
        environment: Environment,
        endpoint: &str,
        position: &str,
    ) -> Result<(), StoreError> {
        let key = keys::waiting(environment, endpoint, position);
        let delete = self.client.delete_item().table_name(&*self.name);
        delete.set_key(Some(key.to_item())).send().await.map_err(StoreError::aws)?;
        Ok(())
    }

    /// Some of what waits for an endpoint, in the order of the log, and where the next ones start.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn waiting(
        &self,
        environment: Environment,
        endpoint: &str,
        limit: usize,
        start: Option<Start>,
    ) -> Result<(Vec<Waiting>, Option<Start>), StoreError> {
        let query = RangeQuery {
            index: None,
            partition: keys::waiting_partition(environment, endpoint),
            low: "0".to_owned(),
            high: "~".to_owned(),
            newest_first: false,
        };
        let (items, reached) = self.query_once(&query, &[], limit, start.map(Start::into_key)).await?;
        let items = items.into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
        Ok((items, reached.map(Start::at)))
    }
}
