//! The life of an endpoint over HTTP, and who may manage endpoints.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use lambda_http::http::Method;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt as _};
use local::standins::development::delivery_key;
use serde_json::{Value, json};
use shared::access::Access;
use shared::answers::{EventRecord, Switched};
use shared::endpoints::EndpointState;

use super::{Service, deposit};
use crate::acting::{Scripted, acting};
use crate::support::{Client, Running, eventually};
use crate::world::World;

/// Asks for something to be done with endpoints: status and answer.
async fn ask(client: &Client, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = client.http.request(method, format!("{}/api/test/{path}", client.base));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_lives_over_http() {
    let (running, service) =
        (Running::with(|settings| settings.webhook = None).await, Service::start().await);
    let client = &running.client;
    let why = || Some(json!({ "why": "a test" }));
    for (wrong, says) in [
        (json!({ "why": "x" }), "missing field `url`"),
        (json!({ "url": service.url }), "missing field `why`"),
        (json!({ "url": "http://u:p@127.0.0.1/", "why": "x" }), "no user and no password"),
        (
            json!({ "url": service.url, "why": "x", "filter": { "family": "depsits" } }),
            "did you mean deposits?",
        ),
        (
            json!({ "url": service.url, "why": "x", "filter": { "familly": "deposits" } }),
            "did you mean family?",
        ),
        (json!({ "url": service.url, "why": "x", "secret": "mine" }), "unknown field `secret`"),
    ] {
        let (status, problem) = ask(client, Method::POST, "endpoints", Some(wrong.clone())).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_request")), "{wrong}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    let new = json!({ "url": service.url, "description": "the shop", "filter": { "family": "deposits" }, "why": "x" });
    let (status, added) = ask(client, Method::POST, "endpoints", Some(new)).await;
    assert_eq!((status, &added["state"], &added["description"]), (201, &json!("active"), &json!("the shop")));
    let id = added["id"].as_str().unwrap();
    let (first, second) = (delivery_key().unwrap().secret(id, 1), delivery_key().unwrap().secret(id, 2));
    assert_eq!(added["secret"], first.reveal());
    let listed = client.get("endpoints").await;
    assert_eq!(listed["endpoints"].as_array().unwrap().len(), 1);
    assert!(!listed.to_string().contains("t0ken") && !listed.to_string().contains("whsec_"), "{listed}");

    let (status, tested) = ask(client, Method::POST, &format!("endpoints/{id}/test"), why()).await;
    assert_eq!(status, 202);
    assert_eq!(service.next().await.json()["id"], tested["id"]);
    eventually(async || {
        let test = client.get(&format!("endpoints/{id}")).await["test"].clone();
        if test["attempts"][0]["status"] == 200 { Ok(()) } else { Err(test.to_string()) }
    })
    .await;

    let path = format!("endpoints/{id}/rotate");
    let (status, rotated) = ask(client, Method::POST, &path, why()).await;
    assert_eq!((status, &rotated["secret"]), (200, &json!(second.reveal())));
    let (status, problem) = ask(client, Method::POST, &path, why()).await;
    assert_eq!((status, &problem["code"]), (409, &json!("rotating")));

    client.send("transaction.deposit.success", deposit("d")).await;
    let got = service.next().await;
    got.is_signed_with(&[&second, &first]);
    let event = format!("events/{}", got.json()["id"].as_str().unwrap());
    let shown: EventRecord = eventually(async || {
        let shown: EventRecord = serde_json::from_value(client.get(&event).await).unwrap();
        if shown.attempts.is_empty() { Err("no attempt".to_owned()) } else { Ok(shown) }
    })
    .await;
    assert_eq!(shown.event.endpoints.unwrap().as_str(), "delivered");
    assert_eq!((shown.attempts[0].endpoint.as_str(), shown.attempts[0].status), (id, Some(200)));

    let (status, disabled) = ask(client, Method::POST, &format!("endpoints/{id}/disable"), why()).await;
    assert_eq!((status, &disabled["state"]), (200, &json!("disabled")));
    assert_eq!(client.get("health").await["endpoints"], json!({ "active": 0, "failing": 0, "disabled": 1 }));
    let (status, problem) = ask(client, Method::POST, &format!("endpoints/{id}/test"), why()).await;
    assert_eq!((status, &problem["code"]), (409, &json!("disabled")));
    let (status, enabled) = ask(client, Method::POST, &format!("endpoints/{id}/enable"), why()).await;
    let enabled: Switched = serde_json::from_value(enabled).unwrap();
    assert_eq!((status, enabled.endpoint.state), (200, EndpointState::Active));
    assert!(enabled.missed.unwrap().from <= enabled.missed.unwrap().to);
    assert_eq!(ask(client, Method::DELETE, &format!("endpoints/{id}"), None).await, (204, Value::Null));
    assert_eq!(ask(client, Method::DELETE, &format!("endpoints/{id}"), None).await.0, 404);
    assert_eq!(client.get("endpoints").await["endpoints"], json!([]));
    assert_eq!(client.get("actions").await["actions"].as_array().unwrap().len(), 6);
    running.stop().await;
}

#[tokio::test]
async fn whoever_may_act_may_not_manage_endpoints() {
    let world = World::new().await;
    let mut actions = acting(world.table().clone(), Scripted::default());
    actions.access = Access::Token { roles: "groups".to_owned() };
    let asked = async |method: &str, path: &str, role: &str| {
        let body = match path {
            "endpoints" => json!({ "url": "http://127.0.0.1:9/", "why": "x" }),
            _ => json!({ "why": "x" }),
        };
        let claims = json!({ "sub": "s", "groups": [role] });
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let authorizer = json!({ "jwt": { "claims": { "sub": "s", "groups": format!("[{role}]") } } });
        let context = json!({ "authorizer": authorizer, "http": { "method": method } });
        let context: ApiGatewayV2httpRequestContext = serde_json::from_value(context).unwrap();
        let mut request = Request::new(Body::Text(body.to_string()))
            .with_request_context(RequestContext::ApiGatewayV2(context));
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = format!("/api/test/{path}").parse().unwrap();
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        request.headers_mut().insert("authorization", token.parse().unwrap());
        actions.handle(request).await.status().as_u16()
    };
    for (method, path, allowed) in [
        ("POST", "endpoints", 201),
        ("POST", "endpoints/e/test", 404),
        ("POST", "endpoints/e/rotate", 404),
        ("POST", "endpoints/e/enable", 404),
        ("POST", "endpoints/e/disable", 404),
        ("DELETE", "endpoints/e", 404),
    ] {
        assert_eq!(asked(method, path, "bitpowr:read").await, 403, "{path}");
        assert_eq!(asked(method, path, "bitpowr:act").await, 403, "{path}");
        assert_eq!(asked(method, path, "bitpowr:configure").await, allowed, "{path}");
    }
    assert_eq!(asked("POST", "events/e/resend", "bitpowr:configure").await, 403);
}
