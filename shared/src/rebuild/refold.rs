//! What the events of an entity say together, read from their bodies again.

use crate::clock::Moment;
use crate::environment::Environment;
use crate::fold::Known;
use crate::model::{Body, Entity, EntityType, EventId, Facts, Kind, Meaning, Unreadable};
use crate::store::{Partition, StoreError, Table, keys};

/// What the families make of a body that was received at a time. Reading the same body again must say the same.
pub type Interpreter<'a> =
    dyn Fn(&Body, Moment) -> Result<Option<Meaning>, serde_json::Error> + Send + Sync + 'a;

/// Why an entity cannot be folded anew.
#[derive(Debug, thiserror::Error)]
pub enum RefoldError {
    /// The table cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A body is gone.
    #[error("the body of event {0} is missing")]
    Missing(EventId),
    /// A body cannot be read any more.
    #[error("the body of event {0} cannot be read")]
    Unreadable(EventId, #[source] Unreadable),
    /// Its family cannot read it any more.
    #[error("the body of event {0} is not understood")]
    NotUnderstood(EventId, #[source] serde_json::Error),
}

/// What the events of an entity say together.
#[derive(Debug, Default)]
pub struct Refolded {
    /// The facts of all of them.
    pub facts: Facts,
    /// Whether an event says something of the entity.
    is_known: bool,
    /// The last event, if there is any.
    last_event: Option<EventId>,
    /// The highest version of its counts that was notified.
    notified: Option<u64>,
}

/// Reads the bodies of an entity's events again, and joins what they say. `antedated`: an event that is to count
/// as received at another time than it is written.
///
/// # Errors
/// [`RefoldError`], with the event's id.
pub async fn refold(
    table: &Table,
    environment: Environment,
    pk: &Partition,
    interpret: &Interpreter<'_>,
    antedated: Option<(EventId, Moment)>,
) -> Result<Refolded, RefoldError> {
    let mut refolded = Refolded::default();
    let mut start = None;
    loop {
        let (events, reached) = table.bodies(environment, pk, start).await?;
        for (event, raw) in events {
            let raw = raw.ok_or_else(|| RefoldError::Missing(event.id.clone()))?;
            let body = Body::parse(&raw, environment)
                .map_err(|unreadable| RefoldError::Unreadable(event.id.clone(), unreadable))?;
            let received_at = match &antedated {
                Some((id, moment)) if *id == event.id => *moment,
                _ => event.received_at,
            };
            let meaning = interpret(&body, received_at)
                .map_err(|error| RefoldError::NotUnderstood(event.id.clone(), error))?;
            if let Some(meaning) = meaning {
                refolded.facts = refolded.facts.join(meaning.added());
                refolded.is_known = true;
            }
            refolded.notified = refolded.notified.max(event.notified);
            refolded.last_event = Some(event.id);
        }
        start = reached;
        if start.is_none() {
            return Ok(refolded);
        }
    }
}

/// All that is known under one uid, and of its events.
pub(super) struct RefoldedKnown {
    pub(super) known: Known,
    /// The last event, if there is any.
    pub(super) last_event: Option<EventId>,
    /// The highest version that was notified.
    pub(super) notified: Option<u64>,
}

/// Reads the events of all that has one state again: of a transaction those of every kind under its uid.
///
/// # Errors
/// [`RefoldError`], with the event's id.
pub(super) async fn refold_known(
    table: &Table,
    environment: Environment,
    entity: &Entity,
    interpret: &Interpreter<'_>,
) -> Result<RefoldedKnown, RefoldError> {
    let kinds = match entity.entity_type {
        EntityType::Transaction => Kind::ALL.map(Some).to_vec(),
        _ => vec![None],
    };
    let (mut known, mut last_event, mut notified) = (Known::default(), None, None);
    for kind in kinds {
        let pk = keys::entity(environment, &Entity { kind, ..entity.clone() });
        let refolded = refold(table, environment, &pk, interpret, None).await?;
        if refolded.is_known {
            known = known.join(kind, refolded.facts);
        }
        last_event = refolded.last_event.or(last_event);
        notified = refolded.notified.max(notified);
    }
    Ok(RefoldedKnown { known: known.settled(), last_event, notified })
}
