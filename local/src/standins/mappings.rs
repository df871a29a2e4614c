//! The local stand-in for Lambda's event source mappings: batches from a queue to its family, and from the
//! stream to `notify`.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::dynamodb::Event;
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use notify::Notify;
use shared::clock::Clock;
use shared::family::FamilyRules;
use shared::pipeline::Pipeline;
use shared::publish::Publish;
use shared::queue::QueueError;
use tokio::sync::Notify as Signal;
use tracing::error;

use super::checkpoint::Checkpoint;
use super::engine::Engine;
use super::queues::{Queues, RedrivePolicy};
use super::stop::Stop;

/// As the template has it.
const BATCH: usize = 10;

/// Six times a function's time-out; so many receipts that a delivery outlasts an outage of some hours.
const REDRIVE: RedrivePolicy = RedrivePolicy { visibility: Duration::from_secs(180), max_receives: 120 };

/// The most records of the stream in one batch.
const STREAM_BATCH: usize = 100;

/// Hands a family's deliveries to its function until it is time to stop; `written` says that it wrote.
pub async fn family<F: FamilyRules, C: Clock>(
    queues: Queues,
    pipeline: Arc<Pipeline<C>>,
    written: Arc<Signal>,
    mut stop: Stop,
) {
    let queue = F::FAMILY.as_str();
    while !stop.is_set() {
        match batch::<F, C>(&queues, &pipeline).await {
            Ok(0) => stop.or(queues.wait(queue, Duration::from_secs(1))).await,
            Ok(_) => written.notify_one(),
            Err(error) => {
                error!(queue, %error, "the queue failed");
                stop.or(tokio::time::sleep(Duration::from_secs(1))).await;
            }
        }
    }
}

/// One batch: how many messages it had.
async fn batch<F: FamilyRules, C: Clock>(
    queues: &Queues,
    pipeline: &Pipeline<C>,
) -> Result<usize, QueueError> {
    let received = queues.receive(F::FAMILY.as_str(), BATCH, REDRIVE).await?;
    if received.is_empty() {
        return Ok(0);
    }
    let mut event = SqsEvent::default();
    event.records = received
        .iter()
        .map(|message| {
            let mut record = SqsMessage::default();
            record.message_id = Some(message.id.to_string());
            record.body = Some(message.body.clone());
            record
        })
        .collect();
    let response = pipeline.batch::<F>(event).await;
    let failed: HashSet<String> =
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    let count = received.len();
    let mut handled = Vec::new();
    for message in received {
        if failed.contains(&message.id.to_string()) {
            let pause = Duration::from_secs(1 << message.receive_count.min(6));
            queues.postpone(message.id, pause).await?;
        } else {
            handled.push(message.id);
        }
    }
    queues.delete(handled).await?;
    Ok(count)
}

/// Hands the stream to `notify` until it is time to stop, and once more then.
pub async fn stream<P: Publish, C: Clock>(
    engine: Engine,
    checkpoint: Checkpoint,
    notify: Notify<P, C>,
    written: Arc<Signal>,
    mut stop: Stop,
) {
    loop {
        let last_round = stop.is_set();
        match drain(&engine, &checkpoint, &notify).await {
            Ok(()) if last_round => return,
            Ok(()) => {
                let next = tokio::time::timeout(Duration::from_secs(1), written.notified());
                stop.or(async { drop(next.await) }).await;
            }
            Err(error) => {
                error!(%error, "the stream could not be read, or a notification not sent");
                if last_round {
                    return;
                }
                stop.or(tokio::time::sleep(Duration::from_secs(1))).await;
            }
        }
    }
}

/// Tells what the stream has until there is no more, or something is not taken: it comes again from there on.
async fn drain<P: Publish, C: Clock>(
    engine: &Engine,
    checkpoint: &Checkpoint,
    notify: &Notify<P, C>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let after = checkpoint.position().await?;
        let reading = engine.clone();
        let page =
            tokio::task::spawn_blocking(move || reading.stream(after.as_deref(), STREAM_BATCH)).await??;
        let Some(last) = page.last else { return Ok(()) };
        let event: Event = serde_json::from_value(page.event)?;
        let numbers: Vec<_> = event.records.iter().map(|one| one.change.sequence_number.clone()).collect();
        let failures = notify.batch(event).await?.batch_item_failures;
        if !failures.is_empty() {
            // As Lambda does: the lowest of them is where the batch comes again from.
            let failed = |number: &_| failures.iter().any(|failure| failure.item_identifier == *number);
            let reached = numbers.iter().position(failed).unwrap_or_default();
            if let Some(before) = numbers.into_iter().take(reached).next_back().flatten() {
                checkpoint.set(before).await?;
            }
            return Err("not all was published".into());
        }
        checkpoint.set(last).await?;
        if page.count < STREAM_BATCH {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    use aws_sdk_dynamodb::types::AttributeValue;
    use shared::clock::SystemClock;
    use shared::publish::{Message, PublishError, Published};
    use shared::store::schema;

    use crate::standins::database::Database;
    use crate::standins::engine::TABLE;

    /// Takes all but one message for people, and that one the second time.
    #[derive(Default)]
    struct OnceNot(Mutex<(Vec<String>, bool)>);

    impl Publish for OnceNot {
        async fn publish(&self, messages: Vec<Message>) -> Published {
            let mut published = Published::default();
            let (taken, has_failed) = &mut *self.0.lock().unwrap();
            for message in messages {
                if let Message::People { words, .. } = message {
                    if words.subject == "2" && !std::mem::replace(has_failed, true) {
                        published.failed = Some(PublishError { cause: "throttled".into() });
                        break;
                    }
                    taken.push(words.subject);
                }
                published.settled += 1;
            }
            published
        }
    }

    #[tokio::test]
    async fn what_was_not_taken_comes_again_and_its_neighbours_do_not() {
        let engine = Engine::open(None).unwrap();
        let client = engine.client();
        schema::create(&client, TABLE).await.unwrap();
        for number in 0..4 {
            let text = |text: &str| AttributeValue::S(text.to_owned());
            let object = |fields: Vec<(&str, AttributeValue)>| {
                AttributeValue::M(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            };
            let subject = text(&number.to_string());
            let words = object(vec![("subject", subject), ("text", text("t")), ("sms", text("s"))]);
            let notification =
                object(vec![("people", words), ("programs", text("{}")), ("attributes", object(Vec::new()))]);
            client
                .put_item()
                .table_name(TABLE)
                .item("pk", text("p"))
                .item("sk", text(&format!("event#{number}")))
                .item("notification", notification)
                .send()
                .await
                .unwrap();
        }
        let checkpoint = Checkpoint::open(Database::open(None).unwrap()).unwrap();
        let notify = Notify { publish: OnceNot::default(), clock: SystemClock };
        assert!(drain(&engine, &checkpoint, &notify).await.is_err());
        assert_eq!(notify.publish.0.lock().unwrap().0, ["0", "1"]);
        drain(&engine, &checkpoint, &notify).await.unwrap();
        drain(&engine, &checkpoint, &notify).await.unwrap();
        assert_eq!(notify.publish.0.lock().unwrap().0, ["0", "1", "2", "3"]);
    }
}
