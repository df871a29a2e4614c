//! Writing an event: one batch read, a pure function, one conditional transaction.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use jiff::SignedDuration;
use serde::de::DeserializeOwned;

use super::items::{
    BalanceEntry, BalanceItem, EntityRef, EventItem, LedgerLine, QuarantineItem, RawItem, SeenItem, StateItem,
};
use super::keys::{self, List};
use super::{Item, Key, StoreError, Table, to_item};
use crate::clock::{Clock, Moment};
use crate::environment::Environment;
use crate::fold::{self, Effect, Folded, Known};
use crate::model::facts::shorten;
use crate::model::identity::{HORIZON_HOURS, Identity};
use crate::model::transaction::{Amounts, Posting};
use crate::model::{Body, EventName, Meaning, Notification, Reason, transaction};
use crate::verify::Envelope;

/// How many distinct deliveries of one event are counted: three times what Bitpowr's 72 hours of retries
/// make. It bounds the item.
const MAX_DELIVERIES: usize = 256;

/// How often a write is tried before the delivery goes back to its queue.
const ATTEMPTS: u32 = 10;

/// An event that was read, on its way into the table.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Whose world it is.
    pub environment: Environment,
    /// The body, read …
    pub body: Body,
    /// … and byte for byte.
    pub raw: Vec<u8>,
    /// When it was received.
    pub received_at: Moment,
    /// Which HTTP request brought it.
    pub delivery_id: String,
}

impl Delivery {
    fn event(&self) -> &EventName {
        &self.body.event
    }
}

/// An event as it is about to be written, before its notification is rendered.
#[derive(Debug)]
pub struct Recorded<'a> {
    /// The event, without notification.
    pub event: &'a EventItem,
    /// What is known of its entity now; nothing where it has none.
    pub folded: Option<&'a Folded>,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The event's id.
    pub id: String,
    /// What the event did.
    pub effect: Effect,
    /// Whether this delivery made it; else it was counted as a further delivery of an event that was there.
    pub new: bool,
}

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

/// What the batch read found.
struct Found(HashMap<Key, Item>);

impl Found {
    fn item<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        Ok(self.0.get(key).cloned().map(serde_dynamo::from_item).transpose()?)
    }
}

/// A transaction being put together.
struct Writes<'a> {
    table: &'a Table,
    items: Vec<TransactWriteItem>,
}

impl Writes<'_> {
    /// Writes an item that must not exist yet.
    fn create(&mut self, item: Item) -> Result<(), StoreError> {
        self.put(item, Some("attribute_not_exists(pk)".to_owned()), None)
    }

    /// Writes an item whose attribute `guard` must still have the value that was read; none: the item must
    /// not exist yet.
    fn replace(&mut self, item: Item, guard: &str, read: Option<u64>) -> Result<(), StoreError> {
        let Some(read) = read else { return self.create(item) };
        let values = HashMap::from([(":read".to_owned(), AttributeValue::N(read.to_string()))]);
        self.put(item, Some(format!("{guard} = :read")), Some(values))
    }

    /// Writes an item that says the same whoever writes it.
    fn restate(&mut self, item: Item) -> Result<(), StoreError> {
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

    /// Writes all or nothing. False: somebody else wrote in between, or is writing.
    async fn commit(self) -> Result<bool, StoreError> {
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

impl Table {
    /// Applies a delivery: the first of its content makes an event, every further one is counted.
    ///
    /// `meaning` is what the event's family makes of it (none: about no entity), `render` what is told.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was written then, or everything was, and trying again finds it.
    pub async fn apply(
        &self,
        delivery: &Delivery,
        meaning: Option<&Meaning>,
        clock: &impl Clock,
        render: impl Fn(&Recorded<'_>) -> Result<Option<Notification>, StoreError>,
    ) -> Result<Applied, StoreError> {
        let mut backoff = Backoff::default();
        loop {
            match self.try_apply(delivery, meaning, clock.now(), &render).await? {
                Some(applied) => return Ok(applied),
                None => backoff.wait().await?,
            }
        }
    }

    /// One attempt: none where somebody else wrote in between.
    async fn try_apply(
        &self,
        delivery: &Delivery,
        meaning: Option<&Meaning>,
        now: Moment,
        render: &impl Fn(&Recorded<'_>) -> Result<Option<Notification>, StoreError>,
    ) -> Result<Option<Applied>, StoreError> {
        let environment = delivery.environment;
        let identity = Identity::of_event(environment, delivery.event(), &delivery.body.data);
        let pk = match meaning {
            Some(meaning) => keys::entity(environment, &meaning.entity),
            None => keys::nothing(environment, &identity),
        };
        // An event that nobody knew, and that is known after an upgrade, is an event of its entity then.
        let identity = identity.within(&pk);
        let seen_key = keys::seen(&pk, &identity);
        let state_key = keys::state(&pk);

        // Read: this content, the entity's state, and the balance that it will most likely change.
        let guess = meaning.and_then(|meaning| {
            let posting = transaction::contribution(meaning.entity.kind?, &meaning.facts)?;
            Some(balance_key(environment, &posting, &pk))
        });
        let wanted: Vec<Key> = [seen_key.clone(), state_key.clone()].into_iter().chain(guess).collect();
        let mut found = Found(self.batch_get(&wanted).await?);
        let seen: Option<SeenItem> = found.item(&seen_key)?;
        let state: Option<StateItem> = found.item(&state_key)?;
        let known =
            state.as_ref().map(|state| Known { facts: state.facts.clone(), posted: state.posted.clone() });

        if let Some(seen) = &seen
            && delivery.received_at.since(seen.received_at).abs() < SignedDuration::from_hours(HORIZON_HOURS)
        {
            return self
                .count_delivery(delivery, meaning, known.as_ref(), &pk, &identity, seen)
                .await
                .map(Some);
        }

        // Fold: the pure part.
        let folded = meaning.map(|meaning| fold::fold(known.as_ref(), meaning));
        let occurrence = seen.as_ref().map_or(1, |seen| seen.occurrence + 1);
        let mut event = new_event(delivery, meaning, folded.as_ref(), identity.id(occurrence), now);
        event.notification = render(&Recorded { event: &event, folded: folded.as_ref() })?;

        // Write: all of it or nothing, and only if what was read still stands.
        self.mark_day(environment, List::Log, now).await?;
        let mut writes = Writes { table: self, items: Vec::new() };
        let event_key = keys::event(&pk, now, &event.id);
        let head = SeenItem { occurrence, received_at: delivery.received_at, event_sk: event_key.sk.clone() };
        writes.replace(to_item(&seen_key, &head)?, "occurrence", seen.map(|seen| seen.occurrence))?;
        let mut contents = to_item(&event_key, &event)?;
        list(&mut contents, environment, List::Log, &event.id, &delivery.delivery_id, now);
        writes.create(contents)?;
        let raw = RawItem::new(&delivery.raw, Some(event_key));
        writes.create(to_item(&keys::raw(environment, &event.id), &raw)?)?;
        if let (Some(meaning), Some(folded)) = (meaning, folded) {
            let read = state.as_ref().map(|state| state.version);
            let next = StateItem {
                version: read.unwrap_or(0) + 1,
                conflict: folded.is_contradicted(),
                facts: folded.known.facts,
                posted: folded.known.posted.clone(),
            };
            let before = known.and_then(|known| known.posted);
            self.post(&mut writes, &mut found, meaning, &event, &pk, before, folded.known.posted).await?;
            writes.replace(to_item(&state_key, &next)?, "version", read)?;
        }
        let applied = Applied { id: event.id, effect: event.effect, new: true };
        Ok(writes.commit().await?.then_some(applied))
    }

    /// Counts a further delivery of an event that is there, once per delivery id.
    async fn count_delivery(
        &self,
        delivery: &Delivery,
        meaning: Option<&Meaning>,
        known: Option<&Known>,
        pk: &str,
        identity: &Identity,
        seen: &SeenItem,
    ) -> Result<Applied, StoreError> {
        let recurs = delivery.event().known().is_some_and(|event| event.recurs());
        let ambiguous =
            recurs && known.zip(meaning).is_some_and(|(known, meaning)| fold::is_ambiguous(known, meaning));
        let key = Key { pk: pk.to_owned(), sk: seen.event_sk.clone() };
        self.count(&key, &delivery.delivery_id, ambiguous.then_some(Effect::Ambiguous)).await?;
        Ok(Applied {
            id: identity.id(seen.occurrence),
            effect: if ambiguous { Effect::Ambiguous } else { Effect::Repeat },
            new: false,
        })
    }

    /// Adds a delivery id to an item's, and where it is new one to its deliveries.
    async fn count(&self, key: &Key, delivery_id: &str, effect: Option<Effect>) -> Result<(), StoreError> {
        let (set, value) = match effect {
            Some(effect) => (" SET effect = :effect", Some(AttributeValue::S(effect.as_str().to_owned()))),
            None => ("", None),
        };
        let mut backoff = Backoff::default();
        loop {
            let mut update = self
                .client
                .update_item()
                .table_name(&*self.name)
                .set_key(Some(key.to_item()))
                .update_expression(format!("ADD deliveries :one, delivery_ids :ids{set}"))
                .condition_expression(
                    "attribute_exists(pk) AND NOT contains(delivery_ids, :id) AND size(delivery_ids) < :most",
                )
                .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
                .expression_attribute_values(":ids", AttributeValue::Ss(vec![delivery_id.to_owned()]))
                .expression_attribute_values(":id", AttributeValue::S(delivery_id.to_owned()))
                .expression_attribute_values(":most", AttributeValue::N(MAX_DELIVERIES.to_string()));
            if let Some(value) = &value {
                update = update.expression_attribute_values(":effect", value.clone());
            }
            match update.send().await {
                Ok(_) => return Ok(()),
                Err(error) => match error.as_service_error() {
                    // Counted before, or as often as is counted.
                    Some(UpdateItemError::ConditionalCheckFailedException(_)) => return Ok(()),
                    Some(UpdateItemError::TransactionConflictException(_)) => backoff.wait().await?,
                    _ => return Err(StoreError::aws(error)),
                },
            }
        }
    }

    /// Moves a transaction's contribution from what it was to what it is, with a ledger line for each balance
    /// that changes.
    #[allow(clippy::too_many_arguments, reason = "the parts of one transaction, used once")]
    async fn post(
        &self,
        writes: &mut Writes<'_>,
        found: &mut Found,
        meaning: &Meaning,
        event: &EventItem,
        pk: &str,
        before: Option<Posting>,
        after: Option<Posting>,
    ) -> Result<(), StoreError> {
        let Some(kind) = meaning.entity.kind else {
            return Ok(());
        };
        let environment = event.environment;
        let changes = changes(before, after);
        let missing: Vec<Key> = changes
            .iter()
            .map(|posting| balance_key(environment, posting, pk))
            .filter(|key| !found.0.contains_key(key))
            .collect();
        if !missing.is_empty() {
            found.0.extend(self.batch_get(&missing).await?);
        }
        let shard = keys::shard(pk);
        for Posting { account, asset, amounts: change } in changes {
            let partition = keys::balance_partition(environment, &account, &asset, shard);
            let key = keys::balance(&partition);
            let read: Option<BalanceItem> = found.item(&key)?;
            let guard = read.as_ref().map(|balance| balance.version);
            let balance = read.unwrap_or_default();
            let next = BalanceItem { version: balance.version + 1, amounts: &balance.amounts + &change };
            let line = LedgerLine {
                account: account.clone(),
                asset: asset.clone(),
                shard,
                number: next.version,
                event_id: event.id.clone(),
                transaction: EntityRef::from(&meaning.entity),
                kind,
                rule: format!("{kind}.{}", event.status),
                change,
                before: balance.amounts,
                after: next.amounts.clone(),
                recorded_at: event.recorded_at,
            };
            writes.create(to_item(&keys::line(&partition, line.number), &line)?)?;
            writes.replace(to_item(&key, &next)?, "version", guard)?;
            if guard.is_none() {
                let entry = keys::balance_entry(environment, &account, &asset);
                writes.restate(to_item(&entry, &BalanceEntry { account, asset })?)?;
            }
        }
        Ok(())
    }

    /// Keeps a delivery that cannot be applied, and why; the same bytes once, with their deliveries counted.
    ///
    /// # Errors
    /// [`StoreError`]; the delivery stays where it is.
    pub async fn quarantine(
        &self,
        envelope: &Envelope,
        (reason, detail): (Reason, &str),
        now: Moment,
    ) -> Result<Applied, StoreError> {
        let (environment, raw, delivery_id) = (envelope.environment, &envelope.body, &envelope.delivery_id);
        let item = QuarantineItem {
            // Of a body that is too large only the head is here; the detail has the hash of all of it.
            id: Identity::of_unreadable(environment, reason.as_str(), detail, raw).id(1),
            environment,
            reason: reason.as_str().to_owned(),
            detail: detail.to_owned(),
            deliveries: 1,
            received_at: envelope.received_at,
            recorded_at: now,
        };
        let key = keys::quarantine(item.environment, &item.id);
        let applied = |new| Applied { id: item.id.clone(), effect: Effect::None, new };
        let mut backoff = Backoff::default();
        loop {
            if self.get::<QuarantineItem>(&key).await?.is_some() {
                self.count(&key, delivery_id, None).await?;
                return Ok(applied(false));
            }
            self.mark_day(item.environment, List::Quarantine, item.recorded_at).await?;
            let mut contents = to_item(&key, &item)?;
            list(&mut contents, item.environment, List::Quarantine, &item.id, delivery_id, item.recorded_at);
            let mut writes = Writes { table: self, items: Vec::new() };
            writes.create(contents)?;
            writes.restate(to_item(&keys::raw(item.environment, &item.id), &RawItem::new(raw, None))?)?;
            if writes.commit().await? {
                return Ok(applied(true));
            }
            backoff.wait().await?;
        }
    }

    /// Marks that a list has entries on this day, before the first of them is written.
    async fn mark_day(&self, environment: Environment, list: List, now: Moment) -> Result<(), StoreError> {
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
}

/// The event, before its notification is rendered.
fn new_event(
    delivery: &Delivery,
    meaning: Option<&Meaning>,
    folded: Option<&Folded>,
    id: String,
    now: Moment,
) -> EventItem {
    let event = delivery.event();
    EventItem {
        id,
        environment: delivery.environment,
        event: shorten(event.as_str()),
        family: event.family().as_str().to_owned(),
        entity: meaning.map(|meaning| EntityRef::from(&meaning.entity)),
        kind: meaning.and_then(|meaning| meaning.entity.kind),
        effect: folded.map_or(Effect::None, |folded| folded.effect),
        why: folded.map_or_else(
            || "its type or its object is unknown: kept as it came".to_owned(),
            |folded| folded.why.clone(),
        ),
        status: meaning.map_or_else(|| shorten(event.last_word()), |meaning| meaning.status.clone()),
        asset: folded.and_then(|folded| folded.known.facts.get("asset")).map(str::to_owned),
        deliveries: 1,
        received_at: delivery.received_at,
        recorded_at: now,
        occurred_at: meaning.and_then(|meaning| meaning.occurred_at).unwrap_or(delivery.received_at),
        notification: None,
    }
}

/// Where a transaction posts.
fn balance_key(environment: Environment, posting: &Posting, entity_pk: &str) -> Key {
    let shard = keys::shard(entity_pk);
    keys::balance(&keys::balance_partition(environment, &posting.account, &posting.asset, shard))
}

/// Gives an item its place in the index, and the delivery that brought it.
fn list(
    item: &mut Item,
    environment: Environment,
    list: List,
    id: &str,
    delivery_id: &str,
    recorded_at: Moment,
) {
    let (log_pk, log_sk) = keys::log_place(environment, list, recorded_at, id);
    item.insert("log_pk".to_owned(), AttributeValue::S(log_pk));
    item.insert("log_sk".to_owned(), AttributeValue::S(log_sk));
    item.insert("delivery_ids".to_owned(), AttributeValue::Ss(vec![delivery_id.to_owned()]));
}

/// What changes on which balance: the new contribution minus the old one.
fn changes(before: Option<Posting>, after: Option<Posting>) -> Vec<Posting> {
    let minus = |posting: Posting| Posting { amounts: &Amounts::default() - &posting.amounts, ..posting };
    let changes = match (before, after) {
        (Some(before), Some(after)) if (&before.account, &before.asset) == (&after.account, &after.asset) => {
            vec![Posting { amounts: &after.amounts - &before.amounts, ..after }]
        }
        (before, after) => before.map(minus).into_iter().chain(after).collect(),
    };
    changes.into_iter().filter(|posting| !posting.amounts.is_zero()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posting(account: &str, received: &str) -> Posting {
        let amounts = Amounts { received: received.parse().unwrap(), ..Amounts::default() };
        Posting { account: account.to_owned(), asset: "BTC".to_owned(), amounts }
    }

    #[test]
    fn a_contribution_moves_by_its_difference() {
        assert_eq!(changes(None, Some(posting("a", "2"))), [posting("a", "2")]);
        assert_eq!(changes(Some(posting("a", "2")), Some(posting("a", "5"))), [posting("a", "3")]);
        assert_eq!(changes(Some(posting("a", "2")), Some(posting("a", "2"))), []);
        assert_eq!(changes(Some(posting("a", "2")), None), [posting("a", "-2")]);
        assert_eq!(
            changes(Some(posting("a", "2")), Some(posting("b", "3"))),
            [posting("a", "-2"), posting("b", "3")]
        );
    }
}
