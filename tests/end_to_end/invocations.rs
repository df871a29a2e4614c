//! `events/<function>/`: what Lambda would invoke each function with, made from the payloads with the
//! development keys. `UPDATE=1 cargo test` writes it anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use local::cli::samples;
use local::standins::development;
use local::standins::engine::{Engine, TABLE};
use serde_json::{Value, json};
use shared::clock::{ManualClock, Moment};
use shared::environment::{Environment, Environments};
use shared::model::{EventType, Family, Reason};
use shared::pipeline::Pipeline;
use shared::rotating::Rotating;
use shared::store::schema;
use shared::verify::{Envelope, SealingKeys, Secret};

use crate::support::SECRET;

const RECEIVED_AT: &str = "2026-11-23T00:00:00.000Z";

fn keys() -> SealingKeys {
    development::keys().unwrap()
}

fn received_at() -> Moment {
    RECEIVED_AT.parse().unwrap()
}

/// A request as an HTTP API passes it (payload format 2.0), from a principal of the account.
fn http(method: &str, path: &str, secret: Option<&str>, body: Option<&str>) -> Value {
    let mut headers = json!({ "host": "localhost" });
    if body.is_some() {
        headers["content-type"] = json!("application/json");
    }
    if let Some(secret) = secret {
        headers["x-webhook-secret"] = json!(Secret::new(secret).unwrap().header_value());
    }
    let user = json!({ "userArn": "arn:aws:iam::000000000000:user/developer" });
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "authorizer": { "iam": user },
            "domainName": "localhost",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "" },
            "requestId": format!("invocation of {path}"),
            "routeKey": "$default",
            "stage": "$default",
            "time": "23/Nov/2026:00:00:00 +0000",
            "timeEpoch": received_at().as_millis(),
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

fn sealed(family: Family, event: &str, body: &str, refused: Option<(Reason, String)>) -> String {
    let envelope = Envelope {
        environment: Environment::Test,
        family,
        event: event.to_owned(),
        received_at: received_at(),
        delivery_id: format!("invocation of {event}").into(),
        refused,
        body: body.as_bytes().to_vec(),
    };
    envelope.seal(&keys()).unwrap().message().to_owned()
}

/// A message as SQS hands it to a function.
fn message(family: Family, body: &str) -> Value {
    json!({ "Records": [{
        "messageId": "00000000-0000-4000-8000-000000000000",
        "receiptHandle": "receipt",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": received_at().as_millis().to_string(),
            "SenderId": "sender",
            "ApproximateFirstReceiveTimestamp": received_at().as_millis().to_string(),
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:eu-west-1:000000000000:{family}"),
        "awsRegion": "eu-west-1",
    }] })
}

/// The id of the event that the sample of a successful deposit makes.
async fn notified() -> String {
    let stream = stream().await;
    let body = stream["Records"][0]["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap();
    body.rsplit('#').next().unwrap().to_owned()
}

/// What the stream hands to `notify` after a deposit has succeeded: written by the real pipeline.
async fn stream() -> Value {
    let engine = Engine::open(None).unwrap();
    let pipeline = Pipeline {
        keys: Rotating::fixed(keys()),
        environments: Environments::only(Environment::Test),
        table: schema::create(&engine.client(), TABLE).await.unwrap(),
        clock: std::sync::Arc::new(ManualClock::at(received_at())),
    };
    let event = EventType::DepositSuccess;
    let message = sealed(Family::Deposits, event.as_str(), samples::payload(event), None);
    pipeline.delivery::<deposits::Deposits>(&message).await.unwrap();
    let mut stream = engine.stream(None, 100).unwrap().event;
    let records = stream["Records"].as_array_mut().unwrap();
    records.retain(|record| record["dynamodb"]["Keys"]["sk"]["S"] == "raw");
    for record in records {
        // What the engine counts and times by itself.
        record["eventID"] = json!("1");
        record["dynamodb"]["SequenceNumber"] = json!("1");
        record["dynamodb"]["ApproximateCreationDateTime"] = json!(received_at().as_millis() / 1000);
        record["awsRegion"] = json!("eu-west-1");
        record["eventSourceARN"] =
            json!("arn:aws:dynamodb:eu-west-1:000000000000:table/bitpowr-webhooks/stream/1");
    }
    stream.sort_all_objects();
    stream
}

/// What a schedule sends.
fn schedule() -> Value {
    json!({
        "version": "0",
        "id": "00000000-0000-4000-8000-000000000000",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": "2026-11-23T00:00:00Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": {},
    })
}

/// Every file under `events/`, by its path.
async fn invocations() -> BTreeMap<PathBuf, Value> {
    let mut files = BTreeMap::new();
    let mut add = |function: &str, name: &str, event: Value| {
        files.insert(Path::new(function).join(name).with_added_extension("json"), event);
    };
    for event in EventType::ALL.iter().copied() {
        let (name, payload, family) = (event.as_str(), samples::payload(event), event.family());
        add("ingest", name, http("POST", "/webhooks/test", Some(SECRET), Some(payload)));
        add(family.as_str(), name, message(family, &sealed(family, name, payload, None)));
    }
    let post = |secret, body| http("POST", "/webhooks/test", Some(secret), Some(body));
    add("ingest", "forged", post("not the secret", samples::payload(EventType::DepositSuccess)));
    add("ingest", "unreadable", post(SECRET, "this is no JSON"));
    let unknown = r#"{"event":"wallets.teleported","data":{"uid":"unknown"}}"#;
    let seal = |event, body, refused| {
        message(Family::Unrecognised, &sealed(Family::Unrecognised, event, body, refused))
    };
    add("unrecognised", "wallets.teleported", seal("wallets.teleported", unknown, None));
    let refused = Some((Reason::NotJson, Reason::NotJson.describe().to_owned()));
    add("unrecognised", "unreadable", seal("", "this is no JSON", refused));
    add("notify", "transaction.deposit.success", stream().await);
    add("api", "events", http("GET", "/api/test/events", None, None));
    add("api", "balances", http("GET", "/api/test/balances", None, None));
    add("api", "health", http("GET", "/api/test/health", None, None));
    let why = Some(r#"{"why":"to try it"}"#);
    add("actions", "redrive", http("POST", "/api/test/dead-letters/deposits/redrive", None, why));
    add(
        "actions",
        "resend",
        http("POST", &format!("/api/test/events/{}/resend", notified().await), None, why),
    );
    add("page", "page", http("GET", "/", None, None));
    add("deliver", "schedule", schedule());
    add("sweep", "schedule", schedule());
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn the_invocation_events_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let wanted = invocations().await;
    for (path, event) in &wanted {
        let (file, text) = (root.join(path), serde_json::to_string_pretty(event).unwrap() + "\n");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
        } else {
            let found = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(found == text, "events/{} is not current: just update", path.display());
        }
    }
    for folder in wanted.keys().filter_map(|path| path.parent()) {
        for file in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = folder.join(file.unwrap().file_name());
            assert!(wanted.contains_key(&path), "events/{} belongs to no event", path.display());
        }
    }
}
