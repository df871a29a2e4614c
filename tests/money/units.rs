//! What an event costs to write: every sample's real items, added up the way DynamoDB counts them.
//!
//! An item's size is that of its names and values; a write is a unit for each started KB, two in a transaction; each
//! index that an item appears in, changes in or leaves takes a unit for each started KB of what it projects (Amazon
//! DynamoDB, developer guide: "Item sizes and formats", "Write request unit", "Provisioned throughput considerations for
//! global secondary indexes").

use std::collections::BTreeSet;
use std::sync::Arc;

use local::standins::engine::Engine;
use serde_json::{Map, Value, json};
use shared::store::{Table, schema};

use crate::faults::Faults;
use crate::lives::say;
use crate::world::World;

type Item = Map<String, Value>;

/// The size of a value, in bytes.
fn value_size(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else {
        panic!("{value}")
    };
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    // Two digits a byte, and one byte.
    let number = |value: &Value| text(value).div_ceil(2) + 1;
    let binary = |value: &Value| text(value) / 4 * 3;
    let each = |size: &dyn Fn(&Value) -> usize| value.as_array().unwrap().iter().map(size).sum::<usize>();
    match kind.as_str() {
        "S" => text(value),
        "N" => number(value),
        "B" => binary(value),
        "BOOL" | "NULL" => 1,
        "SS" => each(&text),
        "NS" => each(&number),
        "BS" => each(&binary),
        "L" => 3 + each(&|value| 1 + value_size(value)),
        "M" => {
            3 + value
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| 1 + name.len() + value_size(value))
                .sum::<usize>()
        }
        other => panic!("{other}"),
    }
}

/// The size of these attributes of an item; all where none are named.
fn size(item: &Item, only: Option<&BTreeSet<&str>>) -> usize {
    let counted = item.iter().filter(|(name, _)| only.is_none_or(|only| only.contains(name.as_str())));
    counted.map(|(name, value)| name.len() + value_size(value)).sum()
}

fn kilobytes(size: usize) -> usize {
    size.div_ceil(1024).max(1)
}

/// What the indexes take for an item that is new.
fn in_indexes(item: &Item) -> usize {
    let is_in = |index: &&str| item.contains_key(*index) && item.contains_key("log_sk");
    let taken = |index| {
        let projected = ["pk", "sk", "log_sk", index].into_iter().chain(schema::INDEX_PROJECTION).collect();
        kilobytes(size(item, Some(&projected)))
    };
    schema::indexes().filter(is_in).map(taken).sum()
}

/// The write units of a transaction.
fn units(transaction: &Value) -> usize {
    let writes = transaction["TransactItems"].as_array().unwrap();
    let of = |write: &Value| {
        let item = write["Put"]["Item"].as_object().unwrap_or_else(|| panic!("no item: {write}"));
        2 * kilobytes(size(item, None)) + in_indexes(item)
    };
    writes.iter().map(of).sum()
}

/// Where the samples are.
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/payloads");

/// A pipeline over a table, and what sees its transactions.
struct Counted {
    world: World,
    faults: Arc<Faults>,
    _engine: Engine,
}

impl Counted {
    async fn new() -> Self {
        let engine = Engine::open(None).unwrap();
        schema::create(&engine.client(), "units").await.unwrap();
        let faults = Faults::new(0, 0);
        let world = World::over(Table::new(faults.client(&engine), "units"));
        Self { world, faults, _engine: engine }
    }

    /// What it costs to write an event about something of this number.
    async fn costs(&self, event: &str, mut data: Value, number: usize) -> usize {
        data["uid"] = format!("00000000-0000-4000-8000-{number:012}").into();
        assert!(self.world.deliver(event, data).await.new);
        self.faults.transactions().iter().map(units).sum()
    }
}

fn sample(event: &str) -> Value {
    let text = std::fs::read(format!("{SAMPLES}/{event}.json")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["data"].take()
}

#[tokio::test]
async fn no_event_costs_more_write_units_than_its_budget() {
    /// Of any event about a transaction, also one that begins a balance.
    const TRANSACTION: usize = 23;
    /// Of any event about an account, an asset, an address or a customer.
    const OTHER: usize = 10;
    let counted = Counted::new().await;
    let names = std::fs::read_dir(SAMPLES).unwrap().map(|file| file.unwrap().path());
    let mut names: Vec<_> =
        names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names.len(), 43);
    for (number, event) in names.iter().enumerate() {
        let costs = counted.costs(event, sample(event), number).await;
        say(&format!("{costs} write units: {event}"));
        let budget = if event.starts_with("transaction.") { TRANSACTION } else { OTHER };
        assert!((1..=budget).contains(&costs), "{event}: {costs}");
    }
}

#[tokio::test]
async fn no_step_of_a_deposit_costs_more_write_units_than_its_budget() {
    const STEPS: [&str; 4] = ["created", "pending", "awaiting_confirmation", "success"];
    let attributed = json!({
        "subAccountId": "5a000000-0000-4000-8000-000000000001",
        "customerId": "c0000000-0000-4000-8000-000000000001",
        "idempotencyKey": "idem-4c8d1f0a99e35b7d62f1",
        "memo": "104729",
    });
    // On average over the four steps, one of which posts as pending and one as received.
    for (fields, budget) in [(json!({}), 18), (attributed, 22)] {
        let counted = Counted::new().await;
        let mut costs = Vec::new();
        // Those before it have begun the shards of the balance.
        for number in 0..16 {
            costs.clear();
            for step in STEPS {
                let event = format!("transaction.deposit.{step}");
                let mut data = sample(&event);
                data.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
                costs.push(counted.costs(&event, data, number).await);
            }
        }
        say(&format!(
            "{costs:?} write units: a deposit with {} more fields",
            fields.as_object().unwrap().len()
        ));
        assert!(costs.iter().sum::<usize>() <= 4 * budget, "{costs:?}");
    }
}
