//! Tells people and programs what was recorded: reads the table's stream and publishes. What is told was
//! rendered when the event was applied; here it is only sent.

use aws_lambda_events::dynamodb::{Event, EventRecord};
use serde::Deserialize;
use serde_dynamo::AttributeValue;
use shared::model::notification::united;
use shared::model::{Notification, Words};
use shared::publish::{Message, Publish, PublishError};
use shared::store::keys::{ACTION_PREFIX, EVENT_PREFIX};
use tracing::{error, info, warn};

/// From this many messages to people in one batch on, they get one digest: an e-mail subscription that gets
/// more than 10 messages a second is deactivated (Amazon SNS, quotas).
const DIGEST_FROM: usize = 6;

/// How many lines a digest has at most.
const DIGEST_LINES: usize = 50;

/// The notifier.
#[derive(Debug)]
pub struct Notify<P> {
    /// Where messages go.
    pub publish: P,
}

/// What is read of a new event.
#[derive(Deserialize)]
struct Inserted {
    #[serde(default)]
    notification: Option<Notification>,
}

impl<P: Publish> Notify<P> {
    /// Publishes what a batch of the stream tells.
    ///
    /// # Errors
    /// Where any of it could not be published. The batch comes again then, narrowed down by halves; notifications
    /// are at least once and carry a stable id.
    pub async fn batch(&self, event: Event) -> Result<(), PublishError> {
        let messages: Vec<Message> =
            event.records.into_iter().filter_map(notification).flat_map(Message::of).collect();
        let count = messages.len();
        self.publish
            .publish(digest(messages))
            .await
            .inspect_err(|cause| error!(%cause, count, "not all was published"))?;
        if count > 0 {
            info!(count, "published");
        }
        Ok(())
    }
}

/// The notification of a record that inserts an event, or the action by which it is told again.
fn notification(record: EventRecord) -> Option<Notification> {
    let tells = match record.change.keys.get("sk") {
        Some(AttributeValue::S(sort_key)) => {
            [EVENT_PREFIX, ACTION_PREFIX].iter().any(|prefix| sort_key.starts_with(prefix))
        }
        _ => false,
    };
    if record.event_name != "INSERT" || !tells {
        return None;
    }
    match serde_dynamo::from_item::<_, Inserted>(record.change.new_image) {
        Ok(inserted) => inserted.notification,
        Err(error) => {
            // It would fail every time and hold up all that come after it.
            warn!(%error, "an event of the stream cannot be read");
            None
        }
    }
}

/// Many messages to people become one.
fn digest(messages: Vec<Message>) -> Vec<Message> {
    let (people, mut rest): (Vec<_>, Vec<_>) =
        messages.into_iter().partition(|message| matches!(message, Message::People { .. }));
    if people.len() < DIGEST_FROM {
        rest.extend(people);
        return rest;
    }
    let (mut subjects, mut attributes) = (Vec::new(), Vec::new());
    for message in &people {
        if let Message::People { words, attributes: of_it } = message {
            subjects.push(words.subject.as_str());
            attributes.push(of_it);
        }
    }
    let attributes = united(attributes);
    let headline = format!("{} events at Bitpowr", subjects.len());
    let mut text = format!("{headline}:\n\n");
    for subject in subjects.iter().take(DIGEST_LINES) {
        text.push_str(subject);
        text.push('\n');
    }
    if let Some(more) = subjects.len().checked_sub(DIGEST_LINES).filter(|more| *more > 0) {
        text.push_str(&format!("… and {more} more. The log has them all.\n"));
    }
    rest.push(Message::People { words: Words::new(&headline, &text, &headline), attributes });
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Captured(Mutex<Vec<Message>>);

    impl Publish for Captured {
        async fn publish(&self, messages: Vec<Message>) -> Result<(), PublishError> {
            self.0.lock().unwrap().extend(messages);
            Ok(())
        }
    }

    struct Broken;

    impl Publish for Broken {
        async fn publish(&self, messages: Vec<Message>) -> Result<(), PublishError> {
            Err(PublishError { count: messages.len(), cause: "down".to_owned() })
        }
    }

    /// A batch as Lambda delivers it, with people and programs told of each event.
    fn batch(records: &[(&str, &str)]) -> Event {
        let record = |(name, sk): &(&str, &str)| {
            format!(
                r#"{{"eventID":"1","eventName":"{name}","eventVersion":"1.1","eventSource":"aws:dynamodb",
                "awsRegion":"eu-west-1","eventSourceARN":"arn:aws:dynamodb:eu-west-1:1:table/t/stream/s",
                "dynamodb":{{"ApproximateCreationDateTime":1479499740,"Keys":{{"pk":{{"S":"p"}},"sk":{{"S":"{sk}"}}}},
                "SequenceNumber":"13021600000000001596893679","SizeBytes":112,"StreamViewType":"NEW_IMAGE",
                "NewImage":{{"pk":{{"S":"p"}},"sk":{{"S":"{sk}"}},"notification":{{"M":{{
                  "people":{{"M":{{"subject":{{"S":"Deposit"}},"text":{{"S":"t"}},"sms":{{"S":"s"}}}}}},
                  "programs":{{"S":"{{}}"}},
                  "attributes":{{"M":{{"asset":{{"M":{{"type":{{"S":"String"}},"value":{{"S":"BTC"}}}}}}}}}}
                }}}}}}}}}}"#
            )
        };
        let records: Vec<_> = records.iter().map(record).collect();
        serde_json::from_str(&format!(r#"{{"Records":[{}]}}"#, records.join(","))).unwrap()
    }

    async fn told(records: &[(&str, &str)]) -> Vec<Message> {
        let notify = Notify { publish: Captured::default() };
        notify.batch(batch(records)).await.unwrap();
        notify.publish.0.into_inner().unwrap()
    }

    #[tokio::test]
    async fn only_the_insertion_of_an_event_or_an_action_is_told() {
        assert_eq!(told(&[("INSERT", "event#x")]).await.len(), 2);
        assert_eq!(told(&[("INSERT", "action#x#y")]).await.len(), 2);
        assert!(told(&[("MODIFY", "event#x"), ("INSERT", "state"), ("REMOVE", "event#x")]).await.is_empty());
    }

    #[tokio::test]
    async fn many_messages_to_people_become_one_digest() {
        let five = told(&[("INSERT", "event#x"); 5]).await;
        assert_eq!(five.iter().filter(|message| matches!(message, Message::People { .. })).count(), 5);
        let many = told(&[("INSERT", "event#x"); 60]).await;
        let people: Vec<_> = many
            .iter()
            .filter_map(|message| match message {
                Message::People { words, .. } => Some(words),
                _ => None,
            })
            .collect();
        assert_eq!(people.len(), 1);
        assert_eq!(people[0].subject, "60 events at Bitpowr");
        assert!(people[0].text.contains("and 10 more"));
        assert_eq!(many.len(), 61);
    }

    #[tokio::test]
    async fn a_batch_that_could_not_be_published_comes_again() {
        let failed = Notify { publish: Broken }.batch(batch(&[("INSERT", "event#x")])).await.unwrap_err();
        assert_eq!(failed.count, 2);
    }
}
