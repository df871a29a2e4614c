//! API Gateway events as Lambda hands them over: text, Base64, broken Base64, odd paths and hosts; and queues
//! that fail.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::sync::Mutex;

use ingest::Ingest;
use lambda_http::Context;
use serde_json::{Value, json};
use shared::clock::{ManualClock, Moment};
use shared::environment::{Environment, Environments};
use shared::model::{Family, Reason};
use shared::queue::{DeliveryQueue, QueueError};
use shared::rotating::Rotating;
use shared::verify::{Envelope, Opened, Sealed, SealingKey, SealingKeys, Secret, Secrets};

#[derive(Default)]
struct Queue {
    sent: Mutex<Vec<Sealed>>,
    fails: bool,
}

impl DeliveryQueue for Queue {
    async fn send(&self, delivery: &Sealed) -> Result<(), QueueError> {
        if self.fails {
            return Err(QueueError::Other("down".into()));
        }
        self.sent.lock().unwrap().push(delivery.clone());
        Ok(())
    }
}

fn keys() -> SealingKeys {
    SealingKeys::new(SealingKey::new("k", [1; 32]).unwrap(), [])
}

fn ingest(queue: Queue) -> Ingest<Queue, ManualClock> {
    let secret = |text: &str| Secret::new(text).unwrap();
    Ingest {
        secrets: Rotating::fixed(Secrets::new(secret("new"), [secret("old")])),
        keys: Rotating::fixed(keys()),
        environments: Environments::only(Environment::Live),
        queue,
        clock: ManualClock::at(Moment::from_millis(1_795_411_744_123)),
    }
}

/// An event as API Gateway makes it, changed by `change`.
fn event(change: impl FnOnce(&mut Value)) -> Value {
    let mut event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/webhooks/live", "rawQueryString": "",
        "headers": { "host": "abc.execute-api.eu-west-1.amazonaws.com", "x-webhook-secret": "bmV3",
                     "content-type": "application/json" },
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc", "domainName": "abc.execute-api.eu-west-1.amazonaws.com",
            "http": { "method": "POST", "path": "/webhooks/live", "protocol": "HTTP/1.1",
                      "sourceIp": "192.0.2.1", "userAgent": "bitpowr" },
            "requestId": "JKJaXmPLvHcESHA=", "routeKey": "$default", "stage": "$default",
            "time": "23/Nov/2026:05:29:04 +0000", "timeEpoch": 1_795_411_744_123_i64
        },
        "body": "{\"event\":\"accounts.created\",\"data\":{\"uid\":\"a\"}}",
        "isBase64Encoded": false
    });
    change(&mut event);
    event
}

async fn answer(ingest: &Ingest<Queue, ManualClock>, event: Value) -> Value {
    let event = serde_json::from_value(event).unwrap();
    shared::http::answer(event, Context::default(), |request| ingest.handle(request)).await.unwrap()
}

/// The status, and what was sent.
async fn outcome(change: impl FnOnce(&mut Value)) -> (i64, Vec<Envelope>) {
    let ingest = ingest(Queue::default());
    let response = answer(&ingest, event(change)).await;
    let sent = ingest.queue.sent.into_inner().unwrap();
    let open = |sealed: Sealed| {
        let served = Environments::both();
        Opened::verify(sealed.message(), &keys(), &served, sealed.family()).unwrap().envelope().clone()
    };
    (response["statusCode"].as_i64().unwrap(), sent.into_iter().map(open).collect())
}

#[tokio::test]
async fn a_delivery_is_sealed_for_its_family_with_the_requests_own_id() {
    let (status, sent) = outcome(|_| {}).await;
    assert_eq!(status, 200);
    let expected = Envelope {
        environment: Environment::Live,
        family: Family::Accounts,
        event: "accounts.created".to_owned(),
        received_at: Moment::from_millis(1_795_411_744_123),
        delivery_id: "JKJaXmPLvHcESHA=".into(),
        refused: None,
        body: br#"{"event":"accounts.created","data":{"uid":"a"}}"#.to_vec(),
    };
    assert_eq!(sent, [expected]);
}

#[tokio::test]
async fn the_previous_secret_is_accepted_too() {
    assert_eq!(outcome(|event| event["headers"]["x-webhook-secret"] = json!("b2xk")).await.0, 200);
    assert_eq!(
        outcome(|event| event["headers"]["x-webhook-secret"] = json!("b2xkZXI=")).await,
        (401, vec![])
    );
}

#[tokio::test]
async fn a_base64_body_is_decoded() {
    let (status, sent) = outcome(|event| {
        event["body"] = json!("eyJldmVudCI6ImFkZHJlc3MuYmxvY2tlZCIsImRhdGEiOnt9fQ==");
        event["isBase64Encoded"] = json!(true);
    })
    .await;
    assert_eq!(
        (status, sent[0].family, sent[0].body.as_slice()),
        (200, Family::Addresses, &br#"{"event":"address.blocked","data":{}}"#[..])
    );
}

#[tokio::test]
async fn a_body_in_broken_base64_is_quarantined_as_it_came_and_does_not_panic() {
    for broken in ["%%%", "eyJldmVud", "====", "ä"] {
        let (status, sent) = outcome(|event| {
            event["body"] = json!(broken);
            event["isBase64Encoded"] = json!(true);
        })
        .await;
        assert_eq!((status, sent[0].family), (400, Family::Unrecognised), "{broken}");
        assert_eq!(sent[0].refused.as_ref().map(|(reason, _)| *reason), Some(Reason::NotJson));
        assert_eq!(sent[0].body, broken.as_bytes());
    }
}

#[tokio::test]
async fn a_missing_body_is_empty() {
    for absent in [json!(null), json!("")] {
        let (status, sent) = outcome(|event| event["body"] = absent).await;
        assert_eq!((status, sent[0].refused.as_ref().map(|(reason, _)| *reason)), (400, Some(Reason::Empty)));
    }
}

#[tokio::test]
async fn odd_paths_and_hosts_do_not_panic() {
    for (path, status) in [
        ("/webhooks/live", 200),
        ("/webhooks/live/", 200),
        ("/webhooks/test", 404),
        ("/webhooks/li ve", 404),
        ("", 404),
        ("//", 404),
        ("/webhooks/\u{0}", 404),
        ("/%zz/%", 404),
        ("http://[::bad", 404),
        ("webhooks/live", 200),
        (&"x".repeat(70_000), 414),
        (&"ü".repeat(30_000), 414),
    ] {
        assert_eq!(outcome(|event| event["rawPath"] = json!(path)).await.0, status, "{path}");
    }
    for host in ["", "a b", "1.2.3.4.5", "[::bad", "x.execute-api.127.0.0.1"] {
        assert_eq!(outcome(|event| event["headers"]["host"] = json!(host)).await.0, 200, "{host}");
    }
    for scheme in ["", ":", "not a scheme", "1"] {
        assert_eq!(
            outcome(|event| event["headers"]["x-forwarded-proto"] = json!(scheme)).await.0,
            200,
            "{scheme}"
        );
    }
    let no_host = outcome(|event| {
        event["headers"].as_object_mut().unwrap().remove("host");
        event["requestContext"]["domainName"] = json!(null);
    });
    assert_eq!(no_host.await.0, 200);
}

#[tokio::test]
async fn a_queue_that_fails_makes_a_503_also_for_what_cannot_be_read() {
    for body in [r#"{"event":"accounts.created","data":{}}"#, "not json"] {
        let ingest = ingest(Queue { fails: true, ..Queue::default() });
        let response = answer(&ingest, event(|event| event["body"] = json!(body))).await;
        assert_eq!(response["statusCode"], 503);
        assert_eq!(response["headers"]["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn an_environment_that_is_not_served_here_is_not_found_before_anything_else() {
    let (status, sent) = outcome(|event| {
        event["rawPath"] = json!("/webhooks/test");
        event["headers"]["x-webhook-secret"] = json!("wrong");
    })
    .await;
    assert_eq!((status, sent), (404, vec![]));
}

#[tokio::test]
async fn a_secret_that_was_just_replaced_refuses_no_delivery() {
    let replaced = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now = std::sync::Arc::clone(&replaced);
    let fetch = move || {
        let secret = if now.load(std::sync::atomic::Ordering::SeqCst) { "new" } else { "before" };
        std::future::ready(Ok(Secrets::new(Secret::new(secret).unwrap(), [])))
    };
    tokio::time::pause();
    let ingest = Ingest { secrets: Rotating::fetched(fetch).await, ..ingest(Queue::default()) };
    assert_eq!(answer(&ingest, event(|_| {})).await["statusCode"], 401);
    replaced.store(true, std::sync::atomic::Ordering::SeqCst);
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    assert_eq!(answer(&ingest, event(|_| {})).await["statusCode"], 200);
}

#[tokio::test]
async fn without_any_secret_to_compare_with_nobody_is_refused_for_good() {
    let nothing = || std::future::ready(Err("down".into()));
    let ingest = Ingest { secrets: Rotating::fetched(nothing).await, ..ingest(Queue::default()) };
    assert_eq!(answer(&ingest, event(|_| {})).await["statusCode"], 503);
}
