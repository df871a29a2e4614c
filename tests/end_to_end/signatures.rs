//! Standard Webhooks' own library for Rust verifies what an endpoint gets, and refuses what was not sent. Those for Node and
//! Python do so in `tests/consumers`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::clock::{Clock as _, SystemClock};
use shared::endpoints::signing::{self, DeliveryKey};
use shared::endpoints::{EndpointUrl, Reach};
use shared::environment::Environment;
use shared::model::EventType;
use standardwebhooks::{Webhook, WebhookError};
use tokio::sync::mpsc;

use crate::support::{PATIENCE, Running};

type Request = (HeaderMap, String);

/// An endpoint that keeps what it gets as it came.
async fn endpoint() -> (EndpointUrl, mpsc::UnboundedReceiver<Request>) {
    let (sender, requests) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let keep =
        async |State(sender): State<mpsc::UnboundedSender<Request>>, headers: HeaderMap, body: String| {
            sender.send((headers, body)).unwrap();
            StatusCode::NO_CONTENT
        };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(keep).with_state(sender)).await });
    (EndpointUrl::read(&url, Reach::Local).unwrap(), requests)
}

async fn next(requests: &mut mpsc::UnboundedReceiver<Request>) -> Request {
    tokio::time::timeout(PATIENCE, requests.recv()).await.unwrap().unwrap()
}

/// Why a request is refused; nothing if it is verified.
fn refused(secret: &str, (headers, body): &Request) -> Option<String> {
    Webhook::new(secret).unwrap().verify(body.as_bytes(), headers).err().map(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_for_rust_verifies_every_notification_and_nothing_else() {
    let (url, mut requests) = endpoint().await;
    let running = Running::with(|settings| settings.webhook = Some(url)).await;
    let old = local::product::webhook_secret().unwrap().reveal();
    let another = DeliveryKey::new("another", [1; 32]).unwrap().secret("webhook", 1).reveal();
    let mut got = BTreeMap::new();
    for event in EventType::ALL {
        // Each is about something of its own, so that none is overtaken.
        let uid = format!("uid={}", event.as_str());
        let sample = local::cli::samples::sample(event, Environment::Test, &[uid]).unwrap();
        assert_eq!(running.client.post("test", sample).await.0, 200);
    }
    while got.len() < EventType::ALL.len() {
        let request = next(&mut requests).await;
        let body: Value = serde_json::from_str(&request.1).unwrap();
        assert_eq!(request.0["webhook-id"], body["id"].as_str().unwrap());
        got.insert(body["type"].as_str().unwrap().to_owned(), request);
    }
    for (event, request) in &got {
        assert_eq!(refused(&old, request), None, "{event}");
        let changed = (request.0.clone(), request.1.replacen("test", "live", 1));
        assert_eq!(refused(&old, &changed).unwrap(), WebhookError::InvalidSignature.to_string());
        assert_eq!(refused(&another, request).unwrap(), WebhookError::InvalidSignature.to_string());
    }

    let rotate = format!("{}/api/test/endpoints/webhook/rotate", running.client.base);
    let rotated = running.client.http.post(rotate).json(&json!({ "why": "a test" })).send().await.unwrap();
    let new = rotated.json::<Value>().await.unwrap()["secret"].as_str().unwrap().to_owned();
    running.client.send("customer.created", json!({ "uid": "rotated" })).await;
    let twice = next(&mut requests).await;
    assert_eq!([&old, &new, &another].map(|secret| refused(secret, &twice).is_none()), [true, true, false]);
    running.stop().await;
}

#[test]
fn the_library_for_rust_refuses_what_is_older_than_five_minutes() {
    let secret = DeliveryKey::new("k", [7; 32]).unwrap().secret("e", 1);
    let sent = |seconds| {
        let at = SystemClock.now().before(SignedDuration::from_secs(seconds));
        let headers = signing::headers(std::slice::from_ref(&secret), "id", at, "{}")
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        (HeaderMap::from_iter(headers), "{}".to_owned())
    };
    assert_eq!(refused(&secret.reveal(), &sent(290)), None);
    assert_eq!(
        refused(&secret.reveal(), &sent(301)).unwrap(),
        WebhookError::TimestampTooOldError.to_string()
    );
}
