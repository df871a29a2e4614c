//! Notifies of what was recorded: reads the table's stream, and hands over each notification to the queue of the endpoints
//! that want it, and to the topics. It was rendered when the event was applied; here it is only sent.

use std::collections::HashMap;
use std::time::Duration;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use shared::clock::Clock;
use shared::endpoints::{Directory, Endpoint, EndpointState, Lane, Outbound, Outgoing};
use shared::environment::Environment;
use shared::model::notification::united;
use shared::model::{Notification, Words};
use shared::publish::{Message, Publish, PublishError, Refused, Topic};
use shared::queue::QueueError;
use shared::store::{Carrier, Key, StoreError};
use shared::telemetry;
use tracing::{error, info, warn};

/// From this many messages to people in one batch on, they get one digest: an e-mail subscription that gets
/// more than 10 messages a second is deactivated (Amazon SNS, quotas).
const DIGEST_FROM: usize = 6;

/// How many lines a digest has at most.
const DIGEST_LINES: usize = 50;

/// The notifier.
#[derive(Debug)]
pub struct Notify<P, D, O, C> {
    /// Where messages to people, and to programs that subscribed, go.
    pub publish: P,
    /// Knows the endpoints.
    pub endpoints: D,
    /// Where what endpoints shall get goes.
    pub outbound: O,
    /// Tells the time.
    pub clock: C,
}

/// A record of the stream that carries a notification.
struct Notified {
    /// Its sequence number.
    number: Option<String>,
    /// Whose world it is.
    environment: Environment,
    /// Where it is.
    key: Key,
    /// The notification.
    notification: Notification,
}

/// A batch was not taken. It comes again.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// A topic did not take a message.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The endpoints are not known now.
    #[error(transparent)]
    Endpoints(#[from] StoreError),
    /// The queue of the endpoints did not take a message.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl<P: Publish, D: Directory, O: Outbound, C: Clock> Notify<P, D, O, C> {
    /// Sends the notifications of a batch of the stream, in its order. Where something was not taken, the batch comes
    /// again from there on, so that people are not notified twice. Endpoints and programs come first: they
    /// recognise by its id what comes twice.
    ///
    /// # Errors
    /// Where the first of it was not taken: the batch then comes again as a whole, narrowed down by halves.
    pub async fn batch(&self, event: Event) -> Result<DynamoDbEventResponse, NotifyError> {
        let (mut records, mut people, mut programs) = (Vec::new(), Vec::new(), Vec::new());
        let notified: Vec<_> = event.records.into_iter().filter_map(notified).collect();
        self.hand_over(&notified).await?;
        for Notified { number, notification, .. } in notified {
            for message in Message::of(notification) {
                let topic = match message.topic() {
                    Topic::People => &mut people,
                    Topic::Programs => &mut programs,
                };
                topic.push((records.len(), message));
            }
            records.push(number);
        }
        let failed_programs = self.publish(programs, &records).await;
        let reached = failed_programs.as_ref().map_or(records.len(), |(record, _)| *record);
        people.retain(|(record, _)| *record < reached);
        let failed = self.publish(digest(people), &records).await.or(failed_programs);

        let mut response = DynamoDbEventResponse::default();
        let count = records.len();
        match failed {
            None if count > 0 => info!(count, "published"),
            None => {}
            Some((record, cause)) => {
                error!(%cause, reached = record, count, "not all was published");
                let number = records.into_iter().nth(record).flatten();
                if record == 0 || number.is_none() {
                    return Err(cause.into());
                }
                let mut failure = DynamoDbBatchItemFailure::default();
                failure.item_identifier = number;
                response.batch_item_failures.push(failure);
            }
        }
        Ok(response)
    }

    /// Hands over to the queues what endpoints want.
    async fn hand_over(&self, notified: &[Notified]) -> Result<(), NotifyError> {
        let now = self.clock.now();
        let mut endpoints: HashMap<Environment, Vec<Endpoint>> = HashMap::new();
        let mut lanes: HashMap<Lane, Vec<Outgoing>> = HashMap::new();
        for Notified { environment, key, notification, .. } in notified {
            if notification.programs.is_none() {
                continue;
            }
            if !endpoints.contains_key(environment) {
                endpoints.insert(*environment, self.endpoints.endpoints(*environment).await?);
            }
            let wants = |endpoint: &&Endpoint| match &notification.endpoint {
                Some(only) => *only == endpoint.id,
                None => endpoint.filter.accepts(&notification.attributes),
            };
            for endpoint in endpoints.get(environment).into_iter().flatten().filter(wants) {
                let is_ill = endpoint.state != EndpointState::Active || endpoint.is_slow(now);
                let lane = if is_ill { Lane::Slow } else { Lane::Fast };
                let outgoing =
                    Outgoing { environment: *environment, endpoint: endpoint.id.clone(), key: key.clone() };
                lanes.entry(lane).or_default().push(outgoing);
            }
        }
        for (lane, outgoing) in lanes {
            self.outbound.send(lane, outgoing, Duration::ZERO).await?;
        }
        Ok(())
    }

    /// Publishes messages, each with the place of its record, until one is not taken: which record that is of. What
    /// is refused for good is passed over: it would hold up all that come after it.
    async fn publish(
        &self,
        messages: Vec<(usize, Message)>,
        records: &[Option<String>],
    ) -> Option<(usize, PublishError)> {
        let (places, messages): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let published = self.publish.publish(messages).await;
        for Refused { position, cause } in published.refused {
            let record = places.get(position).and_then(|place| records.get(*place)?.as_deref());
            error!(record, cause, "a message was refused for good, and is passed over");
            telemetry::count(&self.clock, None, "refused");
        }
        let cause = published.failed?;
        Some((places.get(published.settled).copied().unwrap_or_default(), cause))
    }
}

/// The notification of a record that inserts the body of an event, or an action that carries one.
fn notified(record: EventRecord) -> Option<Notified> {
    let key: Key = serde_dynamo::from_item(record.change.keys).ok()?;
    if record.event_name != "INSERT" {
        return None;
    }
    let number = record.change.sequence_number;
    match Carrier::of(&key, record.change.new_image) {
        Ok(carrier) => {
            let Carrier { environment, notification, .. } = carrier.filter(|carrier| !carrier.taken_up)?;
            Some(Notified { number, environment, key, notification })
        }
        Err(error) => {
            // It would fail every time and hold up all that come after it.
            warn!(%error, record = number, "an event of the stream cannot be read");
            None
        }
    }
}

/// Many messages to people become one, in the place of the first.
fn digest(messages: Vec<(usize, Message)>) -> Vec<(usize, Message)> {
    let Some((first, _)) = messages.first().filter(|_| messages.len() >= DIGEST_FROM) else {
        return messages;
    };
    let (mut subjects, mut attributes) = (Vec::new(), Vec::new());
    for (_, message) in &messages {
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
    vec![(*first, Message::People { words: Words::new(&headline, &text, &headline), attributes })]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use serde_json::json;
    use shared::clock::SystemClock;
    use shared::endpoints::{EndpointFilter, EndpointUrl, Reach};
    use shared::publish::Published;
    use shared::store::{BodyItem, Content};

    /// Takes messages, until it comes to one of those that it does not take.
    #[derive(Default)]
    struct Captured {
        taken: Mutex<Vec<Message>>,
        /// Not taken: of this topic, with this in its text.
        not_taken: Option<(Topic, &'static str)>,
        /// Refused for good: what has this in its text.
        refused: Option<&'static str>,
    }

    fn text(message: &Message) -> &str {
        match message {
            Message::People { words, .. } => &words.subject,
            Message::Programs { json, .. } => json,
        }
    }

    impl Publish for Captured {
        async fn publish(&self, messages: Vec<Message>) -> Published {
            let mut published = Published::default();
            for message in messages {
                let position = published.settled;
                if self
                    .not_taken
                    .is_some_and(|(topic, part)| message.topic() == topic && text(&message).contains(part))
                {
                    published.failed = Some(PublishError { cause: "down".into() });
                    break;
                }
                if self.refused.is_some_and(|part| text(&message).contains(part)) {
                    published.refused.push(Refused { position, cause: "InvalidParameter".to_owned() });
                } else {
                    self.taken.lock().unwrap().push(message);
                }
                published.settled += 1;
            }
            published
        }
    }

    /// Endpoints that are known, without a table.
    #[derive(Default)]
    struct Listed(Vec<Endpoint>);

    impl Directory for Listed {
        async fn endpoints(&self, environment: Environment) -> Result<Vec<Endpoint>, StoreError> {
            Ok(self.0.iter().filter(|endpoint| endpoint.environment == environment).cloned().collect())
        }
    }

    /// Takes what endpoints shall get, or fails.
    #[derive(Default)]
    struct Handed {
        taken: Mutex<Vec<(Lane, Outgoing)>>,
        is_down: bool,
    }

    impl Outbound for Handed {
        async fn send(&self, lane: Lane, messages: Vec<Outgoing>, _: Duration) -> Result<(), QueueError> {
            if self.is_down {
                return Err(QueueError::Other("down".into()));
            }
            self.taken.lock().unwrap().extend(messages.into_iter().map(|message| (lane, message)));
            Ok(())
        }
    }

    fn notify(publish: Captured) -> Notify<Captured, Listed, Handed, SystemClock> {
        Notify { publish, endpoints: Listed::default(), outbound: Handed::default(), clock: SystemClock }
    }

    fn endpoint(id: &str, state: EndpointState, filter: &serde_json::Value) -> Endpoint {
        Endpoint {
            filter: EndpointFilter::read(filter.as_object().unwrap(), false).unwrap(),
            state,
            ..Endpoint::new(
                id,
                Environment::Test,
                EndpointUrl::read("https://example.com/", Reach::Public).unwrap(),
                "k",
                SystemClock.now(),
            )
        }
    }

    fn endpoints() -> Listed {
        let (active, all) = (EndpointState::Active, json!({}));
        let slow_until = Some(SystemClock.now().after(jiff::SignedDuration::from_mins(1)));
        Listed(vec![
            endpoint("all", active, &all),
            endpoint("btc", active, &json!({ "asset": "btc" })),
            endpoint("eth", active, &json!({ "asset": "eth" })),
            endpoint("failing", EndpointState::Failing, &all),
            endpoint("disabled", EndpointState::Disabled, &all),
            Endpoint { slow_until, ..endpoint("slow", active, &all) },
            Endpoint { environment: Environment::Live, ..endpoint("live", active, &all) },
        ])
    }

    #[tokio::test]
    async fn endpoints_get_what_they_want_and_the_ill_ones_have_a_queue_of_their_own() {
        let notify = Notify { endpoints: endpoints(), ..notify(Captured::default()) };
        notify.batch(batch(&[("INSERT", "action#x#y")])).await.unwrap();
        let mut taken = notify.outbound.taken.into_inner().unwrap();
        taken.sort_by_key(|(lane, outgoing)| (*lane, outgoing.endpoint.clone()));
        let taken: Vec<_> =
            taken.iter().map(|(lane, outgoing)| (*lane, outgoing.endpoint.as_str())).collect();
        let (fast, slow) = (Lane::Fast, Lane::Slow);
        assert_eq!(
            taken,
            [(fast, "all"), (fast, "btc"), (slow, "disabled"), (slow, "failing"), (slow, "slow")]
        );
    }

    #[tokio::test]
    async fn what_is_for_one_endpoint_goes_nowhere_else() {
        let notify = Notify { endpoints: endpoints(), ..notify(Captured::default()) };
        let mut event = batch(&[("INSERT", "action#x#y")]);
        let image = &mut event.records[0].change.new_image;
        let mut item: serde_json::Value = serde_dynamo::from_item(image.clone()).unwrap();
        item["notification"]["endpoint"] = json!("eth");
        *image = serde_dynamo::to_item(item).unwrap();
        notify.batch(event).await.unwrap();
        assert!(notify.publish.taken.into_inner().unwrap().is_empty());
        let taken = notify.outbound.taken.into_inner().unwrap();
        let key = serde_json::from_value(json!({ "pk": "p", "sk": "action#x#y" })).unwrap();
        let (endpoint, environment) = ("eth".to_owned(), Environment::Test);
        assert_eq!(taken, [(Lane::Fast, Outgoing { environment, endpoint, key })]);
    }

    #[tokio::test]
    async fn nobody_is_notified_twice_where_the_queue_of_the_endpoints_is_down() {
        let outbound = Handed { is_down: true, ..Handed::default() };
        let notify = Notify { endpoints: endpoints(), outbound, ..notify(Captured::default()) };
        assert!(notify.batch(batch(&[("INSERT", "action#x#y"); 3])).await.is_err());
        assert!(notify.publish.taken.into_inner().unwrap().is_empty());
    }

    /// A batch as Lambda delivers it, with people and programs notified of each event.
    fn batch(records: &[(&str, &str)]) -> Event {
        let record = |(number, (name, sk)): (usize, &(&str, &str))| {
            format!(
                r#"{{"eventID":"1","eventName":"{name}","eventVersion":"1.1","eventSource":"aws:dynamodb",
                "awsRegion":"eu-west-1","eventSourceARN":"arn:aws:dynamodb:eu-west-1:1:table/t/stream/s",
                "dynamodb":{{"ApproximateCreationDateTime":1479499740,"Keys":{{"pk":{{"S":"p"}},"sk":{{"S":"{sk}"}}}},
                "SequenceNumber":"{number}","SizeBytes":112,"StreamViewType":"NEW_IMAGE",
                "NewImage":{{"pk":{{"S":"p"}},"sk":{{"S":"{sk}"}},"environment":{{"S":"test"}},
                "id":{{"S":"y"}},"at":{{"S":"2026-11-01T00:00:00.000Z"}},"notification":{{"M":{{
                  "people":{{"M":{{"subject":{{"S":"Deposit {number}."}},"text":{{"S":"t"}},"sms":{{"S":"s"}}}}}},
                  "programs":{{"S":"{number}."}},
                  "attributes":{{"M":{{"asset":{{"M":{{"type":{{"S":"String"}},"value":{{"S":"BTC"}}}}}}}}}}
                }}}}}}}}}}"#
            )
        };
        let records: Vec<_> = records.iter().enumerate().map(record).collect();
        serde_json::from_str(&format!(r#"{{"Records":[{}]}}"#, records.join(","))).unwrap()
    }

    async fn sent(records: &[(&str, &str)]) -> Vec<Message> {
        let notify = notify(Captured::default());
        assert_eq!(notify.batch(batch(records)).await.unwrap().batch_item_failures, []);
        notify.publish.taken.into_inner().unwrap()
    }

    #[tokio::test]
    async fn only_the_insertion_of_a_body_or_an_action_is_notified() {
        assert_eq!(sent(&[("INSERT", "action#x#y")]).await.len(), 2);
        let others =
            [("MODIFY", "action#x#y"), ("INSERT", "state"), ("REMOVE", "action#x#y"), ("INSERT", "event#x")];
        assert!(sent(&others).await.is_empty());
        for (event_key, notified) in [
            (Some(json!({ "pk": "test#account#a", "sk": "event#2026-11-01T00:00:00.000Z#x" })), 1),
            (None, 0),
        ] {
            let mut inserted = batch(&[("INSERT", "raw")]);
            let programs = Some("{}".to_owned());
            let notification =
                Notification { people: None, programs, endpoint: None, attributes: BTreeMap::new() };
            let content = Content { raw: b"{}".to_vec(), notification: Some(notification) };
            let event_key = event_key.map(|key| serde_json::from_value(key).unwrap());
            let body = BodyItem::new(&content, event_key).unwrap();
            inserted.records[0].change.new_image = serde_dynamo::to_item(body).unwrap();
            let notify = notify(Captured::default());
            notify.batch(inserted).await.unwrap();
            assert_eq!(notify.publish.taken.into_inner().unwrap().len(), notified);
        }
    }

    #[tokio::test]
    async fn what_was_only_moved_is_not_sent_again() {
        let mut batch =
            batch(&[("INSERT", "action#x#y"), ("INSERT", "action#x#z"), ("INSERT", "action#y#z")]);
        for record in batch.records.iter_mut().take(2) {
            record.change.new_image.insert("taken_up".to_owned(), serde_dynamo::AttributeValue::Bool(true));
        }
        let notify = notify(Captured::default());
        notify.batch(batch).await.unwrap();
        assert_eq!(notify.publish.taken.into_inner().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn many_messages_to_people_become_one_digest() {
        let five = sent(&[("INSERT", "action#x#y"); 5]).await;
        assert_eq!(five.iter().filter(|message| matches!(message, Message::People { .. })).count(), 5);
        let many = sent(&[("INSERT", "action#x#y"); 60]).await;
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

    /// From which record on the batch comes again, and what people and programs were sent until then.
    async fn sent_until(publish: Captured, count: usize) -> (Option<String>, Vec<String>, Vec<String>) {
        let notify = notify(publish);
        let response = notify.batch(batch(&vec![("INSERT", "action#x#y"); count])).await.unwrap();
        // As Lambda reads it.
        let response = serde_json::to_value(response).unwrap();
        let failures = response["batchItemFailures"].as_array().unwrap();
        let taken = notify.publish.taken.into_inner().unwrap();
        let of = |topic| {
            taken.iter().filter(|one| one.topic() == topic).map(text).map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(failures.len() < 2);
        let again_from =
            failures.first().map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned());
        (again_from, of(Topic::People), of(Topic::Programs))
    }

    fn numbered(prefix: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.map(|number| format!("{prefix}{number}.")).collect()
    }

    #[tokio::test]
    async fn what_is_not_taken_comes_again_and_people_are_not_notified_twice_of_its_neighbours() {
        for topic in [Topic::People, Topic::Programs] {
            let publish = Captured { not_taken: Some((topic, "2.")), ..Captured::default() };
            let (again_from, people, programs) = sent_until(publish, 5).await;
            assert_eq!(again_from.as_deref(), Some("2"));
            // People heard of what will not come again, and of nothing else.
            assert_eq!(people, numbered("Deposit ", 0..2));
            let reached = if topic == Topic::People { 5 } else { 2 };
            assert_eq!(programs, numbered("", 0..reached));
        }
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_passed_over() {
        let publish = Captured { refused: Some("2."), ..Captured::default() };
        let (again_from, people, programs) = sent_until(publish, 4).await;
        assert_eq!(again_from, None);
        assert_eq!((people.len(), programs.len()), (3, 3));
        assert!(!people.contains(&"Deposit 2.".to_owned()));
    }

    #[tokio::test]
    async fn a_digest_speaks_only_of_what_will_not_come_again() {
        let publish = Captured { not_taken: Some((Topic::Programs, "7.")), ..Captured::default() };
        let (again_from, people, _) = sent_until(publish, 20).await;
        assert_eq!((again_from.as_deref(), people), (Some("7"), vec!["7 events at Bitpowr".to_owned()]));
    }

    #[tokio::test]
    async fn a_batch_whose_first_message_is_not_taken_comes_again_as_a_whole() {
        for topic in [Topic::People, Topic::Programs] {
            let notify = notify(Captured { not_taken: Some((topic, "0.")), ..Captured::default() });
            assert!(notify.batch(batch(&[("INSERT", "action#x#y"); 3])).await.is_err());
            let taken = notify.publish.taken.into_inner().unwrap();
            assert!(taken.iter().all(|message| message.topic() == Topic::Programs));
        }
    }
}
