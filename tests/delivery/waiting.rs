//! What waits for an endpoint that is failing or disabled, and how it drains.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use deliver::post::PostError;
use jiff::SignedDuration;
use local::standins::engine::{Engine, TABLE};
use local::standins::queues::RedrivePolicy;
use serde_json::json;
use shared::clock::Clock as _;
use shared::endpoints::{Attempt, EndpointState, Lane, Outgoing, Progress};
use shared::model::{Entity, EntityType, Notification};
use shared::store::{BodyItem, Content, EndpointChange, Waiting, keys};

/// An item of the table.
type Item = HashMap<String, AttributeValue>;

use crate::service::{Path, TEST, all, answer, seconds};

#[tokio::test]
async fn while_an_endpoint_is_failing_events_wait_and_one_is_tried_now_and_then() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.endpoint("other", all()).await;
    path.services.answer("e", |_| answer(503));
    let first = path.deposit("0").await;
    for number in 1..20 {
        path.later(seconds(1));
        path.deposit(&number.to_string()).await;
        path.work().await;
    }
    let failing = path.known("e").await;
    assert_eq!(failing.state, EndpointState::Failing);
    assert_eq!(failing.last_failure.unwrap().error, "it answered 503");
    // Those that were tried before are retried by the queue, and wait, too.
    path.later(seconds(300));
    path.work().await;
    assert_eq!((path.waiting("e").await, path.services.requests("other").len()), (20, 20));
    let tried = path.services.requests("e").len();
    for _ in 0..3 {
        path.due().await;
    }
    assert_eq!(path.services.requests("e").len(), tried + 1, "one was tried, and the next is not due");
    let waits = path.attempts(&path.deposit("20").await.id).await;
    assert!(waits.is_empty());
    path.services.answer("e", |_| answer(200));
    path.later(SignedDuration::from_hours(10));
    path.work().await;
    path.due().await;
    assert_eq!(path.known("e").await.state, EndpointState::Active);
    assert_eq!(path.waiting("e").await, 0);
    let order: Vec<_> = (0..=20).map(|number| number.to_string()).collect();
    assert_eq!(path.uids("e")[tried + 1..], order, "in the order of the log");
    let attempts = path.attempts(&first.id).await;
    assert_eq!(Attempt::progress(&attempts), Some(Progress::Delivered));
}

#[tokio::test]
async fn events_that_an_endpoint_does_not_take_do_not_keep_the_others_from_it() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.services.answer("e", |request| answer(if request.uid().starts_with("bad") { 500 } else { 200 }));
    for number in 0..5 {
        path.deposit(&format!("bad-{number}")).await;
    }
    path.work().await;
    assert_eq!(path.known("e").await.state, EndpointState::Failing);
    path.later(seconds(1));
    for number in 0..20 {
        path.deposit(&format!("good-{number}")).await;
    }
    path.work().await;
    // One probe each time, and the first of an event that is not the culprit opens the way for all.
    for _ in 0..6 {
        path.later(SignedDuration::from_hours(1));
        path.work().await;
        path.due().await;
    }
    let got: std::collections::HashSet<_> = path.uids("e").into_iter().collect();
    assert!((0..20).all(|number| got.contains(&format!("good-{number}"))), "{got:?}");
    assert_eq!(path.known("e").await.state, EndpointState::Active);
}

#[tokio::test]
async fn an_event_that_waits_says_so() {
    let path = Path::new().await;
    let endpoint = path.endpoint("e", all()).await;
    path.table().note_failing(&endpoint, 0, path.world.clock.now().after(seconds(60))).await.unwrap();
    let applied = path.deposit("d").await;
    path.work().await;
    let [waits] = &path.attempts(&applied.id).await[..] else { panic!() };
    assert_eq!((waits.number, waits.status), (0, None));
    assert_eq!(waits.error.as_deref(), Some("the endpoint is failing: it waits"));
    assert!(waits.next_at.is_some());
    assert!(path.services.requests("e").is_empty());
}

#[tokio::test]
async fn an_event_that_a_crash_cut_off_before_it_waited_waits_when_its_message_comes_again() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.services.answer("e", |request| answer(if request.uid() == "bad" { 500 } else { 200 }));
    let applied = path.deposit("bad").await;
    path.notify().await;
    let redrive = RedrivePolicy { visibility: std::time::Duration::from_secs(1), max_receives: 10 };
    let message = path.queues.receive(Lane::Fast.as_str(), 1, redrive).await.unwrap().remove(0).body;
    // As after a crash between the attempt and what was to follow from it.
    let now = path.world.clock.now();
    let cut_off = Attempt {
        endpoint: "e".to_owned(),
        number: 4,
        at: now,
        status: Some(500),
        error: None,
        milliseconds: 1,
        answer: None,
        next_at: Some(now.after(seconds(1800))),
        resend: None,
    };
    path.table().note_attempt(TEST, &applied.id, &cut_off, i64::MAX / 1000).await.unwrap();
    path.queues.send(Lane::Fast.as_str(), vec![message]).await.unwrap();
    path.batch(Lane::Fast).await;
    assert_eq!((path.waiting("e").await, path.services.requests("e").len()), (1, 0));
    path.later(seconds(1800));
    path.due().await;
    assert_eq!(path.services.requests("e").len(), 1);
}

#[tokio::test]
async fn what_a_probe_did_not_get_through_comes_with_the_others_once_the_endpoint_is_enabled() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.services.answer("e", |_| answer(503));
    for number in 0..10 {
        path.later(SignedDuration::from_millis(10));
        path.deposit(&number.to_string()).await;
    }
    path.work().await;
    for pause in [5, 5, 60, 300] {
        path.later(seconds(pause));
        path.work().await;
        path.due().await;
    }
    assert_eq!(path.waiting("e").await, 10);
    let tried = path.services.requests("e").len();
    path.services.answer("e", |_| answer(200));
    path.change(&path.known("e").await, EndpointChange::Enable).await;
    path.due().await;
    let order: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(path.uids("e")[tried..], order, "at once, and in the order of the log");
}

#[tokio::test]
async fn attempts_that_fail_side_by_side_do_not_put_the_first_probe_off() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.services.answer("e", |_| Err(PostError::TimeOut));
    for number in 0..10 {
        path.deposit(&number.to_string()).await;
    }
    path.notify().await;
    // Each of the ten recalls an endpoint that is active.
    path.batch(Lane::Fast).await;
    let failing = path.known("e").await;
    assert_eq!((failing.state, failing.failures, failing.probes), (EndpointState::Failing, 10, 0));
    assert_eq!(failing.probe_at.unwrap().since(path.world.clock.now()).as_secs(), 5);
}

#[tokio::test]
async fn a_resend_that_is_moved_with_its_event_while_it_waits_reaches_its_endpoint() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    let applied = path.deposit("d").await;
    let record = path.table().event(TEST, &applied.id).await.unwrap().unwrap();
    path.table().resend(&record, None, &path.mandate("again")).await.unwrap().unwrap();
    path.notify().await;
    // As `rebuild` moves it: to another partition, where its event's body points to then.
    let client = path.engine.client();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let (pk, elsewhere) = (text("test#transaction#deposit#d"), text("test#transaction#deposit#moved"));
    let query =
        client.query().table_name(TABLE).key_condition_expression("pk = :pk AND begins_with(sk, :sk)");
    let found = query
        .expression_attribute_values(":pk", pk.clone())
        .expression_attribute_values(":sk", text("action#"))
        .send()
        .await
        .unwrap();
    let mut action = found.items()[0].clone();
    let sk = action["sk"].clone();
    action.insert("pk".to_owned(), elsewhere.clone());
    client.put_item().table_name(TABLE).set_item(Some(action)).send().await.unwrap();
    client.delete_item().table_name(TABLE).key("pk", pk).key("sk", sk).send().await.unwrap();
    let body = client.update_item().table_name(TABLE).key("pk", text(&format!("test#raw#{}", applied.id)));
    let body = body.key("sk", text("raw")).update_expression("SET event_key.pk = :pk");
    body.expression_attribute_values(":pk", elsewhere).send().await.unwrap();
    path.batch(Lane::Fast).await;
    assert_eq!(path.services.requests("e").len(), 2);
}

#[tokio::test]
async fn what_waits_for_a_dead_endpoint_costs_the_others_nothing_and_drains_in_order() {
    let path = Path::new().await;
    let dead = path.endpoint("dead", all()).await;
    path.endpoint("good", all()).await;
    path.table()
        .note_failing(&dead, 0, path.world.clock.now().after(SignedDuration::from_hours(99)))
        .await
        .unwrap();
    let count = 300;
    for number in 0..count {
        path.later(SignedDuration::from_millis(10));
        path.deposit(&number.to_string()).await;
        if number % 100 == 99 {
            path.work().await;
        }
    }
    path.work().await;
    assert_eq!((path.services.requests("good").len(), path.services.requests("dead").len()), (count, 0));
    path.change(&path.known("dead").await, EndpointChange::Enable).await;
    let began = tokio::time::Instant::now();
    path.due().await;
    let order: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(path.uids("dead"), order);
    assert_eq!(path.waiting("dead").await, 0);
    let rate = count as u64 / began.elapsed().as_secs().max(1);
    assert!(rate <= 120, "at most a hundred a second: {rate}");
}

/// Takes some twenty minutes: `cargo test -p bitpowr-webhooks --release --test delivery -- --ignored`.
#[tokio::test]
#[ignore = "takes twenty minutes"]
async fn a_hundred_thousand_events_that_wait_drain_in_order() {
    const EVENTS: u32 = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let path = Path::over(Engine::open(Some(&folder.path().join("table.db"))).unwrap()).await;
    let endpoint = path.endpoint("dead", all()).await;
    path.change(&endpoint, EndpointChange::Disable).await;
    let client = path.engine.client();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let now = path.world.clock.now();
    for number in 0..EVENTS {
        // What is kept of an event, as far as an endpoint gets it.
        let (id, at) = (format!("{number:06}"), now.after(SignedDuration::from_millis(number.into())));
        let account = Entity::new(EntityType::Account, id.as_str());
        let event = keys::event(&keys::entity(TEST, &account), at, &id);
        let programs = Some(json!({ "id": id, "entity": { "uid": id } }).to_string());
        let notification =
            Notification { people: None, programs, endpoint: None, attributes: BTreeMap::new() };
        let content = Content { raw: Vec::new(), notification: Some(notification) };
        let body: Item = serde_dynamo::to_item(BodyItem::new(&content, Some(event)).unwrap()).unwrap();
        let key = keys::raw(TEST, &id);
        let put = client.put_item().table_name(TABLE).set_item(Some(body));
        put.item("pk", text(key.pk.as_str())).item("sk", text(&key.sk)).send().await.unwrap();
        let outgoing = Outgoing { environment: TEST, endpoint: "dead".to_owned(), key };
        let waiting = Waiting {
            outgoing,
            position: format!("{at}#{id}"),
            due_at: now,
            expires_at: i64::from(u32::MAX),
        };
        path.table().wait(TEST, &waiting).await.unwrap();
    }
    path.change(&path.known("dead").await, EndpointChange::Enable).await;
    path.later(SignedDuration::from_hours(1));
    let began = std::time::Instant::now();
    path.due().await;
    let took = began.elapsed();
    let order: Vec<_> = (0..EVENTS).map(|number| format!("{number:06}")).collect();
    assert!(path.uids("dead") == order, "in the order of the log");
    assert_eq!(path.waiting("dead").await, 0);
    let _ = writeln!(std::io::stderr(), "{EVENTS} events drained in order in {took:?}");
}
