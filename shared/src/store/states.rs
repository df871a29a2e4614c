//! States: what is known of an entity, and what it has added to a balance.

use serde::{Deserialize, Serialize};

use super::keys;
use super::table::{StoreError, Table};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::fold::Known;
use crate::model::{Entity, Facts, Posting};

/// An entity's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateItem {
    /// Counts the writes.
    pub version: u64,
    /// What is known.
    pub facts: Facts,
    /// What it has added to a balance: what a later change takes away again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posted: Option<Posting>,
    /// When it was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Moment>,
}

impl StateItem {
    /// The state that follows `version`.
    pub fn after(version: Option<u64>, known: Known, now: Moment) -> Self {
        Self {
            version: version.unwrap_or(0) + 1,
            facts: known.facts,
            posted: known.posted,
            recorded_at: Some(now),
        }
    }

    /// What it says of its entity.
    pub fn known(&self) -> Known {
        Known { facts: self.facts.clone(), posted: self.posted.clone() }
    }
}

impl Table {
    /// What is known of these entities; those that nothing is known of are absent.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn states(
        &self,
        environment: Environment,
        entities: &[Entity],
    ) -> Result<Vec<(Entity, StateItem)>, StoreError> {
        let key = |entity| keys::state(&keys::entity(environment, entity));
        let keys: Vec<_> = entities.iter().map(key).collect();
        let mut found = self.batch_get(&keys).await?;
        let mut states = Vec::new();
        for entity in entities {
            if let Some(item) = found.remove(&key(entity)) {
                states.push((entity.clone(), serde_dynamo::from_item(item)?));
            }
        }
        Ok(states)
    }
}
