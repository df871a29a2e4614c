//! What follows from a delivery: a pure function of the delivery, what it means, and what was recalled.
//!
//! ```text
//! Place::of(delivery, meaning) ──keys──▶ recall ──▶ decide ──▶ New ──render──▶ Plan ──▶ commit
//!                                                        └───▶ Again: one more delivery of an event that is there
//! ```
//!
//! The first delivery of a content makes an event. One that was received less than [`HORIZON_HOURS`] from it is a
//! further delivery of the same event; later, equal content is a new occurrence.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::clock::Moment;
use crate::environment::Environment;
use crate::fold::{self, Effect, Folded, Known};
use crate::model::erased::Left;
use crate::model::facts::shorten;
use crate::model::identity::{HORIZON_HOURS, Identity};
use crate::model::ledger::{self, Cause, LedgerLine, Rule};
use crate::model::lenient;
use crate::model::transaction::Transaction;
use crate::model::{
    Body, DeliveryId, Entity, EntityRef, EntityType, EventId, Fact, Facts, Kind, Meaning, Notification,
    Oddity, Posting, Word, money,
};
use crate::store::{
    BodyItem, Content, Earlier, EventItem, Key, Partition, Plan, Recalled, SeenItem, StateItem, StoreError,
    balance_key, keys,
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
    pub delivery_id: DeliveryId,
}

impl Delivery {
    /// What is left of it without personal data.
    ///
    /// # Errors
    /// None in practice: its body was read from JSON.
    pub fn without_personal_data(&self) -> Result<Self, serde_json::Error> {
        let Left { body, text, .. } = self.body.without_personal_data()?;
        Ok(Self { body, raw: text.into_bytes(), ..self.clone() })
    }
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The event's id.
    pub id: EventId,
    /// What the event did.
    pub effect: Effect,
    /// Whether this delivery made it; else it was counted as a further delivery of an event that was there.
    pub new: bool,
    /// What the event is about; none where that is unknown.
    pub entity: Option<EntityRef>,
    /// Why the money that a new event speaks of counts for nothing.
    pub oddity: Option<Oddity>,
}

/// Where an event belongs.
#[derive(Clone, Debug)]
pub struct Place {
    /// The partition of its entity, or of nothing.
    pk: Partition,
    /// Its content, within that partition.
    identity: Identity,
    /// Where it stands which is the latest event of its content.
    seen: Key,
    /// The state of all that is known under its entity's uid.
    state: Option<Key>,
    /// The balance that it alone would post to.
    guess: Option<Key>,
    /// Where it stands that people were asked to look at events of its type, which is not understood.
    asked: Option<Key>,
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
            let posting = money::contribution(meaning.entity.kind?, &meaning.added())?;
            Some(balance_key(*environment, &posting, &pk))
        });
        let is_understood = meaning.is_some_and(|meaning| meaning.word != Word::Unknown);
        let asked = (!is_understood)
            .then(|| keys::asked(*environment, &delivery.received_at.day(), &shorten(body.event.as_str())));
        let state = meaning.map(|meaning| keys::state(*environment, &meaning.entity));
        let identity = identity.within(pk.as_str());
        Self { seen: keys::seen(*environment, &identity), identity, pk, state, guess, asked }
    }

    /// What has to be recalled: this content, the entity's state, and the balance that it will most likely change.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        let others = [&self.state, &self.guess, &self.asked];
        [&self.seen].into_iter().chain(others.into_iter().flatten()).cloned()
    }

    /// The partition.
    pub fn pk(&self) -> &Partition {
        &self.pk
    }

    /// Where it stands which is the latest event of its content.
    pub(crate) fn seen(&self) -> &Key {
        &self.seen
    }

    /// Whether personal data was erased from what came with this content.
    ///
    /// # Errors
    /// [`StoreError::Item`] where what was recalled is not what this program writes.
    pub fn is_erased(&self, recalled: &Recalled) -> Result<bool, StoreError> {
        Ok(recalled.item::<SeenItem>(&self.seen)?.is_some_and(|seen| seen.erased))
    }

    /// The same place, for an event that was kept under this content, of which something may be erased since.
    pub(crate) fn of_content(self, environment: Environment, content: &Identity) -> Self {
        let identity = content.within(self.pk.as_str());
        Self { seen: keys::seen(environment, &identity), identity, ..self }
    }

    /// What was recalled of its entity's state.
    fn recalled_state(&self, recalled: &Recalled) -> Result<Option<StateItem>, StoreError> {
        self.state.as_ref().map_or(Ok(None), |key| recalled.item(key))
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
    let seen: Option<SeenItem> = recalled.item(&place.seen)?;
    let state = place.recalled_state(recalled)?;
    if let Some(seen) =
        seen.clone().filter(|seen| is_within_horizon(delivery.received_at.since(seen.received_at)))
    {
        return Ok(Decision::Again(Box::new(Again { seen, state })));
    }
    let folded = meaning.map(|meaning| fold::fold(state.as_ref().map(|state| &state.known), meaning));
    let occurrence = seen.as_ref().map_or(1, |seen| seen.occurrence + 1);
    let event = new_event(delivery, meaning, folded.as_ref(), place.identity.id(occurrence), now);
    let asks = place.asked.clone().filter(|key| recalled.is_absent(key));
    Ok(Decision::New(Box::new(New { event, folded, occurrence, asks, seen, state })))
}

fn is_within_horizon(apart: SignedDuration) -> bool {
    apart.abs() < SignedDuration::from_hours(HORIZON_HOURS)
}

/// A new event, and what it makes of its entity.
#[derive(Debug)]
pub struct New {
    /// The event, before anybody is notified.
    pub event: EventItem,
    /// What is known of its entity now; none where it is about none.
    pub folded: Option<Folded>,
    occurrence: u64,
    /// Where to note that people are asked to look at events of this type, where they were not today.
    asks: Option<Key>,
    seen: Option<SeenItem>,
    state: Option<StateItem>,
}

impl New {
    /// What changes on which balance.
    pub fn changes(&self) -> Vec<(Kind, Posting)> {
        let nothing = BTreeMap::new();
        let before = self.state.as_ref().map_or(&nothing, |state| &state.known.posted);
        let after = self.folded.as_ref().map_or(before, |folded| &folded.known.posted);
        ledger::changes(before, after)
    }

    /// The version of the state that the event makes.
    pub fn version(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.version) + 1
    }

    /// Whether people have to look at what is not understood.
    pub fn asks(&self) -> bool {
        self.asks.is_some()
    }

    /// The balances that change: they have to be recalled, too.
    pub fn balances(&self) -> Vec<Key> {
        let Some(entity) = &self.event.entity else { return Vec::new() };
        let key = |(kind, posting): &(Kind, Posting)| {
            posted_to(self.event.environment, &entity.uid, *kind, posting)
        };
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
        let version = self.version();
        let New { event, folded, occurrence, asks, seen, state } = self;
        let (environment, now) = (event.environment, event.recorded_at);
        let applied = Applied {
            id: event.id.clone(),
            effect: event.effect,
            new: true,
            entity: event.entity.clone(),
            oddity: event.oddity,
        };
        let event_key = keys::event(&place.pk, now, &event.id);
        let latest = SeenItem {
            occurrence,
            received_at: delivery.received_at,
            event_sk: event_key.sk.clone(),
            erased: seen.as_ref().is_some_and(|seen| seen.erased),
        };
        let first = match seen {
            Some(recalled) => {
                plan.seen(place.seen.clone(), latest, recalled);
                None
            }
            None => Some(latest),
        };
        let found_by = found_by(delivery, meaning, folded.as_ref());
        let notified = notification.as_ref().map(|notification| notification.version().unwrap_or_default());
        let event = EventItem { notified, ..event };
        let content = Content { raw: delivery.raw.clone(), notification };
        let body = BodyItem::new(&content, Some(event_key.clone()))?;
        plan.body(keys::raw(environment, &event.id), body, first);
        let status = event.status.clone();
        plan.event(event_key, event, found_by, delivery.delivery_id.clone());
        if let Some(asks) = asks {
            plan.asked(asks);
        }
        if let Some(((meaning, folded), key)) = meaning.zip(folded).zip(place.state.clone()) {
            let cause = |kind| (Some(&applied.id), Rule::Said { kind, status: status.to_owned() });
            post(&mut plan, environment, &meaning.entity.uid, recalled, changes, cause, now)?;
            let read = state.map(|state| state.version);
            let item = StateItem { version, known: folded.known, recorded_at: Some(now) };
            plan.state(key, item, read);
        }
        Ok((plan, applied))
    }
}

/// Enters a line for each change of a balance. `cause` names the event, if there is one, and the rule.
///
/// # Errors
/// [`StoreError::Item`] where what was recalled is not what this program writes.
pub fn post<'a>(
    plan: &mut Plan,
    environment: Environment,
    uid: &str,
    recalled: &Recalled,
    changes: Vec<(Kind, Posting)>,
    cause: impl Fn(Kind) -> (Option<&'a EventId>, Rule),
    at: Moment,
) -> Result<(), StoreError> {
    let mut balances: BTreeMap<Key, Vec<LedgerLine>> = BTreeMap::new();
    for (kind, posting) in changes {
        let entity = Entity::transaction(kind, uid);
        let pk = keys::entity(environment, &entity);
        let key = balance_key(environment, &posting, &pk);
        let before = match balances.get(&key).and_then(|lines| lines.last()) {
            Some(line) => line.balance(),
            None => recalled.item(&key)?.unwrap_or_default(),
        };
        let (event_id, rule) = cause(kind);
        let cause = Cause { entity: Some(&entity), event_id, rule, at };
        let Posting { account, asset, amounts } = posting;
        let line = LedgerLine::following(&before, (&account, &asset, keys::shard(&pk)), amounts, &cause);
        balances.entry(key).or_default().push(line);
    }
    for (key, lines) in balances {
        plan.lines(environment, lines, recalled.item(&key)?.as_ref());
    }
    Ok(())
}

/// The balance that a transaction posts to.
pub fn posted_to(environment: Environment, uid: &str, kind: Kind, posting: &Posting) -> Key {
    let pk = keys::entity(environment, &Entity::transaction(kind, uid));
    balance_key(environment, posting, &pk)
}

/// What an event can be found by: what it says itself, whatever its effect, and else what is known of its entity.
fn found_by(delivery: &Delivery, meaning: Option<&Meaning>, folded: Option<&Folded>) -> Facts {
    let Some(meaning) = meaning else {
        // Of what is about nothing, all that would be understood of a transaction.
        let said = lenient::object::<Transaction>(delivery.body.subject()).unwrap_or_default();
        return said.facts(0);
    };
    let mut found_by = folded.map(|folded| folded.facts.clone()).unwrap_or_default();
    found_by.fields.extend(meaning.facts.fields.clone());
    for (set, members) in &meaning.facts.members {
        found_by.members.entry(*set).or_default().extend(members.iter().cloned());
    }
    found_by
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
    pub fn id(&self) -> EventId {
        self.seen.event_id().into()
    }

    /// Where the event is.
    pub fn event_key(&self, place: &Place) -> Key {
        Key { pk: place.pk.clone(), sk: self.seen.event_sk.clone() }
    }

    /// Whether a delivery that is only counted may say that the same thing happened once more: nothing shows it.
    pub fn may_be_new(&self, delivery: &Delivery, meaning: Option<&Meaning>) -> bool {
        let known = self.state.as_ref().zip(meaning);
        recurs(delivery) && known.is_some_and(|(state, meaning)| fold::is_ambiguous(&state.known, meaning))
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
        let latest = SeenItem { received_at, ..self.seen.clone() };
        plan.seen(place.seen.clone(), latest, self.seen.clone());
        let mut ambiguous = false;
        if let Some((state, facts)) = self.state.as_ref().zip(refolded) {
            let known = Known { facts, ..Known::default() };
            // The later delivery of the same content is a repetition now. What nobody was notified of is not ambiguous.
            ambiguous = recurs(delivery)
                && event.notified.is_some()
                && later.is_some_and(|later| fold::is_ambiguous(&known, later));
            if let Some(key) = place.state.clone() {
                plan.state(key, StateItem::after(Some(state.version), known, now), Some(state.version));
            }
        }
        let occurred_at =
            if event.occurred_at == event.received_at { received_at } else { event.occurred_at };
        let change = Earlier {
            environment: delivery.environment,
            received_at,
            occurred_at,
            effect: if ambiguous { Effect::Ambiguous } else { event.effect },
            delivery_id: delivery.delivery_id.clone(),
            deliveries: event.deliveries,
        };
        plan.earlier(self.event_key(place), change);
        (plan, self.counted(meaning, ambiguous))
    }

    /// What became of a delivery that was counted; `ambiguous`: it made the event so.
    pub fn counted(&self, meaning: Option<&Meaning>, ambiguous: bool) -> Applied {
        Applied {
            id: self.id(),
            effect: if ambiguous { Effect::Ambiguous } else { Effect::Repeat },
            new: false,
            entity: meaning.map(|meaning| EntityRef::from(&meaning.entity)),
            oddity: None,
        }
    }
}

fn recurs(delivery: &Delivery) -> bool {
    delivery.body.event.known().is_some_and(|event| event.recurs())
}

/// An event that was kept about nothing, as it is understood now, and what it can be found by. Its id, its times and its
/// deliveries stay.
pub(crate) fn taken_up(
    kept: &EventItem,
    delivery: &Delivery,
    meaning: &Meaning,
    known: Option<&Known>,
) -> (EventItem, Facts) {
    let folded = fold::fold(known, meaning);
    let event = new_event(delivery, Some(meaning), Some(&folded), kept.id.clone(), kept.recorded_at);
    let why = format!("{}; understood since a later version, and taken up by rebuild", event.why);
    let (deliveries, notified) = (kept.deliveries, kept.notified);
    (EventItem { why, deliveries, notified, ..event }, found_by(delivery, Some(meaning), Some(&folded)))
}

/// The event, before its notification is rendered.
fn new_event(
    delivery: &Delivery,
    meaning: Option<&Meaning>,
    folded: Option<&Folded>,
    id: EventId,
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
            || "its type is unknown, or its object has no identifier: kept as it came".to_owned(),
            |folded| folded.why.clone(),
        ),
        status: meaning.map_or_else(|| shorten(event.last_word()), |meaning| meaning.status.clone()),
        oddity: folded.and_then(Folded::oddity),
        conflict: folded.is_some_and(Folded::is_contradicted),
        acknowledged: false,
        asset: folded.and_then(|folded| money::asset(&folded.facts)).map(str::to_owned),
        amount: meaning.and_then(|meaning| meaning.facts.get(Fact::Amount)).map(str::to_owned),
        deliveries: 1,
        received_at: delivery.received_at,
        recorded_at: now,
        occurred_at: meaning.and_then(|meaning| meaning.occurred_at).unwrap_or(delivery.received_at),
        notified: None,
    }
}
