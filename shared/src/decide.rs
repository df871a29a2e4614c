//! What follows from a delivery: a pure function of the delivery, what it means, and what was recalled.
//!
//! ```text
//! Place::of(delivery, meaning) ──keys──▶ recall ──▶ decide ──▶ New ──render──▶ Plan ──▶ commit
//!                                                        └───▶ Again: one more delivery of an event that is there
//! ```
//!
//! The first delivery of a content makes an event. One that was received less than [`HORIZON_HOURS`] from it is a
//! further delivery of the same event; later, equal content is a new occurrence.

use jiff::SignedDuration;

use crate::clock::Moment;
use crate::environment::Environment;
use crate::fold::{self, Effect, Folded, Known};
use crate::model::facts::shorten;
use crate::model::identity::{HORIZON_HOURS, Identity};
use crate::model::ledger::{self, BalanceItem, Cause, LedgerLine};
use crate::model::{Body, Entity, EntityRef, EntityType, Facts, Meaning, Notification, Posting, transaction};
use crate::store::{
    Earlier, EventItem, Key, Plan, RawItem, Recalled, SeenItem, StateItem, StoreError, balance_key, keys,
};

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

/// Where an event belongs.
#[derive(Clone, Debug)]
pub struct Place {
    /// The partition of its entity, or of nothing.
    pk: String,
    /// Its content, within that partition.
    identity: Identity,
    /// The balance that it alone would post to.
    guess: Option<Key>,
}

impl Place {
    /// The place of an event. What nobody knew, and is known after an upgrade, is an event of its entity then.
    pub fn of(delivery: &Delivery, meaning: Option<&Meaning>) -> Self {
        let Delivery { environment, body, .. } = delivery;
        let identity = Identity::of_event(*environment, &body.event, &body.data);
        let pk = match meaning {
            Some(meaning) => keys::entity(*environment, &meaning.entity),
            None => keys::nothing(*environment, &identity),
        };
        let guess = meaning.and_then(|meaning| {
            let posting = transaction::contribution(meaning.entity.kind?, &meaning.facts)?;
            Some(balance_key(*environment, &posting, &pk))
        });
        Self { identity: identity.within(&pk), pk, guess }
    }

    /// What has to be recalled: this content, the entity's state, and the balance that it will most likely change.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        [self.seen(), self.state()].into_iter().chain(self.guess.clone())
    }

    /// The partition.
    pub fn pk(&self) -> &str {
        &self.pk
    }

    fn seen(&self) -> Key {
        keys::seen(&self.pk, &self.identity)
    }

    fn state(&self) -> Key {
        keys::state(&self.pk)
    }
}

/// What a delivery is.
#[derive(Debug)]
pub enum Decision {
    /// It makes an event.
    New(Box<New>),
    /// It is one more delivery of an event that is there.
    Again(Box<Again>),
}

/// Decides what a delivery is.
///
/// # Errors
/// [`StoreError::Item`] where what was recalled is not what this program writes.
pub fn decide(
    delivery: &Delivery,
    meaning: Option<&Meaning>,
    place: &Place,
    recalled: &Recalled,
    now: Moment,
) -> Result<Decision, StoreError> {
    let seen: Option<SeenItem> = recalled.item(&place.seen())?;
    let state: Option<StateItem> = recalled.item(&place.state())?;
    if let Some(seen) =
        seen.clone().filter(|seen| is_within_horizon(delivery.received_at.since(seen.received_at)))
    {
        return Ok(Decision::Again(Box::new(Again { seen, state })));
    }
    let known = state.as_ref().map(StateItem::known);
    let folded = meaning.map(|meaning| fold::fold(known.as_ref(), meaning));
    let occurrence = seen.as_ref().map_or(1, |seen| seen.occurrence + 1);
    let event = new_event(delivery, meaning, folded.as_ref(), place.identity.id(occurrence), now);
    Ok(Decision::New(Box::new(New { event, folded, occurrence, seen, state })))
}

fn is_within_horizon(apart: SignedDuration) -> bool {
    apart.abs() < SignedDuration::from_hours(HORIZON_HOURS)
}

/// A new event, and what it makes of its entity.
#[derive(Debug)]
pub struct New {
    /// The event, without its notification.
    pub event: EventItem,
    /// What is known of its entity now; none where it is about none.
    pub folded: Option<Folded>,
    occurrence: u64,
    seen: Option<SeenItem>,
    state: Option<StateItem>,
}

impl New {
    fn changes(&self) -> Vec<Posting> {
        let before = self.state.as_ref().and_then(|state| state.posted.clone());
        let after = self.folded.as_ref().and_then(|folded| folded.known.posted.clone());
        ledger::changes(before, after)
    }

    /// The balances that change: they have to be recalled, too.
    pub fn balances(&self, place: &Place) -> Vec<Key> {
        let key = |posting: &Posting| balance_key(self.event.environment, posting, &place.pk);
        self.changes().iter().map(key).collect()
    }

    /// All that is to be written, with the event's notification.
    ///
    /// # Errors
    /// [`StoreError::Item`] where what was recalled is not what this program writes.
    pub fn plan(
        self,
        delivery: &Delivery,
        meaning: Option<&Meaning>,
        place: &Place,
        recalled: &Recalled,
        notification: Option<Notification>,
    ) -> Result<(Plan, Applied), StoreError> {
        let mut plan = Plan::default();
        let changes = self.changes();
        let New { event, folded, occurrence, seen, state } = self;
        let (environment, now) = (event.environment, event.recorded_at);
        let applied =
            Applied { id: event.id.clone(), effect: event.effect, new: true, entity: event.entity.clone() };
        let event_key = keys::event(&place.pk, now, &event.id);
        let head = SeenItem { occurrence, received_at: delivery.received_at, event_sk: event_key.sk.clone() };
        plan.seen(place.seen(), head, seen);
        let facts = folded.as_ref().map(|folded| folded.known.facts.clone());
        let body = RawItem::new(&delivery.raw, Some(event_key.clone()));
        plan.body(keys::raw(environment, &event.id), body);
        let event = EventItem { notification, ..event };
        plan.event(event_key, event, facts, delivery.delivery_id.clone());
        if let Some((meaning, folded)) = meaning.zip(folded) {
            let cause = Cause {
                entity: Some(&meaning.entity),
                event_id: Some(&applied.id),
                rule: &rule(meaning),
                at: now,
            };
            post(&mut plan, environment, &place.pk, recalled, changes, &cause)?;
            let read = state.map(|state| state.version);
            plan.state(place.state(), StateItem::after(read, folded.known, now), read);
        }
        Ok((plan, applied))
    }
}

/// Enters a line for each balance that changes.
///
/// # Errors
/// [`StoreError::Item`] where what was recalled is not what this program writes.
pub fn post(
    plan: &mut Plan,
    environment: Environment,
    pk: &str,
    recalled: &Recalled,
    changes: Vec<Posting>,
    cause: &Cause<'_>,
) -> Result<(), StoreError> {
    for posting in changes {
        let balance: Option<BalanceItem> = recalled.item(&balance_key(environment, &posting, pk))?;
        let Posting { account, asset, amounts } = posting;
        let before = balance.clone().unwrap_or_default();
        let line = LedgerLine::following(&before, (&account, &asset, keys::shard(pk)), amounts, cause);
        plan.posting(environment, line, balance.as_ref());
    }
    Ok(())
}

/// One more delivery of an event that is there.
#[derive(Debug)]
pub struct Again {
    seen: SeenItem,
    state: Option<StateItem>,
}

impl Again {
    /// Whether it was received before the delivery that made the event: then the event bears its time, and where
    /// objects are not dated, that time decides which word is the latest.
    pub fn is_earlier(&self, delivery: &Delivery) -> bool {
        delivery.received_at < self.seen.received_at
    }

    /// When the delivery was received that made the event.
    pub fn first_received_at(&self) -> Moment {
        self.seen.received_at
    }

    /// The event's id.
    pub fn id(&self, place: &Place) -> String {
        place.identity.id(self.seen.occurrence)
    }

    /// Where the event is.
    pub fn event_key(&self, place: &Place) -> Key {
        Key { pk: place.pk.clone(), sk: self.seen.event_sk.clone() }
    }

    /// What became of a delivery that is only counted: it is ambiguous where the same thing may have happened again.
    pub fn counted(&self, delivery: &Delivery, meaning: Option<&Meaning>, place: &Place) -> Applied {
        let known = self.state.as_ref().zip(meaning);
        let ambiguous = recurs(delivery)
            && known.is_some_and(|(state, meaning)| fold::is_ambiguous(&state.known(), meaning));
        self.applied(meaning, place, ambiguous)
    }

    /// Whether the entity's state has to be folded anew where the delivery is an earlier one.
    pub fn needs_refolding(&self, meaning: Option<&Meaning>) -> bool {
        self.state.is_some()
            && meaning.is_some_and(|meaning| {
                !meaning.dated && meaning.entity.entity_type != EntityType::Transaction
            })
    }

    /// What an earlier delivery changes: the event's time; and the state, where it was folded anew (`refolded`).
    /// `later` is what the content means where it was received as late as the delivery that made the event.
    pub fn plan(
        &self,
        delivery: &Delivery,
        (meaning, later): (Option<&Meaning>, Option<&Meaning>),
        place: &Place,
        event: &EventItem,
        refolded: Option<Facts>,
        now: Moment,
    ) -> (Plan, Applied) {
        let received_at = delivery.received_at;
        let mut plan = Plan::default();
        let head = SeenItem { received_at, ..self.seen.clone() };
        plan.seen(place.seen(), head, Some(self.seen.clone()));
        let mut ambiguous = false;
        if let Some((state, facts)) = self.state.as_ref().zip(refolded) {
            let known = Known { facts, posted: state.posted.clone() };
            // The later delivery of the same content is a repetition now.
            ambiguous = recurs(delivery) && later.is_some_and(|later| fold::is_ambiguous(&known, later));
            plan.state(place.state(), StateItem::after(Some(state.version), known, now), Some(state.version));
        }
        let occurred_at =
            if event.occurred_at == event.received_at { received_at } else { event.occurred_at };
        let change = Earlier {
            environment: delivery.environment,
            id: self.id(place),
            received_at,
            occurred_at,
            effect: if ambiguous { Effect::Ambiguous } else { event.effect },
            delivery_id: delivery.delivery_id.clone(),
        };
        plan.earlier(self.event_key(place), change);
        (plan, self.applied(meaning, place, ambiguous))
    }

    fn applied(&self, meaning: Option<&Meaning>, place: &Place, ambiguous: bool) -> Applied {
        Applied {
            id: self.id(place),
            effect: if ambiguous { Effect::Ambiguous } else { Effect::Repeat },
            new: false,
            entity: meaning.map(|meaning| EntityRef::from(&meaning.entity)),
        }
    }
}

fn recurs(delivery: &Delivery) -> bool {
    delivery.body.event.known().is_some_and(|event| event.recurs())
}

/// The rule by which an event moves money: `deposit.success` …
fn rule(meaning: &Meaning) -> String {
    match meaning.entity {
        Entity { kind: Some(kind), .. } => format!("{kind}.{}", meaning.status),
        _ => meaning.status.clone(),
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
    let event = &delivery.body.event;
    EventItem {
        id,
        environment: delivery.environment,
        event: shorten(event.as_str()),
        family: event.family(),
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
