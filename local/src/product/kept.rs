//! What is kept: in a data folder, or in memory.

use std::error::Error;
use std::path::Path;

use shared::clock::Clock;

use super::StartError;
use super::folder::DataFolder;
use crate::standins::checkpoint::Checkpoint;
use crate::standins::database::Database;
use crate::standins::engine::Engine;
use crate::standins::queues::Queues;
use crate::standins::subscriptions::SubscriptionStore;

/// Everything that is kept, open; nobody else works on it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) folder: Option<DataFolder>,
    pub(super) engine: Engine,
    pub(super) queues: Queues,
    pub(super) subscriptions: SubscriptionStore,
    pub(super) checkpoint: Checkpoint,
}

impl Kept {
    /// Opens what a data folder holds, or memory.
    pub(super) fn open(folder: Option<DataFolder>, clock: impl Clock) -> Result<Self, StartError> {
        let (table, queues) =
            (folder.as_ref().map(DataFolder::table), folder.as_ref().map(DataFolder::queues));
        let open = || -> Result<_, Box<dyn Error + Send + Sync>> {
            let database = Database::open(queues.as_deref())?;
            Ok((
                Queues::open(database.clone(), clock)?,
                SubscriptionStore::open(database.clone())?,
                Checkpoint::open(database)?,
                Engine::open(table.as_deref())?,
            ))
        };
        let opened = open();
        let unusable = |cause| {
            let path = folder.as_ref().map(DataFolder::path).unwrap_or(Path::new(""));
            StartError::data(path, cause)
        };
        let (queues, subscriptions, checkpoint, engine) = opened.map_err(unusable)?;
        Ok(Self { folder, engine, queues, subscriptions, checkpoint })
    }
}
