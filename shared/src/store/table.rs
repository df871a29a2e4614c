//! The table: one item at a time and many at once, and why it could not be read or written.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::backoff::Backoff;
use super::keys::{self, Key, List};
use super::packed::Damaged;
use crate::aws_error::AwsError;
use crate::clock::Moment;
use crate::environment::Environment;
use crate::model::ledger::BrokenChain;

/// An item as the SDK has it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Why the table could not be read or written. Nothing was lost: the delivery stays in its queue.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Others wrote the same items each time; the queue delivers again.
    #[error("the items were busy {0} times in a row")]
    Contended(u32),
    /// DynamoDB refused or did not answer.
    #[error("DynamoDB: {0}")]
    Aws(#[from] AwsError),
    /// An item is not what this program writes.
    #[error("an item cannot be read or written: {0}")]
    Item(#[from] serde_dynamo::Error),
    /// A notification or a body could not be rendered.
    #[error("rendering failed: {0}")]
    Render(#[from] serde_json::Error),
    /// What is packed in an item is not what this program writes.
    #[error(transparent)]
    Packed(#[from] Damaged),
    /// An event's body is not there or cannot be read any more, so that its entity cannot be folded anew.
    #[error("the body of event {0} is missing")]
    BodyMissing(String),
    /// A ledger is not what its lines say.
    #[error(transparent)]
    Ledger(#[from] BrokenChain),
    /// The table was made by a version that had other indexes.
    #[error("an earlier version with other indexes created it: start with a new one")]
    Outdated,
    /// What is asked for takes more events than can be added up at once.
    #[error("more than 50,000 events: export them instead")]
    TooMany,
    /// The cursor is none that this table gave.
    #[error("the cursor cannot be read")]
    Cursor,
}

impl StoreError {
    /// What DynamoDB answered, or what kept it from answering: an SDK error alone says little.
    pub(super) fn aws<E, R>(error: SdkError<E, R>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug + 'static,
    {
        Self::Aws(error.into())
    }
}

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) client: aws_sdk_dynamodb::Client,
    pub(super) name: Arc<str>,
    /// The days this process has marked already, so that a marker costs one write a day and process.
    marked: Arc<Mutex<HashSet<Key>>>,
}

impl Table {
    /// The table of this name.
    pub fn new(client: aws_sdk_dynamodb::Client, name: &str) -> Self {
        Self { client, name: name.into(), marked: Arc::default() }
    }

    /// Opens a connection, so that the first event does not wait for TLS. Whether it can be opened shows then.
    pub async fn warm(&self, environment: Environment) {
        let _ = self.batch_get(&[keys::warm(environment)]).await;
    }

    /// Marks that a list has entries on this day, before the first of them is written.
    pub(super) async fn mark_day(
        &self,
        environment: Environment,
        list: List,
        now: Moment,
    ) -> Result<(), StoreError> {
        let key = keys::day(environment, list, &now.day());
        let is_marked = |key: &Key| self.marked.lock().is_ok_and(|marked| marked.contains(key));
        if is_marked(&key) {
            return Ok(());
        }
        self.client
            .put_item()
            .table_name(&*self.name)
            .set_item(Some(key.to_item()))
            .send()
            .await
            .map_err(StoreError::aws)?;
        if let Ok(mut marked) = self.marked.lock() {
            marked.insert(key);
        }
        Ok(())
    }

    /// Reads several items at once, consistently. What does not exist is absent from the answer.
    pub(super) async fn batch_get(&self, keys: &[Key]) -> Result<HashMap<Key, Item>, StoreError> {
        self.batch_get_of(keys, None).await
    }

    /// The same, of each item only some attributes.
    pub(super) async fn batch_get_of(
        &self,
        keys: &[Key],
        attributes: Option<&[&str]>,
    ) -> Result<HashMap<Key, Item>, StoreError> {
        /// How many items one call may ask for (Amazon DynamoDB, API reference, BatchGetItem).
        const AT_ONCE: usize = 100;
        let (expression, names) = attributes.map(projection).unzip();
        let mut found = HashMap::new();
        for keys in keys.chunks(AT_ONCE) {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys.iter().map(Key::to_item).collect()))
                .set_projection_expression(expression.clone())
                .set_expression_attribute_names(names.clone())
                .consistent_read(true)
                .build()
                .map_err(|error| StoreError::Aws(error.into()))?;
            let mut request = HashMap::from([(self.name.to_string(), wanted)]);
            let mut pause = Backoff::default();
            while !request.is_empty() {
                let answer = self
                    .client
                    .batch_get_item()
                    .set_request_items(Some(request))
                    .send()
                    .await
                    .map_err(StoreError::aws)?;
                for item in answer.responses.into_iter().flat_map(HashMap::into_values).flatten() {
                    if let Some(key) = Key::of(&item) {
                        found.insert(key, item);
                    }
                }
                request = answer.unprocessed_keys.unwrap_or_default();
                if !request.is_empty() {
                    pause.wait().await?;
                }
            }
        }
        Ok(found)
    }

    /// Reads one item, consistently.
    pub(super) async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        Ok(self.get_item(key).await?.map(serde_dynamo::from_item).transpose()?)
    }

    /// The same, with all its attributes.
    pub(super) async fn get_item(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&*self.name)
            .set_key(Some(key.to_item()))
            .consistent_read(true)
            .send()
            .await
            .map_err(StoreError::aws)?;
        Ok(answer.item)
    }
}

/// What reads only these attributes, and the keys: many of their names are reserved words.
fn projection(attributes: &[&str]) -> (String, HashMap<String, String>) {
    let names = ["pk", "sk"].iter().chain(attributes).enumerate();
    let names: Vec<_> = names.map(|(number, name)| (format!("#p{number}"), (*name).to_owned())).collect();
    let expression = names.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>().join(", ");
    (expression, names.into_iter().collect())
}

/// An item with its key.
pub(super) fn to_item<T: Serialize>(key: &Key, contents: &T) -> Result<Item, StoreError> {
    let mut item: Item = serde_dynamo::to_item(contents)?;
    item.extend(key.to_item());
    Ok(item)
}
