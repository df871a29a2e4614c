//! Writing: one transaction, all of it or nothing, and only if what was read still stands.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use serde::de::DeserializeOwned;

use super::{Item, Key, StoreError, Table};

/// How often a write is tried before the delivery goes back to its queue.
const ATTEMPTS: u32 = 10;

/// Waits longer each time, by chance: those who got into each other's way do not meet again.
#[derive(Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    pub(super) async fn wait(&mut self) -> Result<(), StoreError> {
        self.attempts += 1;
        if self.attempts >= ATTEMPTS {
            return Err(StoreError::Contended(self.attempts));
        }
        let longest = 10_u64 << self.attempts.min(6);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=longest))).await;
        Ok(())
    }
}

/// What batch reads found, and that there was nothing where they found nothing.
#[derive(Default)]
pub(super) struct Found(HashMap<Key, Option<Item>>);

impl Found {
    /// Reads what was not read yet.
    pub(super) async fn read(
        &mut self,
        table: &Table,
        keys: impl IntoIterator<Item = Key>,
    ) -> Result<(), StoreError> {
        let new: HashSet<Key> = keys.into_iter().filter(|key| !self.0.contains_key(key)).collect();
        let new = Vec::from_iter(new);
        let mut items = table.batch_get(&new).await?;
        self.0.extend(new.into_iter().map(|key| {
            let item = items.remove(&key);
            (key, item)
        }));
        Ok(())
    }

    /// An item that was read; none where there is none.
    pub(super) fn item<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        Ok(self.0.get(key).cloned().flatten().map(serde_dynamo::from_item).transpose()?)
    }
}

/// A transaction being put together.
pub(super) struct Writes<'a> {
    table: &'a Table,
    items: Vec<TransactWriteItem>,
}

impl<'a> Writes<'a> {
    pub(super) fn new(table: &'a Table) -> Self {
        Self { table, items: Vec::new() }
    }

    /// Writes an item that must not exist yet.
    pub(super) fn create(&mut self, item: Item) -> Result<(), StoreError> {
        self.put(item, Some("attribute_not_exists(pk)".to_owned()), None)
    }

    /// Writes an item whose attribute `guard` must still have the value that was read; none: the item must
    /// not exist yet.
    pub(super) fn replace(
        &mut self,
        item: Item,
        guard: &str,
        read: Option<AttributeValue>,
    ) -> Result<(), StoreError> {
        let Some(read) = read else { return self.create(item) };
        let values = HashMap::from([(":read".to_owned(), read)]);
        self.put(item, Some(format!("{guard} = :read")), Some(values))
    }

    /// Writes an item that says the same whoever writes it.
    pub(super) fn restate(&mut self, item: Item) -> Result<(), StoreError> {
        self.put(item, None, None)
    }

    fn put(&mut self, item: Item, condition: Option<String>, values: Option<Item>) -> Result<(), StoreError> {
        let put = Put::builder()
            .table_name(&*self.table.name)
            .set_item(Some(item))
            .set_condition_expression(condition)
            .set_expression_attribute_values(values)
            .build()
            .map_err(|error| StoreError::Aws(error.to_string()))?;
        self.items.push(TransactWriteItem::builder().put(put).build());
        Ok(())
    }

    /// Changes an item as the update says.
    pub(super) fn update(&mut self, update: UpdateBuilder) -> Result<(), StoreError> {
        let update = update.table_name(&*self.table.name).build();
        let update = update.map_err(|error| StoreError::Aws(error.to_string()))?;
        self.items.push(TransactWriteItem::builder().update(update).build());
        Ok(())
    }

    /// Writes all or nothing. False: somebody else wrote in between, or is writing.
    pub(super) async fn commit(self) -> Result<bool, StoreError> {
        let written =
            self.table.client.transact_write_items().set_transact_items(Some(self.items)).send().await;
        match written {
            Ok(_) => Ok(true),
            Err(error) if is_contention(&error) => Ok(false),
            Err(error) => Err(StoreError::aws(error)),
        }
    }
}

/// Whether a transaction was refused only because others wrote, write, or write too much at the same time.
fn is_contention<R>(error: &SdkError<TransactWriteItemsError, R>) -> bool {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            let mut codes = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
            codes.all(|code| {
                matches!(
                    code,
                    "None"
                        | "ConditionalCheckFailed"
                        | "TransactionConflict"
                        | "ThrottlingError"
                        | "ProvisionedThroughputExceeded"
                )
            })
        }
        Some(error) => error.is_transaction_in_progress_exception(),
        None => false,
    }
}

/// A version, to compare with.
pub(super) fn version(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
