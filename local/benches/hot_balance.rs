//! How many deposits a second one busy balance takes, kept in one shard and in as many as the product has.
//!
//! Sixteen workers apply deposits to one account. Every request to the embedded DynamoDB is delayed by 10 ms, about
//! what DynamoDB takes for a transaction: what is measured is how the workers get into each other's way, and the
//! ratio of the two figures, not the engine. `cargo bench --bench hot_balance`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may panic, and says what it measured"
)]

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use futures::future::join_all;
use local::standins::engine::Engine;
use serde_json::json;
use shared::clock::{Clock as _, SystemClock};
use shared::decide::Delivery;
use shared::environment::Environment;
use shared::model::{Body, Entity, EventName, Kind};
use shared::pipeline::apply;
use shared::store::{Table, keys, schema};

const WORKERS: usize = 16;
const DEPOSITS: usize = 400;
const LATENCY: Duration = Duration::from_millis(10);

/// Delays every request, and counts the transactions.
struct Slow {
    inner: SharedHttpConnector,
    transactions: Arc<AtomicU32>,
}

impl fmt::Debug for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slow")
    }
}

impl HttpConnector for Slow {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.headers().get("x-amz-target").is_some_and(|target| target.ends_with("TransactWriteItems"))
        {
            self.transactions.fetch_add(1, Ordering::SeqCst);
        }
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            tokio::time::sleep(LATENCY).await;
            answer.await
        })
    }
}

/// Deposits that all go to these shards.
fn uids(shards: std::ops::Range<u8>) -> Vec<String> {
    let of = |uid: &String| {
        let pk = keys::entity(Environment::Test, &Entity::transaction(Kind::Deposit, uid.as_str()));
        shards.contains(&keys::shard(&pk))
    };
    (0..).map(|number: u32| format!("deposit-{number}")).filter(of).take(DEPOSITS).collect()
}

async fn measure(shards: std::ops::Range<u8>) {
    let engine = Engine::open(None).unwrap();
    schema::create(&engine.client(), "bench").await.unwrap();
    let transactions = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&transactions);
    let default = engine.http_client();
    let client = http_client_fn(move |settings, components| {
        let inner = default.http_connector(settings, components);
        SharedHttpConnector::new(Slow { inner, transactions: Arc::clone(&counted) })
    });
    let config = engine.client().config().to_builder().http_client(client).build();
    let table = Table::new(aws_sdk_dynamodb::Client::from_conf(config), "bench");
    let queue = Arc::new(Mutex::new(VecDeque::from(uids(shards.clone()))));
    let begun = Instant::now();
    join_all((0..WORKERS).map(async |_| {
        loop {
            let Some(uid) = queue.lock().unwrap().pop_front() else { return };
            let data = json!({ "uid": uid, "amount": "1", "assetType": "BTC", "accountId": "busy" });
            let delivery = Delivery {
                environment: Environment::Test,
                body: Body {
                    event: EventName::new("transaction.deposit.success"),
                    data: data.as_object().unwrap().clone(),
                },
                raw: data.to_string().into_bytes(),
                received_at: SystemClock.now(),
                delivery_id: uid.clone().into(),
            };
            if apply::<deposits::Deposits>(&table, &SystemClock, &delivery).await.is_err() {
                // Back to the queue, as a busy delivery goes.
                queue.lock().unwrap().push_back(uid);
            }
        }
    }))
    .await;
    let took = begun.elapsed();
    let balances = table.balances(Environment::Test, Some("busy"), None, 10, None).await.unwrap().items;
    let received = balances.iter().map(|balance| balance.amounts.received.to_string()).collect::<Vec<_>>();
    let a_second = DEPOSITS as u128 * 1000 / took.as_millis();
    let tried = transactions.load(Ordering::SeqCst);
    println!(
        "{} shard(s): {a_second} deposits a second, {tried} transactions for {DEPOSITS} deposits; received {received:?}",
        shards.len(),
    );
}

#[tokio::main]
async fn main() {
    for _ in 0..3 {
        measure(0..1).await;
        measure(0..keys::SHARDS).await;
    }
}
