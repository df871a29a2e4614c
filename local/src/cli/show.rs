//! `show`: one event, or one entity.

use clap::Args;
use serde_json::Value;
use shared::model::EntityType;

use super::failure::Failure;
use super::log::{COLUMNS, row};
use super::place::Place;
use super::{deliveries, say, say_body, say_json, say_table, text};

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    place: Place,
    /// An event's id; or transaction:UID, account:UID, asset:UID, address:UID, customer:UID.
    what: String,
    /// Of a uid that has several transactions: deposit, transfer or contract.
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
        let found = match entity {
            Some((entity_type, uid)) => {
                let path = format!("{}/{}", entity_type.plural(), encoded(uid));
                opened.get(&path, &[("kind", self.kind.as_deref())]).await?
            }
            None => opened.get(&format!("events/{}", encoded(&self.what)), &[]).await?,
        };
        if self.json {
            say_json(&found);
        } else if entity.is_some() {
            tell_entity(&found);
        } else {
            tell_event(&found);
        }
        Ok(())
    }
}

/// A part of a path.
pub(super) fn encoded(part: &str) -> String {
    percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn tell_event(event: &Value) {
    fields(event, &["told", "raw", "raw_base64", "actions", "delivery_ids"]);
    let told = event.get("told");
    let people = told.and_then(|told| told.get("people")).filter(|words| words.is_object());
    let programs = told.and_then(|told| told.get("programs")).is_some_and(Value::is_object);
    say(&format!("told          {}", if programs { "programs" } else { "nobody" }));
    if let Some(words) = people {
        say(&format!("told people   {}", text(words, "subject")));
    }
    for action in event.get("actions").and_then(Value::as_array).into_iter().flatten() {
        let (at, who) = (text(action, "at"), text(action, "who"));
        say(&format!("{:<13} {at} by {who}: {}", text(action, "action"), text(action, "why")));
    }
    say("");
    match event.get("raw").and_then(Value::as_str) {
        Some(raw) => say_body(raw),
        None => say(text(event, "raw_base64")),
    }
}

fn tell_entity(entity: &Value) {
    fields(entity, &["history", "cursor"]);
    say("");
    let history = entity.get("history").and_then(Value::as_array).into_iter().flatten();
    say_table(&COLUMNS, history.map(row));
}

/// The fields of an object, a line each.
fn fields(object: &Value, but: &[&str]) {
    for (name, value) in object.as_object().into_iter().flatten() {
        if but.contains(&name.as_str()) || value.is_null() {
            continue;
        }
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Object(_) if name == "entity" => {
                format!("{}:{}", text(value, "type"), text(value, "uid"))
            }
            count if name == "deliveries" => deliveries(count),
            other => other.to_string(),
        };
        say(&format!("{name:<13} {value}"));
    }
}
