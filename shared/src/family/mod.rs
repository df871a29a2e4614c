//! What is a family's own: how its objects are read, what its events mean, who is to hear of them, in which words.

pub mod transactions;

use serde::de::DeserializeOwned;

use crate::clock::Moment;
use crate::model::notification::Audience;
use crate::model::{Body, EventName, Family, Meaning, Words, lenient};
use crate::notice::Notice;

/// The code of a family.
pub trait FamilyRules: Send + Sync + 'static {
    /// Which family it is.
    const FAMILY: Family;

    /// The object its events are about.
    type Data: DeserializeOwned + Send + Sync;

    /// What an event says, documented or not. None where its object has no identifier: it is kept without a state
    /// change.
    fn meaning(event: &EventName, data: &Self::Data, received_at: Moment) -> Option<Meaning>;

    /// Whether people want to hear of it, and why.
    fn audience(event: &EventName) -> Audience;

    /// What people read.
    fn words(notice: &Notice<'_>) -> Words;
}

/// What a family makes of a body that was received at a time; none where its object has no identifier.
///
/// # Errors
/// Where the object cannot be read into its type.
pub fn meaning<F: FamilyRules>(
    body: &Body,
    received_at: Moment,
) -> Result<Option<Meaning>, serde_json::Error> {
    Ok(F::meaning(&body.event, &lenient::object::<F::Data>(body.subject())?, received_at))
}
