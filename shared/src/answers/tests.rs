//! Whether answers are read back as they were written, and are as `docs/openapi.json` says.

use super::*;
use crate::endpoints::{Attempt, EndpointFilter, EndpointState, Failure, Progress};
use crate::fold::Effect;
use crate::model::ledger::{BalanceItem, Cause, Rule};
use crate::model::{Contradiction, EntityRef, EntityType, Oddity};
use crate::model::{Kind, Reason, Words};
use crate::store::TargetType;
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Debug;

fn at() -> Moment {
    Moment::from_millis(1_795_411_744_000)
}

fn event() -> Event {
    Event {
        id: "e".into(),
        environment: Environment::Test,
        event: "transaction.deposit.success".to_owned(),
        family: Family::Deposits,
        entity: Some(EntityRef { entity_type: EntityType::Transaction, uid: "u".to_owned() }),
        kind: None,
        effect: Effect::Applied,
        why: "it is new".to_owned(),
        status: "success".to_owned(),
        oddity: Some(Oddity::AssetUnknown),
        conflict: false,
        acknowledged: false,
        asset: None,
        amount: Some("0.5".to_owned()),
        deliveries: 2,
        received_at: at(),
        recorded_at: at(),
        occurred_at: at(),
        endpoints: Some(Progress::Retrying),
    }
}

fn action(moved: Option<usize>) -> Action {
    Action {
        id: "a".to_owned(),
        environment: Environment::Live,
        action: store::Action::Redrive,
        target: Target { target_type: TargetType::DeadLetters, id: "deposits".to_owned() },
        who: "me".to_owned(),
        why: "mended".to_owned(),
        at: at(),
        moved,
    }
}

fn attempt() -> Attempt {
    Attempt {
        endpoint: "ep_1".to_owned(),
        number: 1,
        at: at(),
        status: Some(503),
        error: None,
        milliseconds: 12,
        answer: Some("later".to_owned()),
        next_at: Some(at()),
        resend: None,
    }
}

fn endpoint() -> Endpoint {
    Endpoint {
        id: "ep_1".to_owned(),
        url: "https://example.com/…".to_owned(),
        description: String::new(),
        filter: EndpointFilter { counted: true, least: "0.5".parse().ok(), ..EndpointFilter::default() },
        state: EndpointState::Failing,
        failing_since: Some(at()),
        last_failure: Some(Failure { at: at(), error: "it answered 503".to_owned() }),
        last_success_at: None,
        disabled_at: None,
        created_at: at(),
    }
}

fn endpoint_record() -> EndpointRecord {
    EndpointRecord {
        endpoint: endpoint(),
        waiting: Size { count: 1000, more: true },
        test: Some(Test { id: "t".to_owned(), at: at(), attempts: vec![attempt()] }),
        actions: vec![action(None)],
    }
}

fn record(raw: Raw) -> EventRecord {
    let people = Some(Words::new("a subject", "a text", "a message"));
    EventRecord {
        event: event(),
        notification: Rendered { programs: None, people },
        delivery_ids: BTreeSet::from(["d".into()]),
        attempts: vec![attempt()],
        actions: vec![action(None)],
        raw,
    }
}

fn state(transaction: Option<TransactionState>) -> EntityState {
    let facts = json!({
        "amount": "1.50", "asset": "BTC", "chain": null, "hash": null, "customer": null, "reference": null,
        "memo": null, "from_address": "a", "flags": ["aml_flag"]
    });
    EntityState {
        facts: facts.as_object().cloned().unwrap(),
        uid: "u".to_owned(),
        status: "success".to_owned(),
        updated_at: Some(at()),
        transaction,
        history: vec![event()],
        cursor: Some("next".to_owned()),
    }
}

fn transaction() -> EntityState {
    state(Some(TransactionState {
        kind: Kind::Deposit,
        sub_account: Some("s".to_owned()),
        asset_type: None,
        account: "unattributed".to_owned(),
        confirmations: Some(6),
        conflict: true,
        contradictions: vec![Contradiction::Amount],
        disagreements: vec![Disagreement {
            about: Contradiction::Amount,
            values: vec!["1".to_owned(), "2".to_owned()],
        }],
        oddity: None,
    }))
}

fn amounts() -> Amounts {
    Amounts { received: "0.5".parse().unwrap(), ..Amounts::default() }
}

fn balance() -> Balance {
    store::Balance { account: "a".into(), asset: "BTC".into(), amounts: amounts() }.into()
}

fn line() -> LedgerLine {
    let cause = Cause { entity: None, event_id: None, rule: Rule::Rebuild, at: at() };
    LedgerLine::following(&BalanceItem::default(), (&"a".into(), &"BTC".into(), 0), amounts(), &cause)
}

fn quarantined(raw: Raw) -> Quarantined {
    Quarantined {
        id: "q".to_owned(),
        environment: Environment::Test,
        reason: Reason::NotJson,
        detail: "The body is not JSON.".to_owned(),
        deliveries: 1,
        received_at: at(),
        recorded_at: at(),
        raw,
    }
}

fn stats() -> Stats {
    let (family, effect) = ("deposits".to_owned(), "applied".to_owned());
    let counts = vec![Count { at: at(), family, effect, count: 3 }];
    Stats { from: at(), to: at(), step: 60, complete: true, counted_from: at(), counts }
}

fn health() -> Health {
    let depth = Depth { waiting: 1, in_flight: 0, dead_letters: 2, oldest_seconds: None };
    Health {
        version: "0.1.0".to_owned(),
        last_event_at: None,
        quarantine: Size { count: 1, more: false },
        queues: vec![Queue::from((Family::Deposits, depth))],
        endpoints: EndpointCounts { active: 1, failing: 0, disabled: 2 },
    }
}

fn page<T>(entry: T) -> List<T> {
    List { entries: vec![entry], cursor: None, hint: None }
}

#[test]
fn what_is_rendered_is_read_back() {
    fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(answer: &T) {
        let json = serde_json::to_vec(answer).unwrap();
        let back: T = read(&json).unwrap();
        assert_eq!(&back, answer);
        assert_eq!(serde_json::to_vec(&back).unwrap(), json);
    }
    check(&page(event()));
    check(&page(balance()));
    check(&page(line()));
    check(&page(quarantined(Raw::Base64("/w==".to_owned()))));
    check(&List { hint: Some("did you mean that?".to_owned()), ..page(action(None)) });
    check(&List { cursor: Some("next".to_owned()), ..page(action(Some(7))) });
    check(&record(Raw::Text("{}".to_owned())));
    check(&record(Raw::Base64("/w==".to_owned())));
    check(&transaction());
    check(&state(None));
    check(&stats());
    check(&health());
    check(&page(endpoint()));
    check(&endpoint_record());
    check(&WithSecret { endpoint: endpoint(), secret: "whsec_x".to_owned() });
    check(&Switched { endpoint: endpoint(), missed: Some(Missed { from: at(), to: at() }) });
    check(&Tested { id: "t".to_owned() });
    check(&Done { action: action(None) });
    check(&Redriven { action: action(Some(100)), moved: 100, more: true });
}

#[test]
fn an_answer_that_is_another_one_is_an_error() {
    let balances = serde_json::to_vec(&page(balance())).unwrap();
    assert_eq!(read::<List<Event>>(&balances).unwrap_err().to_string(), "missing field `events`");
    assert!(read::<Health>(&balances).is_err());
}

/// The published description.
struct Description(Value);

impl Description {
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.resolved(self.0.pointer(reference.trim_start_matches('#')).unwrap()),
            None => schema,
        }
    }

    /// A schema and all that it consists of.
    fn parts<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolved(schema);
        let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
        let alternatives = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        let within = parts.chain(alternatives).flat_map(|part| self.parts(part));
        std::iter::once(schema).chain(within).collect()
    }

    /// Whether a value has the fields that its schema says, no other ones, and null only where it may be.
    fn check(&self, schema: &Value, value: &Value, at: &str) {
        let parts = self.parts(schema);
        match value {
            Value::Object(fields) => {
                let described: Vec<(&String, &Value)> =
                    parts.iter().filter_map(|part| part.get("properties")?.as_object()).flatten().collect();
                for (name, value) in fields {
                    let known = described.iter().find(|(described, _)| *described == name);
                    let (_, schema) = known.unwrap_or_else(|| panic!("{at}.{name} is not described"));
                    self.check(schema, value, &format!("{at}.{name}"));
                }
                let required = parts.iter().filter_map(|part| part.get("required")?.as_array());
                for name in required.flatten().filter_map(Value::as_str) {
                    assert!(fields.contains_key(name), "{at}.{name} is missing");
                }
            }
            Value::Array(entries) => {
                let of = parts.iter().find_map(|part| part.get("items")).unwrap();
                entries.iter().for_each(|entry| self.check(of, entry, &format!("{at}[]")));
            }
            Value::Null => {
                let is_null = |word: &Value| word.is_null() || *word == "null";
                let lists = ["type", "enum"].into_iter();
                let mut words = lists.flat_map(|list| parts.iter().filter_map(move |part| part.get(list)));
                let may = words.any(|words| match words.as_array() {
                    Some(words) => words.iter().any(is_null),
                    None => is_null(words),
                });
                assert!(may, "{at} may not be null");
            }
            _ => {}
        }
    }
}

#[test]
fn every_answer_is_as_the_description_says() {
    let text = include_str!("../../../docs/openapi.json");
    let description = Description(serde_json::from_str(text).unwrap());
    let check = |name: &str, answer: Value| {
        description.check(&json!({ "$ref": format!("#/components/schemas/{name}") }), &answer, name);
    };
    check("EventPage", json!(page(event())));
    check("BalancePage", json!(page(balance())));
    check("LedgerPage", json!(page(line())));
    check("QuarantinePage", json!(page(quarantined(Raw::Text("{".to_owned())))));
    check("QuarantinePage", json!(page(quarantined(Raw::Base64("/w==".to_owned())))));
    check("ActionPage", json!(page(action(None))));
    check("EventRecord", json!(record(Raw::Text("{}".to_owned()))));
    check("Transaction", json!(transaction()));
    check("Stats", json!(stats()));
    check("Health", json!(health()));
    check("EndpointPage", json!(page(endpoint())));
    check("EndpointRecord", json!(endpoint_record()));
    check("WithSecret", json!(WithSecret { endpoint: endpoint(), secret: "whsec_x".to_owned() }));
    check(
        "Switched",
        json!(Switched { endpoint: endpoint(), missed: Some(Missed { from: at(), to: at() }) }),
    );
    check("Switched", json!(Switched { endpoint: endpoint(), missed: None }));
    check("Tested", json!(Tested { id: "t".to_owned() }));
    check("Done", json!(Done { action: action(None) }));
    check("Redriven", json!(Redriven { action: action(Some(1)), moved: 1, more: false }));
}
