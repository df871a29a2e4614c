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
pub async fn stream<P: Publish>(
    engine: Engine,
    checkpoint: Checkpoint,
    notify: Notify<P>,
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
                error!(%error, "the stream could not be read or told");
                if last_round {
                    return;
                }
                stop.or(tokio::time::sleep(Duration::from_secs(1))).await;
            }
        }
    }
}

/// Tells what the stream has until there is no more.
async fn drain<P: Publish>(
    engine: &Engine,
    checkpoint: &Checkpoint,
    notify: &Notify<P>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let after = checkpoint.position().await?;
        let reading = engine.clone();
        let page =
            tokio::task::spawn_blocking(move || reading.stream(after.as_deref(), STREAM_BATCH)).await??;
        let Some(last) = page.last else { return Ok(()) };
        let event: Event = serde_json::from_value(page.event)?;
        notify.batch(event).await?;
        checkpoint.set(last).await?;
        if page.count < STREAM_BATCH {
            return Ok(());
        }
    }
}
