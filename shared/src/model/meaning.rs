//! What an event says.

use super::catalogue::{EventName, EventType};
use super::entity::Entity;
use super::facts::{Facts, Stamp, shorten};
use super::lifecycle::Step;
use crate::clock::Moment;

/// What the last word of an event's name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// A step in the life of a transaction.
    Step(Step),
    /// A flag, which stands beside the status of a transaction.
    Flag,
    /// What happened to an account, asset, address or customer, as Bitpowr documents it.
    Object(EventType),
    /// A word that is not understood: the event belongs to its object, and changes nothing.
    Unknown,
}

/// What an event says: the answer of its family.
#[derive(Clone, Debug, PartialEq)]
pub struct Meaning {
    /// What it is about.
    pub entity: Entity,
    /// What it says. It adds to what is known, unless its word is unknown.
    pub facts: Facts,
    /// The last word of its name.
    pub word: Word,
    /// The event's own word for how things stand: `created`, `success`, `aml_flagged` …
    pub status: String,
    /// When it happened, as the object says.
    pub occurred_at: Option<Moment>,
    /// Whether the object itself is dated, so that equal content is the same event for sure.
    pub dated: bool,
}

/// When an object without a life cycle was changed, and when the event came that says so.
#[derive(Clone, Copy, Debug)]
pub struct Dates {
    /// The object's `createdAt`.
    pub created_at: Option<Moment>,
    /// The object's `updatedAt`.
    pub updated_at: Option<Moment>,
    /// When the event was received.
    pub received_at: Moment,
}

impl Meaning {
    /// What an event says of an account, asset, address or customer. Each of its fields holds the latest word on it, by the
    /// object's `updatedAt`, else by when the event was received.
    pub fn of_object(
        event: &EventName,
        entity: Entity,
        dates: Dates,
        facts: impl FnOnce(Stamp) -> Facts,
    ) -> Self {
        let stamp = Stamp { rank: 0, at: Some(dates.updated_at.unwrap_or(dates.received_at)) };
        let facts = facts(stamp).at(stamp.at);
        let word = event.word();
        Self {
            entity,
            facts: if word == Word::Unknown { facts } else { facts.step(event.last_word()) },
            word,
            status: shorten(event.last_word()),
            occurred_at: dates.updated_at.or(dates.created_at),
            dated: dates.updated_at.is_some(),
        }
    }

    /// What the event adds to what is known.
    pub fn added(&self) -> Facts {
        match self.word {
            Word::Unknown => Facts::default(),
            Word::Step(_) | Word::Flag | Word::Object(_) => self.facts.clone(),
        }
    }
}
