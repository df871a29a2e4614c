//! The local stand-in for Lambda's event source mappings: batches from a queue to its family, and from the
//! stream to `notify`.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::dynamodb::Event;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use deliver::Deliver;
use deliver::post::Post;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::SignedDuration;
use notify::Notify;
use shared::clock::Clock;
use shared::endpoints::{Directory, Lane, Outbound};
use shared::environment::Environment;
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
    stop: Stop,
) {
    let handle = move |event| {
        let (pipeline, written) = (Arc::clone(&pipeline), Arc::clone(&written));
        async move {
            let response = pipeline.batch::<F>(event).await;
            written.notify_one();
            response
        }
        .boxed()
    };
    queue(queues, F::FAMILY.as_str(), BATCH, handle, stop).await;
}

/// Hands what endpoints shall get to `deliver` until it is time to stop.
pub async fn lane<P: Post, O: Outbound, C: Clock>(
    queues: Queues,
    lane: Lane,
    deliver: Arc<Deliver<P, O, C>>,
    stop: Stop,
) {
    /// As the template has it.
    const SLOW_BATCH: usize = 5;
    let most = if lane == Lane::Slow { SLOW_BATCH } else { BATCH };
    let handle = move |event| {
        let deliver = Arc::clone(&deliver);
        async move { deliver.batch(lane, event).await }.boxed()
    };
    queue(queues, lane.as_str(), most, handle, stop).await;
}

/// What works on a batch.
type Answered = BoxFuture<'static, SqsBatchResponse>;

/// Hands what a queue has to its function until it is time to stop, so many messages at once.
async fn queue(
    queues: Queues,
    name: &'static str,
    most: usize,
    handle: impl Fn(SqsEvent) -> Answered,
    mut stop: Stop,
) {
    while !stop.is_set() {
        match batch(&queues, name, most, &handle).await {
            Ok(0) => stop.or(queues.wait(name, Duration::from_secs(1))).await,
            Ok(_) => {}
            Err(error) => {
                error!(queue = name, %error, "the queue failed");
                stop.or(tokio::time::sleep(Duration::from_secs(1))).await;
            }
        }
    }
}

/// One batch: how many messages it had.
async fn batch(
    queues: &Queues,
    name: &str,
    most: usize,
    handle: &impl Fn(SqsEvent) -> Answered,
) -> Result<usize, QueueError> {
    let received = queues.receive(name, most, REDRIVE).await?;
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
    let response = handle(event).await;
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

/// Has what waits for endpoints taken up when it is due, until it is time to stop: deployed, a schedule does, every minute.
pub async fn due<P: Post, O: Outbound, C: Clock>(deliver: Arc<Deliver<P, O, C>>, mut stop: Stop) {
    /// How long one run may take.
    const RUN: SignedDuration = SignedDuration::from_secs(2);
    while !stop.is_set() {
        for environment in Environment::ALL {
            if let Err(error) = deliver.due(environment, deliver.clock.now().after(RUN)).await {
                error!(%environment, %error, "what waits for endpoints could not be taken up");
            }
        }
        stop.or(tokio::time::sleep(Duration::from_secs(1))).await;
    }
}

/// Hands the stream to `notify` until it is time to stop, and once more then.
pub async fn stream<P: Publish, D: Directory, O: Outbound, C: Clock>(
    engine: Engine,
    checkpoint: Checkpoint,
    notify: Notify<P, D, O, C>,
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

/// Hands over what the stream has until there is no more, or something is not taken: it comes again from there on.
async fn drain<P: Publish, D: Directory, O: Outbound, C: Clock>(
    engine: &Engine,
    checkpoint: &Checkpoint,
    notify: &Notify<P, D, O, C>,
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
        let table = schema::create(&client, TABLE).await.unwrap();
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
                .item("sk", text(&format!("action#x#{number}")))
                .item("environment", text("test"))
                .item("id", text("x"))
                .item("at", text("2026-11-01T00:00:00.000Z"))
                .item("notification", notification)
                .send()
                .await
                .unwrap();
        }
        let checkpoint = Checkpoint::open(Database::open(None).unwrap()).unwrap();
        let queues = Queues::open(Database::open(None).unwrap(), SystemClock).unwrap();
        let notify =
            Notify { publish: OnceNot::default(), endpoints: table, outbound: queues, clock: SystemClock };
        assert!(drain(&engine, &checkpoint, &notify).await.is_err());
        assert_eq!(notify.publish.0.lock().unwrap().0, ["0", "1"]);
        drain(&engine, &checkpoint, &notify).await.unwrap();
        drain(&engine, &checkpoint, &notify).await.unwrap();
        assert_eq!(notify.publish.0.lock().unwrap().0, ["0", "1", "2", "3"]);
    }
}
