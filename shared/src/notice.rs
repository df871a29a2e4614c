//! The notification of an event: in words for people, in JSON for programs. It is rendered when the event is
//! applied, and stored with it. What `rebuild` moves has one as well.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::clock::Moment;
use crate::decide::New;
use crate::environment::Environment;
use crate::family::FamilyRules;
use crate::fold::{Effect, Folded, Known, People};
use crate::model::lifecycle::{self, Outcome};
use crate::model::notification::{self, Attribute, Audience, COUNTED, Counted, Counts, ForPrograms};
use crate::model::{
    Body, EntityRef, EntityType, EventName, Fact, Facts, Family, Kind, Meaning, Notification, Oddity,
    Posting, Word, Words, money,
};
use crate::printable::one_line;
use crate::store::EventItem;

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
        let mark = mark(self.environment);
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
    let nothing = Facts::default();
    let about = About {
        event,
        facts: folded.map_or(&nothing, |folded| &folded.facts),
        kind: folded.and_then(|folded| folded.kind),
        counted: Counted::of(&new.changes()),
        counts: folded.map_or_else(Counts::default, |folded| Counts::of(new.version(), &folded.known.posted)),
    };
    let attributes = attributes(&about, body.event.plain());
    let programs = Some(about.for_programs(&words.subject, body.data.clone())?);
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
    let mark = mark(environment);
    let headline = one_line(&format!("{mark}Event {event} is not understood")).into_owned();
    let text = format!(
        "{headline}.\n\nIts type is unknown, or its object has no identifier. It is kept, and changes nothing. Please look \
         whether money depends on it.\nEvent: {id}\nEnvironment: {environment}\n"
    );
    Words::new(&headline, &text, &headline)
}

/// What corrections bear as their type.
const CORRECTION: &str = "correction";

/// What `rebuild` moves, for programs: a ledger line without an event is notified as well. People have its report.
#[derive(Debug)]
pub struct Correction<'a> {
    /// Names it.
    pub id: &'a str,
    /// Whose world it is.
    pub environment: Environment,
    /// The transaction that counts otherwise now; none where a balance was not what its transactions add up to.
    pub transaction: Option<Corrected<'a>>,
    /// What changes on which balance.
    pub changes: &'a [(Kind, Posting)],
    /// Why.
    pub why: &'a str,
    /// When.
    pub at: Moment,
}

/// A transaction that counts otherwise after a correction.
#[derive(Clone, Copy, Debug)]
pub struct Corrected<'a> {
    /// Its identifier.
    pub uid: &'a str,
    /// All that is known of it now.
    pub known: &'a Known,
    /// The version of the state that says so.
    pub version: u64,
}

impl Correction<'_> {
    /// Renders it.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub fn render(&self) -> Result<Notification, serde_json::Error> {
        let first = self.changes.first();
        let kind = self.transaction.and_then(|of| of.known.sole_kind().or(first.map(|(kind, _)| *kind)));
        let facts = self.transaction.map(|of| of.known.of(kind)).unwrap_or_default();
        let posting = first.map(|(_, posting)| posting);
        let event = EventItem {
            id: self.id.into(),
            environment: self.environment,
            event: CORRECTION.to_owned(),
            family: match kind {
                Some(Kind::Deposit) => Family::Deposits,
                Some(Kind::Transfer) => Family::Transfers,
                Some(Kind::Contract) => Family::Contracts,
                Some(Kind::Unknown) => Family::Legacy,
                None => Family::Accounts,
            },
            entity: self
                .transaction
                .map(|of| EntityRef { entity_type: EntityType::Transaction, uid: of.uid.to_owned() }),
            kind,
            effect: Effect::Applied,
            why: self.why.to_owned(),
            status: match self.transaction {
                Some(_) => lifecycle::status(EntityType::Transaction, &facts).to_owned(),
                None => "corrected".to_owned(),
            },
            oddity: kind.and_then(|kind| money::oddity(kind, &facts)),
            acknowledged: false,
            conflict: !money::contradictions(&facts).is_empty(),
            asset: money::asset(&facts).or(posting.map(|posting| posting.asset.as_str())).map(str::to_owned),
            amount: facts.get(Fact::Amount).map(str::to_owned),
            deliveries: 0,
            received_at: self.at,
            recorded_at: self.at,
            occurred_at: self.at,
            notified: None,
        };
        let what = match (self.transaction, kind, posting) {
            (Some(of), Some(kind), _) => format!("{kind} {}", one_line(of.uid)),
            (_, _, Some(posting)) => format!("balance of {}", one_line(&posting.account)),
            _ => "balance".to_owned(),
        };
        let subject =
            Words::new(&format!("{}The {what} was corrected", mark(self.environment)), "", "").subject;
        let about = About {
            event: &event,
            facts: &facts,
            kind,
            counted: Counted::of(self.changes),
            counts: self
                .transaction
                .map_or_else(Counts::default, |of| Counts::of(of.version, &of.known.posted)),
        };
        let attributes = attributes(&about, Some(CORRECTION));
        let programs = Some(about.for_programs(&subject, Map::new())?);
        Ok(Notification { people: None, programs, endpoint: None, attributes })
    }
}

/// What stands before what people read, unless it is about real money.
fn mark(environment: Environment) -> &'static str {
    match environment {
        Environment::Test => "[test] ",
        Environment::Live => "",
    }
}

/// What programs are notified of.
struct About<'a> {
    event: &'a EventItem,
    /// What is known of its entity now.
    facts: &'a Facts,
    /// For a transaction the kind as which it counts.
    kind: Option<Kind>,
    counted: Vec<Counted>,
    counts: Counts,
}

/// What subscribers can filter by.
fn attributes(about: &About<'_>, event: Option<&str>) -> BTreeMap<String, Attribute> {
    let About { event: of, facts, .. } = about;
    let texts = [
        ("environment", Some(of.environment.as_str())),
        ("family", Some(of.family.as_str())),
        ("event", event),
        ("effect", Some(of.effect.as_str())),
        ("status", Some(of.status.as_str())),
        ("asset", of.asset.as_deref()),
        ("chain", facts.get(Fact::Chain)),
        (COUNTED, (!about.counted.is_empty()).then_some("true")),
    ];
    notification::attributes(texts, facts.get(Fact::DollarAmount))
}

impl About<'_> {
    /// The JSON for programs.
    fn for_programs(self, subject: &str, data: Map<String, Value>) -> Result<String, serde_json::Error> {
        let Self { event, facts, kind, counted, counts } = self;
        let data = if serde_json::to_string(&data)?.len() <= MAX_DATA {
            Value::Object(data)
        } else {
            json!({ "event_id": event.id })
        };
        let fact = |fact| facts.get(fact).map(str::to_owned);
        let counts_for = match event.entity.as_ref().map(|entity| entity.entity_type) {
            Some(EntityType::Transaction) => Some(money::account(facts).to_owned()),
            Some(_) => fact(Fact::AccountId),
            None => counted.first().map(|counted| counted.account.to_string()),
        };
        serde_json::to_string(&ForPrograms {
            event_type: event.event.clone(),
            timestamp: event.occurred_at,
            id: event.id.clone(),
            environment: event.environment,
            event: event.event.clone(),
            family: event.family,
            entity: event.entity.clone(),
            kind,
            effect: event.effect,
            why: event.why.clone(),
            status: event.status.clone(),
            conflict: event.conflict,
            oddity: event.oddity,
            subject: Some(subject.to_owned()),
            amount: fact(Fact::Amount),
            asset: event.asset.clone(),
            account: counts_for,
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
            counted,
            counts,
            occurred_at: event.occurred_at,
            received_at: event.received_at,
            recorded_at: event.recorded_at,
            data,
            resend: None,
        })
    }
}
