//! Topics: every message reaches its topic's subscribers, whatever its size, however many there are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use local::product::attached::Attached;
use local::standins::database::Database;
use local::standins::queues::{Queues, RedrivePolicy};
use local::standins::subscriptions::{FilterPolicy, Protocol, Subscription, SubscriptionStore};
use local::standins::topics::{Topics, WEBHOOK_QUEUE};
use serde_json::json;
use shared::clock::SystemClock;
use shared::model::Words;
use shared::model::notification::Attribute;
use shared::publish::{Message, Publish, Sns};

use crate::account::{Account, unique};

/// Publishes 23 messages for programs, three of them large, and one for people, and finds each at the subscriber.
async fn contract(
    publish: &impl Publish,
    programs: impl AsyncFn() -> Vec<String>,
    people: impl AsyncFn() -> Vec<String>,
) {
    let json = |number: usize| {
        let large = if number.is_multiple_of(10) { 120_000 } else { 10 };
        json!({ "number": number, "text": format!("ä\u{1}\"{}", "x".repeat(large)) }).to_string()
    };
    let attributes = BTreeMap::from([
        ("event".to_owned(), Attribute::String("a.b".to_owned())),
        ("fiat_amount".to_owned(), Attribute::Number("12.5".to_owned())),
    ]);
    let mut messages: Vec<_> = (0..23)
        .map(|number| Message::Programs { json: json(number), attributes: attributes.clone() })
        .collect();
    messages.insert(
        5,
        Message::People {
            words: Words::new("Subject", "A text: ä.\nIts end.", "sms"),
            attributes: BTreeMap::from([("event".to_owned(), Attribute::Strings(vec!["a.b".to_owned()]))]),
        },
    );
    let published = publish.publish(messages).await;
    assert!(published.failed.is_none() && published.refused.is_empty() && published.settled == 24);
    assert_eq!(publish.publish(Vec::new()).await.settled, 0);
    let mut found = programs().await;
    found.sort_unstable();
    let mut expected: Vec<_> = (0..23).map(json).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let people = people().await;
    assert!(matches!(&people[..], [text] if text.contains("Its end.")), "{people:?}");
}

const ONCE: RedrivePolicy = RedrivePolicy { visibility: Duration::from_secs(600), max_receives: 5 };

fn mails(folder: &std::path::Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

/// A program that wants everything.
fn over_https(url: &str) -> Subscription {
    let (id, endpoint, filter) = ("s".to_owned(), url.to_owned(), FilterPolicy::default());
    Subscription { id, protocol: Protocol::Https, endpoint, filter }
}

#[tokio::test]
async fn the_local_topics_keep_it() {
    let (database, mail) = (Database::open(None).unwrap(), tempfile::tempdir().unwrap());
    let queues = Queues::open(database.clone(), SystemClock).unwrap();
    let subscriptions = SubscriptionStore::open(database).unwrap();
    subscriptions.add(over_https("http://127.0.0.1:9/")).await.unwrap();
    let topics = Topics {
        queues: queues.clone(),
        subscriptions,
        mail: Some(mail.path().to_owned()),
        people: None,
        print: false,
    };
    let programs = async || {
        let received = queues.receive(WEBHOOK_QUEUE, 100, ONCE).await.unwrap();
        let post = |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap();
        received.iter().map(|message| post(&message.body)["body"].as_str().unwrap().to_owned()).collect()
    };
    contract(&Arc::new(topics), programs, async || mails(mail.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sns_client_keeps_it_over_the_local_endpoint() {
    let (mail, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let came = Arc::new(std::sync::Mutex::new(Vec::new()));
    let webhook = {
        let came = Arc::clone(&came);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(async move |body: String| came.lock().unwrap().push(body));
        tokio::spawn(async { axum::serve(listener, app).await });
        url
    };
    let account = Account::local(|settings| {
        settings.mail = Some(mail.path().to_owned());
        settings.data = Some(data.path().join("data"));
    })
    .await;
    let attached = Attached::to(&data.path().join("data")).unwrap();
    attached.subscriptions.add(over_https(&webhook)).await.unwrap();
    let arn = |topic: &str| format!("arn:aws:sns:local:000000000000:{topic}");
    let sns = Sns::new(account.sns(), arn("people"), arn("programs"));
    let programs = async || {
        for _ in 0..1000 {
            if came.lock().unwrap().len() == 23 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        came.lock().unwrap().clone()
    };
    contract(&sns, programs, async || mails(mail.path())).await;
    account.product.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_the_local_endpoint_does_not_have_is_refused_by_name() {
    let account = Account::local(|_| {}).await;
    let sns =
        Sns::new(account.sns(), "arn:aws:sns:local:0:p&q".to_owned(), "arn:aws:sns:local:0:nope".to_owned());
    let words = Words::new("s", "t", "s");
    let published = sns.publish(vec![Message::People { words, attributes: BTreeMap::new() }]).await;
    let failed = published.failed.unwrap();
    assert!(published.settled == 0 && failed.cause.to_string().contains("no topic p&q"), "{failed}");
    account.product.unwrap().stop().await;
}

/// A topic that takes what says `taken`, and answers others by what they say: the code and whose fault it is.
async fn picky() -> (Account, Arc<std::sync::Mutex<Vec<String>>>) {
    let taken = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&taken);
    let answer = async move |body: String| {
        let fields: BTreeMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let (mut failed, mut successful) = (String::new(), String::new());
        for number in 1.. {
            let entry = format!("PublishBatchRequestEntries.member.{number}");
            let Some(id) = fields.get(&format!("{entry}.Id")) else { break };
            let text = &fields[&format!("{entry}.Message")];
            // People's texts are JSON of three.
            let said: serde_json::Value = serde_json::from_str(text).unwrap();
            let said = said["default"].as_str().or(said.as_str()).unwrap();
            match said.split_once(' ') {
                Some((code, fault)) => failed.push_str(&format!(
                    "<member><Id>{id}</Id><Code>{code}</Code><SenderFault>{fault}</SenderFault></member>"
                )),
                None => {
                    kept.lock().unwrap().push(said.to_owned());
                    successful.push_str(&format!("<member><Id>{id}</Id><MessageId>m</MessageId></member>"));
                }
            }
        }
        let xml = format!(
            "<PublishBatchResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishBatchResult>\
             <Failed>{failed}</Failed><Successful>{successful}</Successful></PublishBatchResult></PublishBatchResponse>"
        );
        ([("content-type", "text/xml")], xml)
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let account = Account::at(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    (account, taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sns_refuses_for_what_it_is_is_passed_over_and_what_it_does_not_take_now_stops_the_rest() {
    let to_programs =
        |text: &str| Message::Programs { json: json!(text).to_string(), attributes: BTreeMap::new() };
    let to_people =
        |text: &str| Message::People { words: Words::new("s", text, "s"), attributes: BTreeMap::new() };
    for (messages, settled, refused, fails, taken) in [
        (
            vec![to_programs("a"), to_programs("InvalidParameter true"), to_programs("b"), to_people("c")],
            4,
            vec![1],
            false,
            vec!["a", "b", "c"],
        ),
        // Throttled by a key: the sender's fault, and not the message's.
        (vec![to_people("a"), to_people("KMSThrottling true"), to_people("b")], 1, vec![], true, vec!["a"]),
        (
            vec![to_people("InvalidParameter true"), to_people("InternalError false"), to_programs("b")],
            1,
            vec![0],
            true,
            vec![],
        ),
    ] {
        let (account, kept) = picky().await;
        let sns = Sns::new(account.sns(), "people".to_owned(), "programs".to_owned());
        let published = sns.publish(messages).await;
        let positions: Vec<_> = published.refused.iter().map(|one| one.position).collect();
        assert_eq!((published.settled, positions, published.failed.is_some()), (settled, refused, fails));
        assert_eq!(*kept.lock().unwrap(), taken);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an emulated AWS account"]
async fn the_sns_client_keeps_it_over_an_emulated_account() {
    let account = Account::emulated();
    let (people, people_queue) = subscribed(&account, "people").await;
    let (programs, programs_queue) = subscribed(&account, "programs").await;
    let sns = Sns::new(account.sns(), people, programs);
    contract(
        &sns,
        async || received(&account, &programs_queue, 23).await,
        async || received(&account, &people_queue, 1).await,
    )
    .await;
}

/// A topic, and a queue that is subscribed to it.
async fn subscribed(account: &Account, name: &str) -> (String, String) {
    let (sns, sqs, name) = (account.sns(), account.sqs(), unique(name));
    let topic = sns.create_topic().name(&name).send().await.unwrap().topic_arn.unwrap();
    let queue = sqs.create_queue().queue_name(&name).send().await.unwrap().queue_url.unwrap();
    let arn = format!("arn:aws:sqs:eu-west-1:000000000000:{name}");
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "sns.amazonaws.com" }, "Action": "sqs:SendMessage",
        "Resource": arn, "Condition": { "ArnEquals": { "aws:SourceArn": topic } },
    }] });
    let attribute = aws_sdk_sqs::types::QueueAttributeName::Policy;
    sqs.set_queue_attributes()
        .queue_url(&queue)
        .attributes(attribute, policy.to_string())
        .send()
        .await
        .unwrap();
    let subscribe = sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(arn);
    subscribe.attributes("RawMessageDelivery", "true").send().await.unwrap();
    (topic, queue)
}

async fn received(account: &Account, queue: &str, expected: usize) -> Vec<String> {
    let mut found = Vec::new();
    for _ in 0..200 {
        let request = account.sqs().receive_message().queue_url(queue).max_number_of_messages(10);
        let messages = request.visibility_timeout(600).send().await.unwrap().messages.unwrap_or_default();
        found.extend(messages.into_iter().filter_map(|message| message.body));
        if found.len() >= expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    found
}
