//! `show`: one event, or one entity.

use clap::Args;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use shared::answers::{Action, EntityState, EventRecord, Raw};
use shared::model::{EntityRef, EntityType};

use super::failure::Failure;
use super::log::{COLUMNS, row};
use super::place::Place;
use super::{deliveries, say, say_body, say_json, say_table};

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    place: Place,
    /// An event id, or transaction:UID, account:UID, asset:UID, address:UID, customer:UID.
    what: String,
    /// Which transaction, if a uid has several: deposit, transfer or contract.
    #[arg(long)]
    kind: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let entity = self.what.split_once(':').and_then(|(name, uid)| {
            let entity_type: EntityType = name.parse().ok()?;
            Some((entity_type, uid))
        });
        match entity {
            Some((entity_type, uid)) => {
                let path = format!("{}/{}", entity_type.plural(), encoded(uid));
                let found: EntityState = opened.get(&path, &[("kind", self.kind.as_deref())]).await?;
                if self.json { say_json(&found) } else { tell_entity(&found)? }
            }
            None => {
                let path = format!("events/{}", encoded(&self.what));
                let found: EventRecord = opened.get(&path, &[]).await?;
                if self.json { say_json(&found) } else { tell_event(&found)? }
            }
        }
        Ok(())
    }
}

/// A part of a path.
pub(super) fn encoded(part: &str) -> String {
    percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn tell_event(record: &EventRecord) -> Result<(), Failure> {
    let EventRecord { event, told, delivery_ids: _, actions, raw } = record;
    fields(event, &[])?;
    let notified = match (&told.programs, &told.people) {
        (Some(_), Some(_)) => "programs, people",
        (Some(_), None) => "programs",
        (None, _) => "nobody",
    };
    say(&format!("notified      {notified}"));
    if let Some(words) = &told.people {
        say(&format!("subject       {}", words.subject));
    }
    for Action { action, at, who, why, .. } in actions {
        say(&format!("{action:<13} {at} by {who}: {why}"));
    }
    say("");
    match raw {
        Raw::Text(body) => say_body(body),
        Raw::Base64(body) => say(body),
    }
    Ok(())
}

fn tell_entity(entity: &EntityState) -> Result<(), Failure> {
    fields(entity, &["history", "cursor"])?;
    say("");
    say_table(&COLUMNS, entity.history.iter().map(row));
    Ok(())
}

/// The fields of an answer, a line each: which there are of an entity, its events have said.
fn fields(answer: &impl Serialize, but: &[&str]) -> Result<(), Failure> {
    let fields = serde_json::to_value(answer)?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        if but.contains(&name.as_str()) || value.is_null() {
            continue;
        }
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Object(_) if name == "entity" => {
                let EntityRef { entity_type, uid } = EntityRef::deserialize(value)?;
                format!("{entity_type}:{uid}")
            }
            Value::Number(count) if name == "deliveries" => deliveries(count.as_u64().unwrap_or_default()),
            other => other.to_string(),
        };
        say(&format!("{name:<13} {value}"));
    }
    Ok(())
}
