//! Between `notify` and `deliver`: one message per event and endpoint, which names both.

use std::future::Future;
use std::time::Duration;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::aws_error::AwsError;
use crate::environment::Environment;
use crate::queue::QueueError;
use crate::store::Key;

crate::names! {
    /// Which of the two queues: endpoints that are known to be slow or failing have their own, with workers of its own, so
    /// that those of the others never wait for them.
    "lane" Lane {
        /// For endpoints that answer soon.
        Fast "endpoints";
        /// For the others.
        Slow "endpoints-slow";
    }
}

/// What an endpoint is to get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Whose world it is.
    pub environment: Environment,
    /// The endpoint's id.
    pub endpoint: String,
    /// Where the notification is: in an event, or in an action.
    pub key: Key,
}

/// The two queues.
pub trait Outbound: Send + Sync + 'static {
    /// Adds messages to a queue, to be handed out after `delay`, at most [`MOST_DELAY`]. When it returns, all are kept.
    fn send(
        &self,
        lane: Lane,
        messages: Vec<Outgoing>,
        delay: Duration,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// The longest delay of a message (Amazon SQS, API reference, `DelaySeconds`).
pub const MOST_DELAY: Duration = Duration::from_secs(900);

impl<O: Outbound> Outbound for std::sync::Arc<O> {
    fn send(
        &self,
        lane: Lane,
        messages: Vec<Outgoing>,
        delay: Duration,
    ) -> impl Future<Output = Result<(), QueueError>> + Send {
        (**self).send(lane, messages, delay)
    }
}

/// Amazon SQS.
#[derive(Clone, Debug)]
pub struct SqsOutbound {
    client: aws_sdk_sqs::Client,
    fast: String,
    slow: String,
}

impl SqsOutbound {
    /// The queues of these URLs.
    pub fn new(client: aws_sdk_sqs::Client, fast: String, slow: String) -> Self {
        Self { client, fast, slow }
    }
}

impl Outbound for SqsOutbound {
    async fn send(&self, lane: Lane, messages: Vec<Outgoing>, delay: Duration) -> Result<(), QueueError> {
        /// The most messages of one request (Amazon SQS, API reference, `SendMessageBatch`).
        const AT_ONCE: usize = 10;
        let url = match lane {
            Lane::Fast => &self.fast,
            Lane::Slow => &self.slow,
        };
        let delay = i32::try_from(delay.min(MOST_DELAY).as_secs()).unwrap_or_default();
        let entry = |(number, message): (usize, &Outgoing)| {
            let body = serde_json::to_string(message).map_err(|error| QueueError::Other(error.into()))?;
            SendMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .message_body(body)
                .delay_seconds(delay)
                // Of a queue that many wait in, SQS hands out first what belongs to the quiet groups.
                .message_group_id(&message.endpoint)
                .build()
                .map_err(|error| QueueError::Aws(AwsError::from(error)))
        };
        let batches = messages.chunks(AT_ONCE).map(async |batch| {
            let entries = batch.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>()?;
            let sent =
                self.client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await;
            let sent = sent.map_err(|error| QueueError::Aws(AwsError::from(error)))?;
            match sent.failed.first() {
                None => Ok(()),
                Some(failed) => {
                    Err(QueueError::Other(format!("a message was refused: {}", failed.code).into()))
                }
            }
        });
        try_join_all(batches).await.map(|_| ())
    }
}
