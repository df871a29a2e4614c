//! What is tried when, what waits, what is given up, and what is kept of it.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use deliver::post::{Answer, PostError};
use jiff::SignedDuration;
use local::standins::engine::{Engine, TABLE};
use local::standins::queues::RedrivePolicy;
use serde_json::{Value, json};
use shared::clock::Clock as _;
use shared::endpoints::signing::SIGNATURE;
use shared::endpoints::{Attempt, EndpointState, Lane, Outgoing, Progress};
use shared::store::{EndpointChange, Key, TargetType, Waiting};

use crate::service::{Path, TEST, answer, keys};

const fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn all() -> Value {
    json!({})
}

fn uids(path: &Path, id: &str) -> Vec<String> {
    path.services.requests(id).iter().map(|request| request.uid().to_owned()).collect()
}

#[tokio::test]
async fn an_event_goes_to_every_endpoint_that_wants_it_signed_and_is_noted() {
    let path = Path::new().await;
    path.endpoint("one", all()).await;
    path.endpoint("btc", json!({ "asset": "btc", "counted": true })).await;
    path.endpoint("eth", json!({ "asset": "eth" })).await;
    let applied = path.deposit("d").await;
    path.work().await;
    for id in ["one", "btc"] {
        let [request] = &path.services.requests(id)[..] else { panic!("{id}") };
        assert_eq!(request.headers["webhook-id"], applied.id);
        assert_eq!(
            request.headers["webhook-timestamp"],
            (path.world.clock.now().as_millis() / 1000).to_string()
        );
        assert_eq!(request.headers[SIGNATURE].split(' ').count(), 1);
        assert_eq!(
            (&request.body["id"], &request.body["type"]),
            (&json!(applied.id), &request.body["event"])
        );
        assert_eq!(
            request.body["counted"],
            json!([{ "account": "a", "asset": "BTC", "field": "received", "change": "1" }])
        );
    }
    assert!(path.services.requests("eth").is_empty());
    let attempts = path.attempts(&applied.id).await;
    assert_eq!(attempts.len(), 2);
    assert_eq!(Attempt::progress(&attempts), Some(Progress::Delivered));
    assert_eq!((attempts[0].number, attempts[0].status, attempts[0].next_at), (1, Some(200), None));
    assert_eq!(attempts[0].answer.as_deref(), Some("status 200"));
}

#[tokio::test]
async fn what_fails_is_tried_for_some_minutes_by_the_queue_then_waits_and_is_given_up_after_days() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.services.answer("e", |request| answer(if request.uid() == "bad" { 500 } else { 200 }));
    let applied = path.deposit("bad").await;
    path.work().await;
    for (pause, attempts) in [(4, 1), (1, 2), (59, 2), (1, 3), (299, 3), (1, 4)] {
        path.later(seconds(pause));
        path.work().await;
        assert_eq!(path.services.requests("e").len(), attempts, "{pause}");
    }
    assert_eq!((path.waiting("e").await, path.queues.depth(Lane::Fast.as_str()).await.unwrap()), (1, 0));
    path.later(seconds(1799));
    path.due().await;
    assert_eq!(path.services.requests("e").len(), 4);
    let mut hours = 0;
    while path.waiting("e").await > 0 {
        path.later(SignedDuration::from_mins(30));
        // Others succeed: the endpoint is not failing, it does not take this one.
        path.deposit(&format!("good-{hours}")).await;
        path.work().await;
        path.due().await;
        hours += 1;
        assert!(hours < 200);
    }
    let attempts = path.attempts(&applied.id).await;
    assert_eq!(
        attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(),
        (1..=13).collect::<Vec<_>>()
    );
    assert!(attempts[..12].iter().all(|attempt| attempt.next_at.is_some()));
    assert_eq!(attempts[12].next_at, None);
    assert_eq!(Attempt::progress(&attempts), Some(Progress::Failed));
    assert_eq!(path.known("e").await.state, EndpointState::Active);
}

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
    assert_eq!(uids(&path, "e")[tried + 1..], order, "in the order of the log");
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
    let got: std::collections::HashSet<_> = uids(&path, "e").into_iter().collect();
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
async fn gone_disables_an_endpoint_and_people_are_notified() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.services.answer("e", |_| answer(410));
    path.deposit("d").await;
    path.work().await;
    assert_eq!(path.known("e").await.state, EndpointState::Disabled);
    let actions = path.table().endpoint_actions(TEST, "e").await.unwrap();
    let disabled = actions.last().unwrap();
    assert_eq!((disabled.target.target_type, disabled.who.as_str()), (TargetType::Endpoint, "deliver"));
    assert_eq!(disabled.why, "it answered 410 Gone");
    let people = disabled.notification.as_ref().unwrap().people.as_ref().unwrap();
    assert_eq!(people.subject, "[test] Endpoint https://e.example/... was disabled");
    assert!(!people.text.contains("token"));

    let missed = path.deposit("missed").await;
    path.work().await;
    let attempts = path.attempts(&missed.id).await;
    assert_eq!(attempts[0].error.as_deref(), Some("the endpoint is disabled"));
    assert_eq!(Attempt::progress(&attempts), Some(Progress::Failed));
    path.services.answer("e", |_| answer(200));
    path.change(&path.known("e").await, EndpointChange::Enable).await;
    path.deposit("after").await;
    path.work().await;
    path.due().await;
    assert_eq!(uids(&path, "e"), ["d", "after"], "what was missed is resent on request only");
}

#[tokio::test]
async fn an_endpoint_that_took_nothing_for_days_is_disabled() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.services.answer("e", |_| Err(PostError::TimeOut));
    for number in 0..5 {
        path.deposit(&number.to_string()).await;
    }
    path.work().await;
    let mut hours = 0;
    while path.known("e").await.state != EndpointState::Disabled {
        path.later(SignedDuration::from_hours(1));
        path.deposit(&format!("hour-{hours}")).await;
        path.work().await;
        path.due().await;
        hours += 1;
        assert!(hours < 200);
    }
    assert!((120..140).contains(&hours), "{hours}");
    // Nothing that waits is lost.
    path.services.answer("e", |_| answer(200));
    path.change(&path.known("e").await, EndpointChange::Enable).await;
    path.due().await;
    let got: std::collections::HashSet<_> = uids(&path, "e").into_iter().collect();
    assert!((0..hours - 1).all(|hour| got.contains(&format!("hour-{hour}"))));
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_kept() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    let asked = |wait| Ok(Answer { status: 429, text: String::new(), retry_after: Some(seconds(wait)) });
    path.services.answer("e", move |_| asked(120));
    let applied = path.deposit("d").await;
    path.work().await;
    path.services.answer("e", move |_| asked(3600));
    for (pause, attempts, waiting) in [(119, 1, 0), (1, 2, 1)] {
        path.later(seconds(pause));
        path.work().await;
        assert_eq!((path.services.requests("e").len(), path.waiting("e").await), (attempts, waiting));
    }
    let attempts = path.attempts(&applied.id).await;
    assert_eq!(attempts[1].next_at.unwrap().since(attempts[1].at).as_secs(), 3600);
}

#[tokio::test]
async fn a_message_that_comes_again_after_a_crash_is_not_tried_before_it_is_due_nor_after_it_was_taken() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.services.answer("e", |_| answer(500));
    path.deposit("d").await;
    path.notify().await;
    // As after a crash between the attempt and the queue: the message is handed out again.
    let redrive = RedrivePolicy { visibility: std::time::Duration::from_secs(1), max_receives: 10 };
    let again = path.queues.receive(Lane::Fast.as_str(), 1, redrive).await.unwrap().remove(0).body;
    path.later(seconds(1));
    path.batch(Lane::Fast).await;
    path.queues.send(Lane::Fast.as_str(), vec![again.clone()]).await.unwrap();
    path.batch(Lane::Fast).await;
    assert_eq!(path.services.requests("e").len(), 1);
    path.services.answer("e", |_| answer(200));
    path.later(seconds(6));
    path.work().await;
    path.queues.send(Lane::Fast.as_str(), vec![again]).await.unwrap();
    path.work().await;
    let tried = path.services.requests("e").len();
    assert!((2..=3).contains(&tried), "{tried}");
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
    assert_eq!(uids(&path, "e")[tried..], order, "at once, and in the order of the log");
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
async fn a_resend_to_one_endpoint_goes_there_only_says_so_and_counts_its_own_attempts() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.endpoint("other", all()).await;
    let applied = path.deposit("d").await;
    path.work().await;
    let record = path.table().event(TEST, &applied.id).await.unwrap().unwrap();
    path.later(seconds(60));
    path.table().resend(&record, Some("e".to_owned()), &path.mandate("again")).await.unwrap().unwrap();
    path.work().await;
    let [first, second] = &path.services.requests("e")[..] else { panic!() };
    assert_eq!(path.services.requests("other").len(), 1);
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    assert_ne!(first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]);
    let mut without = second.body.clone();
    let resend = without.as_object_mut().unwrap().remove("resend").unwrap();
    assert_eq!((resend["id"].as_str(), &without), (Some("again"), &first.body));
    let of_it: Vec<_> =
        path.attempts(&applied.id).await.into_iter().filter(|one| one.endpoint == "e").collect();
    let numbers: Vec<_> = of_it.iter().map(|one| (one.number, one.resend.as_deref())).collect();
    assert_eq!(numbers, [(1, None), (1, Some("again"))]);
}

#[tokio::test]
async fn the_body_stays_the_same_over_all_attempts() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    let count = AtomicUsize::new(0);
    path.services
        .answer("e", move |_| answer(if count.fetch_add(1, Ordering::SeqCst) < 2 { 500 } else { 200 }));
    path.deposit("d").await;
    path.work().await;
    for pause in [5, 60] {
        path.later(seconds(pause));
        path.work().await;
    }
    let requests = path.services.requests("e");
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.body == requests[0].body));
    let signatures: std::collections::HashSet<_> =
        requests.iter().map(|request| &request.headers[SIGNATURE]).collect();
    assert_eq!(signatures.len(), 3, "each attempt is signed with its own time");
}

#[tokio::test]
async fn a_large_object_reaches_an_endpoint_whole() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    let text = "\u{e4}\"".repeat(30_000);
    let data = json!({ "uid": "d", "amount": "1", "assetType": "BTC", "note": text });
    path.world.deliver("transaction.deposit.success", data.clone()).await;
    path.work().await;
    assert_eq!(path.services.requests("e")[0].body["data"], data);
}

#[tokio::test]
async fn two_secrets_sign_for_a_day_after_a_rotation() {
    let path = Path::new().await;
    let endpoint = path.endpoint("e", all()).await;
    let rotated = endpoint.secrets.rotated("k", path.world.clock.now()).unwrap();
    path.change(&endpoint, EndpointChange::Rotate(rotated)).await;
    for (uid, pause, count) in [("a", 0, 2), ("b", 24 * 3600, 1)] {
        path.later(seconds(pause));
        path.deposit(uid).await;
        path.work().await;
        let request = path.services.requests("e").pop().unwrap();
        assert_eq!(request.headers[SIGNATURE].split(' ').count(), count);
    }
    let secrets =
        keys().secrets("e", path.known("e").await.secrets.in_use(path.world.clock.now())).await.unwrap();
    let request = path.services.requests("e").pop().unwrap();
    let body = serde_json::to_string(&request.body).unwrap();
    let id = &request.headers["webhook-id"];
    assert_eq!(request.headers[SIGNATURE], secrets[0].sign(id, path.world.clock.now(), &body));
}

#[tokio::test]
async fn an_event_that_is_moved_while_it_waits_reaches_its_endpoint() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    let applied = path.deposit("d").await;
    path.notify().await;
    // As `rebuild` moves it: to another partition, where its body points to then.
    let client = path.engine.client();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let (pk, elsewhere) = (text("test#transaction#deposit#d"), text("test#transaction#deposit#moved"));
    let query =
        client.query().table_name(TABLE).key_condition_expression("pk = :pk AND begins_with(sk, :sk)");
    let found = query
        .expression_attribute_values(":pk", pk.clone())
        .expression_attribute_values(":sk", text("event#"))
        .send()
        .await
        .unwrap();
    let mut event = found.items()[0].clone();
    let sk = event["sk"].clone();
    event.insert("pk".to_owned(), elsewhere.clone());
    client.put_item().table_name(TABLE).set_item(Some(event)).send().await.unwrap();
    client.delete_item().table_name(TABLE).key("pk", pk).key("sk", sk).send().await.unwrap();
    let body = client.update_item().table_name(TABLE).key("pk", text(&format!("test#raw#{}", applied.id)));
    let body = body.key("sk", text("raw")).update_expression("SET event_key.pk = :pk");
    body.expression_attribute_values(":pk", elsewhere).send().await.unwrap();
    path.batch(Lane::Fast).await;
    assert_eq!(path.services.requests("e").len(), 1);
}

#[tokio::test]
async fn a_removed_endpoint_gets_nothing_more() {
    let path = Path::new().await;
    let endpoint = path.endpoint("e", all()).await;
    path.deposit("d").await;
    path.notify().await;
    path.change(&endpoint, EndpointChange::Remove).await;
    path.work().await;
    assert!(path.services.requests("e").is_empty());
}

#[tokio::test]
async fn attempts_are_shown_for_thirty_days() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    let applied = path.deposit("d").await;
    path.work().await;
    path.later(SignedDuration::from_hours(30 * 24 - 1));
    assert_eq!(path.attempts(&applied.id).await.len(), 1);
    path.later(SignedDuration::from_hours(2));
    assert_eq!(path.attempts(&applied.id).await.len(), 0);
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
    assert_eq!(uids(&path, "dead"), order);
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
        let key = Key { pk: format!("test#account#{id}"), sk: format!("event#{at}#{id}") };
        let programs = json!({ "id": id, "entity": { "uid": id } }).to_string();
        let notification = HashMap::from([
            ("programs".to_owned(), text(&programs)),
            ("attributes".to_owned(), AttributeValue::M(HashMap::new())),
        ]);
        let event = client.put_item().table_name(TABLE).item("pk", text(&key.pk)).item("sk", text(&key.sk));
        let event = event.item("id", text(&id)).item("environment", text("test"));
        let event = event.item("recorded_at", text(&at.to_string()));
        event.item("notification", AttributeValue::M(notification)).send().await.unwrap();
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
    assert!(uids(&path, "dead") == order, "in the order of the log");
    assert_eq!(path.waiting("dead").await, 0);
    let _ = writeln!(std::io::stderr(), "{EVENTS} events drained in order in {took:?}");
}
