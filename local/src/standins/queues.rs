//! The local stand-in for SQS: queues in a file, with visibility time-outs, receive counts and dead letters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, params};
use shared::clock::{Clock, Moment};
use shared::endpoints::{Lane, Outbound, Outgoing};
use shared::model::Family;
use shared::queue::{DeadLetter, DeadLetters, DeliveryQueue, Depth, Depths, QueueError, Redrive, Redriven};
use shared::verify::Sealed;
use tokio::sync::Notify;

use super::database::Database;

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
    database: Database,
    clock: Arc<dyn Clock>,
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
    -- Nobody holds a message from before the start.
    UPDATE message SET visible_at = 0;
";

impl Queues {
    /// Makes the table where there is none, or the one of an earlier version a current one. Nobody else works on
    /// the database.
    ///
    /// # Errors
    /// Where that cannot be done.
    pub fn open(database: Database, clock: impl Clock) -> rusqlite::Result<Self> {
        let now = clock.now().as_millis();
        database.prepare(|connection| {
            connection.execute_batch(SCHEMA)?;
            // Files of earlier versions do not know when a message was sent.
            let is_current = connection
                .prepare("SELECT 1 FROM pragma_table_info('message') WHERE name = 'sent_at'")?
                .exists([])?;
            if is_current {
                return Ok(());
            }
            connection.execute_batch(&format!(
                "ALTER TABLE message ADD COLUMN sent_at INTEGER NOT NULL DEFAULT {now}"
            ))
        })?;
        Ok(Self::attach(database, clock))
    }

    /// The queues of a database that another process works on, and has opened.
    pub fn attach(database: Database, clock: impl Clock) -> Self {
        Self { database, clock: Arc::new(clock), arrivals: Arc::default() }
    }

    /// The time, and the time after a pause, in milliseconds.
    fn now_and_after(&self, pause: Duration) -> (i64, i64) {
        let now = self.clock.now().as_millis();
        (now, now + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX / 2))
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
        self.send_later(queue, bodies, Duration::ZERO).await
    }

    /// Adds messages that are handed out after `delay`.
    ///
    /// # Errors
    /// [`QueueError`]; none of them was added.
    pub async fn send_later(
        &self,
        queue: &str,
        bodies: Vec<String>,
        delay: Duration,
    ) -> Result<(), QueueError> {
        let (name, (now, due)) = (queue.to_owned(), self.now_and_after(delay));
        let done = self.database.run(move |connection| {
            let transaction = connection.transaction()?;
            for body in bodies {
                transaction.execute(
                    "INSERT INTO message (queue, body, visible_at, sent_at) VALUES (?, ?, ?, ?)",
                    params![name, body, due, now],
                )?;
            }
            transaction.commit()
        });
        done.await?;
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
        let (now, until) = self.now_and_after(redrive.visibility);
        let received = self.database.run(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute(
                "UPDATE message SET queue = ?4, visible_at = 0, receive_count = 0
                 WHERE queue = ?1 AND visible_at <= ?2 AND receive_count >= ?3",
                params![queue, now, redrive.max_receives, Self::dead_letters_of(&queue)],
            )?;
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
        });
        Ok(received.await?)
    }

    /// Deletes messages: they were handled.
    ///
    /// # Errors
    /// [`QueueError`]; they come again then.
    pub async fn delete(&self, ids: Vec<i64>) -> Result<(), QueueError> {
        let done = self.database.run(move |connection| {
            let transaction = connection.transaction()?;
            for id in ids {
                transaction.execute("DELETE FROM message WHERE id = ?", params![id])?;
            }
            transaction.commit()
        });
        Ok(done.await?)
    }

    /// Hands a message out again after `pause`, instead of after its visibility time-out.
    ///
    /// # Errors
    /// [`QueueError`]; it comes again after the time-out then.
    pub async fn postpone(&self, id: i64, pause: Duration) -> Result<(), QueueError> {
        let (_, due) = self.now_and_after(pause);
        let done = self.database.run(move |connection| {
            connection.execute("UPDATE message SET visible_at = ? WHERE id = ?", params![due, id])
        });
        done.await?;
        Ok(())
    }

    /// Waits until a message was sent to the queue, or a hidden one is due, or `longest` has passed. The clock says
    /// when that is; the waiting is real.
    pub async fn wait(&self, queue: &str, longest: Duration) {
        let name = queue.to_owned();
        let next = self.database.run(move |connection| {
            connection.query_row(
                "SELECT min(visible_at) FROM message WHERE queue = ?",
                params![name],
                |row| row.get::<_, Option<i64>>(0),
            )
        });
        let due = match next.await {
            Ok(Some(due)) => {
                let millis = u64::try_from(due - self.clock.now().as_millis()).unwrap_or(0);
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
        let count = self.database.run(move |connection| {
            connection
                .query_row("SELECT count(*) FROM message WHERE queue = ?", params![queue], |row| row.get(0))
        });
        Ok(count.await?)
    }

    /// How many messages of a queue are visible, and how many hidden.
    ///
    /// # Errors
    /// [`QueueError`] where the file cannot be read.
    pub async fn messages(&self, queue: &str) -> Result<(u64, u64), QueueError> {
        let (queue, now) = (queue.to_owned(), self.clock.now());
        let (visible, hidden, _) = self.database.run(move |connection| held(connection, &queue, now)).await?;
        Ok((visible, hidden))
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
        let id = letter.receipt.parse().map_err(|_| QueueError::Other("the receipt is none".into()))?;
        Self::delete(self, vec![id]).await
    }
}

/// What a queue holds: visible, hidden, and when the oldest was sent.
fn held(connection: &Connection, queue: &str, now: Moment) -> rusqlite::Result<(u64, u64, Option<i64>)> {
    connection
        .prepare_cached(
            "SELECT coalesce(sum(visible_at <= ?2), 0), coalesce(sum(visible_at > ?2), 0), min(sent_at)
             FROM message WHERE queue = ?1",
        )?
        .query_row(params![queue, now.as_millis()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

impl Depths for Queues {
    async fn depths(&self) -> Result<Vec<(Family, Depth)>, QueueError> {
        let now = self.clock.now();
        let depth = move |connection: &Connection, family: &Family| {
            let (waiting, in_flight, oldest) = held(connection, family.as_str(), now)?;
            let (visible, hidden, _) = held(connection, &Self::dead_letters_of(family.as_str()), now)?;
            let oldest = oldest.map(|sent_at| (now.as_millis() - sent_at) / 1000);
            let oldest_seconds = oldest.and_then(|seconds| seconds.try_into().ok());
            Ok((*family, Depth { waiting, in_flight, dead_letters: visible + hidden, oldest_seconds }))
        };
        let depths = self
            .database
            .run(move |connection| Family::ALL.iter().map(|family| depth(connection, family)).collect());
        Ok(depths.await?)
    }
}

impl Redrive for Queues {
    async fn redrive(&self, family: Family, most: usize) -> Redriven {
        let moved = self.database.run(move |connection| {
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
        match moved.await {
            Ok(moved) => {
                self.arrival(family.as_str()).notify_one();
                Redriven { moved, failed: None }
            }
            Err(error) => Redriven { moved: 0, failed: Some(error.into()) },
        }
    }
}

impl DeliveryQueue for Queues {
    async fn send(&self, delivery: &Sealed) -> Result<(), QueueError> {
        Self::send(self, delivery.family().as_str(), vec![delivery.message().to_owned()]).await
    }
}

impl Outbound for Queues {
    async fn send(&self, lane: Lane, messages: Vec<Outgoing>, delay: Duration) -> Result<(), QueueError> {
        let body = |message| serde_json::to_string(message).map_err(|error| QueueError::Other(error.into()));
        let bodies = messages.iter().map(body).collect::<Result<_, _>>()?;
        self.send_later(lane.as_str(), bodies, delay).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use shared::clock::{ManualClock, SystemClock};

    const REDRIVE: RedrivePolicy = RedrivePolicy { visibility: Duration::from_secs(60), max_receives: 2 };

    /// Queues in memory, and the clock that they ask.
    fn queues() -> (Queues, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Moment::from_millis(1_795_411_744_000)));
        (Queues::open(Database::open(None).unwrap(), Arc::clone(&clock)).unwrap(), clock)
    }

    fn in_file(file: &std::path::Path) -> Queues {
        Queues::open(Database::open(Some(file)).unwrap(), SystemClock).unwrap()
    }

    async fn bodies(queues: &Queues, queue: &str, redrive: RedrivePolicy) -> Vec<String> {
        queues.receive(queue, 10, redrive).await.unwrap().into_iter().map(|message| message.body).collect()
    }

    #[tokio::test]
    async fn a_received_message_is_hidden_until_its_visibility_time_out_has_passed() {
        let (queues, clock) = queues();
        queues.send("q", vec!["a".into(), "b".into()]).await.unwrap();
        let received = queues.receive("q", 1, REDRIVE).await.unwrap();
        assert_eq!((received[0].body.as_str(), received[0].receive_count), ("a", 1));
        assert_eq!(bodies(&queues, "q", REDRIVE).await, ["b"]);
        clock.advance(SignedDuration::from_millis(59_999));
        assert!(bodies(&queues, "q", REDRIVE).await.is_empty());
        assert_eq!(queues.messages("q").await.unwrap(), (0, 2));
        clock.advance(SignedDuration::from_millis(1));
        let again = queues.receive("q", 10, REDRIVE).await.unwrap();
        assert_eq!(again.iter().map(|message| message.receive_count).collect::<Vec<_>>(), [2, 2]);
    }

    #[tokio::test]
    async fn a_message_that_is_postponed_comes_again_after_its_pause() {
        let (queues, clock) = queues();
        queues.send("q", vec!["a".into()]).await.unwrap();
        let received = queues.receive("q", 1, REDRIVE).await.unwrap();
        queues.postpone(received[0].id, Duration::from_secs(600)).await.unwrap();
        clock.advance(SignedDuration::from_secs(599));
        assert!(bodies(&queues, "q", REDRIVE).await.is_empty());
        clock.advance(SignedDuration::from_secs(1));
        assert_eq!(bodies(&queues, "q", REDRIVE).await, ["a"]);
    }

    #[tokio::test]
    async fn the_age_of_the_oldest_message_is_known_also_while_it_is_hidden() {
        let (queues, clock) = queues();
        let oldest = async || {
            let depths = queues.depths().await.unwrap();
            depths.into_iter().find(|(family, _)| *family == Family::Deposits).unwrap().1.oldest_seconds
        };
        assert_eq!(oldest().await, None);
        queues.send("deposits", vec!["a".into()]).await.unwrap();
        clock.advance(SignedDuration::from_secs(90));
        queues.send("deposits", vec!["b".into()]).await.unwrap();
        assert_eq!(bodies(&queues, "deposits", REDRIVE).await, ["a", "b"]);
        assert_eq!(oldest().await, Some(90));
    }

    #[tokio::test]
    async fn a_message_received_too_often_goes_to_the_dead_letters() {
        let (queues, clock) = queues();
        queues.send("q", vec!["poison".into()]).await.unwrap();
        for _ in 0..2 {
            assert_eq!(bodies(&queues, "q", REDRIVE).await, ["poison"]);
            clock.advance(SignedDuration::from_secs(60));
        }
        assert!(bodies(&queues, "q", REDRIVE).await.is_empty());
        assert_eq!(bodies(&queues, "q-dead-letters", REDRIVE).await, ["poison"]);
    }

    #[tokio::test]
    async fn messages_survive_a_restart_and_nobody_holds_one_then() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("queues.db");
        let queues = in_file(&file);
        queues.send("q", vec!["kept".into(), "done".into()]).await.unwrap();
        let received = queues.receive("q", 10, REDRIVE).await.unwrap();
        queues.delete(vec![received[1].id]).await.unwrap();
        drop(queues);
        assert_eq!(bodies(&in_file(&file), "q", REDRIVE).await, ["kept"]);
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
        let queues = in_file(&file);
        queues.send("q", vec!["new".into()]).await.unwrap();
        assert_eq!(bodies(&queues, "q", REDRIVE).await, ["old", "new"]);
    }

    #[tokio::test]
    async fn waiting_ends_when_a_message_arrives() {
        let (queues, _) = queues();
        let waiting = queues.wait("q", Duration::from_secs(60));
        let sending = async {
            tokio::task::yield_now().await;
            queues.send("q", vec!["a".into()]).await.unwrap();
        };
        let both = async { tokio::join!(waiting, sending) };
        assert!(tokio::time::timeout(Duration::from_secs(10), both).await.is_ok());
    }
}
