//! What people do: tell again, retry, redrive; and who may ask at all.

use serde_json::{Value, json};
use shared::model::EventType;

use crate::support::{Client, Running, eventually};

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
async fn a_resend_is_told_says_that_it_is_one_and_is_recorded() {
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
        let mut told = first.clone();
        told.as_object_mut().unwrap().remove("resend");
        assert_eq!(again, told);
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
async fn what_was_never_told_is_not_told_again() {
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
