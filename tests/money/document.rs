//! docs/money.md's tables are what the code does, and each row is a test. `UPDATE=1 cargo test` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use shared::environment::Environment;
use shared::model::lifecycle::{self, Outcome, Step, When};
use shared::model::money::{self, Amounts};
use shared::model::{Body, Entity, EntityType, EventName, EventType, Fact, Kind, Word};

use crate::world::World;

const TEST: Environment = Environment::Test;

/// Puts a table into its place, or compares it to what is there.
fn check(name: &str, table: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/money.md");
    let document = std::fs::read_to_string(&file).unwrap();
    let (start, end) = (format!("<!-- {name}: written by `just update` -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = document.split_once(&start).unwrap_or_else(|| panic!("{start}"));
    let (written, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{end}"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, format!("{before}{start}{table}{end}{after}")).unwrap();
    } else {
        assert!(written == table, "docs/money.md, {name}, is not current: just update\n{table}");
    }
}

/// The steps of transactions, and which events announce them.
fn steps() -> String {
    let mut table = "| rank | status | | announced by |\n| --- | --- | --- | --- |\n".to_owned();
    for step in Step::ALL {
        let announces = |event: &&EventType| EventName::from(**event).word() == Word::Step(step);
        let events: Vec<_> =
            EventType::ALL.iter().filter(announces).map(|event| format!("`{}`", event.as_str())).collect();
        let outcome = match step.outcome() {
            Outcome::Open => "on its way",
            Outcome::Success => "**ended: money has moved**",
            Outcome::Failure => "ended: no money has moved",
        };
        let events =
            if events.is_empty() { "an object's own `status`".to_owned() } else { events.join(", ") };
        let _ = writeln!(table, "| {} | `{}` | {outcome} | {events} |", step.rank(), step.as_str());
    }
    table
}

/// The states of everything else.
fn states() -> String {
    let mut table = "| of | status, the strongest first | when |\n| --- | --- | --- |\n".to_owned();
    for entity_type in EntityType::ALL {
        for state in lifecycle::states(entity_type) {
            let when = match state.when {
                When::Seen(step) => format!("once an event `….{step}` was seen; it never changes back"),
                When::LatestWord(field) => format!("while the latest value of `{field}` is true"),
                When::Otherwise => "otherwise".to_owned(),
            };
            let _ = writeln!(table, "| {entity_type} | `{}` | {when} |", state.name);
        }
    }
    table
}

/// The columns of a balance that are not zero.
fn columns(amounts: &Amounts) -> String {
    let columns = [
        ("received", &amounts.received),
        ("sent", &amounts.sent),
        ("fees", &amounts.fees),
        ("pending", &amounts.pending),
    ];
    let moved = columns.iter().filter(|(_, amount)| !amount.is_zero());
    let moved: Vec<_> = moved.map(|(name, amount)| format!("{name} {amount}")).collect();
    if moved.is_empty() { "nothing".to_owned() } else { moved.join(", ") }
}

/// What an amount may look like, as it stands in the JSON of a webhook.
const AMOUNTS: &[(&str, &str)] = &[
    ("\"0.45\"", "a string"),
    ("0.02999761", "a number"),
    ("0.450000000000000001", "18 decimals, as a number: a float would lose the last"),
    ("\"1.50\"", "trailing zeros"),
    ("1e-7", "an exponent"),
    ("1E+2", "an exponent"),
    ("99999999999999999999999999999999999999", "38 digits"),
    ("999999999999999999999999999999999999999", "39 digits"),
    ("1e38", "39 digits, written out"),
    ("0.00000000000000000000000000000000000001", "38 decimals"),
    ("1e999999999", "far too large"),
    ("0", "zero"),
    ("-1", "negative"),
    ("\"-0.5\"", "negative"),
    ("null", "null"),
    ("\"\"", "the empty string"),
    ("\"1,5\"", "a decimal comma"),
    ("\"1,000.5\"", "thousands separators"),
    ("\" 1 \"", "spaces"),
    ("\"+1\"", "a plus"),
    ("\".5\"", "no digit before the point"),
    ("\"5.\"", "no digit after it"),
    ("\"0x10\"", "hexadecimal"),
    ("\"NaN\"", "not a number"),
    ("\"Infinity\"", "not a number"),
    ("\"١٢\"", "digits of another script"),
    ("\"1 BTC\"", "a unit"),
    ("{\"value\":\"1\"}", "an object"),
    ("[1]", "a list"),
    ("true", "a boolean"),
];

async fn amounts() -> String {
    let mut table =
        "| `amount` in the webhook | | kept as | marked | counted |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    for (number, (json, what)) in AMOUNTS.iter().enumerate() {
        let world = World::new().await;
        let uid = format!("amount-{number}");
        // As text, so that every digit stays what it is.
        let body = format!(
            r#"{{"event":"transaction.deposit.success","data":{{"uid":"{uid}","assetType":"BTC","accountId":"a","amount":{json}}}}}"#
        );
        let data = Body::parse(body.as_bytes(), TEST).unwrap().data;
        world.deliver("transaction.deposit.success", Value::Object(data)).await;
        let (facts, balance) = deposit(&world, &uid).await;
        let kept = facts.get(Fact::Amount).map_or("nothing".to_owned(), |amount| format!("`{amount}`"));
        let marked =
            money::oddity(Kind::Deposit, &facts).map_or(String::new(), |oddity| format!("`{oddity}`"));
        let json = json.replace('|', "\\|");
        let _ = writeln!(table, "| `{json}` | {what} | {kept} | {marked} | {balance} |");
    }
    table
}

/// What is known of a deposit, and what all balances say.
async fn deposit(world: &World, uid: &str) -> (shared::model::Facts, String) {
    let entity = Entity::transaction(Kind::Deposit, uid);
    let state = world.table().state(TEST, &entity).await.unwrap().unwrap();
    let balances = world.table().balances(TEST, None, None, 10, None).await.unwrap().items;
    let told = balances.iter().map(|balance| (balance, columns(&balance.amounts)));
    let told = told.filter(|(_, columns)| columns != "nothing");
    let told: Vec<_> =
        told.map(|(balance, columns)| format!("{} {}: {columns}", balance.account, balance.asset)).collect();
    let told = if told.is_empty() { "nothing".to_owned() } else { told.join("; ") };
    (state.known.of(Some(Kind::Deposit)), told)
}

/// Two webhooks that do not say the same: event, and what differs from an amount of 1 BTC for account a.
const CHANGES: &[(&str, [(&str, &str); 2])] = &[
    ("another spelling", [("success", "{}"), ("success", r#"{"amount":"1.00"}"#)]),
    ("another amount, undated", [("success", "{}"), ("success", r#"{"amount":"2"}"#)]),
    (
        "another amount, dated later",
        [
            ("success", r#"{"updatedAt":"2026-01-01T00:00:00Z"}"#),
            ("success", r#"{"amount":"2","updatedAt":"2026-01-02T00:00:00Z"}"#),
        ],
    ),
    (
        "another amount, dated earlier",
        [
            ("success", r#"{"updatedAt":"2026-01-02T00:00:00Z"}"#),
            ("success", r#"{"amount":"2","updatedAt":"2026-01-01T00:00:00Z"}"#),
        ],
    ),
    ("another amount at an earlier step", [("success", "{}"), ("pending", r#"{"amount":"2"}"#)]),
    ("another amount at a later step", [("pending", r#"{"amount":"2"}"#), ("success", "{}")]),
    ("another asset, undated", [("success", "{}"), ("success", r#"{"assetType":"ETH"}"#)]),
    ("another account, undated", [("success", "{}"), ("success", r#"{"accountId":"b"}"#)]),
    (
        "another account, dated later",
        [
            ("success", r#"{"updatedAt":"2026-01-01T00:00:00Z"}"#),
            ("success", r#"{"accountId":"b","updatedAt":"2026-01-02T00:00:00Z"}"#),
        ],
    ),
    ("a later step after an earlier one", [("pending", "{}"), ("success", "{}")]),
    ("an earlier step after a later one", [("success", "{}"), ("pending", "{}")]),
    ("no amount at the later step", [("pending", "{}"), ("success", r#"{"amount":null}"#)]),
    (
        "an odd amount, dated later",
        [("success", "{}"), ("success", r#"{"amount":"1,5","updatedAt":"2026-01-02T00:00:00Z"}"#)],
    ),
    ("a flag", [("success", "{}"), ("aml_flagged", "{}")]),
    ("success, and version 1 says failed", [("success", "{}"), ("v1 failed", "{}")]),
    ("version 1 says the same", [("success", "{}"), ("v1 success", "{}")]),
];

async fn changes() -> String {
    let mut table = "| the second webhook | events | effects | status | contradiction | counted |\n\
        | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for (what, webhooks) in CHANGES {
        let world = World::new().await;
        let mut effects = Vec::new();
        for (event, changed) in webhooks {
            let mut data =
                json!({ "uid": "d", "amount": "1", "assetType": "BTC", "accountId": "a", "type": "DEPOSIT" });
            let changed: Value = serde_json::from_str(changed).unwrap();
            for (name, value) in changed.as_object().unwrap() {
                data[name] = value.clone();
            }
            let event = match event.strip_prefix("v1 ") {
                Some(step) => format!("transaction.{step}"),
                None => format!("transaction.deposit.{event}"),
            };
            effects.push(world.deliver(&event, data).await.effect.as_str());
        }
        let (facts, counted) = deposit(&world, "d").await;
        let events = webhooks.map(|(event, _)| event).join(", ");
        let status = lifecycle::status(EntityType::Transaction, &facts);
        let contradictions = money::contradictions(&facts).into_iter().map(money::Contradiction::as_str);
        let contradictions = contradictions.collect::<Vec<_>>().join(", ");
        let effects = effects.join(", ");
        let _ =
            writeln!(table, "| {what} | {events} | {effects} | `{status}` | {contradictions} | {counted} |");
    }
    table
}

#[test]
fn the_table_of_steps_is_current() {
    check("steps", &steps());
}

#[test]
fn the_table_of_states_is_current() {
    check("states", &states());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_odd_amount_is_kept_marked_and_counted_as_documented() {
    check("amounts", &amounts().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_mind_ends_as_documented() {
    check("changes", &changes().await);
}
