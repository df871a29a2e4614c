//! What each role does to which partitions of the table: `tests/sam/keys.json`, with which the template's rights are
//! compared. No emulator enforces them, and what AWS refuses there would be lost only after hours. `UPDATE=1 cargo test`
//! writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use actions::Actions;
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use deliver::Deliver;
use jiff::SignedDuration;
use lambda_http::http::{Method, Request};
use lambda_http::{Body, Response};
use local::cli::samples;
use local::standins::engine::{Engine, TABLE, TARGET};
use local::with_family;
use notify::Notify;
use serde_json::{Value, json};
use shared::access::Access;
use shared::clock::Clock as _;
use shared::endpoints::Reach;
use shared::environment::Environments;
use shared::model::{EventName, EventType, Family, Reason};
use shared::rotating::Rotating;
use shared::store::{Table, schema};
use shared::verify::{Envelope, SealingKey, SealingKeys};

use crate::service::{NoTopics, Path, TEST, answer, keys};
use crate::world::World;

/// For each action of IAM the partitions it was done to.
type Rights = BTreeMap<String, BTreeSet<String>>;

/// Notes what is asked of the table.
#[derive(Clone, Debug, Default)]
struct Spy(Arc<Mutex<Rights>>);

impl Spy {
    /// The table, with this spy between.
    fn table(&self, engine: &Engine) -> Table {
        let (spy, table) = (self.clone(), engine.http_client());
        let client = http_client_fn(move |settings: &HttpConnectorSettings, components| {
            let inner = table.http_connector(settings, components);
            SharedHttpConnector::new(Spied { inner, spy: spy.clone() })
        });
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version_latest()
            .region(aws_sdk_dynamodb::config::Region::new("local"))
            .endpoint_url("http://localhost")
            .credentials_provider(aws_credential_types::Credentials::new(
                "local", "local", None, None, "local",
            ))
            .http_client(client);
        Table::new(aws_sdk_dynamodb::Client::from_conf(config.build()), TABLE)
    }

    fn note(&self, action: &str, partition: &str) {
        let partition = partition.strip_prefix("test#").unwrap_or(partition);
        self.0.lock().unwrap().entry(action.to_owned()).or_default().insert(kind(partition));
    }

    /// Notes one request, as IAM judges it (Amazon DynamoDB, developer guide, "IAM and transactions").
    fn see(&self, operation: &str, body: &Value) {
        let pk = |item: &Value| item["pk"]["S"].as_str().unwrap().to_owned();
        match operation {
            "GetItem" | "UpdateItem" | "DeleteItem" => self.note(operation, &pk(&body["Key"])),
            "PutItem" => self.note(operation, &pk(&body["Item"])),
            "BatchGetItem" => {
                let keys = body["RequestItems"][TABLE]["Keys"].as_array().unwrap();
                keys.iter().for_each(|key| self.note(operation, &pk(key)));
            }
            "Query" => match body["IndexName"].as_str() {
                Some(index) => self.note(operation, &format!("index/{index}")),
                None => {
                    let values = body["ExpressionAttributeValues"].as_object().unwrap();
                    let texts = values.values().filter_map(|value| value["S"].as_str());
                    self.note(operation, texts.into_iter().find(|text| text.starts_with("test#")).unwrap());
                }
            },
            "TransactWriteItems" => {
                for item in body["TransactItems"].as_array().unwrap() {
                    for (what, request) in item.as_object().unwrap() {
                        match what.as_str() {
                            "Put" => self.note("PutItem", &pk(&request["Item"])),
                            "Update" => self.note("UpdateItem", &pk(&request["Key"])),
                            "Delete" => self.note("DeleteItem", &pk(&request["Key"])),
                            "ConditionCheck" => self.note("ConditionCheckItem", &pk(&request["Key"])),
                            other => panic!("{other} is not known here"),
                        }
                    }
                }
            }
            other => panic!("{other} is not known here"),
        }
    }

    fn rights(&self) -> Rights {
        self.0.lock().unwrap().clone()
    }
}

/// What a partition is one of: without the ids, days and names in it.
fn kind(partition: &str) -> String {
    match partition.split_once('#') {
        Some(("days", _)) | None => partition.to_owned(),
        Some((kind, _)) => format!("{kind}#…"),
    }
}

#[derive(Debug)]
struct Spied {
    inner: SharedHttpConnector,
    spy: Spy,
}

impl HttpConnector for Spied {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get(TARGET).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        self.spy.see(operation, &body);
        self.inner.call(request)
    }
}

async fn engine() -> Engine {
    let engine = Engine::open(None).unwrap();
    schema::create(&engine.client(), TABLE).await.unwrap();
    engine
}

fn body(event: EventType) -> (String, Value) {
    let body: Value = serde_json::from_str(samples::payload(event)).unwrap();
    (body["event"].as_str().unwrap().to_owned(), body["data"].clone())
}

/// A delivery that `ingest` could not read, or that became a dead letter.
fn unreadable(world: &World, family: Family) -> Envelope {
    Envelope {
        environment: TEST,
        family,
        event: String::new(),
        received_at: world.clock.now(),
        delivery_id: "unreadable".into(),
        refused: Some((Reason::NotJson, "not JSON".to_owned())),
        body: b"not JSON".to_vec(),
    }
}

/// What World's deliveries are sealed with.
fn sealing_keys() -> SealingKeys {
    SealingKeys::new(SealingKey::new("k", [1; 32]).unwrap(), [])
}

/// What Bitpowr does not document, and what people are asked to look at.
const UNDOCUMENTED: [&str; 10] = [
    "swap.done",
    "transaction.swap.success",
    "transaction.confirmed",
    "transaction.frozen",
    "transaction.deposit.frozen",
    "transaction.transfer.frozen",
    "transaction.contract.frozen",
    "accounts.frozen",
    "address.frozen",
    "customer.frozen",
];

/// Every sample of a family: once, again, and an earlier one that comes late; then what is not documented, and what cannot
/// be read.
async fn family(family: Family) -> Rights {
    let engine = engine().await;
    let spy = Spy::default();
    let world = World::over(spy.table(&engine));
    let others = World::over(Table::new(engine.client(), TABLE));
    for event in EventType::ALL.into_iter().filter(|event| event.family() == family) {
        let (event, data) = body(event);
        let undated = json!({ "uid": "undated", "name": "n" });
        let late = world.message(&event, &undated, "late");
        world.clock.advance(SignedDuration::from_mins(1));
        world.deliver(&event, data.clone()).await;
        world.deliver(&event, data).await;
        world.deliver(&event, undated).await;
        world.hand_over(&event, &late).await.unwrap();
    }
    for event in UNDOCUMENTED.into_iter().filter(|event| EventName::new(*event).family() == family) {
        // It may say which way money goes that waits for just that.
        let uid = format!("waits-for-{event}");
        let money = json!({ "uid": uid, "amount": "1", "assetType": "BTC", "accountId": "a" });
        others.deliver("transaction.confirmed", money).await;
        world.deliver(event, json!({ "uid": uid, "type": "DEPOSIT" })).await;
        world.deliver(event, json!({ "note": "about nothing" })).await;
    }
    let unreadable = unreadable(&world, family).seal(&sealing_keys()).unwrap();
    with_family!(family, F => world.pipeline.delivery::<F>(unreadable.message()).await).unwrap();
    spy.rights()
}

/// An endpoint that accepts, one that fails and recovers, one that is gone; `notify` and `deliver`, each over its own spy.
async fn notify_and_deliver() -> (Rights, Rights) {
    let (notifies, delivers) = (Spy::default(), Spy::default());
    let path = Path::new().await;
    let (clock, queues) = (Arc::clone(&path.world.clock), path.queues.clone());
    let notify = Notify {
        publish: NoTopics,
        endpoints: notifies.table(&path.engine),
        outbound: queues.clone(),
        clock: Arc::clone(&clock),
    };
    let deliver = Deliver {
        table: delivers.table(&path.engine),
        post: path.services.clone(),
        outbound: queues,
        keys: keys(),
        kept_for: SignedDuration::from_hours(30 * 24),
        clock,
    };
    let path = Path { notify, deliver: Arc::new(deliver), ..path };
    for id in ["accepts", "fails", "gone"] {
        path.endpoint(id, json!({})).await;
    }
    path.services.answer("fails", |_| answer(500));
    path.services.answer("gone", |_| answer(410));
    for event in EventType::ALL {
        let (event, data) = body(event);
        path.world.deliver(&event, data).await;
        path.world.deliver(&event, json!({ "note": "about nothing" })).await;
    }
    let data = json!({ "uid": "large", "amount": "1", "assetType": "BTC", "note": "x".repeat(100_000) });
    path.world.deliver("transaction.deposit.success", data).await;
    for _ in 0..8 {
        path.work().await;
        path.later(SignedDuration::from_mins(40));
        path.due().await;
    }
    path.services.answer("fails", |_| answer(200));
    path.later(SignedDuration::from_hours(10));
    path.due().await;
    (notifies.rights(), delivers.rights())
}

/// What people do, by what they need for it.
async fn people() -> BTreeMap<&'static str, Rights> {
    let engine = engine().await;
    let world = World::over(Table::new(engine.client(), TABLE));
    let data = json!({ "uid": "d", "amount": "1", "assetType": "BTC", "accountId": "a" });
    let event = world.deliver("transaction.deposit.success", data).await.id;
    let nothing = world.deliver("swap.done", json!({ "note": "about nothing" })).await.id;
    let body = br#"{"event":"accounts.created","data":{"uid":"a"}}"#;
    let mut unreadable = unreadable(&world, Family::Accounts);
    unreadable.body = body.to_vec();
    let why = (Reason::NotApplied, "");
    let path = Path::new().await;
    let act = async |spy: &Spy, method: Method, what: &str| -> Value {
        let actions = Actions {
            table: spy.table(&engine),
            queues: path.queues.clone(),
            keys: Rotating::fixed(sealing_keys()),
            delivery_keys: keys(),
            reach: Reach::Public,
            environments: Environments::both(),
            access: Access::Own("somebody".to_owned()),
            clock: Arc::clone(&world.clock),
        };
        let mut order = json!({ "why": "a test" });
        if what == "endpoints" {
            order["url"] = json!("https://example.com/hook");
        }
        let request = Request::builder().method(method).uri(format!("/api/test/{what}"));
        let request = request.header("content-type", "application/json");
        let done: Response<Body> = actions.handle(request.body(Body::Text(order.to_string())).unwrap()).await;
        assert!(done.status().is_success(), "{what}: {done:?}");
        serde_json::from_slice(done.body().as_ref()).unwrap_or_default()
    };
    world.table().quarantine(&unreadable, why, world.clock.now()).await.unwrap();
    let quarantined = world.table().quarantined(TEST, 1, None).await.unwrap().items.remove(0).0.id;
    let (operator, repairs, configures) = (Spy::default(), Spy::default(), Spy::default());
    act(&operator, Method::POST, "dead-letters/deposits/redrive").await;
    for id in [&event, &nothing] {
        act(&repairs, Method::POST, &format!("events/{id}/resend")).await;
        act(&repairs, Method::POST, &format!("events/{id}/acknowledge")).await;
    }
    act(&repairs, Method::POST, &format!("quarantine/{quarantined}/retry")).await;
    let added = act(&configures, Method::POST, "endpoints").await;
    let id = added["id"].as_str().unwrap();
    for what in ["test", "rotate", "disable", "enable"] {
        act(&configures, Method::POST, &format!("endpoints/{id}/{what}")).await;
    }
    act(&configures, Method::DELETE, &format!("endpoints/{id}")).await;
    BTreeMap::from([
        ("OperatorPolicy", operator.rights()),
        ("RebuildPolicy", repairs.rights()),
        ("ConfigurePolicy", configures.rights()),
    ])
}

/// What `sweep` moves.
async fn sweep() -> Rights {
    let engine = engine().await;
    let world = World::over(Table::new(engine.client(), TABLE));
    let spy = Spy::default();
    let letter = unreadable(&world, Family::Assets);
    for _ in 0..2 {
        let why = (Reason::NotApplied, Reason::NotApplied.describe());
        spy.table(&engine).quarantine(&letter, why, world.clock.now()).await.unwrap();
    }
    spy.rights()
}

#[tokio::test]
async fn what_each_role_does_to_which_partition_is_what_the_template_is_compared_with() {
    let mut found = BTreeMap::new();
    for each in Family::ALL {
        found.insert(format!("{each}Role"), family(each).await);
    }
    let (notify, deliver) = notify_and_deliver().await;
    let people = people().await;
    // The function `actions` does whatever people may.
    let mut actions = Rights::new();
    for (action, partitions) in people.values().flatten() {
        actions.entry(action.clone()).or_default().extend(partitions.iter().cloned());
    }
    for (name, rights) in [
        ("NotifyRole", notify),
        ("DeliverRole", deliver),
        ("SweepRole", sweep().await),
        ("ActionsRole", actions),
    ] {
        found.insert(name.to_owned(), rights);
    }
    found.extend(people.into_iter().map(|(name, rights)| (name.to_owned(), rights)));
    let found = serde_json::to_string_pretty(&found).unwrap() + "\n";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/sam/keys.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &found).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap();
    assert!(kept == found, "tests/sam/keys.json is not current: UPDATE=1 cargo test rights");
}
