//! Rebuilding: everything that was derived, derived again from the bodies that were kept.
//!
//! States are folded anew from the bodies of their events, contributions follow from the states, balances from
//! the contributions. What differs is reported or, on demand, written, with a ledger line for every balance that
//! moves, and a notification of it for programs. Events may arrive meanwhile: a state is only judged if it did not change while its events were read
//! (each event changes its version), a balance only if nobody posted to it since the first state was read.
//!
//! Which entities there are is found in an index, which may be behind, and in the ledgers, which are not: what a
//! balance counts is never taken away for not being in the index yet.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `refold` | what the events of one entity say, read from their bodies again |
//! | `nothing` | events that were kept about nothing, and are understood now |
//! | `entities` | which states differ, and what is written for them |
//! | `ledgers` | which ledger lines do not follow the one before them |
//! | `corrections` | how programs are notified of what moves money |
//! | `balances` | which balances are not what their ledgers and transactions add up to |
//! | `report` | what was found |

mod balances;
mod corrections;
mod entities;
mod ledgers;
mod nothing;
mod refold;
mod report;

use std::collections::{BTreeMap, HashSet};

pub use self::refold::{Interpreter, RefoldError, Refolded, refold};
pub use self::report::{Broken, Difference, Imbalance, Report, TakenUp, Unread};

use self::balances::Shard;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::model::Entity;
use crate::store::keys::{BUCKETS, List};
use crate::store::{Logged, Partition, StoreError, Table};

/// Whether differences are only reported, or also written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode<'a> {
    /// Only reported.
    Check,
    /// Also written.
    Write {
        /// Who wants it.
        who: &'a str,
    },
}

impl<'a> Mode<'a> {
    fn writes(self) -> bool {
        self != Self::Check
    }

    /// Who wants what is written.
    fn who(self) -> &'a str {
        match self {
            Self::Check => "",
            Self::Write { who } => who,
        }
    }
}

/// Folds anew what is derived from the log: everything, or (balances left aside) some entities.
///
/// # Errors
/// [`StoreError`]; what was written until then is complete in itself.
pub async fn rebuild(
    table: &Table,
    environment: Environment,
    only: Option<&[Entity]>,
    interpret: &Interpreter<'_>,
    mode: Mode<'_>,
    clock: &impl Clock,
    progress: impl Fn(&Report),
) -> Result<Report, StoreError> {
    let mut run = Run {
        table,
        environment,
        interpret,
        mode,
        clock,
        progress,
        report: Report::default(),
        known: HashSet::new(),
        shards: BTreeMap::new(),
    };
    if let Some(entities) = only {
        run.entities(entities.to_vec()).await?;
        return Ok(run.report);
    }
    run.remember_balances().await?;
    run.logged_entities().await?;
    let partitions = Vec::from_iter(run.shards.keys().cloned());
    let mut ledgers = BTreeMap::new();
    for partition in partitions {
        ledgers.insert(partition.clone(), run.walk(&partition).await?);
    }
    let shards = std::mem::take(&mut run.shards);
    for (partition, shard) in shards {
        // A balance that a rebuilt entity began has no ledger from before.
        let ledger = ledgers.remove(&partition).unwrap_or_default();
        run.balance_up(&partition, shard, ledger).await?;
    }
    Ok(run.report)
}

/// A rebuild on its way.
struct Run<'a, C, P> {
    table: &'a Table,
    environment: Environment,
    interpret: &'a Interpreter<'a>,
    mode: Mode<'a>,
    clock: &'a C,
    progress: P,
    report: Report,
    /// The entities that were folded anew.
    known: HashSet<Entity>,
    shards: BTreeMap<Partition, Shard>,
}

impl<C: Clock, P: Fn(&Report)> Run<'_, C, P> {
    /// Folds anew what the events of the log are about, as far as the index knows them; before that, what was kept about
    /// nothing is taken up.
    async fn logged_entities(&mut self) -> Result<(), StoreError> {
        /// So many are folded before it is said how far this is.
        const AT_ONCE: usize = 1000;
        let mut entities = HashSet::new();
        for day in self.table.days(self.environment, List::Log).await? {
            for bucket in 0..BUCKETS {
                let mut start = None;
                loop {
                    let (events, reached) =
                        self.table.logged(self.environment, (&day, bucket), start).await?;
                    self.report.events += events.len() as u64;
                    for event in events {
                        entities.extend(match event {
                            Logged::About(entity) => Some(Entity { kind: None, ..entity }),
                            // Rare: it does not make every rebuild larger.
                            Logged::Nothing(id) => Box::pin(self.take_up(&id)).await?,
                        });
                    }
                    (self.progress)(&self.report);
                    start = reached;
                    if start.is_none() {
                        break;
                    }
                }
            }
        }
        for some in Vec::from_iter(entities).chunks(AT_ONCE) {
            self.entities(some.to_vec()).await?;
        }
        Ok(())
    }
}
