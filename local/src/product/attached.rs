//! The data of a folder, for commands: whether the product is running on it or not.

use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::Client;
use shared::clock::SystemClock;
use shared::store::Table;

use super::StartError;
use super::folder::{self, DataFolder, FolderError};
use super::kept::Kept;
use crate::standins::database::Database;
use crate::standins::engine::{Remote, TABLE};
use crate::standins::queues::Queues;
use crate::standins::subscriptions::SubscriptionStore;

/// A connection to the data of a folder.
pub struct Attached {
    /// What asks the table.
    client: Client,
    /// Its queues.
    pub queues: Queues,
    /// Who is notified.
    pub subscriptions: SubscriptionStore,
    /// The folder with what people are sent.
    pub messages: PathBuf,
    /// How the product is reached that is running, or what keeps it from starting meanwhile.
    _way: Way,
}

#[expect(dead_code, reason = "they are held, not looked at")]
enum Way {
    There(Remote),
    Here(Option<DataFolder>),
}

impl Attached {
    /// Connects to the product that is running on the folder, else opens its files.
    ///
    /// # Errors
    /// [`StartError`] where there is nothing, or it cannot be opened.
    pub fn to(data: &Path) -> Result<Self, StartError> {
        let messages = folder::messages_of(data);
        match DataFolder::claim_existing(data) {
            Ok(folder) => {
                let Kept { folder, engine, queues, subscriptions, .. } =
                    Kept::open(Some(folder), SystemClock)?;
                Ok(Self { client: engine.client(), queues, subscriptions, messages, _way: Way::Here(folder) })
            }
            // Whoever works on it answers at its socket, if it is the product.
            Err(FolderError::Locked(name)) => {
                let remote = Remote::of(data).map_err(|_| FolderError::Locked(name))?;
                let database = Database::open(Some(&folder::queues_of(data)));
                let database = database.map_err(|error| StartError::data(data, error))?;
                Ok(Self {
                    client: remote.client(),
                    queues: Queues::attach(database.clone(), SystemClock),
                    subscriptions: SubscriptionStore::attach(database),
                    messages,
                    _way: Way::There(remote),
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Its table.
    pub fn table(&self) -> Table {
        Table::new(self.client.clone(), TABLE)
    }
}
