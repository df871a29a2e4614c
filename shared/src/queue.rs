//! From `ingest` to the families: one message per delivery; and where those went that failed.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName};
use futures::future::try_join_all;
use serde::Serialize;

use crate::aws_error::AwsError;
use crate::clock::Moment;
use crate::model::{EventName, Family};
use crate::verify::Sealed;

/// A queue did not do what it was asked. A delivery that it was given is not kept: the sender must send it again.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// SQS refused or did not answer.
    #[error("SQS: {0}")]
    Aws(#[from] AwsError),
    /// A family has no such queue here.
    #[error("there is no queue of {0} for {1}")]
    Missing(&'static str, Family),
    /// A queue that is not SQS's failed.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
}

/// Takes deliveries for their families.
pub trait DeliveryQueue: Send + Sync + 'static {
    /// Hands a delivery to its family's queue. When it returns, the delivery is kept durably.
    fn send(&self, delivery: &Sealed) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// A delivery that its family could not handle.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The message's text.
    pub body: String,
    /// When it was first sent: its 14 days count from then.
    pub sent_at: Moment,
    /// Names this receipt of it.
    pub receipt: String,
}

/// Gives access to the dead letters of the families.
pub trait DeadLetters: Send + Sync + 'static {
    /// Some of a family's dead letters; none when all were handed out. They are hidden from others for a while.
    fn receive(&self, family: Family) -> impl Future<Output = Result<Vec<DeadLetter>, QueueError>> + Send;

    /// Deletes a dead letter that was received: it is kept elsewhere.
    fn delete(
        &self,
        family: Family,
        letter: &DeadLetter,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// How many deliveries of a family wait, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// To be handled.
    pub waiting: u64,
    /// Being handled, or waiting to be tried again.
    pub in_flight: u64,
    /// Given up.
    pub dead_letters: u64,
    /// For how long the oldest one has been waiting, in seconds; none where none is, or where it is not known.
    pub oldest_seconds: Option<u64>,
}

/// Tells how many deliveries wait.
pub trait Depths: Send + Sync + 'static {
    /// How many of each family do.
    fn depths(&self) -> impl Future<Output = Result<Vec<(Family, Depth)>, QueueError>> + Send;
}

/// What came of putting dead letters back.
#[derive(Debug, Default)]
pub struct Redriven {
    /// How many were put back.
    pub moved: usize,
    /// What ended it early, if anything did.
    pub failed: Option<QueueError>,
}

/// Puts dead letters back into their queue.
pub trait Redrive: Send + Sync + 'static {
    /// Puts some of a family's dead letters back, at most `most`; none where none are left. One that is put back
    /// twice is recognised by its content.
    fn redrive(&self, family: Family, most: usize) -> impl Future<Output = Redriven> + Send;
}

/// Amazon SQS: for each family a queue and its dead letters, as far as they are needed.
#[derive(Clone, Debug)]
pub struct Sqs {
    client: aws_sdk_sqs::Client,
    queues: HashMap<Family, String>,
    dead_letters: HashMap<Family, String>,
}

impl Sqs {
    /// The queues of these URLs.
    pub fn new(client: aws_sdk_sqs::Client, queues: HashMap<Family, String>) -> Self {
        Self { client, queues, dead_letters: HashMap::new() }
    }

    /// The dead letters of these URLs as well.
    #[must_use]
    pub fn with_dead_letters(self, dead_letters: HashMap<Family, String>) -> Self {
        Self { dead_letters, ..self }
    }

    /// The name of a family's queue.
    pub fn name(&self, family: Family) -> Option<&str> {
        self.queues.get(&family)?.rsplit('/').next()
    }

    fn queue(&self, family: Family) -> Result<&str, QueueError> {
        let url = self.queues.get(&family).map(String::as_str);
        url.ok_or_else(|| QueueError::Missing("deliveries", family))
    }

    fn dead_letters_of(&self, family: Family) -> Result<&str, QueueError> {
        let url = self.dead_letters.get(&family).map(String::as_str);
        url.ok_or_else(|| QueueError::Missing("dead letters", family))
    }

    /// Opens a connection, so that the first delivery does not wait for TLS. Whether it can be opened shows then.
    pub async fn warm(&self) {
        if let Some(url) = self.queues.values().next() {
            let arn = QueueAttributeName::QueueArn;
            let _ = self.client.get_queue_attributes().queue_url(url).attribute_names(arn).send().await;
        }
    }

    /// Puts one receipt of dead letters back, and counts in `moved` what is in the queue again.
    async fn put_back(&self, family: Family, most: usize, moved: &mut usize) -> Result<(), QueueError> {
        /// Long enough to send and delete ten.
        const HIDDEN_SECONDS: i32 = 60;
        let (from, to) = (self.dead_letters_of(family)?, self.queue(family)?);
        let received = self
            .client
            .receive_message()
            .queue_url(from)
            .max_number_of_messages(i32::try_from(most.min(10)).unwrap_or(10))
            .visibility_timeout(HIDDEN_SECONDS)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(failed)?;
        for letter in received.messages.unwrap_or_default() {
            let send = self.client.send_message().queue_url(to).set_message_body(letter.body);
            send.set_message_attributes(letter.message_attributes).send().await.map_err(failed)?;
            *moved += 1;
            let delete = self.client.delete_message().queue_url(from);
            delete.set_receipt_handle(letter.receipt_handle).send().await.map_err(failed)?;
        }
        Ok(())
    }

    /// How many messages of a queue are visible, and how many hidden; about so many, as SQS says.
    async fn messages(&self, url: &str) -> Result<(u64, u64), QueueError> {
        let visible = QueueAttributeName::ApproximateNumberOfMessages;
        let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(visible.clone())
            .attribute_names(hidden.clone())
            .send()
            .await
            .map_err(failed)?;
        let attributes = answer.attributes.unwrap_or_default();
        let number = |name| attributes.get(&name).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok((number(visible), number(hidden)))
    }
}

fn failed<E, R>(error: SdkError<E, R>) -> QueueError
where
    E: Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
{
    QueueError::Aws(error.into())
}

impl Depths for Sqs {
    async fn depths(&self) -> Result<Vec<(Family, Depth)>, QueueError> {
        try_join_all(Family::ALL.iter().map(async |family| {
            let ((waiting, in_flight), (dead, hidden)) = futures::try_join!(
                self.messages(self.queue(*family)?),
                self.messages(self.dead_letters_of(*family)?)
            )?;
            let depth = Depth { waiting, in_flight, dead_letters: dead + hidden, oldest_seconds: None };
            Ok((*family, depth))
        }))
        .await
    }
}

impl Redrive for Sqs {
    /// `StartMessageMoveTask` would do it without us, but does not say how far it is, and does not end before
    /// the queue is empty.
    async fn redrive(&self, family: Family, most: usize) -> Redriven {
        let mut moved = 0;
        let failed = self.put_back(family, most, &mut moved).await.err();
        Redriven { moved, failed }
    }
}

impl DeadLetters for Sqs {
    async fn receive(&self, family: Family) -> Result<Vec<DeadLetter>, QueueError> {
        /// Longer than one sweep takes, so that it sees each letter once.
        const HIDDEN_SECONDS: i32 = 900;
        let received = self
            .client
            .receive_message()
            .queue_url(self.dead_letters_of(family)?)
            .max_number_of_messages(10)
            .visibility_timeout(HIDDEN_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(failed)?;
        let letters = received.messages.unwrap_or_default().into_iter().filter_map(|message| {
            let sent_at =
                message.attributes.as_ref()?.get(&MessageSystemAttributeName::SentTimestamp)?.parse().ok()?;
            Some(DeadLetter {
                body: message.body?,
                sent_at: Moment::from_millis(sent_at),
                receipt: message.receipt_handle?,
            })
        });
        Ok(letters.collect())
    }

    async fn delete(&self, family: Family, letter: &DeadLetter) -> Result<(), QueueError> {
        let url = self.dead_letters_of(family)?;
        let request = self.client.delete_message().queue_url(url).receipt_handle(&letter.receipt);
        request.send().await.map_err(failed)?;
        Ok(())
    }
}

impl DeliveryQueue for Sqs {
    async fn send(&self, delivery: &Sealed) -> Result<(), QueueError> {
        let url = self.queue(delivery.family())?;
        let mut request = self.client.send_message().queue_url(url).message_body(delivery.message());
        if let Some(event) = EventName::new(delivery.event()).plain() {
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(event).build();
            request = request
                .message_attributes("event", attribute.map_err(|error| QueueError::Aws(error.into()))?);
        }
        request.send().await.map_err(failed)?;
        Ok(())
    }
}
