//! What is a family's own: how its objects are read, what its events mean, who is to hear of them, in which words.

use serde::de::DeserializeOwned;

use crate::clock::Moment;
use crate::model::notification::Audience;
use crate::model::{Body, EventType, Family, Meaning, Words, lenient};
use crate::notice::Telling;

/// The code of a family.
pub trait FamilyRules: Send + Sync + 'static {
    /// Which family it is.
    const FAMILY: Family;

    /// The object its events are about.
    type Data: DeserializeOwned + Send + Sync;

    /// What an event says. None where its object has no identifier: it is kept without a state change.
    fn meaning(event: EventType, data: &Self::Data, received_at: Moment) -> Option<Meaning>;

    /// Whether people want to hear of it, and why.
    fn audience(event: EventType) -> Audience;

    /// What people are told.
    fn words(event: EventType, telling: &Telling<'_>) -> Words;
}

/// What a family makes of a body that was received at a time; none where its type is unknown or its object has
/// no identifier.
///
/// # Errors
/// Where the object cannot be read into its type.
pub fn meaning<F: FamilyRules>(
    body: &Body,
    received_at: Moment,
) -> Result<Option<Meaning>, serde_json::Error> {
    let Some(event) = body.event.known() else { return Ok(None) };
    Ok(F::meaning(event, &lenient::object::<F::Data>(&body.data)?, received_at))
}
