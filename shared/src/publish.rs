//! Publishing: two topics, «people» and «programs».

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use aws_sdk_sns::error::BuildError;
use aws_sdk_sns::types::{BatchResultErrorEntry, MessageAttributeValue, PublishBatchRequestEntry};
use serde_json::json;

use crate::aws_error::AwsError;
use crate::model::notification::Attribute;
use crate::model::{Notification, Words};

/// The most messages in one `PublishBatch` (Amazon SNS, API reference).
const BATCH_ENTRIES: usize = 10;

/// The most bytes in one `PublishBatch`, all messages and their attributes together (same source), less a
/// reserve for what the request adds.
const BATCH_BYTES: usize = 256 * 1024 - 4 * 1024;

crate::names! {
    /// Who is notified.
    "topic" Topic {
        /// E-mail and SMS.
        People "people";
        /// HTTPS, SQS, Lambda.
        Programs "programs";
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

    /// The messages of a notification; none of what is for an endpoint only.
    pub fn of(notification: Notification) -> impl Iterator<Item = Self> {
        let Notification { people, programs, endpoint, attributes } = notification;
        let is_for_topics = endpoint.is_none();
        let of_programs = attributes.clone();
        let people = people.map(|words| Self::People { words, attributes });
        let programs = programs.map(|json| Self::Programs { json, attributes: of_programs });
        people.into_iter().chain(programs).filter(move |_| is_for_topics)
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

/// A message was not taken now; it may be later.
#[derive(Debug, thiserror::Error)]
#[error("a message was not taken: {cause}")]
pub struct PublishError {
    /// Why not.
    #[source]
    pub cause: Box<dyn Error + Send + Sync>,
}

/// A message that is refused for what it is, now and at any other time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which one of those that were to be published.
    pub position: usize,
    /// Why.
    pub cause: String,
}

/// What came of publishing messages, one after the other.
#[derive(Debug, Default)]
pub struct Published {
    /// How many of them, from the first on, were taken or refused for good.
    pub settled: usize,
    /// Those that were refused for good.
    pub refused: Vec<Refused>,
    /// Why the next one was not taken, where there is one. Those after it may have been.
    pub failed: Option<PublishError>,
}

/// Notifies people and programs.
pub trait Publish: Send + Sync + 'static {
    /// Publishes messages in their order, each at least once, until one is not taken.
    fn publish(&self, messages: Vec<Message>) -> impl Future<Output = Published> + Send;
}

impl<P: Publish> Publish for Arc<P> {
    fn publish(&self, messages: Vec<Message>) -> impl Future<Output = Published> + Send {
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

    /// Publishes the messages of one batch, and adds what came of it. Entries that are refused singly are sent
    /// again for a while; the SDK does so with a request.
    async fn publish_batch(&self, batch: Vec<Message>, published: &mut Published) {
        const ATTEMPTS: u32 = 4;
        let arn = match batch.first().map(Message::topic) {
            Some(Topic::People) => &self.people,
            Some(Topic::Programs) => &self.programs,
            None => return,
        };
        let (first, count) = (published.settled, batch.len());
        let mut entries = Vec::new();
        for (number, message) in batch.into_iter().enumerate() {
            match entry(number, message) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    published.refused.push(Refused { position: first + number, cause: error.to_string() });
                }
            }
        }
        let mut cause: Box<dyn Error + Send + Sync> = "SNS was not asked".into();
        for attempt in 0..ATTEMPTS {
            if entries.is_empty() {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(fastrand::u64(0..100 << attempt))).await;
            }
            let request = self.client.publish_batch().topic_arn(arn);
            let sent = request.set_publish_batch_request_entries(Some(entries.clone())).send().await;
            let answer = match sent {
                Ok(answer) => answer,
                Err(error) => {
                    cause = AwsError::from(error).into();
                    break;
                }
            };
            let mut left = Vec::new();
            for entry in entries {
                match answer.failed().iter().find(|failed| failed.id() == entry.id()) {
                    Some(failed) if is_final(failed) => published
                        .refused
                        .push(Refused { position: first + position(&entry), cause: said(failed) }),
                    Some(failed) => {
                        cause = said(failed).into();
                        left.push(entry);
                    }
                    None => {}
                }
            }
            entries = left;
        }
        match entries.first() {
            Some(entry) => {
                published.settled = first + position(entry);
                published.refused.retain(|refused| refused.position < published.settled);
                published.failed = Some(PublishError { cause });
            }
            None => published.settled = first + count,
        }
    }
}

/// The place of an entry in its batch, which is its id.
fn position(entry: &PublishBatchRequestEntry) -> usize {
    entry.id().parse().unwrap_or_default()
}

/// What SNS says of an entry that it refused.
fn said(failed: &BatchResultErrorEntry) -> String {
    format!("{}: {}", failed.code(), failed.message().unwrap_or_default())
}

/// Whether an entry was refused for what it is. Rights, keys and quotas count as the sender's fault as well, but are
/// not the message's: what is refused for these is taken once they are mended.
fn is_final(failed: &BatchResultErrorEntry) -> bool {
    let of_the_message = ["Invalid", "Validation", "TooLong"].iter().any(|part| failed.code().contains(part));
    failed.sender_fault() && of_the_message
}

fn entry(number: usize, message: Message) -> Result<PublishBatchRequestEntry, BuildError> {
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
        entry = entry.message_attributes(name, attribute?);
    }
    entry.build()
}

/// Packs messages into batches for one topic each, by number and by bytes, in their order. What is for people goes
/// alone: where one is not taken, none after it has been sent, and none comes twice when it is tried again.
fn pack(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut batches: Vec<Vec<Message>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let size = message.size();
        let of_programs = |batch: &[Message]| batch.iter().all(|one| one.topic() == Topic::Programs);
        match batches.last_mut() {
            Some(batch)
                if message.topic() == Topic::Programs
                    && of_programs(batch)
                    && batch.len() < BATCH_ENTRIES
                    && bytes + size <= BATCH_BYTES =>
            {
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
    async fn publish(&self, messages: Vec<Message>) -> Published {
        let mut published = Published::default();
        for batch in pack(messages) {
            self.publish_batch(batch, &mut published).await;
            if published.failed.is_some() {
                break;
            }
        }
        published
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(bytes: usize, to_people: bool) -> Message {
        let (text, attributes) = ("x".repeat(bytes), BTreeMap::new());
        if to_people {
            Message::People { words: Words::new("s", &text, "s"), attributes }
        } else {
            Message::Programs { json: text, attributes }
        }
    }

    proptest! {
        #[test]
        fn batches_keep_order_topics_and_bounds(
            sizes in prop::collection::vec((0_usize..100_000, prop::bool::weighted(0.1)), 0..60)
        ) {
            let messages: Vec<_> = sizes.iter().map(|(size, people)| message(*size, *people)).collect();
            let batches = pack(messages.clone());
            prop_assert_eq!(batches.iter().flatten().cloned().collect::<Vec<_>>(), messages);
            for batch in batches {
                let to_people = batch.iter().any(|message| message.topic() == Topic::People);
                let most = if to_people { 1 } else { BATCH_ENTRIES };
                prop_assert!(batch.len() <= most);
                prop_assert!(to_people || batch.iter().map(Message::size).sum::<usize>() <= BATCH_BYTES);
            }
        }
    }
}
