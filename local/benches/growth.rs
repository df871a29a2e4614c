//! What a page of the log costs as the log grows: requests to DynamoDB, index entries that they looked at, and
//! milliseconds, for each way to search. Flat is what it should be.
//!
//! The first 10,000 events are applied by the real pipeline into the embedded DynamoDB, in memory (a million take
//! some gigabytes). Those beyond are
//! copies of their items under other names, ids and times, written in batches: it would take hours otherwise. One
//! page is asked for many times, each time for something else. `cargo bench --bench growth -- 1000000` goes up to so
//! many events (10,000 without).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a benchmark may panic, and says what it measured"
)]

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, StreamSpecification, WriteRequest};
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use futures::future::join_all;
use local::standins::engine::Engine;
use local::with_family;
use serde_json::{Value, json};
use shared::clock::{Clock as _, ManualClock, Moment};
use shared::decide::Delivery;
use shared::environment::Environment;
use shared::model::{Body, EventName};
use shared::pipeline::apply;
use shared::store::{Facet, LogFilter, Table, keys, schema};

const TEST: Environment = Environment::Test;

const TABLE: &str = "growth";

/// How many events the pipeline applies.
const ORIGINALS: usize = 10_000;

/// How many copies are written at a time, with a day's marker: a batch takes 25.
const BATCH: usize = 23;

/// How many write at the same time.
const WRITERS: usize = 8;

/// How many events a page has.
const PAGE: usize = 50;

/// How often each search is asked.
const ASKED: usize = 60;

/// Between two events: a million of them are 115 days.
const APART: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);

/// Counts requests.
struct Counted {
    inner: SharedHttpConnector,
    requests: Arc<AtomicUsize>,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}

impl HttpConnector for Counted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.inner.call(request)
    }
}

/// An event of a business with 1,000 customers, four assets and one failure in 1,000.
fn event(number: usize) -> (&'static str, Value) {
    let asset = ["BTC", "ETH", "USDT_TRON", "SOL"][number % 4];
    let name = match number % 1000 {
        999 => "transaction.transfer.failed",
        even if even % 2 == 0 => "transaction.deposit.success",
        _ => "transaction.transfer.success",
    };
    let data = json!({
        "uid": format!("transaction-{number}"),
        "amount": "1",
        "assetType": asset,
        "accountId": format!("account-{}", number % 100),
        "customerId": format!("customer-{}", number % 1000),
        "hash": format!("0x{number:064x}"),
        "transactionRef": format!("order-{number}"),
        "address": format!("to-{}", number % 5000),
        "fromAddress": format!("from-{}", number % 700),
    });
    (name, data)
}

async fn write(table: &Table, number: usize, begin: Moment) {
    let (name, data) = event(number);
    let clock = ManualClock::at(begin);
    clock.advance(APART * i32::try_from(number).unwrap());
    let delivery = Delivery {
        environment: TEST,
        body: Body { event: EventName::new(name), data: data.as_object().unwrap().clone() },
        raw: data.to_string().into_bytes(),
        received_at: clock.now(),
        delivery_id: format!("delivery-{number}").into(),
    };
    while with_family!(delivery.body.event.family(), F => apply::<F>(table, &clock, &delivery).await.is_err())
    {
    }
}

type Item = HashMap<String, AttributeValue>;

/// The items of the events that the pipeline wrote, by their numbers.
async fn originals(client: &Client) -> Vec<Item> {
    let mut items = Vec::new();
    for number in 0..ORIGINALS {
        let pk = ["deposit", "transfer"].map(|kind| format!("test#transaction#{kind}#transaction-{number}"));
        for pk in pk {
            let query = client
                .query()
                .table_name(TABLE)
                .key_condition_expression("pk = :pk AND begins_with(sk, :event)");
            let query = query.expression_attribute_values(":pk", AttributeValue::S(pk));
            let query = query.expression_attribute_values(":event", AttributeValue::S("event#".to_owned()));
            items.extend(query.send().await.unwrap().items.unwrap_or_default());
        }
    }
    assert_eq!(items.len(), ORIGINALS);
    items
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item[name].as_s().unwrap()
}

/// The same event under another number, id and time.
fn copy(original: &Item, number: usize, at: Moment) -> Item {
    let (id, moment) = (text(original, "id"), text(original, "recorded_at"));
    let old = number % ORIGINALS;
    let names = [
        (format!("transaction-{old}"), format!("transaction-{number}")),
        (format!("0x{old:064x}"), format!("0x{number:064x}")),
        (format!("order-{old}"), format!("order-{number}")),
        (id.to_owned(), format!("{number:032x}")),
        (moment.to_owned(), at.to_string()),
        (format!("#log#{}#", &moment[..10]), format!("#log#{}#", at.day())),
    ];
    let rename = |text: &String| {
        // A name may be the start of another: whole parts only.
        let parts = text.split_inclusive(['#', '=']).map(|part| {
            let (name, end) = part.split_at(part.trim_end_matches(['#', '=']).len());
            names
                .iter()
                .find(|(old, _)| old == name)
                .map_or(part.to_owned(), |(_, new)| format!("{new}{end}"))
        });
        let renamed: String = parts.collect();
        renamed.replace(&names[5].0, &names[5].1)
    };
    let renamed = |value: &AttributeValue| match value {
        AttributeValue::S(text) => AttributeValue::S(rename(text)),
        AttributeValue::Ss(texts) => AttributeValue::Ss(texts.iter().map(rename).collect()),
        AttributeValue::M(map) => {
            let rename = |value: &AttributeValue| {
                value.as_s().map_or(value.clone(), |text| AttributeValue::S(rename(text)))
            };
            AttributeValue::M(map.iter().map(|(name, value)| (name.clone(), rename(value))).collect())
        }
        other => other.clone(),
    };
    original.iter().map(|(name, value)| (name.clone(), renamed(value))).collect()
}

/// Writes copies of the originals under these numbers.
async fn write_copies(client: &Client, originals: &[Item], numbers: std::ops::Range<usize>, begin: Moment) {
    let next = AtomicUsize::new(numbers.start);
    join_all((0..WRITERS).map(async |_| {
        loop {
            let first = next.fetch_add(BATCH, Ordering::SeqCst);
            if first >= numbers.end {
                return;
            }
            let mut requests = Vec::new();
            let mut days = HashSet::new();
            for number in first..(first + BATCH).min(numbers.end) {
                let at = Moment::from_millis(begin.as_millis() + i64::try_from(number).unwrap() * 10_000);
                let item = copy(&originals[number % ORIGINALS], number, at);
                requests.push(put(item));
                days.insert(at.day());
            }
            for day in days {
                let key = keys::day(TEST, keys::List::Log, &day);
                requests.push(put(HashMap::from([
                    ("pk".to_owned(), AttributeValue::S(key.pk.to_string())),
                    ("sk".to_owned(), AttributeValue::S(key.sk)),
                ])));
            }
            let written = client.batch_write_item().request_items(TABLE, requests).send().await.unwrap();
            assert!(written.unprocessed_items.unwrap_or_default().is_empty());
        }
    }))
    .await;
}

fn put(item: Item) -> WriteRequest {
    WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(item)).build().unwrap()).build()
}

/// The searches, each with what is put in place of `N` at each time.
fn searches(number: usize) -> Vec<(&'static str, LogFilter)> {
    let by = |facets: &[(Facet, String)]| LogFilter { facets: facets.to_vec(), ..LogFilter::default() };
    vec![
        ("all, newest first", LogFilter::default()),
        ("status failed (1 in 1,000)", by(&[(Facet::Status, "failed".to_owned())])),
        ("family deposits", by(&[(Facet::Family, "deposits".to_owned())])),
        (
            "asset BTC and status success",
            by(&[(Facet::Asset, "BTC".to_owned()), (Facet::Status, "success".to_owned())]),
        ),
        ("customer", by(&[(Facet::Customer, format!("customer-{}", number % 1000))])),
        ("address, at either end", by(&[(Facet::Address, format!("to-{}", number % 5000))])),
        ("hash", by(&[(Facet::Hash, format!("0x{number:064x}"))])),
        ("reference", by(&[(Facet::Reference, format!("order-{number}"))])),
        ("entity", LogFilter { entity: Some(format!("transaction-{number}")), ..LogFilter::default() }),
        (
            "nothing fits: BTC and effect conflict",
            by(&[(Facet::Asset, "BTC".to_owned()), (Facet::Effect, "conflict".to_owned())]),
        ),
    ]
}

struct Measured {
    requests: usize,
    found: usize,
    median: Duration,
}

/// Asks a search many times, each time for something else where it asks for one thing of many.
async fn measure(table: &Table, requests: &AtomicUsize, search: usize, count: usize) -> Measured {
    let (mut most, mut found, mut took) = (0, 0, Vec::new());
    for turn in 0..ASKED {
        let number = (turn * 7919) % count;
        let (_, filter) = searches(number).swap_remove(search);
        let before = requests.load(Ordering::SeqCst);
        let begun = Instant::now();
        let page = table.log(TEST, &filter, PAGE, None).await.unwrap();
        took.push(begun.elapsed());
        most = most.max(requests.load(Ordering::SeqCst) - before);
        found = found.max(page.items.len());
    }
    took.sort_unstable();
    Measured { requests: most, found, median: took[took.len() / 2] }
}

#[tokio::main]
async fn main() {
    let most = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(10_000);
    let engine = Engine::open(None).unwrap();
    schema::create(&engine.client(), TABLE).await.unwrap();
    // Nobody reads the stream, and the engine in memory reads all of it at every write.
    let no_stream = StreamSpecification::builder().stream_enabled(false).build().unwrap();
    engine.client().update_table().table_name(TABLE).stream_specification(no_stream).send().await.unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let default = engine.http_client();
    let client = http_client_fn(move |settings, components| {
        let inner = default.http_connector(settings, components);
        SharedHttpConnector::new(Counted { inner, requests: Arc::clone(&counted) })
    });
    let config = engine.client().config().to_builder().http_client(client).build();
    let table = Table::new(Client::from_conf(config), TABLE);
    let begin = "2026-01-01T00:00:00Z".parse().unwrap();

    println!("| search | events | most requests a page | events found | median |");
    println!("| --- | --- | --- | --- | --- |");
    let (mut written, mut count) = (0, 1000);
    while count <= most {
        let begun = Instant::now();
        if count <= ORIGINALS {
            let next = AtomicUsize::new(written);
            join_all((0..WRITERS).map(async |_| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= count {
                        return;
                    }
                    write(&table, number, begin).await;
                }
            }))
            .await;
        } else {
            write_copies(&engine.client(), &originals(&engine.client()).await, written..count, begin).await;
        }
        eprintln!("{} events written in {:?}", count - written, begun.elapsed());
        written = count;
        for (search, (name, _)) in searches(0).iter().enumerate() {
            let Measured { requests, found, median } = measure(&table, &requests, search, count).await;
            println!(
                "| {name} | {count} | {requests} | {found} | {}.{:02} ms |",
                median.as_millis(),
                median.as_micros() % 1000 / 10
            );
        }
        count *= 10;
    }
}
