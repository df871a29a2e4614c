//! From `ingest` to the families: one message per delivery.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::MessageAttributeValue;

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

impl Sqs {
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
        let family = delivery.family();
        let url = self.urls.get(&family).ok_or_else(|| QueueError(format!("no queue for {family}")))?;
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
