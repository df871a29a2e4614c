//! The data of a folder, for commands: whether the product is running on it or not.

use std::path::Path;

use aws_sdk_dynamodb::Client;
use shared::store::Table;

use super::folder::{self, DataFolder, FolderError};
use super::{StartError, open, unusable};
use crate::standins::engine::{Remote, TABLE};
use crate::standins::queues::Queues;

/// A connection to the data of a folder, whether the product is running on it or not.
pub struct Attached {
    /// What asks the table.
    client: Client,
    /// Its queues.
    pub queues: Queues,
    /// How the product is reached that is running, or what keeps it from starting meanwhile.
    _way: Way,
}

#[expect(dead_code, reason = "they are held, not looked at")]
enum Way {
    There(Remote),
    Here(DataFolder),
}

impl Attached {
    /// Connects to the product that is running on the folder, else opens its files.
    ///
    /// # Errors
    /// [`StartError`] where there is nothing, or it cannot be opened.
    pub fn to(data: &Path) -> Result<Self, StartError> {
        match DataFolder::claim_existing(data) {
            Ok(folder) => {
                let (engine, queues) = open(Some(&folder))?;
                Ok(Self { client: engine.client(), queues, _way: Way::Here(folder) })
            }
            // Whoever works on it answers at its socket, if it is the product.
            Err(FolderError::Locked(folder)) => {
                let remote = Remote::of(data).map_err(|_| FolderError::Locked(folder.clone()))?;
                let queues = Queues::attach(&folder::queues_of(data));
                let queues = queues.map_err(|error| unusable(folder, error))?;
                Ok(Self { client: remote.client(), queues, _way: Way::There(remote) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Its table.
    pub fn table(&self) -> Table {
        Table::new(self.client.clone(), TABLE)
    }
}
