//! Recalling what is known, and committing what follows from it: one batch read, one transaction.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::actions::ActionItem;
use super::bodies::BodyItem;
use super::deliveries::{COUNT, DELIVERIES, MAX_DELIVERIES, deliveries};
use super::events::{EventItem, SeenItem};
use super::facets;
use super::keys::{self, Key, List, Partition};
use super::ledger::BalanceEntry;
use super::lists::list;
use super::states::StateItem;
use super::table::{Item, StoreError, Table, to_item};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::fold::Effect;
use crate::model::ledger::{BalanceItem, LedgerLine};
use crate::model::{DeliveryId, Facts};

/// What was recalled: items, and that there was nothing where there was nothing.
#[derive(Clone, Debug, Default)]
pub struct Recalled(HashMap<Key, Option<Item>>);

impl Recalled {
    /// An item that was recalled; none where there is none.
    ///
    /// # Errors
    /// [`StoreError::Item`] where it is not what this program writes.
    pub fn item<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        Ok(self.0.get(key).cloned().flatten().map(serde_dynamo::from_item).transpose()?)
    }

    /// Whether there was nothing at a key that was recalled.
    pub fn is_absent(&self, key: &Key) -> bool {
        matches!(self.0.get(key), Some(None))
    }

    /// The same, with an item at a key: as if it had been recalled.
    ///
    /// # Errors
    /// [`StoreError::Item`] where it cannot be written.
    pub fn with<T: Serialize>(mut self, key: &Key, item: &T) -> Result<Self, StoreError> {
        self.0.insert(key.clone(), Some(to_item(key, item)?));
        Ok(self)
    }
}

/// What is to be written, all of it or nothing, and only if what was recalled still stands.
#[derive(Clone, Debug, Default)]
pub struct Plan(Vec<Write>);

/// A part of a plan.
#[derive(Clone, Debug)]
enum Write {
    Seen { key: Key, item: SeenItem, recalled: SeenItem },
    Event { key: Key, item: EventItem, found_by: Facts, delivery_id: DeliveryId },
    Body { key: Key, item: BodyItem, first: Option<SeenItem> },
    State { key: Key, item: StateItem, recalled: Option<u64> },
    Line { partition: Partition, line: LedgerLine },
    MendedLine { partition: Partition, line: LedgerLine },
    Balance { partition: Partition, item: BalanceItem, recalled: Option<u64> },
    BalanceEntry { key: Key, item: BalanceEntry },
    Asked { key: Key },
    Earlier { key: Key, change: Earlier },
    Action { key: Key, item: ActionItem },
}

/// A delivery of an event that was received before those that are known.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// Whose world it is.
    pub environment: Environment,
    /// When the delivery was received.
    pub received_at: Moment,
    /// When the event happened, as is known now.
    pub occurred_at: Moment,
    /// What the event did, as is known now.
    pub effect: Effect,
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// How many deliveries were counted before it.
    pub deliveries: u64,
}

impl Plan {
    /// The latest occurrence of a content, in the place of the one that was recalled.
    pub fn seen(&mut self, key: Key, item: SeenItem, recalled: SeenItem) {
        self.0.push(Write::Seen { key, item, recalled });
    }

    /// A new event and the delivery that brought it; `found_by` is what it can be found by.
    pub fn event(&mut self, key: Key, item: EventItem, found_by: Facts, delivery_id: DeliveryId) {
        self.0.push(Write::Event { key, item, found_by, delivery_id });
    }

    /// The body of a new event; `first`: it is the first of its content.
    pub fn body(&mut self, key: Key, item: BodyItem, first: Option<SeenItem>) {
        self.0.push(Write::Body { key, item, first });
    }

    /// An entity's state, in the place of the version that was recalled.
    pub fn state(&mut self, key: Key, item: StateItem, recalled: Option<u64>) {
        self.0.push(Write::State { key, item, recalled });
    }

    /// Ledger lines, each following the one before it, and the balance that they make of the one that was recalled.
    pub fn lines(
        &mut self,
        environment: Environment,
        lines: Vec<LedgerLine>,
        recalled: Option<&BalanceItem>,
    ) {
        let Some(last) = lines.last() else { return };
        let partition = partition(environment, last);
        let recalled_version = recalled.map(|balance| balance.version);
        self.0.push(Write::Balance {
            partition: partition.clone(),
            item: last.balance(),
            recalled: recalled_version,
        });
        for line in lines {
            if line.number == 1 {
                self.balance_entry(environment, &line);
            }
            self.0.push(Write::Line { partition: partition.clone(), line });
        }
    }

    /// The entry of a balance in the list; once, where two of its shards begin together.
    fn balance_entry(&mut self, environment: Environment, line: &LedgerLine) {
        let key = keys::balance_entry(environment, &line.account, &line.asset);
        if !self
            .0
            .iter()
            .any(|write| matches!(write, Write::BalanceEntry { key: known, .. } if *known == key))
        {
            let item = BalanceEntry { account: line.account.clone(), asset: line.asset.clone() };
            self.0.push(Write::BalanceEntry { key, item });
        }
    }

    /// That people were asked today to look at events of a type.
    pub fn asked(&mut self, key: Key) {
        self.0.push(Write::Asked { key });
    }

    /// A ledger line in the place of one that is missing or does not fit; the balance stays.
    pub fn mended_line(&mut self, environment: Environment, line: LedgerLine) {
        self.0.push(Write::MendedLine { partition: partition(environment, &line), line });
    }

    /// What somebody does, beside what changes by it.
    pub fn action(&mut self, key: Key, item: ActionItem) {
        self.0.push(Write::Action { key, item });
    }

    /// An earlier delivery of an event.
    pub fn earlier(&mut self, key: Key, change: Earlier) {
        self.0.push(Write::Earlier { key, change });
    }
}

impl Table {
    /// Reads several items at once, consistently.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn recall(&self, keys: impl IntoIterator<Item = Key>) -> Result<Recalled, StoreError> {
        let mut recalled = Recalled::default();
        self.recall_also(&mut recalled, keys).await?;
        Ok(recalled)
    }

    /// Reads what was not recalled yet.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn recall_also(
        &self,
        recalled: &mut Recalled,
        keys: impl IntoIterator<Item = Key>,
    ) -> Result<(), StoreError> {
        let new: HashSet<Key> = keys.into_iter().filter(|key| !recalled.0.contains_key(key)).collect();
        let new = Vec::from_iter(new);
        let mut items = self.batch_get(&new).await?;
        recalled.0.extend(new.into_iter().map(|key| {
            let item = items.remove(&key);
            (key, item)
        }));
        Ok(())
    }

    /// Writes all of a plan or nothing. False: somebody else wrote in between, or is writing.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was written then, or everything was, and recalling shows which.
    pub async fn commit(&self, plan: Plan) -> Result<bool, StoreError> {
        let mut writes = Writes::new(self);
        for write in plan.0 {
            match write {
                Write::Seen { key, item, recalled } => writes.update(seen(&key, item, &recalled))?,
                Write::Event { key, item, found_by, delivery_id } => {
                    self.mark_day(item.environment, List::Log, item.recorded_at).await?;
                    let mut contents = to_item(&key, &item)?;
                    list(&mut contents, item.environment, List::Log, &item.id, item.recorded_at);
                    let pointers = facets::enter(&mut contents, &item, &found_by);
                    contents.insert(DELIVERIES.to_owned(), deliveries(&delivery_id));
                    writes.create(contents)?;
                    for pointer in pointers {
                        writes.create(pointer)?;
                    }
                }
                Write::Body { key, item, first } => {
                    let mut contents = to_item(&key, &item)?;
                    if let Some(first) = first {
                        contents.extend(serde_dynamo::to_item::<_, Item>(first)?);
                    }
                    writes.create(contents)?;
                }
                Write::State { key, item, recalled } => {
                    writes.replace(to_item(&key, &item)?, "version", recalled.map(version))?;
                }
                Write::Line { partition, line } => {
                    let item = to_item(&keys::line(&partition, line.number), &line)?;
                    writes.create(item)?;
                }
                Write::MendedLine { partition, line } => {
                    writes.restate(to_item(&keys::line(&partition, line.number), &line)?)?;
                }
                Write::Balance { partition, item, recalled } => {
                    let key = keys::balance(&partition);
                    writes.replace(to_item(&key, &item)?, "version", recalled.map(version))?;
                }
                Write::BalanceEntry { key, item } => writes.restate(to_item(&key, &item)?)?,
                Write::Asked { key } => writes.create(key.to_item())?,
                Write::Earlier { key, change } => writes.update(earlier(&key, &change))?,
                Write::Action { key, item } => writes.create(self.action_item(&key, &item).await?)?,
            }
        }
        writes.commit().await
    }
}

fn partition(environment: Environment, line: &LedgerLine) -> Partition {
    keys::balance_partition(environment, &line.account, &line.asset, line.shard)
}

fn seen(key: &Key, item: SeenItem, recalled: &SeenItem) -> UpdateBuilder {
    // Whether something was erased stays as it is: somebody may have erased it since it was recalled.
    let SeenItem { occurrence, received_at, event_sk, erased: _ } = item;
    Update::builder()
        .set_key(Some(key.to_item()))
        .update_expression("SET occurrence = :occurrence, received_at = :received, event_sk = :event")
        .condition_expression("received_at = :recalled")
        .expression_attribute_values(":occurrence", AttributeValue::N(occurrence.to_string()))
        .expression_attribute_values(":received", AttributeValue::S(received_at.to_string()))
        .expression_attribute_values(":event", AttributeValue::S(event_sk))
        .expression_attribute_values(":recalled", AttributeValue::S(recalled.received_at.to_string()))
}

/// What somebody has looked at is not this any more.
fn earlier(key: &Key, change: &Earlier) -> UpdateBuilder {
    let text = |moment: Moment| AttributeValue::S(moment.to_string());
    let Earlier { environment, received_at, occurred_at, effect, delivery_id, deliveries: counted } = change;
    let place = facets::effect_place(*environment, *effect);
    let (set, remove) = if place.is_some() { (", by_effect = :place", "") } else { ("", ", by_effect") };
    let set = format!(
        "SET received_at = :received, occurred_at = :occurred, effect = :effect{set} REMOVE acknowledged{remove}"
    );
    let mut update = Update::builder()
        .set_key(Some(key.to_item()))
        .condition_expression("deliveries = :counted")
        .expression_attribute_values(":counted", AttributeValue::N(counted.to_string()))
        .expression_attribute_values(":received", text(*received_at))
        .expression_attribute_values(":occurred", text(*occurred_at))
        .expression_attribute_values(":effect", AttributeValue::S(effect.to_string()));
    if let Some(place) = place {
        update = update.expression_attribute_values(":place", place.to_attribute());
    }
    if *counted >= MAX_DELIVERIES {
        return update.update_expression(set);
    }
    update
        .update_expression(format!("{set} {COUNT}"))
        .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
        .expression_attribute_values(":ids", deliveries(delivery_id))
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
            .map_err(|error| StoreError::Aws(error.into()))?;
        self.items.push(TransactWriteItem::builder().put(put).build());
        Ok(())
    }

    /// Deletes an item that must be there, and whose attribute must have a value, where that is given.
    pub(super) fn delete(
        &mut self,
        key: &Key,
        guard: Option<(&str, AttributeValue)>,
    ) -> Result<(), StoreError> {
        let (condition, values) = match guard {
            Some((name, value)) => {
                (format!("{name} = :read"), Some(HashMap::from([(":read".to_owned(), value)])))
            }
            None => ("attribute_exists(pk)".to_owned(), None),
        };
        let delete = Delete::builder()
            .table_name(&*self.table.name)
            .set_key(Some(key.to_item()))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .build()
            .map_err(|error| StoreError::Aws(error.into()))?;
        self.items.push(TransactWriteItem::builder().delete(delete).build());
        Ok(())
    }

    /// Changes an item as the update says.
    pub(super) fn update(&mut self, update: UpdateBuilder) -> Result<(), StoreError> {
        let update = update.table_name(&*self.table.name).build();
        let update = update.map_err(|error| StoreError::Aws(error.into()))?;
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
fn version(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
