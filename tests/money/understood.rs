//! docs/understood.md: what Bitpowr may say, and what is understood by it. Each row is a test; `UPDATE=1 cargo test` writes
//! them anew.

use std::fmt::Write as _;

use serde_json::{Value, json};
use shared::environment::Environment;
use shared::model::lifecycle::Step;
use shared::model::{Body, Entity, EntityType, Fact, Kind, money};
use shared::store::EventRecord;

use crate::document::{check, columns, with};
use crate::world::World;

const TEST: Environment = Environment::Test;

fn head(columns: &[&str]) -> String {
    format!("| {} |\n|{}\n", columns.join(" | "), " --- |".repeat(columns.len()))
}

/// A text of a cell: a bar would end it.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// What became of an event.
async fn record(world: &World, name: &str, data: Value) -> EventRecord {
    let applied = world.deliver(name, data).await;
    world.table().event(TEST, &applied.id).await.unwrap().unwrap()
}

/// As which kinds a transaction is known, what is counted of it now, and its mark.
async fn counted(world: &World, uid: &str) -> [String; 3] {
    let entity = Entity { entity_type: EntityType::Transaction, kind: None, uid: uid.to_owned() };
    let known = world.table().state(TEST, &entity).await.unwrap().unwrap().known;
    let kinds: Vec<_> =
        known.kinds.keys().filter(|kind| **kind != Kind::Unknown).map(|kind| kind.as_str()).collect();
    let posted = known.posted.values().map(|posted| format!("{} {}", posted.asset, columns(&posted.amounts)));
    let posted = posted.collect::<Vec<_>>().join("; ");
    let of = known.sole_kind().or_else(|| known.kinds.keys().next_back().copied()).unwrap();
    let mark = money::oddity(of, &known.of(Some(of))).map_or(String::new(), |oddity| format!("`{oddity}`"));
    [
        if kinds.is_empty() { "unknown".to_owned() } else { kinds.join(", ") },
        if posted.is_empty() { "nothing".to_owned() } else { posted },
        mark,
    ]
}

/// Names of events: documented or not, in any case.
const NAMES: &[&str] = &[
    "transaction.deposit.success",
    "TRANSACTION.DEPOSIT.SUCCESS",
    "TRANSACTION.CONFIRMED",
    "transaction.new",
    "transaction.pre_broadcast",
    "transaction.broadcasted",
    "transaction.stuck",
    "transaction.dropped",
    "transaction.cancelled",
    "transaction.canceled",
    "transaction.completed",
    "transaction.deposit.confirmed",
    "transaction.deposit.failed",
    "transaction.transfer.queued",
    "Transaction.Transfer.Pre-Broadcast",
    "transaction.contract.interaction.pending",
    "transaction.contract.upgrade.success",
    "transaction.deposit.aml_flag",
    "transaction.deposit.frobnicated",
    "transaction.frobnicated",
    "transaction.compliance.cleared",
    "transaction.swap.success",
    "Accounts.Frozen",
    "accounts.unfrozen",
    "assets.renamed",
    "address.verified",
    "CUSTOMER.CREATED",
    "payments.settled",
];

async fn names() -> String {
    let mut table = head(&["event", "about", "status", "effect", "people are notified"]);
    for (number, name) in NAMES.iter().enumerate() {
        let world = World::new().await;
        let data = json!({ "uid": format!("u{number}"), "type": "TRANSFER", "accountId": "a", "amount": "1",
            "assetType": "BTC", "name": "N" });
        let EventRecord { event, notification, .. } = record(&world, name, data).await;
        let about = match (&event.entity, event.kind) {
            (Some(_), Some(kind)) => format!("a {kind}"),
            (Some(entity), None)
                if matches!(
                    entity.entity_type,
                    EntityType::Account | EntityType::Asset | EntityType::Address
                ) =>
            {
                format!("an {}", entity.entity_type)
            }
            (Some(entity), None) => format!("a {}", entity.entity_type),
            (None, _) => "nothing that is known".to_owned(),
        };
        let people = notification.as_ref().is_some_and(|one| one.people.is_some());
        let people = if people { "yes" } else { "no" };
        let _ = writeln!(
            table,
            "| {} | {about} | {} | {} | {people} |",
            code(name),
            code(&event.status),
            event.effect
        );
    }
    table
}

/// Words for a step, as the last of an event's name or as an object's `status`.
const WORDS: &[&str] = &[
    "new",
    "incoming",
    "queued",
    "broadcast",
    "successful",
    "confirmed",
    "completed",
    "canceled",
    "Pre-Broadcast",
    "AWAITING CONFIRMATION",
    " success ",
    "reversed",
    "expired",
];

fn words() -> String {
    let mut table = head(&["word", "step"]);
    for word in Step::ALL.map(Step::as_str).iter().chain(WORDS) {
        let step = Step::named(word).map_or("none: an unknown word".to_owned(), |step| code(step.as_str()));
        let _ = writeln!(table, "| {} | {step} |", code(word));
    }
    table
}

/// What an object may say of which way the money goes.
const DIRECTIONS: &[&str] = &[
    r#"{"type":"DEPOSIT"}"#,
    r#"{"type":"deposit"}"#,
    r#"{"type":"CREDIT"}"#,
    r#"{"type":"Incoming"}"#,
    r#"{"type":"RECEIVE"}"#,
    r#"{"type":"TRANSFER"}"#,
    r#"{"type":"WITHDRAWAL"}"#,
    r#"{"type":"DEBIT"}"#,
    r#"{"type":"OUTGOING"}"#,
    r#"{"type":"SEND"}"#,
    r#"{"type":" send "}"#,
    r#"{"type":"CONTRACT"}"#,
    r#"{"type":"CONTRACT_INTERACTION"}"#,
    r#"{"type":"SWAP"}"#,
    r#"{"type":"SWAP","depositId":"d"}"#,
    r#"{"depositId":"d"}"#,
    r#"{"transferId":"t"}"#,
    r#"{"depositId":"d","transferId":"t"}"#,
    "{}",
];

async fn directions() -> String {
    let mut table = head(&["the object says", "kind", "counted", "marked"]);
    for says in DIRECTIONS {
        let world = World::new().await;
        let data = json!({ "uid": "d", "accountId": "a", "amount": "1", "assetType": "BTC" });
        world.deliver("transaction.success", with(data, says)).await;
        let [kind, counted, mark] = counted(&world, "d").await;
        let _ = writeln!(table, "| {} | {kind} | {counted} | {mark} |", code(says));
    }
    table
}

/// Webhooks about one uid, of which some say which way the money goes; and what their objects say.
const KINDS: &[(&str, &[(&str, &str)])] = &[
    ("its name says it, whatever its object says", &[("deposit.success", r#"{"type":"TRANSFER"}"#)]),
    ("nothing says it", &[("success", "{}")]),
    ("another webhook says it", &[("success", "{}"), ("transfer.created", "{}")]),
    ("so does one whose last word is not understood", &[("success", "{}"), ("deposit.frobnicated", "{}")]),
    (
        "two webhooks say two things: what neither said counts for neither",
        &[("success", "{}"), ("transfer.created", "{}"), ("deposit.created", "{}")],
    ),
    (
        "both sides of an internal transfer",
        &[("success", r#"{"type":"TRANSFER"}"#), ("success", r#"{"type":"DEPOSIT"}"#)],
    ),
];

/// What a transaction may say of its asset, over several webhooks.
const ASSETS: &[(&str, &[(&str, &str)])] = &[
    ("a type", &[("deposit.success", r#"{"assetType":"BTC"}"#)]),
    ("an id", &[("deposit.success", r#"{"assetType":null,"assetId":"as-9"}"#)]),
    ("both", &[("deposit.success", r#"{"assetType":"BTC","assetId":"as-9"}"#)]),
    (
        "an id, and elsewhere a type",
        &[
            ("deposit.success", r#"{"assetType":null,"assetId":"as-9"}"#),
            ("deposit.pending", r#"{"assetType":"BTC"}"#),
        ],
    ),
    ("neither", &[("deposit.success", r#"{"assetType":null}"#)]),
    ("neither, and no amount", &[("deposit.success", r#"{"assetType":null,"amount":null}"#)]),
];

async fn sequences(rows: &[(&str, &[(&str, &str)])]) -> String {
    let mut table = head(&["", "webhooks", "kind", "counted", "marked"]);
    for (what, webhooks) in rows {
        let mut outcomes = Vec::new();
        for backwards in [false, true] {
            let world = World::new().await;
            let mut in_order: Vec<_> = webhooks.iter().collect();
            if backwards {
                in_order.reverse();
            }
            for (event, says) in in_order {
                let data = json!({ "uid": "d", "accountId": "a", "amount": "1", "assetType": "BTC" });
                world.deliver(&format!("transaction.{event}"), with(data, says)).await;
            }
            outcomes.push(counted(&world, "d").await);
        }
        assert_eq!(outcomes[0], outcomes[1], "{what}: the order matters");
        let [kind, counted, mark] = &outcomes[0];
        let said = webhooks.iter().map(|(event, says)| match *says {
            "{}" => code(event),
            says => format!("{} {}", code(event), code(says)),
        });
        let said = said.collect::<Vec<_>>().join(", ");
        let _ = writeln!(table, "| {what} | {said} | {kind} | {counted} | {mark} |");
    }
    table
}

/// Bodies that are odd as texts: what is odd, and the body.
const TEXTS: &[(&str, &str)] = &[
    ("half an emoji", r#"{"event":"transaction.deposit.success","data":{"uid":"u","label":"Gift \ud83c"}}"#),
    ("a whole one", r#"{"event":"transaction.deposit.success","data":{"uid":"u","label":"\ud83c\udf81"}}"#),
    ("a byte order mark", "\u{feff}{\"event\":\"transaction.deposit.success\",\"data\":{\"uid\":\"u\"}}"),
    ("white space around it", " \n{\"event\":\"transaction.deposit.success\",\"data\":{\"uid\":\"u\"}}\n"),
    ("further fields", r#"{"id":7,"event":"transaction.deposit.success","data":{"uid":"u"}}"#),
    ("an identifier that is a number", r#"{"event":"transaction.deposit.success","data":{"uid":42}}"#),
    ("an identifier that is empty", r#"{"event":"transaction.deposit.success","data":{"uid":""}}"#),
    ("no identifier", r#"{"event":"transaction.deposit.success","data":{"hash":"h"}}"#),
    (
        "an object one level deeper",
        r#"{"event":"transaction.deposit.success","data":{"transaction":{"uid":"u"}}}"#,
    ),
    ("a label that is a number", r#"{"event":"transaction.deposit.success","data":{"uid":"u","label":7}}"#),
    (
        "a label that is an object",
        r#"{"event":"transaction.deposit.success","data":{"uid":"u","label":{"a":1}}}"#,
    ),
    ("`data` that is a list", r#"{"event":"transaction.deposit.success","data":[]}"#),
    ("no `data`", r#"{"event":"transaction.deposit.success"}"#),
    ("no `event`", r#"{"data":{"uid":"u"}}"#),
    ("an `event` that is a number", r#"{"event":7,"data":{"uid":"u"}}"#),
    ("a field twice", r#"{"event":"transaction.deposit.success","data":{"uid":"u","uid":"v"}}"#),
    ("a comma too many", r#"{"event":"transaction.deposit.success","data":{"uid":"u",}}"#),
    ("cut off", r#"{"event":"transaction.deposit.success","data":{"uid":"u""#),
    ("no object", r#""transaction.deposit.success""#),
    ("empty", ""),
];

fn texts() -> String {
    let mut table = head(&["the body", "", "read as"]);
    for (what, text) in TEXTS {
        let read = match Body::parse(text.as_bytes(), TEST) {
            Err(unreadable) => format!("refused, and kept in quarantine: `{}`", unreadable.reason),
            Ok(body) => {
                let meaning =
                    local::product::families::meaning(&body, "2026-11-01T00:00:00Z".parse().unwrap());
                match meaning.unwrap() {
                    None => "an event about nothing that is known".to_owned(),
                    Some(meaning) => {
                        let label = meaning.facts.get(Fact::Label);
                        let label = label.map_or(String::new(), |label| format!(", label {}", code(label)));
                        format!("a deposit {}{label}", code(&meaning.entity.uid))
                    }
                }
            }
        };
        let text = text.trim().trim_start_matches('\u{feff}');
        let text = if text.is_empty() { String::new() } else { code(text) };
        let _ = writeln!(table, "| {what} | {text} | {read} |");
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_is_understood_as_documented() {
    check("understood.md", "names", &names().await);
}

#[test]
fn every_word_for_a_step_is_understood_as_documented() {
    check("understood.md", "words", &words());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_direction_is_understood_as_documented() {
    check("understood.md", "directions", &directions().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_learn_a_kind_ends_as_documented_in_either_order() {
    check("understood.md", "kinds", &sequences(KINDS).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_asset_is_understood_as_documented_in_either_order() {
    check("understood.md", "assets", &sequences(ASSETS).await);
}

#[test]
fn every_odd_text_is_read_as_documented() {
    check("understood.md", "texts", &texts());
}
