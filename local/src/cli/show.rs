//! `show`: one event, or one entity.

use std::collections::BTreeSet;

use clap::Args;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use shared::answers::{Action, Disagreement, EntityState, EventRecord, Raw};
use shared::endpoints::Attempt;
use shared::model::{EntityRef, EntityType, Kind, Oddity};
use shared::names::in_any_case;

use super::failure::Failure;
use super::log::{COLUMNS, row};
use super::place::{NoAnswer, Opened, Place};
use super::{deliveries, say, say_body, say_json, say_table};
use super::{filter, short_id};

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    place: Place,
    /// An event id or its beginning; a uid; or transaction:UID, account:UID, asset:UID, address:UID, customer:UID.
    #[arg(value_parser = filter::entity)]
    what: String,
    /// Which transaction, if a uid has several: deposit, transfer or contract.
    #[arg(long, value_parser = in_any_case::<Kind>)]
    kind: Option<Kind>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        match EntityType::split(&self.what)? {
            (Some(entity_type), uid) => {
                let found = self.entity(&opened, entity_type, uid).await?;
                if self.json { say_json(&found) } else { print_entity(&found)? }
            }
            (None, what) => match event(&opened, what).await? {
                Some(found) => {
                    if self.json {
                        say_json(&found);
                    } else {
                        print_event(&found)?;
                    }
                }
                None => return Err(meant(&opened, what).await?),
            },
        }
        Ok(())
    }

    async fn entity(
        &self,
        opened: &Opened,
        entity_type: EntityType,
        uid: &str,
    ) -> Result<EntityState, NoAnswer> {
        let path = format!("{}/{}", entity_type.plural(), encoded(uid));
        opened.get(&path, &[("kind", self.kind.map(Kind::as_str))]).await
    }
}

/// The event of this id, or of an id that begins so.
async fn event(opened: &Opened, given: &str) -> Result<Option<EventRecord>, Failure> {
    match opened.get(&format!("events/{}", encoded(given)), &[]).await {
        Err(error) if short_id::is_not_found(&error) => {}
        found => return Ok(Some(found?)),
    }
    match short_id::find(opened, given).await? {
        Some(id) => Ok(Some(opened.get(&format!("events/{}", encoded(&id)), &[]).await?)),
        None => Ok(None),
    }
}

/// What to say of what is no event: which entities have this uid.
async fn meant(opened: &Opened, uid: &str) -> Result<Failure, Failure> {
    let mut entities = Vec::new();
    for entity_type in EntityType::ALL {
        let path = format!("{}/{}", entity_type.plural(), encoded(uid));
        match opened.get::<EntityState>(&path, &[]).await {
            Err(error) if short_id::is_not_found(&error) => {}
            // Also one that has several kinds.
            Ok(_) | Err(NoAnswer::Refused(_)) => entities.push(format!("{entity_type}:{uid}")),
            Err(error) => return Err(error.into()),
        }
    }
    if entities.is_empty() {
        return Ok(short_id::unknown(uid));
    }
    let meant = entities.join(" or ");
    Ok(Failure::new(format!("Not found: no event has this id. Did you mean {meant}?")))
}

/// A part of a path.
pub(super) fn encoded(part: &str) -> String {
    percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn print_event(record: &EventRecord) -> Result<(), Failure> {
    let EventRecord { event, notification, delivery_ids: _, attempts, actions, raw } = record;
    fields(event, &[])?;
    // Who subscribed is not known here, nor whether a topic reached anybody.
    let meant_for = match (&notification.programs, &notification.people) {
        (Some(_), Some(_)) => "for programs and people",
        (Some(_), None) => "for programs",
        (None, _) => "none",
    };
    say(&format!("notification  {meant_for}"));
    let notified: BTreeSet<_> =
        attempts.iter().filter(|attempt| attempt.is_success()).map(|attempt| &*attempt.endpoint).collect();
    if !notified.is_empty() {
        say(&format!("notified      {}", Vec::from_iter(notified).join(", ")));
    }
    if let Some(words) = &notification.people {
        say(&format!("subject       {}", words.subject));
    }
    for attempt in attempts {
        say(&format!("attempt       {}", described(attempt)));
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

/// An attempt, in a line.
fn described(attempt: &Attempt) -> String {
    let Attempt { endpoint, number, at, .. } = attempt;
    let number = if *number == 0 { String::new() } else { format!(" #{number}") };
    format!("{at} {endpoint}{number} {}", outcome(attempt))
}

/// What came of an attempt.
pub(super) fn outcome(attempt: &Attempt) -> String {
    let Attempt { status, error, milliseconds, answer, next_at, .. } = attempt;
    let came = match (status, error) {
        (Some(status), _) => format!("{status} in {milliseconds} ms"),
        (None, error) => error.clone().unwrap_or_default(),
    };
    let answer = answer.as_ref().map(|answer| format!(": {answer}")).unwrap_or_default();
    let next = next_at.map(|next| format!(", next {next}")).unwrap_or_default();
    format!("{came}{next}{answer}")
}

fn print_entity(entity: &EntityState) -> Result<(), Failure> {
    fields(entity, &["history", "cursor"])?;
    say("");
    say_table(&COLUMNS, entity.history.iter().map(row));
    Ok(())
}

/// The fields of an answer, a line each: which there are of an entity, its events have said.
fn fields(answer: &impl Serialize, but: &[&str]) -> Result<(), Failure> {
    let fields = serde_json::to_value(answer)?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if is_empty || but.contains(&name.as_str()) {
            continue;
        }
        let value = match value {
            Value::Object(_) if name == "entity" => {
                let EntityRef { entity_type, uid } = EntityRef::deserialize(value)?;
                format!("{entity_type}:{uid}")
            }
            Value::String(_) if name == "oddity" => {
                let oddity = Oddity::deserialize(value)?;
                format!("{oddity}, not counted: {}", oddity.describe())
            }
            Value::Array(all) if name == "disagreements" => {
                let all = all.iter().map(Disagreement::deserialize).collect::<Result<Vec<_>, _>>()?;
                all.iter().map(disagreement).collect::<Vec<_>>().join("; ")
            }
            Value::Number(count) if name == "deliveries" => deliveries(count.as_u64().unwrap_or_default()),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        say(&format!("{name:<13} {value}"));
    }
    Ok(())
}

/// What the events of a transaction contradict each other about, and what they say.
fn disagreement(Disagreement { about, values }: &Disagreement) -> String {
    if values.is_empty() { about.to_string() } else { format!("{about}: {}", values.join(" or ")) }
}
