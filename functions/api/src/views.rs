//! How things are shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use shared::clock::Moment;
use shared::model::{Entity, EntityType, Family, lifecycle, transaction};
use shared::queue::Depth;
use shared::store::{
    ActionItem, Balance, Counted, Counts, Cursor, EventItem, EventRecord, Page, QuarantineItem, StateItem,
};

pub(crate) fn cursor(cursor: Option<&Cursor>) -> Value {
    cursor.map_or(Value::Null, |cursor| Value::from(cursor.as_str()))
}

/// An event in a list.
pub(crate) fn event(event: &EventItem) -> Value {
    json!({
        "id": event.id,
        "environment": event.environment,
        "event": event.event,
        "family": event.family,
        "entity": event.entity,
        "kind": event.kind,
        "effect": event.effect,
        "why": event.why,
        "status": event.status,
        "asset": event.asset,
        "amount": event.amount,
        "deliveries": event.deliveries,
        "received_at": event.received_at,
        "recorded_at": event.recorded_at,
        "occurred_at": event.occurred_at,
    })
}

/// An event by itself: with its body, byte for byte, what was told of it, and what was done to it.
pub(crate) fn event_record(record: &EventRecord) -> Value {
    let mut view = event(&record.event);
    if let Value::Object(fields) = &mut view {
        let told = record.event.notification.as_ref();
        let programs = told.and_then(|told| serde_json::from_str::<Value>(&told.programs).ok());
        let people = told.and_then(|told| told.people.as_ref());
        fields.insert("told".to_owned(), json!({ "programs": programs, "people": people }));
        fields.insert("delivery_ids".to_owned(), json!(record.delivery_ids));
        fields.insert("actions".to_owned(), record.actions.iter().map(ActionItem::shown).collect());
        raw(fields, &record.raw);
    }
    view
}

/// How many events there were.
pub(crate) fn counts(found: &Counts, (from, to): (Moment, Moment), step: i64) -> Value {
    let count = |((at, family, effect), count): (&Counted, &u64)| json!({ "at": at, "family": family, "effect": effect, "count": count });
    json!({
        "from": from,
        "to": to,
        "step": step,
        "complete": found.complete,
        "counted_from": found.counted_from,
        "counts": found.counts.iter().map(count).collect::<Vec<_>>(),
    })
}

/// What waits in a family's queue.
pub(crate) fn depth(family: Family, depth: &Depth) -> Value {
    json!({
        "family": family.as_str(),
        "waiting": depth.waiting,
        "in_flight": depth.in_flight,
        "dead_letters": depth.dead_letters,
        "oldest_seconds": depth.oldest_seconds,
    })
}

/// A body that could not be read.
pub(crate) fn quarantined(item: &QuarantineItem, body: &[u8]) -> Value {
    let mut view = json!({
        "id": item.id,
        "environment": item.environment,
        "reason": item.reason,
        "detail": item.reason.explain(&item.detail),
        "deliveries": item.deliveries,
        "received_at": item.received_at,
        "recorded_at": item.recorded_at,
    });
    if let Value::Object(fields) = &mut view {
        raw(fields, body);
    }
    view
}

/// `raw` where the body is text, else `raw_base64`.
fn raw(fields: &mut Map<String, Value>, body: &[u8]) {
    match std::str::from_utf8(body) {
        Ok(text) => fields.insert("raw".to_owned(), Value::from(text)),
        Err(_) => fields.insert("raw_base64".to_owned(), Value::from(STANDARD.encode(body))),
    };
}

/// A balance.
pub(crate) fn balance(balance: &Balance) -> Value {
    json!({
        "account": balance.account,
        "asset": balance.asset,
        "received": balance.amounts.received,
        "sent": balance.amounts.sent,
        "fees": balance.amounts.fees,
        "pending": balance.amounts.pending,
        "balance": balance.amounts.balance(),
    })
}

/// An entity: its state and its history.
pub(crate) fn entity(entity: &Entity, state: &StateItem, history: &Page<EventItem>) -> Value {
    let facts = &state.facts;
    let mut fields = Map::new();
    for (name, register) in &facts.fields {
        fields.insert(name.clone(), Value::from(register.value()));
    }
    for set in ["flags", "addresses"] {
        if let Some(members) = facts.members.get(set) {
            fields.insert(set.to_owned(), json!(members));
        }
    }
    fields.insert("uid".to_owned(), Value::from(entity.uid.as_str()));
    fields.insert("status".to_owned(), Value::from(lifecycle::status(entity.entity_type, facts)));
    fields.insert("updated_at".to_owned(), json!(facts.updated_at.or(state.recorded_at)));
    if entity.entity_type == EntityType::Transaction {
        // What every transaction shows, known or not.
        for name in ["amount", "asset", "chain", "hash"] {
            fields.entry(name).or_insert(Value::Null);
        }
        fields.insert("kind".to_owned(), json!(entity.kind));
        fields.insert("account".to_owned(), Value::from(transaction::account(facts)));
        fields.insert("confirmations".to_owned(), json!(facts.counts.get("confirmations")));
        let contradictions = transaction::contradictions(facts);
        fields.insert("conflict".to_owned(), Value::from(!contradictions.is_empty()));
        fields.insert("contradictions".to_owned(), json!(contradictions));
        fields
            .insert("oddity".to_owned(), json!(transaction::oddity(facts).map(|oddity| oddity.to_string())));
    }
    fields.insert("history".to_owned(), history.items.iter().map(event).collect());
    fields.insert("cursor".to_owned(), cursor(history.cursor.as_ref()));
    Value::Object(fields)
}
