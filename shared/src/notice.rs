//! The notification of an event: in words for people, in JSON for programs. It is rendered when the event is
//! applied, and stored with it.

use serde_json::{Value, json};

use crate::decide::New;
use crate::environment::Environment;
use crate::family::FamilyRules;
use crate::fold::{Folded, People};
use crate::model::lifecycle::{self, Outcome};
use crate::model::notification::{self, Audience, COUNTED, Counted, Counts, ForPrograms};
use crate::model::{
    Body, EntityType, EventName, Fact, Facts, Kind, Meaning, Notification, Oddity, Word, Words, money,
};
use crate::printable::one_line;

/// The largest `data` that a notification carries, in bytes; of a larger one programs get the event's id only.
const MAX_DATA: usize = 32 * 1024;

/// What people are notified of.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// Whose world it is.
    pub environment: Environment,
    /// The event's name.
    pub event: &'a EventName,
    /// What has happened: the event's own word, or that money has moved.
    pub word: Word,
    /// What is known of the entity now.
    pub facts: &'a Facts,
    /// For a transaction the kind as which the event counts.
    pub kind: Option<Kind>,
    /// Why the money of the transaction counts for nothing.
    pub oddity: Option<Oddity>,
    /// Whether its events contradict each other.
    pub conflict: bool,
    /// The entity's identifier.
    pub uid: &'a str,
}

impl<'a> Notice<'a> {
    /// The notice of an event that was applied.
    pub fn new(
        environment: Environment,
        event: &'a EventName,
        meaning: &'a Meaning,
        folded: &'a Folded,
    ) -> Self {
        let conflict = folded.is_contradicted();
        let furthest = lifecycle::furthest(&folded.facts);
        // Whatever the event's name, it is the first proof that money has moved.
        let word = match furthest {
            Some(step)
                if step.outcome() == Outcome::Success
                    && matches!(meaning.word, Word::Step(_))
                    && folded.people == People::Always
                    && !conflict =>
            {
                Word::Step(step)
            }
            _ => meaning.word,
        };
        Self {
            environment,
            event,
            word,
            facts: &folded.facts,
            kind: folded.kind,
            oddity: folded.oddity(),
            conflict,
            uid: &meaning.entity.uid,
        }
    }

    /// The latest word on a field, or what to say where there is none.
    pub fn field(&self, fact: Fact, otherwise: &'static str) -> &str {
        self.facts.get(fact).unwrap_or(otherwise)
    }

    /// How much of what: `0.45 BTC`.
    pub fn amount(&self) -> String {
        let amount = self.field(Fact::Amount, "an unknown amount of");
        format!("{amount} {}", money::asset(self.facts).unwrap_or("an unknown asset"))
    }

    /// Words of the usual form: one sentence, followed by what is known, a line each. Subject and SMS carry
    /// the environment unless it is live, so that nobody takes play money for money.
    pub fn say(&self, sentence: &str, fields: &[(&str, Fact)]) -> Words {
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
                "Its webhooks contradict each other. It counts for no balance until that is resolved.\n",
            );
            for about in money::contradictions(self.facts) {
                text.push_str(&format!(
                    "They disagree about the {about}{}.\n",
                    one_line(&money::values(self.facts, about))
                ));
            }
            text.push('\n');
        }
        for (label, fact) in fields {
            for value in self.facts.get(*fact).into_iter().chain(self.facts.set(*fact)) {
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
    new: &New,
    meaning: Option<&Meaning>,
    body: &Body,
) -> Result<Option<Notification>, serde_json::Error> {
    let (event, folded) = (&new.event, new.folded.as_ref());
    if folded.is_some_and(|folded| !folded.notified) {
        return Ok(None);
    }
    let words = match meaning.zip(folded) {
        Some((meaning, folded)) => F::words(&Notice::new(event.environment, &body.event, meaning, folded)),
        None => not_understood(event.environment, &body.event, &event.id),
    };
    let programs = for_programs(new, &words.subject, body)?;
    let attributes = notification::attributes(
        [
            (COUNTED, (!programs.counted.is_empty()).then_some("true")),
            ("environment", Some(event.environment.as_str())),
            ("family", Some(event.family.as_str())),
            ("event", body.event.plain()),
            ("effect", Some(event.effect.as_str())),
            ("status", Some(event.status.as_str())),
            ("asset", event.asset.as_deref()),
            ("chain", folded.and_then(|folded| folded.facts.get(Fact::Chain))),
        ],
        folded.and_then(|folded| folded.facts.get(Fact::DollarAmount)),
    );
    let programs = Some(serde_json::to_string(&programs)?);
    let people = wants_people::<F>(new, meaning, &body.event).then_some(words);
    Ok(Some(Notification { people, programs, endpoint: None, attributes }))
}

/// Whether people are notified, too. Of what is not understood once a day for each type.
fn wants_people<F: FamilyRules>(new: &New, meaning: Option<&Meaning>, event: &EventName) -> bool {
    if meaning.is_none_or(|meaning| meaning.word == Word::Unknown) && new.asks() {
        return true;
    }
    match new.folded.as_ref().map(|folded| folded.people) {
        Some(People::Always) => true,
        Some(People::NotAgain) | None => false,
        Some(People::AsUsual) => matches!(F::audience(event), Audience::People(_)),
    }
}

/// What people read of an event that is about nothing that is known.
fn not_understood(environment: Environment, event: &EventName, id: &str) -> Words {
    let mark = if environment == Environment::Test { "[test] " } else { "" };
    let headline = one_line(&format!("{mark}Event {event} is not understood")).into_owned();
    let text = format!(
        "{headline}.\n\nIts type is unknown, or its object has no identifier. It is kept, and changes nothing. Please look \
         whether money depends on it.\nEvent: {id}\nEnvironment: {environment}\n"
    );
    Words::new(&headline, &text, &headline)
}

/// The JSON for programs.
fn for_programs(new: &New, subject: &str, body: &Body) -> Result<ForPrograms, serde_json::Error> {
    let (event, folded) = (&new.event, new.folded.as_ref());
    let data = serde_json::to_string(&body.data)?;
    let data = if data.len() <= MAX_DATA {
        Value::Object(body.data.clone())
    } else {
        json!({ "event_id": event.id })
    };
    let nothing = Facts::default();
    let facts = folded.map_or(&nothing, |folded| &folded.facts);
    let fact = |fact| facts.get(fact).map(str::to_owned);
    let is_transaction =
        event.entity.as_ref().is_some_and(|entity| entity.entity_type == EntityType::Transaction);
    Ok(ForPrograms {
        event_type: event.event.clone(),
        timestamp: event.occurred_at,
        id: event.id.clone(),
        environment: event.environment,
        event: event.event.clone(),
        family: event.family,
        entity: event.entity.clone(),
        kind: folded.and_then(|folded| folded.kind),
        effect: event.effect,
        why: event.why.clone(),
        status: event.status.clone(),
        conflict: event.conflict,
        oddity: event.oddity,
        subject: Some(subject.to_owned()),
        amount: fact(Fact::Amount),
        asset: event.asset.clone(),
        account: if is_transaction { Some(money::account(facts).to_owned()) } else { fact(Fact::AccountId) },
        sub_account: fact(Fact::SubAccountId),
        customer: fact(Fact::Customer),
        reference: fact(Fact::Reference),
        memo: fact(Fact::Memo),
        hash: fact(Fact::Hash),
        address: fact(Fact::Address),
        from_address: money::sender(facts).map(str::to_owned),
        label: fact(Fact::Label),
        external_id: fact(Fact::ExternalId),
        idempotency_key: fact(Fact::IdempotencyKey),
        recipients: facts.set(Fact::Recipients).map(str::to_owned).collect(),
        counted: Counted::of(&new.changes()),
        counts: folded.map_or_else(Counts::default, |folded| Counts::of(new.version(), &folded.known.posted)),
        occurred_at: event.occurred_at,
        received_at: event.received_at,
        recorded_at: event.recorded_at,
        data,
    })
}
