//! How far the table's stream was read.

use rusqlite::{OptionalExtension as _, params};

use super::database::{Database, DatabaseError};

const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS checkpoint (name TEXT PRIMARY KEY, position TEXT NOT NULL) STRICT;";

/// The row of the stream, which is the only one.
const STREAM: &str = "stream";

/// The note on how far the stream was read.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    database: Database,
}

impl Checkpoint {
    /// Makes the table where there is none.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn open(database: Database) -> rusqlite::Result<Self> {
        database.prepare(|connection| connection.execute_batch(SCHEMA))?;
        Ok(Self { database })
    }

    /// The last record that was handled; none at first.
    ///
    /// # Errors
    /// [`DatabaseError`]
    pub async fn position(&self) -> Result<Option<String>, DatabaseError> {
        self.database
            .run(|connection| {
                connection
                    .query_row("SELECT position FROM checkpoint WHERE name = ?", params![STREAM], |row| {
                        row.get(0)
                    })
                    .optional()
            })
            .await
    }

    /// Notes the last record that was handled.
    ///
    /// # Errors
    /// [`DatabaseError`]; the stream is read again from the last note then.
    pub async fn set(&self, position: String) -> Result<(), DatabaseError> {
        self.database
            .run(move |connection| {
                connection
                    .execute(
                        "INSERT INTO checkpoint (name, position) VALUES (?, ?)
                         ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                        params![STREAM, position],
                    )
                    .map(|_| ())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_position_survives_a_restart_and_moves_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("queues.db");
        let open = || Checkpoint::open(Database::open(Some(&file)).unwrap()).unwrap();
        assert_eq!(open().position().await.unwrap(), None);
        open().set("7".into()).await.unwrap();
        assert_eq!(open().position().await.unwrap().as_deref(), Some("7"));
        open().set("8".into()).await.unwrap();
        assert_eq!(open().position().await.unwrap().as_deref(), Some("8"));
    }
}
