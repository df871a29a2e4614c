//! Services of the user's, over real HTTP, and making endpoints of them.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::Client;

/// A service of the user's: what it was sent, and when, by the entity's uid.
#[derive(Clone, Default)]
pub(crate) struct Service {
    pub(crate) came: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Service {
    /// Starts one that answers with a status after a pause: its URL.
    pub(crate) async fn start(&self, pause: Duration, status: StatusCode) -> String {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let came = Arc::clone(&self.came);
        let answer = async move |body: String| {
            let body: Value = serde_json::from_str(&body).unwrap();
            let uid = body["entity"]["uid"].as_str().unwrap_or_default().to_owned();
            came.lock().unwrap().entry(uid).or_insert_with(Instant::now);
            tokio::time::sleep(pause).await;
            status
        };
        tokio::spawn(async { axum::serve(listener, Router::new().fallback(answer)).await });
        url
    }
}

/// Adds an endpoint: its id.
pub(crate) async fn add(client: &Client, url: &str) -> String {
    let request = client.http.post(format!("{}/api/test/endpoints", client.base));
    let answer = request.json(&json!({ "url": url, "why": "a test" })).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let added: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert!(added["secret"].as_str().unwrap().starts_with("whsec_"));
    added["id"].as_str().unwrap().to_owned()
}
