//! How what is stored is shown, where one item is not simply one answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use shared::answers::{
    Count, EntityState, Event, EventRecord, List, Quarantined, Raw, Stats, Told, TransactionState,
};
use shared::clock::Moment;
use shared::model::{Entity, EntityType, Facts, lifecycle, transaction};
use shared::store::{self, Counts, EventItem, Page, QuarantineItem, StateItem};

/// The facts that every transaction shows, known or not.
const OF_EVERY_TRANSACTION: [&str; 4] = ["amount", "asset", "chain", "hash"];

/// An event by itself: with its body, byte for byte, what was told of it, and what was done to it.
pub(crate) fn event_record(mut record: store::EventRecord) -> EventRecord {
    let (programs, people) =
        record.event.notification.take().map(|told| (told.programs, told.people)).unzip();
    EventRecord {
        event: record.event.into(),
        told: Told {
            programs: programs.and_then(|programs| serde_json::from_str(&programs).ok()),
            people: people.flatten(),
        },
        delivery_ids: record.delivery_ids,
        actions: record.actions.into_iter().map(Into::into).collect(),
        raw: raw(record.raw),
    }
}

/// How many events there were.
pub(crate) fn stats(found: Counts, (from, to): (Moment, Moment), step: i64) -> Stats {
    let count = |((at, family, effect), count)| Count { at, family, effect, count };
    Stats {
        from,
        to,
        step,
        complete: found.complete,
        counted_from: found.counted_from,
        counts: found.counts.into_iter().map(count).collect(),
    }
}

/// A body that could not be read.
pub(crate) fn quarantined((item, body): (QuarantineItem, Vec<u8>)) -> Quarantined {
    let QuarantineItem { id, environment, reason, detail, deliveries, received_at, recorded_at, .. } = item;
    let detail = reason.explain(&detail);
    Quarantined { id, environment, reason, detail, deliveries, received_at, recorded_at, raw: raw(body) }
}

/// A body: text, else Base64.
fn raw(body: Vec<u8>) -> Raw {
    match String::from_utf8(body) {
        Ok(text) => Raw::Text(text),
        Err(other) => Raw::Base64(STANDARD.encode(other.as_bytes())),
    }
}

/// An entity: its state and its history.
pub(crate) fn entity(entity: Entity, state: &StateItem, history: Page<EventItem>) -> EntityState {
    let facts = &state.facts;
    let List::<Event> { entries: history, cursor } = history.into();
    EntityState {
        facts: known(entity.entity_type, facts),
        status: lifecycle::status(entity.entity_type, facts).to_owned(),
        updated_at: facts.updated_at.or(state.recorded_at),
        transaction: (entity.entity_type == EntityType::Transaction).then(|| transaction(&entity, facts)),
        uid: entity.uid,
        history,
        cursor,
    }
}

/// The latest word on each field that any event named, and the sets that grow.
fn known(entity_type: EntityType, facts: &Facts) -> Map<String, Value> {
    let mut known = Map::new();
    for (name, register) in &facts.fields {
        known.insert(name.clone(), Value::from(register.value()));
    }
    for set in ["flags", "addresses"] {
        if let Some(members) = facts.members.get(set) {
            known.insert(set.to_owned(), json!(members));
        }
    }
    if entity_type == EntityType::Transaction {
        for name in OF_EVERY_TRANSACTION {
            known.entry(name).or_insert(Value::Null);
        }
    }
    known
}

/// What is known of a transaction beside its facts.
fn transaction(entity: &Entity, facts: &Facts) -> TransactionState {
    let contradictions = transaction::contradictions(facts);
    TransactionState {
        kind: entity.kind,
        account: transaction::account(facts).to_owned(),
        confirmations: facts.counts.get("confirmations").copied(),
        conflict: !contradictions.is_empty(),
        contradictions: contradictions.into_iter().map(str::to_owned).collect(),
        oddity: transaction::oddity(facts).map(|oddity| oddity.to_string()),
    }
}
