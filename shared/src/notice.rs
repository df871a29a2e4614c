//! The notification of an event: in words for people, in JSON for programs. It is rendered when the event is
//! applied, and stored with it.

use serde_json::{Value, json};

use crate::environment::Environment;
use crate::family::FamilyRules;
use crate::fold::Folded;
use crate::model::notification::{self, Audience};
use crate::model::{Body, Facts, Notification, Words};
use crate::printable::one_line;
use crate::store::EventItem;

/// The largest `data` that a notification carries, in bytes; of a larger one programs get the event's id only.
const MAX_DATA: usize = 32 * 1024;

/// What a family can tell of.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// Whose world it is.
    pub environment: Environment,
    /// What is known of the entity now.
    pub facts: &'a Facts,
    /// Whether its events contradict each other.
    pub conflict: bool,
    /// The entity's identifier.
    pub uid: &'a str,
}

impl Telling<'_> {
    /// The latest word on a field, or what to say where there is none.
    pub fn field(&self, name: &str, otherwise: &'static str) -> &str {
        self.facts.get(name).unwrap_or(otherwise)
    }

    /// How much of what: `0.45 BTC`.
    pub fn amount(&self) -> String {
        format!(
            "{} {}",
            self.field("amount", "an unknown amount of"),
            self.field("asset", "an unknown asset")
        )
    }

    /// Words of the usual form: one sentence, followed by what is known, a line each. Subject and SMS carry
    /// the environment unless it is live, so that nobody takes play money for money.
    pub fn say(&self, sentence: &str, fields: &[(&str, &str)]) -> Words {
        let mark = match self.environment {
            Environment::Test => "[test] ",
            Environment::Live => "",
        };
        let conflict = if self.conflict { "CONFLICT: " } else { "" };
        // What the webhook says stays within its line, and makes none of its own.
        let headline = one_line(&format!("{mark}{conflict}{sentence}")).into_owned();
        let mut text = format!("{headline}.\n\n");
        if self.conflict {
            text.push_str(
                "Its webhooks contradict each other. It counts for no balance until that is cleared up.\n\n",
            );
        }
        for (label, field) in fields {
            if let Some(value) = self.facts.get(field) {
                text.push_str(&format!("{label}: {}\n", one_line(value)));
            }
        }
        let uid = one_line(self.uid);
        text.push_str(&format!("Identifier: {uid}\nEnvironment: {}\n", self.environment));
        Words::new(&headline, &text, &headline)
    }
}

/// Renders the notification of an event; none where nobody is to be notified.
///
/// # Errors
/// Where it cannot be written as JSON.
pub fn render<F: FamilyRules>(
    event: &EventItem,
    folded: Option<&Folded>,
    body: &Body,
) -> Result<Option<Notification>, serde_json::Error> {
    if folded.is_some_and(|folded| !folded.told) {
        return Ok(None);
    }
    let words = body.event.known().zip(folded).zip(event.entity.as_ref()).map(|((known, folded), entity)| {
        let telling = Telling {
            environment: event.environment,
            facts: &folded.known.facts,
            conflict: folded.is_contradicted(),
            uid: &entity.uid,
        };
        // A contradiction is for people whatever the event's type.
        let people = telling.conflict || matches!(F::audience(known), Audience::People(_));
        (F::words(known, &telling), people)
    });
    let people = words.as_ref().filter(|(_, people)| *people).map(|(words, _)| words.clone());
    let subject = words.map(|(words, _)| words.subject);
    let facts = folded.map(|folded| &folded.known.facts);
    let field = |name| facts.and_then(|facts| facts.get(name));
    let attributes = notification::attributes(
        [
            ("environment", Some(event.environment.as_str())),
            ("family", Some(event.family.as_str())),
            ("event", body.event.plain()),
            ("effect", Some(event.effect.as_str())),
            ("status", Some(event.status.as_str())),
            ("asset", event.asset.as_deref()),
            ("chain", field("chain")),
        ],
        field("dollar_amount"),
    );
    let programs = programs(event, folded, subject.as_deref(), body)?;
    Ok(Some(Notification { people, programs, attributes }))
}

/// The JSON for programs.
fn programs(
    event: &EventItem,
    folded: Option<&Folded>,
    subject: Option<&str>,
    body: &Body,
) -> Result<String, serde_json::Error> {
    let data = serde_json::to_string(&body.data)?;
    let data = if data.len() <= MAX_DATA {
        Value::Object(body.data.clone())
    } else {
        json!({ "event_id": event.id })
    };
    let conflict = folded.map(Folded::is_contradicted);
    let told = json!({
        "id": event.id,
        "environment": event.environment,
        "event": event.event,
        "family": event.family,
        "entity": event.entity,
        "kind": event.kind,
        "effect": event.effect,
        "why": event.why,
        "status": event.status,
        "conflict": conflict.unwrap_or(false),
        "subject": subject,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "recorded_at": event.recorded_at,
        "data": data,
    });
    serde_json::to_string(&told)
}
