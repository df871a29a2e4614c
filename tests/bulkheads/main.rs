//! Endpoints that are ill cost a good one nothing once they are known. A test of its own: it compares times, and other tests
//! beside it would take some of them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "../end_to_end/services.rs"]
mod services;
#[allow(dead_code, reason = "this test needs less of it than the others")]
#[path = "../end_to_end/support.rs"]
mod support;

use std::io::Write as _;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::json;

use services::{Service, add};
use support::{Client, Running, eventually};

/// A product, and a good service of its own.
struct Side<'a> {
    client: &'a Client,
    service: &'a Service,
}

/// Sends each so many events, by turns, and gives for each the time within which 99 of 100 arrived at its service.
async fn p99<const SIDES: usize>(sides: [Side<'_>; SIDES], prefix: &str, count: usize) -> [Duration; SIDES] {
    let mut sent = [const { Vec::new() }; SIDES];
    for number in 0..count {
        let uid = format!("{prefix}-{number}");
        for (side, sent) in sides.iter().zip(&mut sent) {
            sent.push((uid.clone(), Instant::now()));
            side.client.send("accounts.updated", json!({ "uid": uid, "name": "n" })).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut found = [Duration::ZERO; SIDES];
    for ((side, sent), found) in sides.iter().zip(&sent).zip(&mut found) {
        eventually(async || {
            let came = side.service.came.lock().unwrap();
            let missing = sent.iter().filter(|(uid, _)| !came.contains_key(uid)).count();
            if missing == 0 { Ok(()) } else { Err(format!("{missing} of {count} are missing")) }
        })
        .await;
        let came = side.service.came.lock().unwrap();
        let mut latencies: Vec<_> = sent.iter().map(|(uid, at)| came[uid].duration_since(*at)).collect();
        latencies.sort();
        *found = latencies[count * 99 / 100 - 1];
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_are_ill_cost_a_good_one_nothing_once_they_are_known() {
    const EVENTS: usize = 200;
    let (running, other) = (Running::start().await, Running::start().await);
    let client = &running.client;
    let (good, hanging, slow, failing) =
        (Service::default(), Service::default(), Service::default(), Service::default());
    add(client, &good.start(Duration::ZERO, StatusCode::OK).await).await;
    // It is alone at another product, so that both are measured at the same time: this machine may be busy with others.
    let alone = Service::default();
    add(&other.client, &alone.start(Duration::ZERO, StatusCode::OK).await).await;

    let ill = [
        (add(client, &hanging.start(Duration::from_secs(3600), StatusCode::OK).await).await, "failing"),
        (
            add(client, &failing.start(Duration::ZERO, StatusCode::INTERNAL_SERVER_ERROR).await).await,
            "failing",
        ),
    ];
    add(client, &slow.start(Duration::from_secs(5), StatusCode::OK).await).await;
    let began = Instant::now();
    let mut number = 0;
    loop {
        client.send("accounts.updated", json!({ "uid": format!("learning-{number}"), "name": "n" })).await;
        number += 1;
        tokio::time::sleep(Duration::from_millis(250)).await;
        let mut states = Vec::new();
        for (id, wanted) in &ill {
            states.push(client.get(&format!("endpoints/{id}")).await["state"] == *wanted);
        }
        if states.iter().all(|known| *known) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(120));
    }
    let known = began.elapsed();
    // What the ill ones still hold of the fast queue ends with their time-outs.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let mut rounds = Vec::new();
    for round in 0..3 {
        let sides = [Side { client: &other.client, service: &alone }, Side { client, service: &good }];
        let [alone, beside] = p99(sides, &format!("round-{round}"), EVENTS).await;
        rounds.push(format!("{alone:?} alone, {beside:?} beside ill ones"));
        if beside <= 2 * alone {
            let _ = writeln!(
                std::io::stderr(),
                "the ill ones were known after {known:?}; p99 of the good one: {}",
                rounds.join("; ")
            );
            running.stop().await;
            other.stop().await;
            return;
        }
    }
    panic!("p99 of the good one: {}", rounds.join("; "));
}
