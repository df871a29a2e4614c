//! States: what is known of an entity, and what it has added to a balance.

use serde::{Deserialize, Serialize};

use super::keys;
use super::table::{StoreError, Table};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::fold::Known;
use crate::model::Entity;

/// The state of what is known under one uid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateItem {
    /// Counts the writes.
    pub version: u64,
    /// What is known, and what it has added to balances: what a later change takes away again. A state from before
    /// decision 20 has none of it, until `rebuild` derives it again.
    #[serde(default, with = "super::packed::json")]
    pub known: Known,
    /// When it was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Moment>,
}

impl StateItem {
    /// The state that follows `version`.
    pub fn after(version: Option<u64>, known: Known, now: Moment) -> Self {
        Self { version: version.unwrap_or(0) + 1, known, recorded_at: Some(now) }
    }
}

impl Table {
    /// What is known under an entity's uid.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn state(
        &self,
        environment: Environment,
        entity: &Entity,
    ) -> Result<Option<StateItem>, StoreError> {
        self.get(&keys::state(environment, entity)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Facts;

    #[test]
    fn a_state_of_an_earlier_build_fails_no_event_and_no_rebuild() {
        #[derive(Serialize)]
        struct Earlier {
            version: u64,
            facts: Facts,
        }
        let earlier = Earlier { version: 3, facts: Facts::default().step("created") };
        let item: serde_dynamo::Item = serde_dynamo::to_item(&earlier).unwrap();
        let state: StateItem = serde_dynamo::from_item(item).unwrap();
        assert_eq!((state.version, state.known), (3, Known::default()));
    }
}
