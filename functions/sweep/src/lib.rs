//! Moves dead letters into quarantine before their queue forgets them.
//!
//! A dead letter lives for 14 days from the day it was first sent. What is older than three days, and carries a
//! valid seal, is kept in the table for good, where it can be seen and retried; what carries none was not sent
//! by `ingest` and stays where it is.

use jiff::SignedDuration;
use shared::clock::{Clock, Moment};
use shared::environment::Environments;
use shared::model::{Family, Reason};
use shared::pipeline::open;
use shared::queue::{DeadLetter, DeadLetters, QueueError};
use shared::rotating::Rotating;
use shared::store::{StoreError, Table};
use shared::telemetry;
use shared::verify::{SealRefusal, SealingKeys};
use tracing::{error, info, warn};

/// How old a dead letter is when it is moved: time enough to mend the fault and redrive.
pub const AGE: SignedDuration = SignedDuration::from_hours(72);

/// How long one sweep goes on: the function may run for a quarter of an hour.
const LONGEST: SignedDuration = SignedDuration::from_mins(13);

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
    /// Sweeps every family's dead letters: how many were moved. What cannot be moved does not keep the others.
    ///
    /// # Errors
    /// The first [`SweepError`], after everything else was swept.
    pub async fn run(&self) -> Result<usize, SweepError> {
        let begun = self.clock.now();
        let (mut moved, mut failed) = (0, None);
        for family in Family::ALL {
            if let Err(error) = self.family(family, begun, &mut moved).await {
                error!(%family, %error, "dead letters cannot be moved");
                failed.get_or_insert(error);
            }
        }
        info!(moved, "sweep finished");
        failed.map_or(Ok(moved), Err)
    }

    /// Sweeps the dead letters of a family until there are no more.
    async fn family(&self, family: Family, begun: Moment, moved: &mut usize) -> Result<(), SweepError> {
        let mut failed = None;
        while self.clock.now().since(begun) < LONGEST {
            let letters = self.letters.receive(family).await?;
            if letters.is_empty() {
                break;
            }
            for letter in letters {
                match self.letter(family, letter).await {
                    Ok(is_moved) => *moved += usize::from(is_moved),
                    Err(error) => {
                        warn!(%family, %error, "a dead letter cannot be moved");
                        failed.get_or_insert(error);
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Moves one dead letter, if it is old enough and genuine.
    async fn letter(&self, family: Family, letter: DeadLetter) -> Result<bool, SweepError> {
        let now = self.clock.now();
        if now.since(letter.sent_at) < AGE {
            return Ok(false);
        }
        let opened = match open(&self.keys, &self.environments, &letter.body, family).await {
            Some(Ok(opened)) => opened,
            // Whether it is genuine is not known.
            None | Some(Err(SealRefusal::UnknownKey)) => {
                warn!(%family, "a dead letter cannot be opened: its sealing key is missing");
                telemetry::count(&self.clock, Some(family), "unknown_key");
                return Ok(false);
            }
            Some(Err(refusal)) => {
                warn!(%family, %refusal, "a dead letter carries no valid seal");
                telemetry::count(&self.clock, Some(family), "forged");
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
        telemetry::count(&self.clock, Some(family), "sweep finished");
        Ok(true)
    }
}
