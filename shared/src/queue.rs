//! From `ingest` to the families: one message per delivery.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName};

use crate::clock::Moment;
use crate::model::{EventName, Family};
use crate::verify::Sealed;

/// The queue did not take the delivery. It is not kept: the sender must send it again.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not take the delivery: {0}")]
pub struct QueueError(pub String);

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

impl<Q: DeliveryQueue> DeliveryQueue for Arc<Q> {
    fn send(&self, delivery: &Sealed) -> impl Future<Output = Result<(), QueueError>> + Send {
        (**self).send(delivery)
    }
}

/// Amazon SQS: a queue per family.
#[derive(Clone, Debug)]
pub struct Sqs {
    client: aws_sdk_sqs::Client,
    urls: HashMap<Family, String>,
}

impl Sqs {
    /// The queues of these URLs.
    pub fn new(client: aws_sdk_sqs::Client, urls: HashMap<Family, String>) -> Self {
        Self { client, urls }
    }
}

impl DeadLetters for Sqs {
    async fn receive(&self, family: Family) -> Result<Vec<DeadLetter>, QueueError> {
        /// Longer than one sweep takes, so that it sees each letter once.
        const HIDDEN_SECONDS: i32 = 900;
        let received = self
            .client
            .receive_message()
            .queue_url(self.url(family)?)
            .max_number_of_messages(10)
            .visibility_timeout(HIDDEN_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| QueueError(DisplayErrorContext(error).to_string()))?;
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
        let request =
            self.client.delete_message().queue_url(self.url(family)?).receipt_handle(&letter.receipt);
        request.send().await.map_err(|error| QueueError(DisplayErrorContext(error).to_string()))?;
        Ok(())
    }
}

impl Sqs {
    fn url(&self, family: Family) -> Result<&str, QueueError> {
        let url = self.urls.get(&family).map(String::as_str);
        url.ok_or_else(|| QueueError(format!("no queue for {family}")))
    }

    /// Opens a connection, so that the first delivery does not wait for TLS. Whether it can be opened shows then.
    pub async fn warm(&self) {
        if let Some(url) = self.urls.values().next() {
            let arn = aws_sdk_sqs::types::QueueAttributeName::QueueArn;
            let _ = self.client.get_queue_attributes().queue_url(url).attribute_names(arn).send().await;
        }
    }
}

impl DeliveryQueue for Sqs {
    async fn send(&self, delivery: &Sealed) -> Result<(), QueueError> {
        let url = self.url(delivery.family())?;
        let mut request = self.client.send_message().queue_url(url).message_body(delivery.message());
        if let Some(event) = EventName::new(delivery.event()).plain() {
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(event).build();
            request = request
                .message_attributes("event", attribute.map_err(|error| QueueError(error.to_string()))?);
        }
        request.send().await.map_err(|error| QueueError(DisplayErrorContext(error).to_string()))?;
        Ok(())
    }
}
