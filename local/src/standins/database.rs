//! The SQLite file of all that is kept beside the table. Queues, subscriptions and the stream's checkpoint have
//! each a table of their own in it, and each its own SQL.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use shared::queue::QueueError;
use tokio::task::JoinError;

/// How every connection works: what was written is on disk before it is said to be.
const DURABLE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";

/// The database cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// SQLite refused.
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    /// The thread that worked on it ended before it was done.
    #[error(transparent)]
    Thread(#[from] JoinError),
}

impl From<DatabaseError> for QueueError {
    fn from(error: DatabaseError) -> Self {
        Self::Other(Box::new(error))
    }
}

/// A database, in a file or in memory.
#[derive(Clone, Debug)]
pub struct Database {
    connection: Arc<Mutex<Connection>>,
}

impl Database {
    /// Opens the file, which another process may be working on, or a database in memory.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn open(file: Option<&Path>) -> rusqlite::Result<Self> {
        let connection = match file {
            Some(file) => Connection::open(file)?,
            None => Connection::open_in_memory()?,
        };
        connection.execute_batch(DURABLE)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Runs `work` at once. It blocks: for the start, when nobody waits yet.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn prepare<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        work(&mut self.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `work` where it may block.
    ///
    /// # Errors
    /// [`DatabaseError`]
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let database = self.clone();
        Ok(tokio::task::spawn_blocking(move || database.prepare(work)).await??)
    }
}
