//! What people do: resend, retry, redrive; and who may ask at all.

use std::collections::VecDeque;
use std::sync::Mutex;

use actions::Actions;
use lambda_http::{Body, Request};
use serde_json::{Value, json};
use shared::access::Access;
use shared::clock::{Clock as _, SystemClock};
use shared::endpoints::Reach;
use shared::environment::{Environment, Environments};
use shared::model::{EventType, Family, Reason};
use shared::queue::{DeliveryQueue, QueueError, Redrive, Redriven};
use shared::rotating::Rotating;
use shared::store::Table;
use shared::verify::{Envelope, Sealed, SealingKey, SealingKeys};

use crate::support::{Client, Running, eventually};
use crate::world::World;

async fn post(client: &Client, path: &str, body: &Value, headers: &[(&str, &str)]) -> (u16, Value) {
    let mut request = client.http.post(format!("{}/api/test/{path}", client.base)).json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn why(text: &str) -> Value {
    json!({ "why": text })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_is_sent_says_that_it_is_one_and_is_recorded() {
    let running = Running::start().await;
    let client = &running.client;
    client.send_sample(EventType::DepositSuccess).await;
    let first = running.webhook.take(1).await.remove(0);
    let path = format!("events/{}/resend", first["id"].as_str().unwrap());
    assert_eq!(first["resend"], json!(null));

    // Twice with one key is once; with another it is another time, though the event is the same.
    for key in ["one", "one", "two"] {
        let (status, answer) =
            post(client, &path, &why("the shop was down"), &[("idempotency-key", key)]).await;
        assert_eq!((status, &answer["action"]["action"]), (200, &json!("resend")), "{answer}");
    }
    for mut again in running.webhook.take(2).await {
        let resend = again.as_object_mut().unwrap().remove("resend").unwrap();
        assert!(resend["id"].is_string() && resend["at"].is_string());
        let mut without = first.clone();
        without.as_object_mut().unwrap().remove("resend");
        assert_eq!(again, without);
    }
    assert!(running.webhook.is_silent().await);

    let event = client.get(&format!("events/{}", first["id"].as_str().unwrap())).await;
    let actions = event["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 2);
    assert!(actions.iter().all(|action| action["why"] == "the shop was down" && action["who"].is_string()));
    assert_eq!(client.get("actions").await["actions"].as_array().unwrap().len(), 2);
    // Nothing was counted again.
    assert_eq!(client.log().await.len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_covers_an_event_as_it_stands_and_removes_no_mark() {
    let running = Running::start().await;
    let client = &running.client;
    let named = |name: &str| json!({ "uid": "acc", "name": name });
    let events = async |name: &str, deliveries: u64| {
        client.send("accounts.updated", named(name)).await;
        eventually(async || {
            let log = client.log().await;
            let count: u64 = log.iter().map(|event| event["deliveries"].as_u64().unwrap()).sum();
            if count == deliveries { Ok(log) } else { Err(format!("{log:?}")) }
        })
        .await
    };
    for (name, deliveries) in [("First", 1), ("Second", 2)] {
        events(name, deliveries).await;
    }
    let marks = |event: &Value| (event["effect"].clone(), event["acknowledged"].clone());
    let first = events("First", 3).await.into_iter().find(|event| event["deliveries"] == 2).unwrap();
    assert_eq!(marks(&first), (json!("ambiguous"), json!(false)));
    let path = format!("events/{}", first["id"].as_str().unwrap());
    // Twice with one key is once.
    for _ in 0..2 {
        let key = [("idempotency-key", "one")];
        let (status, answer) =
            post(client, &format!("{path}/acknowledge"), &why("a typing mistake"), &key).await;
        assert_eq!((status, &answer["action"]["action"]), (200, &json!("acknowledge")), "{answer}");
    }
    assert_eq!(marks(&client.get(&path).await), (json!("ambiguous"), json!(true)));

    // Once more: whether that happened again has not been looked at.
    events("First", 4).await;
    let event = client.get(&path).await;
    assert_eq!(marks(&event), (json!("ambiguous"), json!(false)));
    let actions = event["actions"].as_array().unwrap();
    assert_eq!((actions.len(), &actions[0]["why"]), (1, &json!("a typing mistake")));
    assert_eq!(post(client, "events/0/acknowledge", &why("x"), &[]).await.0, 404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_notification_is_not_resent() {
    let running = Running::start().await;
    let client = &running.client;
    let deposit = json!({ "uid": "d", "amount": "1", "assetType": "BTC" });
    client.send("transaction.deposit.success", deposit.clone()).await;
    client.log_of(1).await;
    client.send("transaction.deposit.pending", deposit).await;
    let log = client.log_of(2).await;
    let stale = log.iter().find(|event| event["effect"] == "stale").unwrap();
    let path = format!("events/{}/resend", stale["id"].as_str().unwrap());
    let (status, problem) = post(client, &path, &why("x"), &[]).await;
    assert_eq!((status, &problem["code"]), (409, &json!("never_told")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_without_a_reason_a_target_or_json_is_refused() {
    let running = Running::start().await;
    let client = &running.client;
    client.send_sample(EventType::DepositSuccess).await;
    let id = client.log_of(1).await[0]["id"].as_str().unwrap().to_owned();
    let resend = format!("events/{id}/resend");
    let long = "x".repeat(501);
    for (path, body, status, code) in [
        (resend.as_str(), json!({}), 400, "invalid_request"),
        (resend.as_str(), why("  "), 400, "invalid_request"),
        (resend.as_str(), why(&long), 400, "invalid_request"),
        (resend.as_str(), json!({ "why": "x", "who": "somebody else" }), 400, "invalid_request"),
        ("events/unknown/resend", why("x"), 404, "not_found"),
        ("quarantine/unknown/retry", why("x"), 404, "not_found"),
        ("dead-letters/unknown/redrive", why("x"), 404, "not_found"),
        ("events", why("x"), 405, "method_not_allowed"),
    ] {
        let (found, problem) = post(client, path, &body, &[]).await;
        assert_eq!((found, problem["code"].as_str().unwrap()), (status, code), "{path}");
    }
    // What a form on another page could send.
    let request = client.http.post(format!("{}/api/test/{resend}", client.base));
    let answer = request.header("content-type", "text/plain").body(r#"{"why":"x"}"#).send().await.unwrap();
    assert_eq!(answer.status(), 415);
    assert_eq!(client.ask(&format!("/api/test/{resend}")).await.0, 405);
    assert_eq!(client.get("actions").await["actions"], json!([]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_still_cannot_be_read_stays_in_quarantine() {
    let running = Running::start().await;
    let client = &running.client;
    assert_eq!(client.post("test", "nonsense").await.0, 400);
    assert_eq!(client.post("test", vec![b'x'; 200_000]).await.0, 413);
    let listed = eventually(async || {
        let listed = client.get("quarantine").await["quarantine"].as_array().unwrap().clone();
        if listed.len() == 2 { Ok(listed) } else { Err(format!("{} in quarantine", listed.len())) }
    })
    .await;
    for item in listed {
        let (status, problem) =
            post(client, &format!("quarantine/{}/retry", item["id"].as_str().unwrap()), &why("x"), &[]).await;
        let code = if item["reason"] == "too_large" { "not_whole" } else { "still_unreadable" };
        assert_eq!((status, &problem["code"]), (409, &json!(code)));
    }
    assert_eq!(client.get("quarantine").await["quarantine"].as_array().unwrap().len(), 2);
    assert_eq!(client.get("health").await["quarantine"], json!({ "count": 2, "more": false }));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_from_elsewhere_may_not_ask() {
    let running = Running::start().await;
    let client = &running.client;
    let asked = async |path: &str, name: &str, value: &str| {
        let request = client.http.get(format!("{}{path}", client.base)).header(name, value);
        request.send().await.unwrap().status().as_u16()
    };
    for path in ["/", "/config.json", "/api/test/events", "/api/live/balances", "/healthz"] {
        assert_eq!(asked(path, "host", "evil.example").await, 421, "{path}");
        assert_eq!(asked(path, "origin", "http://evil.example").await, 403, "{path}");
        assert_eq!(asked(path, "host", "localhost:1").await, 200, "{path}");
    }
    running.stop().await;
}

/// Queues that keep what is sent, and whose dead letters are put back as it is written here: how many at each step,
/// and whether the step fails.
#[derive(Default)]
pub(crate) struct Scripted {
    steps: Mutex<VecDeque<(usize, bool)>>,
    sent: Mutex<Vec<String>>,
}

impl Redrive for Scripted {
    async fn redrive(&self, _: Family, _: usize) -> Redriven {
        let (moved, fails) = self.steps.lock().unwrap().pop_front().unwrap_or_default();
        Redriven { moved, failed: fails.then(|| QueueError::Other("throttled".into())) }
    }
}

impl DeliveryQueue for Scripted {
    async fn send(&self, delivery: &Sealed) -> Result<(), QueueError> {
        self.sent.lock().unwrap().push(delivery.message().to_owned());
        Ok(())
    }
}

/// As [`World`] has it.
fn keys() -> SealingKeys {
    SealingKeys::new(SealingKey::new("k", [1; 32]).unwrap(), [])
}

pub(crate) fn acting(table: Table, queues: Scripted) -> Actions<Scripted, SystemClock> {
    Actions {
        table,
        queues,
        keys: Rotating::fixed(keys()),
        environments: Environments::both(),
        delivery_keys: local::standins::development::delivery_keys().unwrap(),
        reach: Reach::Local,
        access: Access::Own("me".to_owned()),
        clock: SystemClock,
    }
}

async fn act(actions: &Actions<Scripted, SystemClock>, path: &str, key: &str) -> (u16, Value) {
    let mut request = Request::new(Body::Text(why("mended").to_string()));
    *request.method_mut() = "POST".parse().unwrap();
    *request.uri_mut() = format!("/api/test/{path}").parse().unwrap();
    request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    let response = actions.handle(request).await;
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

#[tokio::test]
async fn a_redrive_that_fails_half_way_is_recorded_and_its_key_moves_no_others() {
    let world = World::new().await;
    let steps = Mutex::new(VecDeque::from([(10, false), (3, true), (0, true), (10, false), (0, false)]));
    let actions = acting(world.table().clone(), Scripted { steps, ..Scripted::default() });
    let redrive = async |key: &str| {
        let (status, answer) = act(&actions, "dead-letters/deposits/redrive", key).await;
        (status, answer["moved"].clone(), answer["more"].clone())
    };
    let recorded = async || {
        let found = actions.table.actions(Environment::Test, 10, None).await.unwrap().items;
        let mut moved: Vec<_> = found.into_iter().map(|action| action.moved.unwrap()).collect();
        moved.sort_unstable();
        moved
    };
    let half_way = (200, json!(13), json!(true));
    assert_eq!(redrive("one").await, half_way);
    assert_eq!((redrive("one").await, recorded().await), (half_way, vec![13]));
    assert_eq!(redrive("two").await.0, 503);
    assert_eq!((redrive("two").await, recorded().await), ((200, json!(0), json!(true)), vec![0, 13]));
    for _ in 0..2 {
        assert_eq!(redrive("three").await, (200, json!(10), json!(false)));
    }
    assert_eq!(recorded().await, [0, 10, 13]);
}

#[tokio::test]
async fn a_body_that_an_earlier_version_could_not_read_is_applied_when_it_is_retried() {
    let bodies = [
        r#"{"event":"transaction.deposit.success","data":{"uid":"half","accountId":"a","amount":"3","assetType":"BTC","description":"Gift \ud83c"}}"#.to_owned(),
        "\u{feff}{\"event\":\"transaction.deposit.success\",\"data\":{\"uid\":\"mark\",\"accountId\":\"a\",\"amount\":\"4\",\"assetType\":\"BTC\"}}".to_owned(),
    ];
    let world = World::new().await;
    let actions = acting(world.table().clone(), Scripted::default());
    for body in &bodies {
        // As `ingest` sealed it before it could read it.
        let envelope = Envelope {
            environment: Environment::Test,
            family: Family::Unrecognised,
            event: String::new(),
            received_at: world.clock.now(),
            delivery_id: body.clone().into(),
            refused: Some((Reason::NotJson, "The body is not JSON from line 1, column 9 on.".to_owned())),
            body: body.clone().into_bytes(),
        };
        let kept = world.hand_over("", envelope.seal(&keys()).unwrap().message()).await.unwrap();
        let (status, answer) = act(&actions, &format!("quarantine/{}/retry", kept.id), "once").await;
        assert_eq!(status, 200, "{answer}");
        let message = actions.queues.sent.lock().unwrap().pop().unwrap();
        let applied = world.hand_over("transaction.deposit.success", &message).await.unwrap();
        let event = world.table().event(Environment::Test, &applied.id).await.unwrap().unwrap();
        assert_eq!(event.raw, body.as_bytes());
    }
    let balances = world.table().balances(Environment::Test, None, None, 10, None).await.unwrap().items;
    assert_eq!(balances[0].amounts.received.to_string(), "7");
    assert!(world.table().quarantined(Environment::Test, 10, None).await.unwrap().items.is_empty());
}
