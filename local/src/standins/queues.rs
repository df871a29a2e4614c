//! The local stand-in for SQS: queues in a file, with visibility time-outs, receive counts and dead letters.
//! It also keeps how far the stream was read.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use shared::clock::{Clock, Moment, SystemClock};
use shared::model::Family;
use shared::queue::{DeadLetter, DeadLetters, DeliveryQueue, Depth, Depths, QueueError, Redrive};
use shared::verify::Sealed;
use tokio::sync::Notify;

use crate::standins::subscriptions::{FilterPolicy, Protocol, Subscription};

/// A message that was received and not yet deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Names this receipt of it.
    pub id: i64,
    /// Its text.
    pub body: String,
    /// How often it was received, with this time.
    pub receive_count: u32,
    /// When it was first sent.
    pub sent_at: Moment,
}

/// How a queue hands out its messages.
#[derive(Clone, Copy, Debug)]
pub struct RedrivePolicy {
    /// For how long a received message is not handed out again.
    pub visibility: Duration,
    /// After so many receipts it goes to the dead letters.
    pub max_receives: u32,
}

/// The queues of one data folder, or of one memory.
#[derive(Clone, Debug)]
pub struct Queues {
    connection: Arc<Mutex<Connection>>,
    arrivals: Arc<Mutex<HashMap<String, Arc<Notify>>>>,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        body TEXT NOT NULL,
        visible_at INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0,
        sent_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS message_due ON message (queue, visible_at);
    CREATE TABLE IF NOT EXISTS checkpoint (name TEXT PRIMARY KEY, position TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS subscription (
        id TEXT PRIMARY KEY,
        protocol TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        filter TEXT NOT NULL
    ) STRICT;
    -- Nobody holds a message from before the start.
    UPDATE message SET visible_at = 0;
";

/// How every connection works: a message is on disk before it is said to be.
const DURABLE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";

impl Queues {
    /// Opens the file, or queues in memory. A message is on disk before [`Queues::send`] returns.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn open(file: Option<&Path>) -> rusqlite::Result<Self> {
        let connection = match file {
            Some(file) => Connection::open(file)?,
            None => Connection::open_in_memory()?,
        };
        connection.execute_batch(DURABLE)?;
        connection.execute_batch(SCHEMA)?;
        // Files of earlier versions do not know when a message was sent.
        let is_current = connection
            .prepare("SELECT 1 FROM pragma_table_info('message') WHERE name = 'sent_at'")?
            .exists([])?;
        if !is_current {
            let now = SystemClock.now().as_millis();
            connection.execute_batch(&format!(
                "ALTER TABLE message ADD COLUMN sent_at INTEGER NOT NULL DEFAULT {now}"
            ))?;
        }
        Ok(Self { connection: Arc::new(Mutex::new(connection)), arrivals: Arc::default() })
    }

    /// Opens a file that another process may be working on.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn attach(file: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        connection.execute_batch(DURABLE)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), arrivals: Arc::default() })
    }

    /// Runs a statement where it may block.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, QueueError> {
        let connection = Arc::clone(&self.connection);
        let done = tokio::task::spawn_blocking(move || {
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await
            .map_err(|error| QueueError(error.to_string()))?
            .map_err(|error| QueueError(error.to_string()))
    }

    fn arrival(&self, queue: &str) -> Arc<Notify> {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(arrivals.entry(queue.to_owned()).or_default())
    }

    /// The name of a queue's dead letters.
    pub fn dead_letters_of(queue: &str) -> String {
        format!("{queue}-dead-letters")
    }

    /// Adds messages.
    ///
    /// # Errors
    /// [`QueueError`]; none of them was added.
    pub async fn send(&self, queue: &str, bodies: Vec<String>) -> Result<(), QueueError> {
        let name = queue.to_owned();
        self.with(move |connection| {
            let now = SystemClock.now().as_millis();
            let transaction = connection.transaction()?;
            for body in bodies {
                transaction.execute(
                    "INSERT INTO message (queue, body, visible_at, sent_at) VALUES (?, ?, 0, ?)",
                    params![name, body, now],
                )?;
            }
            transaction.commit()
        })
        .await?;
        self.arrival(queue).notify_one();
        Ok(())
    }

    /// Hands out at most `most` messages that are due, and hides them for a while. Those that were received
    /// too often go to the dead letters instead.
    ///
    /// # Errors
    /// [`QueueError`] where the file cannot be written.
    pub async fn receive(
        &self,
        queue: &str,
        most: usize,
        redrive: RedrivePolicy,
    ) -> Result<Vec<Received>, QueueError> {
        let queue = queue.to_owned();
        self.with(move |connection| {
            let now = SystemClock.now().as_millis();
            let transaction = connection.transaction()?;
            transaction.execute(
                "UPDATE message SET queue = ?4, visible_at = 0, receive_count = 0
                 WHERE queue = ?1 AND visible_at <= ?2 AND receive_count >= ?3",
                params![queue, now, redrive.max_receives, Self::dead_letters_of(&queue)],
            )?;
            let until = now + i64::try_from(redrive.visibility.as_millis()).unwrap_or(i64::MAX / 2);
            let mut received = transaction
                .prepare_cached(
                    "UPDATE message SET visible_at = ?3, receive_count = receive_count + 1
                     WHERE id IN (SELECT id FROM message WHERE queue = ?1 AND visible_at <= ?2 ORDER BY id LIMIT ?4)
                     RETURNING id, body, receive_count, sent_at",
                )?
                .query_map(params![queue, now, until, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
                    Ok(Received {
                        id: row.get(0)?,
                        body: row.get(1)?,
                        receive_count: row.get(2)?,
                        sent_at: Moment::from_millis(row.get(3)?),
                    })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            transaction.commit()?;
            // SQLite returns them in no order.
            received.sort_by_key(|message| message.id);
            Ok(received)
        })
        .await
    }

    /// Deletes messages: they were handled.
    ///
    /// # Errors
    /// [`QueueError`]; they come again then.
    pub async fn delete(&self, ids: Vec<i64>) -> Result<(), QueueError> {
        self.with(move |connection| {
            let transaction = connection.transaction()?;
            for id in ids {
                transaction.execute("DELETE FROM message WHERE id = ?", params![id])?;
            }
            transaction.commit()
        })
        .await
    }

    /// Hands a message out again after `pause`, instead of after its visibility time-out.
    ///
    /// # Errors
    /// [`QueueError`]; it comes again after the time-out then.
    pub async fn postpone(&self, id: i64, pause: Duration) -> Result<(), QueueError> {
        self.with(move |connection| {
            let due =
                SystemClock.now().as_millis() + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX / 2);
            connection.execute("UPDATE message SET visible_at = ? WHERE id = ?", params![due, id]).map(|_| ())
        })
        .await
    }

    /// Waits until a message was sent to the queue, or a hidden one is due, or `longest` has passed.
    pub async fn wait(&self, queue: &str, longest: Duration) {
        let name = queue.to_owned();
        let next = self.with(move |connection| {
            connection.query_row(
                "SELECT min(visible_at) FROM message WHERE queue = ?",
                params![name],
                |row| row.get::<_, Option<i64>>(0),
            )
        });
        let due = match next.await {
            Ok(Some(due)) => {
                let millis = u64::try_from(due - SystemClock.now().as_millis()).unwrap_or(0);
                Duration::from_millis(millis).min(longest)
            }
            _ => longest,
        };
        let _ = tokio::time::timeout(due, self.arrival(queue).notified()).await;
    }

    /// How many messages a queue has, hidden ones included.
    ///
    /// # Errors
    /// [`QueueError`] where the file cannot be read.
    pub async fn depth(&self, queue: &str) -> Result<u64, QueueError> {
        let queue = queue.to_owned();
        self.with(move |connection| {
            connection
                .query_row("SELECT count(*) FROM message WHERE queue = ?", params![queue], |row| row.get(0))
        })
        .await
    }

    /// How many messages of a queue are visible, and how many hidden.
    ///
    /// # Errors
    /// [`QueueError`] where the file cannot be read.
    pub async fn messages(&self, queue: &str) -> Result<(u64, u64), QueueError> {
        let queue = queue.to_owned();
        let (visible, hidden, _) = self.with(move |connection| held(connection, &queue)).await?;
        Ok((visible, hidden))
    }

    /// Adds somebody who is told.
    ///
    /// # Errors
    /// [`QueueError`] where the file cannot be written.
    pub async fn subscribe(&self, subscription: Subscription) -> Result<(), QueueError> {
        self.with(move |connection| {
            let Subscription { id, protocol, endpoint, filter } = subscription;
            let filter = filter.to_json().to_string();
            connection
                .execute(
                    "INSERT INTO subscription (id, protocol, endpoint, filter) VALUES (?, ?, ?, ?)",
                    params![id, protocol.as_str(), endpoint, filter],
                )
                .map(|_| ())
        })
        .await
    }

    /// Tells somebody no longer: whether there was such a one.
    ///
    /// # Errors
    /// [`QueueError`] where the file cannot be written.
    pub async fn unsubscribe(&self, id: String) -> Result<bool, QueueError> {
        self.with(move |connection| connection.execute("DELETE FROM subscription WHERE id = ?", params![id]))
            .await
            .map(|gone| gone > 0)
    }

    /// Who is told.
    ///
    /// # Errors
    /// [`QueueError`] where the file cannot be read.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, QueueError> {
        let broken = |column, cause: Box<dyn std::error::Error + Send + Sync>| {
            rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, cause)
        };
        let read = move |row: &rusqlite::Row<'_>| {
            let (protocol, filter): (String, String) = (row.get(1)?, row.get(3)?);
            // Whoever filters is not told everything because the filter cannot be read.
            let filter = serde_json::from_str(&filter).map_err(|error| broken(3, error.into()))?;
            Ok(Subscription {
                id: row.get(0)?,
                protocol: Protocol::named(&protocol).ok_or_else(|| broken(1, "no protocol".into()))?,
                endpoint: row.get(2)?,
                filter: FilterPolicy::from_json(&filter),
            })
        };
        self.with(move |connection| {
            connection
                .prepare_cached("SELECT id, protocol, endpoint, filter FROM subscription ORDER BY rowid")?
                .query_map([], read)?
                .collect()
        })
        .await
    }

    /// How far something was read.
    ///
    /// # Errors
    /// [`QueueError`] where the file cannot be read.
    pub async fn checkpoint(&self, name: &'static str) -> Result<Option<String>, QueueError> {
        self.with(move |connection| {
            connection
                .query_row("SELECT position FROM checkpoint WHERE name = ?", params![name], |row| row.get(0))
                .optional()
        })
        .await
    }

    /// Notes how far something was read.
    ///
    /// # Errors
    /// [`QueueError`]; it is read again from the last note then.
    pub async fn set_checkpoint(&self, name: &'static str, position: String) -> Result<(), QueueError> {
        self.with(move |connection| {
            connection
                .execute(
                    "INSERT INTO checkpoint (name, position) VALUES (?, ?)
                     ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                    params![name, position],
                )
                .map(|_| ())
        })
        .await
    }
}

impl DeadLetters for Queues {
    async fn receive(&self, family: Family) -> Result<Vec<DeadLetter>, QueueError> {
        /// As the SQS client does.
        const HIDDEN: RedrivePolicy =
            RedrivePolicy { visibility: Duration::from_secs(900), max_receives: u32::MAX };
        let received = Self::receive(self, &Self::dead_letters_of(family.as_str()), 10, HIDDEN).await?;
        let letter = |message: Received| DeadLetter {
            body: message.body,
            sent_at: message.sent_at,
            receipt: message.id.to_string(),
        };
        Ok(received.into_iter().map(letter).collect())
    }

    async fn delete(&self, _: Family, letter: &DeadLetter) -> Result<(), QueueError> {
        let id = letter.receipt.parse().map_err(|_| QueueError("the receipt is none".to_owned()))?;
        Self::delete(self, vec![id]).await
    }
}

/// What a queue holds: visible, hidden, and when the oldest was sent.
fn held(connection: &Connection, queue: &str) -> rusqlite::Result<(u64, u64, Option<i64>)> {
    connection
        .prepare_cached(
            "SELECT coalesce(sum(visible_at <= ?2), 0), coalesce(sum(visible_at > ?2), 0), min(sent_at)
             FROM message WHERE queue = ?1",
        )?
        .query_row(params![queue, SystemClock.now().as_millis()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
}

impl Depths for Queues {
    async fn depths(&self) -> Result<Vec<(Family, Depth)>, QueueError> {
        let depth = |connection: &Connection, family: &Family| {
            let (waiting, in_flight, oldest) = held(connection, family.as_str())?;
            let (visible, hidden, _) = held(connection, &Self::dead_letters_of(family.as_str()))?;
            let oldest = oldest.map(|sent_at| (SystemClock.now().as_millis() - sent_at) / 1000);
            let oldest_seconds = oldest.and_then(|seconds| seconds.try_into().ok());
            Ok((*family, Depth { waiting, in_flight, dead_letters: visible + hidden, oldest_seconds }))
        };
        self.with(move |connection| Family::ALL.iter().map(|family| depth(connection, family)).collect())
            .await
    }
}

impl Redrive for Queues {
    async fn redrive(&self, family: Family, most: usize) -> Result<usize, QueueError> {
        let moved = self.with(move |connection| {
            connection.execute(
                "UPDATE message SET queue = ?1, visible_at = 0, receive_count = 0
                 WHERE id IN (SELECT id FROM message WHERE queue = ?2 ORDER BY id LIMIT ?3)",
                params![
                    family.as_str(),
                    Self::dead_letters_of(family.as_str()),
                    i64::try_from(most).unwrap_or(i64::MAX)
                ],
            )
        });
        let moved = moved.await?;
        self.arrival(family.as_str()).notify_one();
        Ok(moved)
    }
}

impl DeliveryQueue for Queues {
    async fn send(&self, delivery: &Sealed) -> Result<(), QueueError> {
        Self::send(self, delivery.family().as_str(), vec![delivery.message()]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDRIVE: RedrivePolicy = RedrivePolicy { visibility: Duration::from_secs(60), max_receives: 2 };

    async fn bodies(queues: &Queues, queue: &str, redrive: RedrivePolicy) -> Vec<String> {
        queues.receive(queue, 10, redrive).await.unwrap().into_iter().map(|message| message.body).collect()
    }

    #[tokio::test]
    async fn a_received_message_is_hidden_until_it_is_due_and_then_comes_again() {
        let queues = Queues::open(None).unwrap();
        queues.send("q", vec!["a".into(), "b".into()]).await.unwrap();
        let received = queues.receive("q", 1, REDRIVE).await.unwrap();
        assert_eq!((received[0].body.as_str(), received[0].receive_count), ("a", 1));
        assert_eq!(bodies(&queues, "q", REDRIVE).await, ["b"]);
        assert!(bodies(&queues, "q", REDRIVE).await.is_empty());
        queues.postpone(received[0].id, Duration::ZERO).await.unwrap();
        assert_eq!(queues.receive("q", 10, REDRIVE).await.unwrap()[0].receive_count, 2);
    }

    #[tokio::test]
    async fn a_message_received_too_often_goes_to_the_dead_letters() {
        let queues = Queues::open(None).unwrap();
        queues.send("q", vec!["poison".into()]).await.unwrap();
        for _ in 0..2 {
            let received = queues.receive("q", 10, REDRIVE).await.unwrap();
            queues.postpone(received[0].id, Duration::ZERO).await.unwrap();
        }
        assert!(bodies(&queues, "q", REDRIVE).await.is_empty());
        assert_eq!(bodies(&queues, "q-dead-letters", REDRIVE).await, ["poison"]);
    }

    #[tokio::test]
    async fn messages_and_checkpoints_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("queues.db");
        let queues = Queues::open(Some(&file)).unwrap();
        queues.send("q", vec!["kept".into(), "done".into()]).await.unwrap();
        let received = queues.receive("q", 10, REDRIVE).await.unwrap();
        queues.delete(vec![received[1].id]).await.unwrap();
        queues.set_checkpoint("stream", "7".into()).await.unwrap();
        drop(queues);
        let queues = Queues::open(Some(&file)).unwrap();
        assert_eq!(bodies(&queues, "q", REDRIVE).await, ["kept"]);
        assert_eq!(queues.checkpoint("stream").await.unwrap().as_deref(), Some("7"));
    }

    #[tokio::test]
    async fn a_file_of_an_earlier_version_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("queues.db");
        let earlier = SCHEMA.replace("DEFAULT 0,\n        sent_at INTEGER NOT NULL\n", "DEFAULT 0\n");
        assert_ne!(earlier, SCHEMA);
        let connection = Connection::open(&file).unwrap();
        connection.execute_batch(&earlier).unwrap();
        connection
            .execute("INSERT INTO message (queue, body, visible_at) VALUES ('q', 'old', 0)", [])
            .unwrap();
        drop(connection);
        let queues = Queues::open(Some(&file)).unwrap();
        queues.send("q", vec!["new".into()]).await.unwrap();
        assert_eq!(bodies(&queues, "q", REDRIVE).await, ["old", "new"]);
    }

    #[tokio::test]
    async fn a_filter_that_cannot_be_read_is_not_taken_for_none() {
        let queues = Queues::open(None).unwrap();
        let insert = "INSERT INTO subscription VALUES ('1', 'email', 'a@example.com', 'no JSON')";
        queues.with(move |connection| connection.execute(insert, [])).await.unwrap();
        assert!(queues.subscriptions().await.is_err());
    }

    #[tokio::test]
    async fn waiting_ends_when_a_message_arrives() {
        let queues = Queues::open(None).unwrap();
        let waiting = queues.wait("q", Duration::from_secs(60));
        let sending = async {
            tokio::task::yield_now().await;
            queues.send("q", vec!["a".into()]).await.unwrap();
        };
        let both = async { tokio::join!(waiting, sending) };
        assert!(tokio::time::timeout(Duration::from_secs(10), both).await.is_ok());
    }
}
