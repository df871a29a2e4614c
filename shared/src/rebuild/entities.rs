//! The states: each entity folded anew, and what follows for the balances.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::refold::{RefoldedKnown, refold_known};
use super::report::{Difference, Report, Unread};
use super::{RefoldError, Run};
use crate::causes::with_causes;
use crate::clock::Clock;
use crate::decide::{post, posted_to};
use crate::fold::Known;
use crate::model::ledger::Rule;
use crate::model::{Entity, EventId, Kind, Posting, ledger};
use crate::store::{Backoff, Partition, Plan, Recalled, StateItem, StoreError, keys};

/// How many entities are read at the same time.
const AT_ONCE: usize = 8;

/// What was folded anew.
struct Rebuilt {
    uid: String,
    /// What is posted for it now.
    posted: BTreeMap<Kind, Posting>,
    /// The partitions of the balances whose ledgers got a line.
    entered: Vec<Partition>,
    difference: Option<Difference>,
    /// Why its events could not be read.
    unread: Option<Unread>,
}

impl Rebuilt {
    fn nothing_of(entity: &Entity) -> Self {
        let uid = entity.uid.clone();
        Self { uid, posted: BTreeMap::new(), entered: Vec::new(), difference: None, unread: None }
    }
}

impl<C: Clock, P: Fn(&Report)> Run<'_, C, P> {
    /// Folds anew those of these entities that were not yet.
    pub(super) async fn entities(&mut self, entities: Vec<Entity>) -> Result<(), StoreError> {
        // The kinds of one uid have one state.
        let new: Vec<Entity> = entities
            .into_iter()
            .map(|entity| Entity { kind: None, ..entity })
            .filter(|entity| self.known.insert(entity.clone()))
            .collect();
        let rebuilt: Vec<_> = stream::iter(&new)
            .map(|entity| self.entity(entity))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        for Rebuilt { uid, posted, entered, difference, unread } in rebuilt {
            self.report.entities += 1;
            self.report.differences.extend(difference);
            self.report.unread.extend(unread);
            for (kind, posting) in posted {
                self.contribute(&uid, kind, posting);
            }
            for partition in entered {
                if let Some(shard) = self.shards.get_mut(&partition) {
                    shard.version += 1;
                }
            }
        }
        (self.progress)(&self.report);
        Ok(())
    }

    /// Folds one entity anew.
    async fn entity(&self, entity: &Entity) -> Result<Rebuilt, StoreError> {
        let (table, environment) = (self.table, self.environment);
        let state_key = keys::state(environment, entity);
        let nothing = Rebuilt::nothing_of(entity);
        let mut backoff = Backoff::default();
        loop {
            let state: Option<StateItem> = table.recall([state_key.clone()]).await?.item(&state_key)?;
            let before = state.as_ref().map(|state| state.known.clone());
            let posted_before = before.as_ref().map(|before| before.posted.clone()).unwrap_or_default();
            let RefoldedKnown { known, last_event, notified } =
                match refold_known(table, environment, entity, self.interpret).await {
                    Ok(refolded) => refolded,
                    Err(RefoldError::Store(error)) => return Err(error),
                    // What it counts stays as it is.
                    Err(error) => {
                        let unread = Unread { entity: entity.into(), why: with_causes(&error) };
                        return Ok(Rebuilt { posted: posted_before, unread: Some(unread), ..nothing });
                    }
                };
            let posted = known.posted.clone();
            if before.as_ref().map_or_else(|| known == Known::default(), |before| *before == known) {
                return Ok(Rebuilt { posted, ..nothing });
            }
            let read = state.as_ref().map(|state| state.version);
            // An event may have come between the two reads; then its state has another version.
            let again: Option<StateItem> = table.recall([state_key.clone()]).await?.item(&state_key)?;
            if again.map(|state| state.version) != read {
                backoff.wait().await?;
                continue;
            }
            let difference = Difference::between(entity, before.as_ref(), &known);
            if !self.mode.writes() {
                // Its money counts as it was posted; that it should be otherwise is reported here.
                return Ok(Rebuilt { posted: posted_before, difference: Some(difference), ..nothing });
            }
            let changes = ledger::changes(&posted_before, &posted);
            let key = |(kind, posting): &(Kind, Posting)| posted_to(environment, &entity.uid, *kind, posting);
            let keys: Vec<_> = changes.iter().map(key).collect();
            let recalled = table.recall(keys.clone()).await?;
            // It never falls, also where the state was gone: a consumer would take what comes next for old.
            let corrected = table.corrected(&state_key, &entity.uid).await?;
            let version = read.max(notified).max(corrected);
            let state = StateItem::after(version, known, self.clock.now());
            let plan = self.state_plan(entity, read, state, &recalled, changes, last_event.as_ref())?;
            if table.commit(plan).await? {
                let entered = keys.into_iter().map(|key| key.pk).collect();
                let difference = Some(Difference { written: true, ..difference });
                return Ok(Rebuilt { posted, entered, difference, ..nothing });
            }
            backoff.wait().await?;
        }
    }

    /// The state as the events say, in the place of the version that was read, and what follows for balances.
    fn state_plan(
        &self,
        entity: &Entity,
        read: Option<u64>,
        state: StateItem,
        recalled: &Recalled,
        changes: Vec<(Kind, Posting)>,
        event_id: Option<&EventId>,
    ) -> Result<Plan, StoreError> {
        let key = keys::state(self.environment, entity);
        let mut plan = Plan::default();
        self.correct_transaction(&mut plan, (&key, &entity.uid), &state.known, state.version, &changes)?;
        let cause = |_| (event_id, Rule::Rebuild);
        post(&mut plan, self.environment, &entity.uid, recalled, changes, cause, self.clock.now())?;
        plan.state(key, state, read);
        Ok(plan)
    }
}
