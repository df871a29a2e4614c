//! Sets of events, as Bitpowr might send them, and as it should not: few objects, few values, so that they meet.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use shared::model::{EventName, EventType, Family};

/// One webhook: its body, and when its first delivery is received, in seconds from the start.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) event: EventName,
    pub(crate) data: Value,
    pub(crate) at: u16,
}

/// A field that is often left out, sometimes null, and else one of these.
fn field(values: &'static [&'static str]) -> BoxedStrategy<Option<Value>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(Value::Null)),
        6 => select(values).prop_map(|text| Some(serde_json::from_str(text).unwrap())),
    ]
    .boxed()
}

fn fields(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

const MOMENTS: &[&str] =
    &[r#""2026-01-01T00:00:00.000Z""#, r#""2026-01-01T00:00:01.000Z""#, r#""2026-01-01T01:00:01.000+01:00""#];

fn transaction() -> impl Strategy<Value = Value> {
    (
        select(vec!["t1", "t2"]),
        // Most say the same; some correct, contradict, or are odd.
        prop_oneof![
            6 => Just(Some(json!("1.5"))),
            1 => field(&["\"1.50\"", "2", "0.000000000000000001", "\"1,5\"", "-1", "\"\"", "0", "{}", "1e-7",
                "99999999999999999999999999999999999999", "999999999999999999999999999999999999999"]),
        ],
        prop_oneof![6 => Just(Some(json!("BTC"))), 1 => field(&["\"ETH\"", "\"BTC\"", "7"])],
        prop_oneof![6 => Just(Some(json!("a"))), 1 => field(&["\"a\"", "\"b\""])],
        field(&["\"DEPOSIT\"", "\"CREDIT\"", "\"TRANSFER\"", "\"transfer\"", "\"CONTRACT\"", "\"?\""]),
        field(&["\"SUCCESS\"", "\"PENDING\"", "\"FAILED\"", "\"REJECTED\"", "\"CREATED\"", "\"?\""]),
        field(&["\"0.01\"", "0.02", "\"x\""]),
        field(MOMENTS),
        (
            field(&["1", "6", "\"9\""]),
            field(&["\"h1\"", "\"h2\"", "\"0xAB\"", "\"0xab\""]),
            prop_oneof![3 => Just(None), 1 => field(&["\"as-1\"", "\"as-2\""])],
            prop_oneof![3 => Just(None), 1 => field(&["\"s1\"", "\"s2\""])],
        ),
    )
        .prop_map(|(uid, amount, asset, account, kind, status, fee, updated, rest)| {
            let (confirmation, hash, asset_id, sub_account) = rest;
            fields([
                ("uid", Some(json!(uid))),
                ("amount", amount),
                ("assetType", asset),
                ("accountId", account),
                ("type", kind),
                ("status", status),
                ("fee", fee),
                ("updatedAt", updated),
                ("confirmation", confirmation),
                ("hash", hash),
                ("assetId", asset_id),
                ("subAccountId", sub_account),
            ])
        })
}

fn object() -> impl Strategy<Value = Value> {
    (
        select(vec!["o1", "o2"]),
        field(&["\"n1\"", "\"n2\"", "\"n3\""]),
        field(&["true", "false", "\"true\"", "0"]),
        field(&["true", "false"]),
        field(MOMENTS),
        field(&["\"addr1\"", "{\"address\":\"addr2\"}"]),
    )
        .prop_map(|(uid, name, frozen, archived, updated, address)| {
            fields([
                ("uid", Some(json!(uid))),
                ("name", name.clone()),
                ("label", name),
                ("isFrozen", frozen),
                ("isArchived", archived),
                ("updatedAt", updated),
                ("address", address),
            ])
        })
}

/// One webhook of any type, documented or not.
pub(crate) fn said() -> impl Strategy<Value = Said> {
    let is_object = |event: &EventType| {
        matches!(event.family(), Family::Accounts | Family::Assets | Family::Addresses | Family::Customers)
    };
    let (objects, transactions): (Vec<_>, Vec<_>) = EventType::ALL.iter().copied().partition(is_object);
    let deposits: Vec<_> =
        transactions.iter().copied().filter(|event| event.family() == Family::Deposits).collect();
    // What Bitpowr does not document, and might say.
    let undocumented = select(vec![
        "TRANSACTION.CONFIRMED",
        "transaction.deposit.failed",
        "transaction.transfer.stuck",
        "transaction.dropped",
        "transaction.deposit.frobnicated",
        "transaction.frobnicated",
        "Transaction.Transfer.Success",
    ]);
    prop_oneof![
        3 => (select(transactions).prop_map(EventName::from), transaction().boxed(), 0_u16..1000),
        3 => (select(deposits).prop_map(EventName::from), transaction().boxed(), 0_u16..1000),
        // The event whose object says how far it is.
        2 => (Just(EventType::LegacyIncoming.into()), transaction().boxed(), 0_u16..1000),
        // Which way the money goes is said by another event, if at all.
        2 => (Just(EventType::LegacySuccess.into()), transaction().boxed(), 0_u16..1000),
        2 => (undocumented.prop_map(EventName::new), transaction().boxed(), 0_u16..1000),
        2 => (select(objects).prop_map(EventName::from), object().boxed(), 0_u16..1000),
    ]
    .prop_map(|(event, data, at)| Said { event, data, at })
}

/// A set of webhooks, none with the content of another, in the order in which they are received.
pub(crate) fn lives(most: usize) -> impl Strategy<Value = Vec<Said>> {
    proptest::collection::vec(said(), 1..most).prop_map(|mut lives| {
        lives.sort_by_key(|said| said.at);
        let mut distinct: Vec<Said> = Vec::new();
        for said in lives {
            if !distinct.iter().any(|known| (&known.event, &known.data) == (&said.event, &said.data)) {
                distinct.push(said);
            }
        }
        distinct
    })
}

/// A number that the environment sets.
pub(crate) fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// Says how much was tried, and with which seed, also where the test runner keeps what is printed.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{line}");
}
