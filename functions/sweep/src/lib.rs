//! Moves dead letters into quarantine before their queue forgets them.
//!
//! A dead letter lives for 14 days from the day it was first sent. What is older than three days, and carries a
//! valid seal, is kept in the table for good, where it can be seen and retried; what carries none was not sent
//! by `ingest` and stays where it is.

use jiff::SignedDuration;
use shared::clock::Clock;
use shared::environment::Environments;
use shared::model::{Family, Reason};
use shared::queue::{DeadLetter, DeadLetters, QueueError};
use shared::rotating::Rotating;
use shared::store::{StoreError, Table};
use shared::telemetry;
use shared::verify::{Opened, SealingKeys};
use tracing::{info, warn};

/// How old a dead letter is when it is moved: time enough to mend the fault and redrive.
pub const AGE: SignedDuration = SignedDuration::from_hours(72);

/// How often a queue is asked in one sweep.
const QUESTIONS: usize = 100;

/// The sweeper.
#[derive(Debug)]
pub struct Sweep<L, C> {
    /// Where dead letters are.
    pub letters: L,
    /// Opens them.
    pub keys: Rotating<SealingKeys>,
    /// Which environments are served.
    pub environments: Environments,
    /// Where they are kept.
    pub table: Table,
    /// Tells the time.
    pub clock: C,
}

/// A dead letter could not be moved; it stays where it is.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<L: DeadLetters, C: Clock> Sweep<L, C> {
    /// Sweeps every family's dead letters: how many were moved.
    ///
    /// # Errors
    /// [`SweepError`] of the first that could not be moved.
    pub async fn run(&self) -> Result<usize, SweepError> {
        let mut moved = 0;
        for family in Family::ALL {
            for _ in 0..QUESTIONS {
                let letters = self.letters.receive(family).await?;
                if letters.is_empty() {
                    break;
                }
                for letter in letters {
                    moved += usize::from(self.letter(family, letter).await?);
                }
            }
        }
        info!(moved, "swept");
        Ok(moved)
    }

    /// Moves one dead letter, if it is old enough and genuine.
    async fn letter(&self, family: Family, letter: DeadLetter) -> Result<bool, SweepError> {
        let now = self.clock.now();
        if now.since(letter.sent_at) < AGE {
            return Ok(false);
        }
        let Some(keys) = self.keys.current().await else { return Ok(false) };
        let opened = match Opened::verify(&letter.body, &keys, &self.environments, family) {
            Ok(opened) => opened,
            Err(refusal) => {
                warn!(%family, %refusal, "a dead letter carries no valid seal");
                telemetry::count(Some(family), "forged");
                return Ok(false);
            }
        };
        let envelope = opened.envelope();
        let why = match &envelope.refused {
            Some((reason, detail)) => (*reason, detail.as_str()),
            None => (Reason::NotApplied, Reason::NotApplied.describe()),
        };
        self.table.quarantine(envelope, why, now).await?;
        self.letters.delete(family, &letter).await?;
        telemetry::count(Some(family), "swept");
        Ok(true)
    }
}
