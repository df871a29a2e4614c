//! Endpoints: their whole life on the command line and over HTTP, and what a service gets of it.

mod command_line;
mod notified;
mod over_http;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Version};
use serde_json::{Value, json};
use shared::clock::Moment;
use shared::endpoints::signing::SigningSecret;
use tokio::sync::{Mutex, mpsc};

use crate::support::PATIENCE;

/// A request, as a service gets it.
struct Got {
    version: Version,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// It is what an endpoint gets, signed with these secrets and no others.
    fn is_signed_with(&self, secrets: &[&SigningSecret]) {
        assert_eq!(self.version, Version::HTTP_11);
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("webhook-id"), self.json()["id"].as_str().unwrap());
        let seconds: i64 = self.header("webhook-timestamp").parse().unwrap();
        let at = Moment::from_millis(seconds * 1000);
        let signed = |secret: &&SigningSecret| secret.sign(self.header("webhook-id"), at, &self.body);
        let expected: Vec<_> = secrets.iter().map(signed).collect();
        assert_eq!(self.header("webhook-signature"), expected.join(" "));
    }
}

/// A service of the user's: it keeps what it gets, and answers as it is asked to.
struct Service {
    url: String,
    status: Arc<AtomicU16>,
    got: Mutex<mpsc::UnboundedReceiver<Got>>,
}

impl Service {
    async fn start() -> Self {
        let (sender, got) = mpsc::unbounded_channel();
        let status = Arc::new(AtomicU16::new(200));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/hook/t0ken", listener.local_addr().unwrap());
        let answer = async |State((status, sender)): State<(Arc<AtomicU16>, mpsc::UnboundedSender<Got>)>,
                            version: Version,
                            headers: HeaderMap,
                            body: String| {
            sender.send(Got { version, headers, body }).unwrap();
            (StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap(), "noted")
        };
        let app = Router::new().fallback(answer).with_state((Arc::clone(&status), sender));
        tokio::spawn(async { axum::serve(listener, app).await });
        Self { url, status, got: Mutex::new(got) }
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    async fn next(&self) -> Got {
        tokio::time::timeout(PATIENCE, self.got.lock().await.recv()).await.unwrap().unwrap()
    }

    /// Nothing has come that was not taken.
    async fn has_nothing(&self) -> bool {
        self.got.lock().await.try_recv().is_err()
    }
}

fn deposit(uid: &str) -> Value {
    json!({ "uid": uid, "amount": "0.5", "assetType": "BTC", "accountId": "a" })
}
