//! What an event costs to write: every sample's real items, added up the way DynamoDB counts them.
//!
//! An item's size is that of its names and values; a write is a unit for each started KB, two in a transaction; each
//! index that an item appears in, changes in or leaves takes a unit for each started KB of what it projects (Amazon
//! DynamoDB, developer guide: "Item sizes and formats", "Write request unit", "Provisioned throughput considerations for
//! global secondary indexes").

use std::collections::BTreeSet;

use local::standins::engine::Engine;
use serde_json::{Map, Value};
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

#[tokio::test]
async fn no_event_costs_more_write_units_than_it_did() {
    /// Of a deposit's last step, which moves money.
    const DEPOSIT: usize = 31;
    /// Of any event about a transaction.
    const TRANSACTION: usize = 36;
    /// Of any event about an account, an asset, an address or a customer.
    const OTHER: usize = 18;
    let engine = Engine::open(None).unwrap();
    schema::create(&engine.client(), "units").await.unwrap();
    let faults = Faults::new(0, 0);
    let world = World::over(Table::new(faults.client(&engine), "units"));
    let samples = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../events/payloads")).unwrap();
    let mut files: Vec<_> = samples.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 43);
    for (number, file) in files.into_iter().enumerate() {
        let mut sample: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        // Each about something of its own, so that each is news.
        sample["data"]["uid"] = format!("00000000-0000-4000-8000-{number:012}").into();
        let event = sample["event"].as_str().unwrap();
        world.deliver(event, sample["data"].clone()).await;
        let costs: usize = faults.transactions().iter().map(units).sum();
        say(&format!("{costs} write units: {event}"));
        let budget = match event {
            "transaction.deposit.success" => DEPOSIT,
            _ if event.starts_with("transaction.") => TRANSACTION,
            _ => OTHER,
        };
        assert!((1..=budget).contains(&costs), "{event}: {costs}");
    }
}
