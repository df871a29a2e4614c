//! A running product, somebody who sends to it, and somebody who listens.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use local::product::{Product, Settings};
use serde_json::{Value, json};
use shared::endpoints::{EndpointUrl, Reach};
use shared::environment::Environment;
use shared::model::EventType;
use shared::verify::Secret;
use tokio::sync::{Mutex, mpsc};
use url::Url;

pub(crate) const SECRET: &str = "local-secret";

/// How long something may take that takes milliseconds at rest. These machines are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A product in memory, and a webhook that captures what it sends.
pub(crate) struct Running {
    pub(crate) client: Client,
    pub(crate) webhook: Receiver,
    pub(crate) product: Product,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let webhook = Receiver::start().await;
        let mut settings = Settings {
            port: 0,
            data: None,
            secret: Secret::new(SECRET).unwrap(),
            webhook: Some(EndpointUrl::read(webhook.url.as_str(), Reach::Local).unwrap()),
            mail: None,
            print: false,
            aws_endpoint: None,
        };
        change(&mut settings);
        let product = Product::start(settings).await.unwrap();
        let client = Client::new(product.address());
        Self { client, webhook, product }
    }

    pub(crate) async fn stop(self) {
        self.product.stop().await;
    }
}

/// Sends webhooks and asks questions.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { http: reqwest::Client::new(), base: format!("http://{address}") }
    }

    pub(crate) fn header() -> String {
        Secret::new(SECRET).unwrap().header_value()
    }

    /// POSTs a body with the right secret: status and answer.
    pub(crate) async fn post(&self, environment: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}/webhooks/{environment}", self.base))
            .header("x-webhook-secret", Self::header())
            .header("content-type", "application/json")
            .body(body);
        answer(request).await
    }

    /// Sends an event to the test environment; it must be accepted.
    pub(crate) async fn send(&self, event: &str, data: Value) {
        let (status, answer) = self.post("test", json!({ "event": event, "data": data }).to_string()).await;
        assert_eq!(status, 200, "{event}: {answer}");
    }

    /// Sends the sample of an event.
    pub(crate) async fn send_sample(&self, event: EventType) {
        let sample = local::cli::samples::sample(event, Environment::Test, &[]).unwrap();
        assert_eq!(self.post("test", sample).await.0, 200, "{}", event.as_str());
    }

    /// GETs a path: status and answer.
    pub(crate) async fn ask(&self, path: &str) -> (u16, Value) {
        answer(self.http.get(format!("{}{path}", self.base))).await
    }

    /// GETs a path under `/api/test/`, which must be there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(&format!("/api/test/{path}")).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// All events of the test environment's log, newest first, page by page.
    pub(crate) async fn log(&self) -> Vec<Value> {
        let mut events = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("events?limit=100&cursor={cursor}")).await;
            events.extend(page["events"].as_array().unwrap().iter().cloned());
            match page["cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return events,
            }
        }
    }

    /// Waits until the log has so many deliveries, and gives the log.
    pub(crate) async fn log_of(&self, deliveries: u64) -> Vec<Value> {
        eventually(async || {
            let log = self.log().await;
            let found: u64 = log.iter().map(|event| event["deliveries"].as_u64().unwrap()).sum();
            if found == deliveries { Ok(log) } else { Err(format!("{found} deliveries of {deliveries}")) }
        })
        .await
    }

    /// The balance of an account in an asset.
    pub(crate) async fn balance(&self, account: &str, asset: &str) -> Value {
        let found = self.get(&format!("balances?account={account}")).await;
        let found =
            found["balances"].as_array().unwrap().iter().find(|balance| balance["asset"] == asset).cloned();
        found.unwrap_or_else(
            || json!({ "received": "0", "sent": "0", "fees": "0", "pending": "0", "balance": "0" }),
        )
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::from(text)))
}

/// Tries again until it holds, or patience ends.
pub(crate) async fn eventually<T>(attempt: impl AsyncFn() -> Result<T, String>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(found) => return found,
            Err(why) if tokio::time::Instant::now() > deadline => panic!("not within {PATIENCE:?}: {why}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// A webhook of the user's: captures bodies, and can be made to fail.
pub(crate) struct Receiver {
    pub(crate) url: Url,
    failures: Arc<AtomicUsize>,
    bodies: Mutex<mpsc::UnboundedReceiver<Value>>,
}

#[derive(Clone)]
struct Captured {
    failures: Arc<AtomicUsize>,
    bodies: mpsc::UnboundedSender<Value>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let (sender, bodies) = mpsc::unbounded_channel();
        let failures = Arc::new(AtomicUsize::new(0));
        let captured = Captured { failures: Arc::clone(&failures), bodies: sender };
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let capture = async |State(captured): State<Captured>, body: String| {
            let fails = captured
                .failures
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if fails.is_ok() {
                return StatusCode::INTERNAL_SERVER_ERROR;
            }
            let _ = captured.bodies.send(serde_json::from_str(&body).unwrap());
            StatusCode::OK
        };
        let app = Router::new().fallback(capture).with_state(captured);
        tokio::spawn(async { axum::serve(listener, app).await });
        Self { url, failures, bodies: Mutex::new(bodies) }
    }

    /// Answers the next so many requests with 500.
    pub(crate) fn fail(&self, requests: usize) {
        self.failures.store(requests, Ordering::SeqCst);
    }

    /// The next so many notifications.
    pub(crate) async fn take(&self, count: usize) -> Vec<Value> {
        let mut bodies = self.bodies.lock().await;
        let mut taken = Vec::new();
        while taken.len() < count {
            let next = tokio::time::timeout(PATIENCE, bodies.recv()).await;
            taken.push(
                next.unwrap_or_else(|_| panic!("only {} of {count} notifications came", taken.len()))
                    .unwrap(),
            );
        }
        taken
    }

    /// Whether nothing more comes within a while that is long at rest.
    pub(crate) async fn is_silent(&self) -> bool {
        tokio::time::timeout(Duration::from_millis(1500), self.bodies.lock().await.recv()).await.is_err()
    }
}
