//! What an event says.

use super::entity::Entity;
use super::facts::Facts;
use crate::clock::Moment;

/// What an event says: the answer of its family.
#[derive(Clone, Debug, PartialEq)]
pub struct Meaning {
    /// What it is about.
    pub entity: Entity,
    /// What it adds to what is known.
    pub facts: Facts,
    /// The event's own word for how things stand: `created`, `success`, `aml_flagged` …
    pub status: String,
    /// When it happened, as the object says.
    pub occurred_at: Option<Moment>,
    /// Whether the object itself is dated, so that equal content is the same event for sure.
    pub dated: bool,
}
