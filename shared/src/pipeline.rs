//! What every family function does with a batch of its queue: open the seal, read the body, ask the family
//! what it means, apply it, render what is told.

use std::sync::Arc;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::clock::{Clock, Moment};
use crate::environment::{Environment, Environments};
use crate::fold::{Effect, Folded};
use crate::model::notification::{self, Audience};
use crate::model::{self, Body, EventType, Facts, Meaning, Notification, Reason, Unreadable, Words, lenient};
use crate::printable::one_line;
use crate::rotating::Rotating;
use crate::store::{Applied, Delivery, EventItem, Recorded, StoreError, Table};
use crate::telemetry;
use crate::verify::{Envelope, Opened, SealRefusal, SealingKeys};

/// The largest `data` that a notification carries, in bytes; of a larger one programs get the event's id only.
const MAX_DATA: usize = 32 * 1024;

/// What is a family's own.
pub trait Family: Send + Sync + 'static {
    /// Which family it is.
    const FAMILY: model::Family;

    /// The object its events are about.
    type Data: DeserializeOwned + Send + Sync;

    /// What an event says. None where its object has no identifier: it is kept without a state change.
    fn meaning(event: EventType, data: &Self::Data, received_at: Moment) -> Option<Meaning>;

    /// Whether people want to hear of it, and why.
    fn audience(event: EventType) -> Audience;

    /// What people are told.
    fn words(event: EventType, telling: &Telling<'_>) -> Words;
}

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

/// A family function: its family's code between the queue and the table.
#[derive(Debug)]
pub struct Pipeline<C> {
    /// Opens the deliveries.
    pub keys: Rotating<SealingKeys>,
    /// Which environments it accepts.
    pub environments: Environments,
    /// Where they are kept.
    pub table: Table,
    /// Tells the time.
    pub clock: Arc<C>,
}

/// Why a delivery could not be handled now. It stays in its queue, and in the end among the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// There is no key to open it with.
    #[error("the sealing key cannot be had")]
    NoKey,
    /// It is not what `ingest` sealed.
    #[error("the seal was refused: {0}")]
    Seal(#[from] SealRefusal),
    /// What was sealed as readable is not, or not to its family.
    #[error("the body cannot be read: {0}")]
    Body(#[from] Unreadable),
    /// It could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<C: Clock> Pipeline<C> {
    /// Handles a batch, one delivery after the other: most batches are steps in the life of few entities, and
    /// what came in order should be applied in order. Those that failed are named, so that only they are
    /// delivered again.
    pub async fn batch<F: Family>(&self, event: SqsEvent) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        for record in event.records {
            let message_id = record.message_id.unwrap_or_default();
            if let Err(error) = self.delivery::<F>(record.body.as_deref().unwrap_or_default()).await {
                warn!(family = %F::FAMILY, message_id, %error, "delivery failed");
                let outcome = if matches!(error, DeliveryError::Seal(_)) { "forged" } else { "failed" };
                telemetry::count(Some(F::FAMILY), outcome);
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = message_id;
                response.batch_item_failures.push(failure);
            }
        }
        response
    }

    /// Handles one message.
    ///
    /// # Errors
    /// [`DeliveryError`]; nothing is lost, the message stays in its queue.
    pub async fn delivery<F: Family>(&self, message: &str) -> Result<Applied, DeliveryError> {
        let begun = std::time::Instant::now();
        let opened = self.open(message, F::FAMILY).await?;
        let envelope = opened.envelope();
        let applied = match &envelope.refused {
            Some((reason, detail)) => self.quarantine(envelope, *reason, detail).await?,
            None => match self.event::<F>(&opened).await {
                // It would be read no better the next time.
                Err(DeliveryError::Body(unreadable)) => {
                    warn!(family = %F::FAMILY, delivery_id = envelope.delivery_id, %unreadable, "quarantined");
                    self.quarantine(envelope, unreadable.reason, &unreadable.detail).await?
                }
                outcome => outcome?,
            },
        };
        telemetry::count(Some(F::FAMILY), if applied.new { applied.effect.as_str() } else { "redelivered" });
        info!(
            family = %F::FAMILY,
            environment = %envelope.environment,
            event = envelope.event,
            delivery_id = envelope.delivery_id,
            id = applied.id,
            entity_type = applied.entity.as_ref().map(|entity| entity.entity_type.as_str()),
            entity = applied.entity.as_ref().map(|entity| entity.uid.as_str()),
            effect = %applied.effect,
            new = applied.new,
            milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "delivery applied"
        );
        if applied.effect == Effect::Ambiguous {
            telemetry::count(Some(F::FAMILY), "ambiguous");
        }
        if matches!(applied.effect, Effect::Conflict | Effect::Ambiguous) {
            warn!(family = %F::FAMILY, id = applied.id, effect = %applied.effect, "somebody has to look");
        }
        Ok(applied)
    }

    /// Opens a message; a key that was added a moment ago is fetched before the message is refused.
    async fn open(&self, message: &str, family: model::Family) -> Result<Opened, DeliveryError> {
        let open = |keys: &SealingKeys| Opened::verify(message, keys, &self.environments, family);
        let keys = self.keys.current().await.ok_or(DeliveryError::NoKey)?;
        match open(&keys) {
            Err(SealRefusal::UnknownKey) => match self.keys.refreshed(&keys).await {
                Some(keys) => Ok(open(&keys)?),
                None => Err(SealRefusal::UnknownKey.into()),
            },
            verdict => Ok(verdict?),
        }
    }

    async fn quarantine(
        &self,
        envelope: &Envelope,
        reason: Reason,
        detail: &str,
    ) -> Result<Applied, DeliveryError> {
        Ok(self.table.quarantine(envelope, (reason, detail), self.clock.now()).await?)
    }

    async fn event<F: Family>(&self, opened: &Opened) -> Result<Applied, DeliveryError> {
        let envelope = opened.envelope();
        let body = Body::parse(&envelope.body, envelope.environment)?;
        let known = body.event.known();
        let delivery = Delivery {
            environment: envelope.environment,
            body,
            raw: envelope.body.clone(),
            received_at: envelope.received_at,
            delivery_id: envelope.delivery_id.clone(),
        };
        let render = |recorded: &Recorded<'_>| render::<F>(&delivery, known, recorded);
        let applied = self.table.apply(&delivery, &meaning::<F>, &*self.clock, render).await;
        applied.map_err(|error| match meaning::<F>(&delivery.body, delivery.received_at) {
            Err(_) => Unreadable::new(Reason::NotUnderstood).into(),
            Ok(_) => error.into(),
        })
    }
}

/// What a family makes of a body that was received at a moment; none where its type is unknown or its object has
/// no identifier.
///
/// # Errors
/// Where the object cannot be read into its type.
pub fn meaning<F: Family>(body: &Body, received_at: Moment) -> Result<Option<Meaning>, serde_json::Error> {
    let Some(event) = body.event.known() else { return Ok(None) };
    Ok(F::meaning(event, &lenient::object::<F::Data>(&body.data)?, received_at))
}

/// Renders what is told of an event; none where nothing is.
fn render<F: Family>(
    delivery: &Delivery,
    known: Option<EventType>,
    recorded: &Recorded<'_>,
) -> Result<Option<Notification>, StoreError> {
    let Recorded { event, folded } = recorded;
    if folded.is_some_and(|folded| !folded.told) {
        return Ok(None);
    }
    let words = known.zip(*folded).zip(event.entity.as_ref()).map(|((known, folded), entity)| {
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
            ("event", delivery.body.event.plain()),
            ("effect", Some(event.effect.as_str())),
            ("status", Some(event.status.as_str())),
            ("asset", event.asset.as_deref()),
            ("chain", field("chain")),
        ],
        field("dollar_amount"),
    );
    let programs = programs(event, *folded, subject.as_deref(), &delivery.body)?;
    Ok(Some(Notification { people, programs, attributes }))
}

/// The JSON for programs.
fn programs(
    event: &EventItem,
    folded: Option<&Folded>,
    subject: Option<&str>,
    body: &Body,
) -> Result<String, StoreError> {
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
    Ok(serde_json::to_string(&told)?)
}
