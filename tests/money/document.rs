//! The tables of docs/money.md and docs/understood.md are what the code does, and each row is a test. `UPDATE=1 cargo test`
//! writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use shared::environment::Environment;
use shared::model::lifecycle::{self, Outcome, Step, When};
use shared::model::money::{self, Amounts};
use shared::model::{Body, Entity, EntityType, EventName, EventType, Fact, Kind, Word};

use crate::world::World;

const TEST: Environment = Environment::Test;

/// Puts a table into its place in a document, or compares it to what is there.
pub(crate) fn check(document: &str, name: &str, table: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(document);
    let text = std::fs::read_to_string(&file).unwrap();
    let (start, end) = (format!("<!-- {name}: written by `just update` -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&start).unwrap_or_else(|| panic!("{start}"));
    let (written, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{end}"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, format!("{before}{start}{table}{end}{after}")).unwrap();
    } else {
        assert!(written == table, "docs/{document}, {name}, is not current: just update\n{table}");
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
pub(crate) fn columns(amounts: &Amounts) -> String {
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
    ("1.00000000000000000000000000000000000000", "38 zeros behind the point: none of them counts"),
    ("-0", "zero"),
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
    let shown = balances.iter().map(|balance| (balance, columns(&balance.amounts)));
    let shown = shown.filter(|(_, columns)| columns != "nothing");
    let shown: Vec<_> =
        shown.map(|(balance, columns)| format!("{} {}: {columns}", balance.account, balance.asset)).collect();
    let shown = if shown.is_empty() { "nothing".to_owned() } else { shown.join("; ") };
    (state.known.of(Some(Kind::Deposit)), shown)
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

/// Webhooks of one object: event, and what its object says beside its uid.
type Webhooks = &'static [(&'static str, &'static str)];

/// What was decided where Bitpowr's documents are silent: of a transaction of 1 BTC for account a, unless a webhook says
/// otherwise.
const DECIDED: &[(&str, Webhooks)] = &[
    ("A transfer without an amount has its fee.", &[("transfer.success", r#"{"amount":null,"fee":"0.1"}"#)]),
    ("A transfer of 0 has its fee.", &[("transfer.success", r#"{"amount":"0","fee":"0.1"}"#)]),
    (
        "Of fees that differ, none is counted. It is no contradiction.",
        &[("transfer.success", r#"{"fee":"0.1"}"#), ("transfer.success", r#"{"fee":"0.2"}"#)],
    ),
    (
        "The spellings of a negative amount are one amount.",
        &[("deposit.success", r#"{"amount":"-1"}"#), ("deposit.success", r#"{"amount":"-1.0"}"#)],
    ),
    (
        "So are those of an amount that is too long.",
        &[("deposit.success", r#"{"amount":"1e39"}"#), ("deposit.success", r#"{"amount":"10e38"}"#)],
    ),
    (
        "An account that any webhook names counts, also where the furthest step has only a wallet.",
        &[("deposit.created", "{}"), ("deposit.success", r#"{"accountId":null,"walletId":"w"}"#)],
    ),
    (
        "A wallet counts where none names an account.",
        &[("deposit.success", r#"{"accountId":null,"walletId":"w","subAccountId":"s"}"#)],
    ),
    (
        "A compliance flag without `type` proves that there is such a transaction, not which way the money goes.",
        &[("compliance.aml_flag", "{}")],
    ),
    (
        "Once the kind is known, what came with the flag counts.",
        &[("compliance.aml_flag", "{}"), ("deposit.created", r#"{"amount":null}"#)],
    ),
    (
        "A flag proves no end, whatever its object's `status` says.",
        &[("compliance.aml_flag", r#"{"status":"SUCCESS"}"#), ("deposit.pending", "{}")],
    ),
    (
        "Of labels with the same step and date, the last in the order of their characters is shown.",
        &[("deposit.success", r#"{"label":"b"}"#), ("deposit.success", r#"{"label":"a"}"#)],
    ),
    (
        "A balance that came and went is not listed.",
        &[
            ("deposit.created", r#"{"updatedAt":"2026-01-01T00:00:00Z"}"#),
            ("deposit.created", r#"{"accountId":"b","updatedAt":"2026-01-02T00:00:00Z"}"#),
        ],
    ),
    (
        "An asset's type that any webhook names wins over its id.",
        &[("deposit.created", "{}"), ("deposit.success", r#"{"assetType":null,"assetId":"as-9"}"#)],
    ),
    (
        "A webhook that says success, and whose object says failed, contradicts itself.",
        &[("deposit.success", r#"{"status":"FAILED"}"#)],
    ),
    ("A contract's success counts for nothing.", &[("contract.interaction.success", "{}")]),
];

/// The same for an account of the name N.
const DECIDED_OF_ACCOUNTS: &[(&str, Webhooks)] = &[
    (
        "A later webhook with `isFrozen: false` unfreezes an account.",
        &[
            ("accounts.frozen", r#"{"updatedAt":"2026-01-01T00:00:00Z"}"#),
            ("accounts.updated", r#"{"isFrozen":false,"updatedAt":"2026-01-02T00:00:00Z"}"#),
        ],
    ),
    (
        "A webhook without `isFrozen` does not.",
        &[
            ("accounts.frozen", r#"{"updatedAt":"2026-01-01T00:00:00Z"}"#),
            ("accounts.updated", r#"{"updatedAt":"2026-01-02T00:00:00Z"}"#),
        ],
    ),
    (
        "An earlier one does not, whenever it comes.",
        &[
            ("accounts.frozen", r#"{"updatedAt":"2026-01-02T00:00:00Z"}"#),
            ("accounts.updated", r#"{"isFrozen":false,"updatedAt":"2026-01-01T00:00:00Z"}"#),
        ],
    ),
    (
        "Where both have the same date, the account stays frozen.",
        &[
            ("accounts.frozen", r#"{"updatedAt":"2026-01-01T00:00:00Z"}"#),
            ("accounts.updated", r#"{"isFrozen":false,"updatedAt":"2026-01-01T00:00:00Z"}"#),
        ],
    ),
    (
        "Of names with the same date, the last in the order of their characters is shown.",
        &[
            ("accounts.updated", r#"{"name":"B","updatedAt":"2026-01-01T00:00:00Z"}"#),
            ("accounts.updated", r#"{"name":"A","updatedAt":"2026-01-01T00:00:00Z"}"#),
        ],
    ),
    (
        "The archived state outranks the frozen one.",
        &[("accounts.archived", "{}"), ("accounts.frozen", "{}")],
    ),
];

/// An object with what a webhook says otherwise.
pub(crate) fn with(mut object: Value, says: &str) -> Value {
    let says: Value = serde_json::from_str(says).unwrap();
    for (name, value) in says.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

/// What becomes of a transaction of 1 BTC: the cells of a row.
async fn decided(webhooks: &[&(&str, &str)]) -> String {
    let world = World::new().await;
    let mut entity = None;
    for (event, says) in webhooks {
        let data = json!({ "uid": "d", "amount": "1", "assetType": "BTC", "accountId": "a" });
        entity = world.deliver(&format!("transaction.{event}"), with(data, says)).await.entity;
    }
    let entity = Entity { entity_type: entity.unwrap().entity_type, kind: None, uid: "d".to_owned() };
    let known = world.table().state(TEST, &entity).await.unwrap().unwrap().known;
    let kind = known.sole_kind().unwrap_or(Kind::Unknown);
    let facts = known.of(Some(kind));
    let status = lifecycle::status(EntityType::Transaction, &facts);
    let mut marks: Vec<_> =
        money::oddity(kind, &facts).map(|oddity| format!("`{oddity}`")).into_iter().collect();
    marks.extend(money::contradictions(&facts).into_iter().map(|about| format!("contradiction: {about}")));
    marks.extend(facts.get(Fact::Label).map(|label| format!("label: {label}")));
    // All that are listed, also where nothing is left.
    let balances = world.table().balances(TEST, None, None, 10, None).await.unwrap().items;
    let balances: Vec<_> = balances
        .iter()
        .map(|balance| format!("{} {}: {}", balance.account, balance.asset, columns(&balance.amounts)))
        .collect();
    let balances = if balances.is_empty() { "nothing".to_owned() } else { balances.join("; ") };
    format!("{kind} | `{status}` | {} | {balances}", marks.join(", "))
}

async fn decided_of_accounts(webhooks: &[&(&str, &str)]) -> String {
    let world = World::new().await;
    for (event, says) in webhooks {
        world.deliver(event, with(json!({ "uid": "d", "name": "N" }), says)).await;
    }
    let entity = Entity::new(EntityType::Account, "d");
    let facts = world.table().state(TEST, &entity).await.unwrap().unwrap().known.facts;
    format!("`{}` | {}", lifecycle::status(EntityType::Account, &facts), facts.get(Fact::Name).unwrap())
}

/// A table of what was decided; each row is tried in both orders.
async fn table_of(
    head: &str,
    rows: &[(&str, Webhooks)],
    outcome: impl AsyncFn(&[&(&str, &str)]) -> String,
) -> String {
    let mut table =
        format!("| | webhooks | {head} |\n| --- | --- |{}\n", " --- |".repeat(head.split('|').count()));
    for (what, webhooks) in rows {
        let forwards: Vec<_> = webhooks.iter().collect();
        let found = outcome(&forwards).await;
        let backwards: Vec<_> = webhooks.iter().rev().collect();
        assert_eq!(outcome(&backwards).await, found, "{what}: the order matters");
        let said = webhooks.iter().map(|(event, says)| match *says {
            "{}" => format!("`{event}`"),
            says => format!("`{event}` `{says}`"),
        });
        let _ = writeln!(table, "| {what} | {} | {found} |", said.collect::<Vec<_>>().join(", "));
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_of_transactions_is_so_in_any_order() {
    let table = table_of("kind | status | marks | counted", DECIDED, decided).await;
    check("money.md", "decided", &table);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_of_accounts_is_so_in_any_order() {
    let table = table_of("status | name", DECIDED_OF_ACCOUNTS, decided_of_accounts).await;
    check("money.md", "decided of accounts", &table);
}

#[test]
fn the_table_of_steps_is_current() {
    check("money.md", "steps", &steps());
}

#[test]
fn the_table_of_states_is_current() {
    check("money.md", "states", &states());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_odd_amount_is_kept_marked_and_counted_as_documented() {
    check("money.md", "amounts", &amounts().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_mind_ends_as_documented() {
    check("money.md", "changes", &changes().await);
}
