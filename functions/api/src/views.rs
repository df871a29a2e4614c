//! How what is stored is shown, where one item is not simply one answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use shared::answers::{
    Count, Disagreement, EntityState, Event, EventRecord, List, Quarantined, Raw, Rendered, Stats,
    TransactionState,
};
use shared::clock::Moment;
use shared::endpoints::Attempt;
use shared::model::{Contradiction, Entity, Fact, Facts, Kind, lifecycle, money};
use shared::store::{self, Counts, EventItem, Page, QuarantineItem};

/// The facts that every transaction shows, known or not.
const OF_EVERY_TRANSACTION: [Fact; 6] =
    [Fact::Amount, Fact::Chain, Fact::Hash, Fact::Customer, Fact::Reference, Fact::Memo];

/// An event by itself: with its body, byte for byte, its notification, and what was done to it.
pub(crate) fn event_record(record: store::EventRecord, attempts: Vec<Attempt>) -> EventRecord {
    let (programs, people) = record.notification.map(|rendered| (rendered.programs, rendered.people)).unzip();
    EventRecord {
        event: Event { endpoints: Attempt::progress(&attempts), ..record.event.into() },
        notification: Rendered {
            programs: programs.flatten().and_then(|programs| serde_json::from_str(&programs).ok()),
            people: people.flatten(),
        },
        delivery_ids: record.delivery_ids,
        attempts,
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
pub(crate) fn entity(
    entity: Entity,
    (facts, recorded_at): (&Facts, Option<Moment>),
    asset_type: Option<String>,
    history: Page<EventItem>,
) -> EntityState {
    let List::<Event> { entries: history, cursor, hint: _ } = history.into();
    EntityState {
        facts: known(entity.kind, facts),
        status: lifecycle::status(entity.entity_type, facts).to_owned(),
        updated_at: facts.updated_at.or(recorded_at),
        transaction: entity.kind.map(|kind| transaction(kind, facts, asset_type)),
        uid: entity.uid,
        history,
        cursor,
    }
}

/// The latest word on each field that any event named, and the sets that grow.
fn known(kind: Option<Kind>, facts: &Facts) -> Map<String, Value> {
    let mut known = Map::new();
    for (fact, register) in &facts.fields {
        known.insert(fact.to_string(), Value::from(register.value()));
    }
    for set in [Fact::Flags, Fact::Addresses, Fact::Recipients] {
        if let Some(members) = facts.members.get(&set) {
            known.insert(set.to_string(), json!(members));
        }
    }
    if kind.is_some() {
        for fact in OF_EVERY_TRANSACTION {
            known.entry(fact.as_str()).or_insert(Value::Null);
        }
        known.insert(Fact::Asset.to_string(), json!(money::asset(facts)));
        known.insert(Fact::FromAddress.to_string(), json!(money::sender(facts)));
    }
    known
}

/// What is known of a transaction beside its facts.
fn transaction(kind: Kind, facts: &Facts, asset_type: Option<String>) -> TransactionState {
    let contradictions = money::contradictions(facts);
    let disagreement = |about: &Contradiction| {
        let values = money::said_of_money(facts).remove(about.as_str()).unwrap_or_default();
        let values = values.iter().map(|value| money::readable(value)).collect();
        Disagreement { about: *about, values }
    };
    TransactionState {
        kind,
        account: money::account(facts).to_owned(),
        sub_account: facts.get(Fact::SubAccountId).map(str::to_owned),
        asset_type,
        confirmations: facts.counts.get(&Fact::Confirmations).copied(),
        conflict: !contradictions.is_empty(),
        disagreements: contradictions.iter().map(disagreement).collect(),
        contradictions,
        oddity: money::oddity(kind, facts),
    }
}
