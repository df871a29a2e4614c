//! Bad secrets, bad bodies, bad paths: a clear answer, never a 500, and nothing authenticated is lost.

use serde_json::{Value, json};
use shared::clock::Moment;
use shared::environment::Environment;
use shared::family::FamilyRules;
use shared::fold::Effect;
use shared::model::notification::Audience;
use shared::model::{self, EventName, Meaning, Words};
use shared::notice::Notice;

use crate::support::{Client, Running, eventually};
use crate::world::World;

const GOOD: &str =
    r#"{"event":"transaction.deposit.success","data":{"uid":"u","amount":"1","assetType":"BTC"}}"#;

async fn with_secrets(client: &Client, secrets: &[&[u8]]) -> (u16, String) {
    let mut request = client.http.post(format!("{}/webhooks/test", client.base)).body(GOOD);
    for secret in secrets {
        request = request.header("x-webhook-secret", *secret);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn quarantine(client: &Client, path: &str, entries: usize) -> Vec<Value> {
    eventually(async || {
        let (_, page) = client.ask(path).await;
        let found = page["quarantine"].as_array().cloned().unwrap_or_default();
        if found.len() == entries { Ok(found) } else { Err(format!("{} of {entries}", found.len())) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_the_secret_learns_and_leaves_nothing() {
    let running = Running::start().await;
    let client = &running.client;
    let right = Client::header();
    let right = right.as_bytes();
    let refusals: [&[&[u8]]; 8] = [
        &[],
        &[b""],
        &[b"local-secret"],
        &[b"d3Jvbmc="],
        &[b"%%%"],
        &[b"\xff\xfe"],
        &[right, right],
        &[&right[..right.len() - 2]],
    ];
    let mut answers = Vec::new();
    for secrets in refusals {
        answers.push(with_secrets(client, secrets).await);
    }
    // The same answer to all, so that nobody learns what was wrong.
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].0, 401);
    let problem: Value = serde_json::from_str(&answers[0].1).unwrap();
    assert_eq!((&problem["status"], &problem["code"]), (&json!(401), &json!("unauthenticated")));

    // Something comes through the same way; only that is there then.
    assert_eq!(with_secrets(client, &[right]).await.0, 200);
    assert_eq!(client.log_of(1).await.len(), 1);
    assert_eq!(client.get("quarantine").await["quarantine"], json!([]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_alphabets_padded_or_not_are_let_in() {
    let running = Running::with(|settings| {
        settings.secret = shared::verify::Secret::new(&b"\xfb\xff?>secret"[..]).unwrap();
    })
    .await;
    for header in ["+/8/PnNlY3JldA==", "+/8/PnNlY3JldA", "-_8_PnNlY3JldA==", "-_8_PnNlY3JldA"] {
        assert_eq!(with_secrets(&running.client, &[header.as_bytes()]).await.0, 200, "{header}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authenticated_bodies_that_cannot_be_read_are_answered_400_and_kept_with_their_reason() {
    let running = Running::start().await;
    let client = &running.client;
    let deep = format!("{{\"event\":\"a.b\",\"data\":{}{}}}", "{\"a\":".repeat(10_000), "1}".repeat(10_000));
    let bodies: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "empty"),
        (b"\xff\xfe\x00".to_vec(), "not_utf8"),
        (b"not json".to_vec(), "not_json"),
        (b"{\"event\":\"a.b\",\"data\":{}} trailing".to_vec(), "not_json"),
        (b"{\"event\":\"a.b\",\"data\":{\"x\":\"\0\"}}".to_vec(), "not_json"),
        (deep.into_bytes(), "not_json"),
        (b"[1]".to_vec(), "not_an_object"),
        (b"{\"data\":{}}".to_vec(), "no_event"),
        (b"{\"event\":7,\"data\":{}}".to_vec(), "event_not_text"),
        (b"{\"event\":\"\",\"data\":{}}".to_vec(), "event_not_text"),
        (b"{\"event\":\"a.b\"}".to_vec(), "no_data"),
        (b"{\"event\":\"a.b\",\"data\":[]}".to_vec(), "data_not_an_object"),
        (b"{\"event\":\"a.b\",\"event\":\"c.d\",\"data\":{}}".to_vec(), "repeated_field"),
    ];
    for (body, reason) in &bodies {
        for _ in 0..2 {
            let (status, problem) = client.post("test", body.clone()).await;
            assert_eq!((status, &problem["code"]), (400, &json!(reason)), "{problem}");
        }
    }
    let kept = quarantine(client, "/api/test/quarantine?limit=100", bodies.len()).await;
    for (body, reason) in &bodies {
        let same = |entry: &&Value| match std::str::from_utf8(body) {
            Ok(text) => entry["raw"] == text,
            Err(_) => entry["raw_base64"] == "//4A",
        };
        let entry = kept.iter().find(same).unwrap_or_else(|| panic!("{reason} is not kept"));
        assert_eq!(entry["reason"], *reason);
    }
    // The same bytes once, with their deliveries counted.
    eventually(async || {
        let page = client.get("quarantine?limit=100").await;
        let counts: Vec<_> = page["quarantine"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| &entry["deliveries"])
            .cloned()
            .collect();
        if counts.iter().all(|count| *count == 2) { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;
    assert_eq!(client.log().await, Vec::<Value>::new());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_128_kib_is_answered_413_and_its_head_is_kept() {
    let running = Running::start().await;
    let client = &running.client;
    let padded = |length: usize| {
        let body = r#"{"event":"a.b","data":{}}"#;
        format!("{}{}", body, " ".repeat(length - body.len()))
    };
    assert_eq!(client.post("test", padded(128 * 1024)).await.0, 200);
    let (status, problem) = client.post("test", padded(128 * 1024 + 1)).await;
    assert_eq!((status, &problem["code"]), (413, &json!("too_large")));
    let kept = quarantine(client, "/api/test/quarantine", 1).await;
    assert_eq!(kept[0]["raw"].as_str().unwrap().len(), 4096);
    assert!(kept[0]["detail"].as_str().unwrap().contains("131073 bytes"));
    assert_eq!(client.log_of(1).await.len(), 1);

    // Unauthenticated, it is not even looked at.
    let request = client.http.post(format!("{}/webhooks/test", client.base)).body(padded(200_000));
    assert_eq!(request.send().await.unwrap().status(), 401);
    // Beyond what API Gateway takes it is refused at the door.
    assert_eq!(client.post("test", vec![b'x'; 11 * 1024 * 1024]).await.0, 413);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_full_of_quotes_just_below_the_limit_is_carried_and_kept() {
    let running = Running::start().await;
    let client = &running.client;
    let text = "\\\"".repeat(65_000);
    let body = format!("{{\"event\":\"a.b\",\"data\":{{\"text\":\"{text}\"}}}}");
    assert_eq!(client.post("test", body.clone()).await.0, 200);
    let log = client.log_of(1).await;
    assert_eq!(client.get(&format!("events/{}", log[0]["id"].as_str().unwrap())).await["raw"], body);
    // An endpoint gets all of it; through a topic it would be too large.
    assert_eq!(running.webhook.take(1).await[0]["data"]["text"], "\"".repeat(65_000));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_object_at_the_live_url_is_refused_and_quarantined_once() {
    let running = Running::start().await;
    let client = &running.client;
    let body = r#"{"event":"accounts.created","data":{"uid":"a","mode":"TEST"}}"#;
    for _ in 0..3 {
        let (status, problem) = client.post("live", body).await;
        assert_eq!((status, &problem["code"]), (400, &json!("test_on_live")));
    }
    let kept = quarantine(client, "/api/live/quarantine", 1).await;
    assert_eq!(kept[0]["raw"], body);
    assert_eq!(client.ask("/api/live/events").await.1["events"], json!([]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_paths_and_methods_have_their_own_answers() {
    let running = Running::start().await;
    let client = &running.client;
    for (method, path, status) in [
        ("POST", "/webhooks/staging", 404),
        ("POST", "/webhooks", 404),
        ("POST", "/webhooks/test/more", 404),
        ("POST", "/webhooks/TEST", 404),
        ("POST", "/webhooks/te%00st", 404),
        ("GET", "/webhooks/test", 405),
        ("PUT", "/webhooks/live", 405),
        ("DELETE", "/webhooks/test", 405),
        ("BREW", "/webhooks/test", 405),
        ("GET", "/api/staging/events", 404),
        ("GET", "/api/test/nonsense", 404),
        ("GET", "/api/test/transactions/unknown", 404),
        ("GET", "/api/test/events/unknown", 404),
        ("POST", "/api/test/events", 405),
        ("GET", "/api/test/events?limit=0", 400),
        ("GET", "/api/test/events?limit=101", 400),
        ("GET", "/api/test/events?cursor=nonsense", 400),
        ("GET", "/api/test/events?cursor=%2e%2e", 400),
        ("GET", "/api/test/events?from=yesterday", 400),
        ("GET", "/api/test/events?effect=wonderful", 400),
        ("GET", "/api/test/events?famly=deposits", 400),
        ("GET", "/api/test/events?family=depsits", 400),
        ("GET", "/api/test/events?refrence=zzz", 400),
        ("GET", "/api/test/balances?acount=zzz", 400),
        ("GET", "/api/test/events/unknown?raw=1", 400),
        ("GET", "/api/test/nonsense?x=1", 404),
        ("GET", "/api/test/ledger", 400),
        ("GET", "/nonsense", 404),
        ("GET", "/%ff%fe", 404),
        ("GET", "/healthz", 200),
        ("GET", "/", 200),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = client
            .http
            .request(method.clone(), format!("{}{path}", client.base))
            .header("x-webhook-secret", Client::header());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
        if status >= 400 {
            assert_eq!(response.headers()["content-type"], "application/problem+json", "{method} {path}");
            assert_eq!(response.json::<Value>().await.unwrap()["status"], status);
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_content_type_and_no_sensible_host_are_no_obstacle() {
    let own = shared::verify::Secret::new("of our own").unwrap();
    let running = Running::with(|settings| settings.secret = own.clone()).await;
    let client = &running.client;
    let url = format!("{}/webhooks/test", client.base);
    for (name, value) in
        [("x-nothing", "x"), ("content-type", "application/octet-stream"), ("host", "1.2.3.4.5:x")]
    {
        let request = client
            .http
            .post(&url)
            .header("x-webhook-secret", own.header_value())
            .header(name, value)
            .body(GOOD);
        assert_eq!(request.send().await.unwrap().status(), 200, "{name}");
    }
    assert_eq!(client.log_of(3).await.len(), 1);
    running.stop().await;
}

/// What serde_json keeps for itself, in a body: the same event as another one, or more than the bytes say.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_the_json_reader_keeps_for_itself_hide_nothing() {
    let running = Running::start().await;
    let client = &running.client;
    let nested = |depth: usize| {
        let mut text = "1".to_owned();
        for _ in 0..depth {
            text = json!({ "$serde_json::private::RawValue": format!("[{text}]") }).to_string();
        }
        text
    };
    let fields = [
        r#""amount":{"$serde_json::private::Number":"2"}"#.to_owned(),
        r#""amount":{"\u0024serde_json::private::Number":"2"}"#.to_owned(),
        format!(r#""amount":{}"#, nested(5)),
        format!(r#""later":[{{"of":{}}}]"#, nested(1)),
        r#""amount":"2","later":{"a":1,"$serde_json::private::Number":"not a number"}"#.to_owned(),
    ];
    let bodies = fields.map(|fields| {
        format!(
            r#"{{"event":"transaction.deposit.success","data":{{"uid":"u","assetType":"BTC",{fields}}}}}"#
        )
    });
    for body in &bodies {
        let (status, problem) = client.post("test", body.clone()).await;
        assert_eq!((status, &problem["code"]), (400, &json!("reserved_name")), "{body}");
    }
    let kept = quarantine(client, "/api/test/quarantine", bodies.len()).await;
    for body in &bodies {
        assert!(kept.iter().any(|entry| entry["raw"] == *body), "{body}");
    }
    assert_eq!(client.log().await.len(), 0);
    // As a text they are a text like any other.
    let memo =
        json!({ "uid": "u", "amount": "2", "assetType": "BTC", "memo": "$serde_json::private::Number" });
    client.send("transaction.deposit.success", memo).await;
    assert_eq!(client.log_of(1).await.len(), 1);
    running.stop().await;
}

/// As deep as a body may be, it is applied, shown, notified and resent.
#[tokio::test(flavor = "multi_thread")]
async fn the_deepest_body_that_is_read_passes_every_part() {
    let running = Running::start().await;
    let client = &running.client;
    let of = |depth: usize| {
        let inner = format!("{}{}", "[".repeat(depth - 2), "]".repeat(depth - 2));
        format!(
            r#"{{"event":"transaction.deposit.success","data":{{"uid":"deep","amount":"1","assetType":"BTC","x":{inner}}}}}"#
        )
    };
    assert_eq!(client.post("test", of(121)).await.0, 400);
    let deepest = of(120);
    assert_eq!(client.post("test", deepest.clone()).await.0, 200);
    let log = client.log_of(1).await;
    let id = log[0]["id"].as_str().unwrap();
    assert_eq!(client.get(&format!("events/{id}")).await["raw"], *deepest);
    assert_eq!(running.webhook.take(1).await[0]["id"], *id);
    let resend = client.http.post(format!("{}/api/test/events/{id}/resend", client.base));
    let resend = resend.header("content-type", "application/json").body(r#"{"why":"to see"}"#);
    assert_eq!(resend.send().await.unwrap().status(), 200);
    assert_eq!(running.webhook.take(1).await[0]["id"], *id);
    running.stop().await;
}

/// A family that takes less than what real objects contain.
struct Strict;

#[derive(serde::Deserialize)]
struct Counted {
    _count: u64,
}

impl FamilyRules for Strict {
    const FAMILY: model::Family = model::Family::Deposits;
    type Data = Counted;

    fn meaning(_: &EventName, _: &Counted, _: Moment) -> Option<Meaning> {
        None
    }

    fn audience(_: &EventName) -> Audience {
        Audience::Programs("")
    }

    fn words(notice: &Notice<'_>) -> Words {
        notice.say("", &[])
    }
}

/// What a family cannot read it could not read the next time either: it does not go round and round.
#[tokio::test]
async fn what_a_family_cannot_read_is_kept_in_quarantine_at_once() {
    let world = World::new().await;
    let event = "transaction.deposit.success";
    // Sealed by a receiver that knew less.
    let private = json!({ "uid": "u", "amount": { "$serde_json::private::Number": "2" } });
    let message = world.message(event, &private, "one");
    let applied = world.hand_over(event, &message).await.unwrap();
    assert_eq!((applied.effect, applied.entity), (Effect::None, None));
    let message = world.message(event, &json!({ "uid": "u" }), "two");
    world.pipeline.delivery::<Strict>(&message).await.unwrap();

    let kept = world.table().quarantined(Environment::Test, 10, None).await.unwrap().items;
    // Recorded within one millisecond they stand in the order of their ids.
    let mut reasons: Vec<_> = kept.iter().map(|(item, _)| item.reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["not_understood", "reserved_name"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_character_and_a_byte_order_mark_are_read_and_kept_as_they_came() {
    let running = Running::start().await;
    let client = &running.client;
    let half = r#"{"event":"transaction.deposit.success","data":{"uid":"sg-1","status":"SUCCESS","type":"DEPOSIT","accountId":"a-s","amount":"3","assetType":"BTC","description":"Gift \ud83c"}}"#;
    let marked = format!("\u{feff}{GOOD}");
    for body in [half, &marked] {
        assert_eq!(client.post("test", body.to_owned()).await.0, 200, "{body}");
    }
    let sent = running.webhook.take(2).await;
    for (body, uid) in [(half, "sg-1"), (&marked, "u")] {
        let sent = sent.iter().find(|sent| sent["entity"]["uid"] == uid).unwrap();
        let event = client.get(&format!("events/{}", sent["id"].as_str().unwrap())).await;
        assert_eq!(event["raw"], body);
        if uid == "sg-1" {
            assert_eq!(sent["data"]["description"], "Gift \u{fffd}");
        }
    }
    let balances = client.get("balances?account=a-s").await;
    assert_eq!(balances["balances"][0]["received"], "3");
    // Without its mark it is the same event.
    assert_eq!(client.post("test", GOOD).await.0, 200);
    client.log_of(3).await;
    assert_eq!(client.log().await.len(), 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_to_do_about_it() {
    let running = Running::start().await;
    let client = &running.client;
    let (status, problem) = client.post("test", "nonsense").await;
    let said = problem["detail"].as_str().unwrap().to_owned();
    assert_eq!(status, 400);
    assert!(said.contains("not JSON: error at line 1") && said.contains("Send one JSON object"), "{said}");
    let listed = quarantine(client, "/api/test/quarantine", 1).await;
    assert_eq!(listed[0]["detail"], said);
    running.stop().await;
}
