//! Telling: two topics, «people» and «programs».

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use serde_json::json;

use crate::aws_error::AwsError;
use crate::model::notification::Attribute;
use crate::model::{Notification, Words};

/// The most messages in one `PublishBatch` (Amazon SNS, API reference).
const BATCH_ENTRIES: usize = 10;

/// The most bytes in one `PublishBatch`, all messages and their attributes together (same source), less a
/// reserve for what the request adds.
const BATCH_BYTES: usize = 256 * 1024 - 4 * 1024;

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// E-mail and SMS.
    People,
    /// HTTPS, SQS, Lambda.
    Programs,
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::People => "people",
            Self::Programs => "programs",
        })
    }
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text per protocol, for people. Its attributes reach no subscriber, since the message is
    /// `MessageStructure=json`; they are for filter policies.
    People {
        /// The texts.
        words: Words,
        /// What filter policies see.
        attributes: BTreeMap<String, Attribute>,
    },
    /// JSON with attributes, for programs. Attributes reach a subscriber only because the message is no
    /// `MessageStructure=json`.
    Programs {
        /// The text.
        json: String,
        /// What filter policies see.
        attributes: BTreeMap<String, Attribute>,
    },
}

impl Message {
    /// The topic it goes to.
    pub fn topic(&self) -> Topic {
        match self {
            Self::People { .. } => Topic::People,
            Self::Programs { .. } => Topic::Programs,
        }
    }

    /// The messages of a notification.
    pub fn of(notification: Notification) -> impl Iterator<Item = Self> {
        let attributes = notification.attributes.clone();
        let people = notification.people.map(|words| Self::People { words, attributes });
        let programs = Self::Programs { json: notification.programs, attributes: notification.attributes };
        people.into_iter().chain([programs])
    }

    /// How many bytes it counts for, at most.
    fn size(&self) -> usize {
        let (text, attributes) = match self {
            Self::People { words, attributes } => {
                (2 * (words.subject.len() + words.text.len() + words.sms.len()) + 256, attributes)
            }
            Self::Programs { json, attributes } => (json.len(), attributes),
        };
        let one = |(name, attribute): (&String, &Attribute)| name.len() + typed(attribute).1.len() + 12;
        text + attributes.iter().map(one).sum::<usize>()
    }
}

/// The data type and the value of an attribute.
fn typed(attribute: &Attribute) -> (&'static str, String) {
    match attribute {
        Attribute::String(value) => ("String", value.clone()),
        Attribute::Number(value) => ("Number", value.clone()),
        Attribute::Strings(values) => ("String.Array", json!(values).to_string()),
    }
}

/// Some messages were not taken.
#[derive(Debug, thiserror::Error)]
#[error("{count} of the messages were not taken: {cause}")]
pub struct PublishError {
    /// How many.
    pub count: usize,
    /// Why the last of them was not.
    pub cause: String,
}

/// Tells people and programs.
pub trait Publish: Send + Sync + 'static {
    /// Publishes the messages, each at least once.
    ///
    /// # Errors
    /// [`PublishError`] if any was not taken; the others were.
    fn publish(&self, messages: Vec<Message>) -> impl Future<Output = Result<(), PublishError>> + Send;
}

impl<P: Publish> Publish for Arc<P> {
    fn publish(&self, messages: Vec<Message>) -> impl Future<Output = Result<(), PublishError>> + Send {
        (**self).publish(messages)
    }
}

/// Amazon SNS.
#[derive(Clone, Debug)]
pub struct Sns {
    client: aws_sdk_sns::Client,
    people: String,
    programs: String,
}

impl Sns {
    /// The topics of these ARNs.
    pub fn new(client: aws_sdk_sns::Client, people: String, programs: String) -> Self {
        Self { client, people, programs }
    }

    async fn publish_batch(&self, topic: Topic, batch: Vec<Message>) -> Result<(), PublishError> {
        /// How often entries that were refused singly are sent again.
        const ATTEMPTS: u32 = 4;
        let arn = match topic {
            Topic::People => &self.people,
            Topic::Programs => &self.programs,
        };
        let mut entries = Vec::new();
        for (number, message) in batch.into_iter().enumerate() {
            entries.push(entry(number, message).map_err(|cause| PublishError { count: 1, cause })?);
        }
        let mut cause = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(fastrand::u64(0..100 << attempt))).await;
            }
            let sent = self
                .client
                .publish_batch()
                .topic_arn(arn)
                .set_publish_batch_request_entries(Some(entries.clone()))
                .send()
                .await;
            match sent {
                Ok(answer) => {
                    let failed = answer.failed();
                    entries.retain(|entry| failed.iter().any(|failed| failed.id() == entry.id()));
                    if entries.is_empty() {
                        return Ok(());
                    }
                    cause = failed.first().map(|failed| failed.code().to_owned()).unwrap_or_default();
                }
                Err(error) => cause = AwsError::from(error).to_string(),
            }
        }
        Err(PublishError { count: entries.len(), cause })
    }
}

fn entry(number: usize, message: Message) -> Result<PublishBatchRequestEntry, String> {
    let entry = PublishBatchRequestEntry::builder().id(number.to_string());
    let (mut entry, attributes) = match message {
        Message::People { words, attributes } => {
            let texts = json!({ "default": words.text, "email": words.text, "sms": words.sms });
            let entry = entry.subject(words.subject).message(texts.to_string()).message_structure("json");
            (entry, attributes)
        }
        Message::Programs { json, attributes } => (entry.message(json), attributes),
    };
    for (name, attribute) in attributes {
        let (data_type, value) = typed(&attribute);
        let attribute = MessageAttributeValue::builder().data_type(data_type).string_value(value).build();
        entry = entry.message_attributes(name, attribute.map_err(|error| error.to_string())?);
    }
    entry.build().map_err(|error| error.to_string())
}

/// Packs messages into batches by number and by bytes, in their order.
fn pack(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut batches: Vec<Vec<Message>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let size = message.size();
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_ENTRIES && bytes + size <= BATCH_BYTES => {
                bytes += size;
                batch.push(message);
            }
            _ => {
                bytes = size;
                batches.push(vec![message]);
            }
        }
    }
    batches
}

impl Publish for Sns {
    async fn publish(&self, messages: Vec<Message>) -> Result<(), PublishError> {
        let (people, programs): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.topic() == Topic::People);
        let mut failed: Option<PublishError> = None;
        for (topic, messages) in [(Topic::People, people), (Topic::Programs, programs)] {
            for batch in pack(messages) {
                if let Err(error) = self.publish_batch(topic, batch).await {
                    let before = failed.map_or(0, |failed| failed.count);
                    failed = Some(PublishError { count: before + error.count, ..error });
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(bytes: usize) -> Message {
        Message::Programs { json: "x".repeat(bytes), attributes: BTreeMap::new() }
    }

    proptest! {
        #[test]
        fn batches_keep_order_and_bounds(sizes in prop::collection::vec(0_usize..100_000, 0..60)) {
            let messages: Vec<_> = sizes.iter().map(|size| message(*size)).collect();
            let batches = pack(messages.clone());
            prop_assert_eq!(batches.iter().flatten().cloned().collect::<Vec<_>>(), messages);
            for batch in batches {
                prop_assert!(batch.len() <= BATCH_ENTRIES);
                prop_assert!(batch.iter().map(Message::size).sum::<usize>() <= BATCH_BYTES);
            }
        }
    }
}
