//! Writing an event: one batch read, a pure function, one conditional transaction.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Update};
use jiff::SignedDuration;

use super::items::{EntityRef, EventItem, QuarantineItem, RawItem, SeenItem, StateItem};
use super::keys::{self, List};
use super::ledger::{Cause, balance_key};
use super::writes::{Backoff, Found, Writes, version};
use super::{Item, Key, StoreError, Table, facets, to_item};
use crate::clock::{Clock, Moment};
use crate::environment::Environment;
use crate::fold::{self, Effect, Folded};
use crate::model::facts::shorten;
use crate::model::identity::{HORIZON_HOURS, Identity};
use crate::model::{Body, EntityType, EventName, Meaning, Notification, Reason, transaction};
use crate::verify::Envelope;

/// How many distinct deliveries of one event are counted: three times what Bitpowr's 72 hours of retries
/// make. It bounds the item.
const MAX_DELIVERIES: usize = 256;

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

/// What the families make of a body that was received at a moment: none where it is about no entity. Reading the
/// same body again must say the same: states are folded anew from bodies.
pub type Means<'a> = dyn Fn(&Body, Moment) -> Result<Option<Meaning>, serde_json::Error> + Send + Sync + 'a;

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The event's id.
    pub id: String,
    /// What the event did.
    pub effect: Effect,
    /// Whether this delivery made it; else it was counted as a further delivery of an event that was there.
    pub new: bool,
    /// What the event is about; none where that is unknown.
    pub entity: Option<EntityRef>,
}

impl Table {
    /// Applies a delivery: the first of its content makes an event, every further one is counted.
    ///
    /// `means` is what the event's family makes of a body, `render` what is told.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was written then, or everything was, and trying again finds it.
    pub async fn apply(
        &self,
        delivery: &Delivery,
        means: &Means<'_>,
        clock: &impl Clock,
        render: impl Fn(&Recorded<'_>) -> Result<Option<Notification>, StoreError>,
    ) -> Result<Applied, StoreError> {
        let meaning = means(&delivery.body, delivery.received_at)?;
        let mut backoff = Backoff::default();
        loop {
            match self.try_apply(delivery, meaning.as_ref(), means, clock.now(), &render).await? {
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
        means: &Means<'_>,
        now: Moment,
        render: impl Fn(&Recorded<'_>) -> Result<Option<Notification>, StoreError>,
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
        let mut found = Found::default();
        found.read(self, [seen_key.clone(), state_key.clone()].into_iter().chain(guess)).await?;
        let seen: Option<SeenItem> = found.item(&seen_key)?;
        let state: Option<StateItem> = found.item(&state_key)?;

        if let Some(seen) = &seen
            && delivery.received_at.since(seen.received_at).abs() < SignedDuration::from_hours(HORIZON_HOURS)
        {
            let known =
                Recognised { delivery, meaning, state: state.as_ref(), pk: &pk, identity: &identity, seen };
            return if delivery.received_at < seen.received_at {
                self.antedate(&known, means, now).await
            } else {
                self.count_delivery(&known).await.map(Some)
            };
        }

        // Fold: the pure part.
        let known = state.as_ref().map(StateItem::known);
        let folded = meaning.map(|meaning| fold::fold(known.as_ref(), meaning));
        let occurrence = seen.as_ref().map_or(1, |seen| seen.occurrence + 1);
        let mut event = new_event(delivery, meaning, folded.as_ref(), identity.id(occurrence), now);
        event.notification = render(&Recorded { event: &event, folded: folded.as_ref() })?;

        // Write: all of it or nothing, and only if what was read still stands.
        self.mark_day(environment, List::Log, now).await?;
        let mut writes = Writes::new(self);
        let event_key = keys::event(&pk, now, &event.id);
        let head = SeenItem { occurrence, received_at: delivery.received_at, event_sk: event_key.sk.clone() };
        writes.replace(to_item(&seen_key, &head)?, SEEN_GUARD, seen.as_ref().map(seen_guard))?;
        let mut contents = to_item(&event_key, &event)?;
        list(&mut contents, environment, List::Log, &event.id, now);
        facets::enter(&mut contents, &event, folded.as_ref().map(|folded| &folded.known.facts));
        contents.insert(DELIVERIES.to_owned(), deliveries(&delivery.delivery_id));
        writes.create(contents)?;
        let raw = RawItem::new(&delivery.raw, Some(event_key));
        writes.create(to_item(&keys::raw(environment, &event.id), &raw)?)?;
        if let (Some(meaning), Some(folded)) = (meaning, folded) {
            let cause = Cause {
                environment,
                entity: &meaning.entity,
                pk: &pk,
                event_id: Some(&event.id),
                rule: rule(meaning),
                at: now,
            };
            let before = known.and_then(|known| known.posted);
            self.post(&mut writes, &mut found, &cause, before, folded.known.posted.clone()).await?;
            let read = state.map(|state| state.version);
            let next = StateItem::after(read, folded.known, now);
            writes.replace(to_item(&state_key, &next)?, "version", read.map(version))?;
        }
        let applied = Applied { id: event.id, effect: event.effect, new: true, entity: event.entity };
        Ok(writes.commit().await?.then_some(applied))
    }

    /// Counts a further delivery of an event that is there, once per delivery id.
    async fn count_delivery(&self, known: &Recognised<'_>) -> Result<Applied, StoreError> {
        let Recognised { delivery, meaning, state, pk, seen, .. } = known;
        let ambiguous = recurs(delivery)
            && state
                .zip(*meaning)
                .is_some_and(|(state, meaning)| fold::is_ambiguous(&state.known(), meaning));
        let key = Key { pk: (*pk).to_owned(), sk: seen.event_sk.clone() };
        let again = known.again(ambiguous);
        let effect = ambiguous.then(|| facets::place(delivery.environment, again.effect.as_str(), &again.id));
        self.count(&key, &delivery.delivery_id, effect).await?;
        Ok(again)
    }

    /// Counts a delivery that was received before the one that made the event, and gives the event its moment:
    /// where objects are not dated, that moment decides which word is the latest, so the state is folded anew.
    /// None where somebody else wrote in between.
    async fn antedate(
        &self,
        known: &Recognised<'_>,
        means: &Means<'_>,
        now: Moment,
    ) -> Result<Option<Applied>, StoreError> {
        let Recognised { delivery, meaning, state, pk, identity, seen } = known;
        let id = identity.id(seen.occurrence);
        let key = Key { pk: (*pk).to_owned(), sk: seen.event_sk.clone() };
        let mut found = Found::default();
        found.read(self, [key.clone()]).await?;
        let Some(event) = found.item::<EventItem>(&key)? else {
            return Ok(None);
        };
        let received_at = delivery.received_at;
        let head = SeenItem { received_at, ..(*seen).clone() };
        let mut writes = Writes::new(self);
        writes.replace(to_item(&keys::seen(pk, identity), &head)?, SEEN_GUARD, Some(seen_guard(seen)))?;
        let mut ambiguous = false;
        if let Some((state, meaning)) = state.zip(*meaning)
            && !meaning.dated
            && meaning.entity.entity_type != EntityType::Transaction
        {
            let facts = self.refold(delivery.environment, pk, means, Some((&id, received_at))).await?;
            let facts = facts.joined;
            // The later delivery of the same content is a repetition now.
            let later = means(&delivery.body, seen.received_at)?;
            let folded = fold::Known { facts, posted: state.posted.clone() };
            ambiguous = recurs(delivery) && later.is_some_and(|later| fold::is_ambiguous(&folded, &later));
            let next = StateItem::after(Some(state.version), folded, now);
            writes.replace(to_item(&keys::state(pk), &next)?, "version", Some(version(state.version)))?;
        }
        let occurred_at =
            if event.occurred_at == event.received_at { received_at } else { event.occurred_at };
        let text = |moment: Moment| AttributeValue::S(moment.to_string());
        let effect = if ambiguous { Effect::Ambiguous } else { event.effect };
        writes.update(
            Update::builder()
                .set_key(Some(key.to_item()))
                .update_expression(
                    "SET received_at = :received, occurred_at = :occurred, effect = :effect, by_effect = :place \
                     ADD deliveries :one, delivery_ids :ids",
                )
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":received", text(received_at))
                .expression_attribute_values(":occurred", text(occurred_at))
                .expression_attribute_values(":effect", AttributeValue::S(effect.to_string()))
                .expression_attribute_values(
                    ":place",
                    facets::place(delivery.environment, effect.as_str(), &id),
                )
                .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
                .expression_attribute_values(":ids", deliveries(&delivery.delivery_id)),
        )?;
        Ok(writes.commit().await?.then(|| known.again(ambiguous)))
    }

    /// Adds a delivery id to an item's, and where it is new one to its deliveries; `ambiguous` is the place of an
    /// event that this delivery makes ambiguous.
    async fn count(
        &self,
        key: &Key,
        delivery_id: &str,
        ambiguous: Option<AttributeValue>,
    ) -> Result<(), StoreError> {
        let set = if ambiguous.is_some() { " SET effect = :effect, by_effect = :place" } else { "" };
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
                .expression_attribute_values(":ids", deliveries(delivery_id))
                .expression_attribute_values(":id", AttributeValue::S(delivery_id.to_owned()))
                .expression_attribute_values(":most", AttributeValue::N(MAX_DELIVERIES.to_string()));
            if let Some(place) = &ambiguous {
                update = update
                    .expression_attribute_values(":effect", AttributeValue::S(Effect::Ambiguous.to_string()))
                    .expression_attribute_values(":place", place.clone());
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
            retried_at: None,
        };
        let key = keys::quarantine(item.environment, &item.id);
        let applied = |new| Applied { id: item.id.clone(), effect: Effect::None, new, entity: None };
        let mut backoff = Backoff::default();
        loop {
            if let Some(found) = self.get::<QuarantineItem>(&key).await? {
                self.count(&key, delivery_id, None).await?;
                if found.retried_at.is_some() {
                    self.relist(&key, &found).await?;
                }
                return Ok(applied(false));
            }
            self.mark_day(item.environment, List::Quarantine, item.recorded_at).await?;
            let mut contents = to_item(&key, &item)?;
            list(&mut contents, item.environment, List::Quarantine, &item.id, item.recorded_at);
            contents.insert(DELIVERIES.to_owned(), deliveries(delivery_id));
            let mut writes = Writes::new(self);
            writes.create(contents)?;
            writes.restate(to_item(&keys::raw(item.environment, &item.id), &RawItem::new(raw, None))?)?;
            if writes.commit().await? {
                return Ok(applied(true));
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
            .expression_attribute_values(":place", AttributeValue::S(place))
            .expression_attribute_values(":position", AttributeValue::S(position))
            .send()
            .await
            .map_err(StoreError::aws)?;
        Ok(())
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
}

/// A delivery of content that is there already.
struct Recognised<'a> {
    delivery: &'a Delivery,
    meaning: Option<&'a Meaning>,
    state: Option<&'a StateItem>,
    pk: &'a str,
    identity: &'a Identity,
    seen: &'a SeenItem,
}

impl Recognised<'_> {
    fn again(&self, ambiguous: bool) -> Applied {
        Applied {
            id: self.identity.id(self.seen.occurrence),
            effect: if ambiguous { Effect::Ambiguous } else { Effect::Repeat },
            new: false,
            entity: self.meaning.map(|meaning| EntityRef::from(&meaning.entity)),
        }
    }
}

/// What guards the entry of a content: it changes with each occurrence and each earlier delivery.
const SEEN_GUARD: &str = "received_at";

fn seen_guard(seen: &SeenItem) -> AttributeValue {
    AttributeValue::S(seen.received_at.to_string())
}

fn recurs(delivery: &Delivery) -> bool {
    delivery.event().known().is_some_and(|event| event.recurs())
}

/// The rule by which an event moves money: `deposit.success` …
fn rule(meaning: &Meaning) -> String {
    match meaning.entity.kind {
        Some(kind) => format!("{kind}.{}", meaning.status),
        None => meaning.status.clone(),
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
        amount: meaning.and_then(|meaning| meaning.facts.get("amount")).map(str::to_owned),
        deliveries: 1,
        received_at: delivery.received_at,
        recorded_at: now,
        occurred_at: meaning.and_then(|meaning| meaning.occurred_at).unwrap_or(delivery.received_at),
        notification: None,
    }
}

/// Gives an item its place in a list.
pub(super) fn list(item: &mut Item, environment: Environment, list: List, id: &str, recorded_at: Moment) {
    let (place, position) = keys::log_place(environment, list, recorded_at, id);
    item.insert(keys::LOG_INDEX.to_owned(), AttributeValue::S(place));
    item.insert(keys::POSITION.to_owned(), AttributeValue::S(position));
}

/// The deliveries that brought an item, by their ids.
pub(super) const DELIVERIES: &str = "delivery_ids";

fn deliveries(first: &str) -> AttributeValue {
    AttributeValue::Ss(vec![first.to_owned()])
}
