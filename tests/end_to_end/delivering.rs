//! The user's own services, with the product killed while they are served.

use std::io::Write as _;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use crate::process::Serving;
use crate::services::{Service, add};
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn every_event_reaches_every_endpoint_though_the_product_is_killed() {
    let kills: usize = std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let folder = tempfile::tempdir().unwrap();
    let services = [Service::default(), Service::default()];
    let mut urls = Vec::new();
    for service in &services {
        urls.push(service.start(Duration::from_millis(5), StatusCode::OK).await);
    }
    let mut sent = 0;
    for round in 0..kills {
        let serving = Serving::start(folder.path(), &[]);
        if round == 0 {
            for url in &urls {
                add(&serving.client, url).await;
            }
        }
        for number in 0..10 {
            let data = json!({ "uid": format!("{round}-{number}"), "amount": "1", "assetType": "BTC", "accountId": "a" });
            serving.client.send("transaction.deposit.success", data).await;
            sent += 1;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..60))).await;
        serving.signal("KILL");
    }
    let serving = Serving::start(folder.path(), &[]);
    for service in &services {
        eventually(async || match service.came.lock().unwrap().len() {
            count if count == sent => Ok(()),
            count => Err(format!("{count} of {sent} events came")),
        })
        .await;
    }
    // Each has an attempt that succeeded, at each endpoint.
    let log = eventually(async || {
        let log = serving.client.log().await;
        let open = log.iter().filter(|event| event["endpoints"] != "delivered").count();
        if open == 0 { Ok(log) } else { Err(format!("{open} of {} are not delivered", log.len())) }
    })
    .await;
    assert_eq!(log.len(), sent);
    for event in log {
        let shown = serving.client.get(&format!("events/{}", event["id"].as_str().unwrap())).await;
        let attempts = shown["attempts"].as_array().unwrap();
        let took: std::collections::HashSet<_> = attempts
            .iter()
            .filter(|attempt| attempt["status"] == 200)
            .map(|attempt| attempt["endpoint"].as_str().unwrap())
            .collect();
        assert_eq!(took.len(), 2, "{attempts:?}");
    }
    let _ = writeln!(std::io::stderr(), "{kills} kills: {sent} events reached {} endpoints", services.len());
}
