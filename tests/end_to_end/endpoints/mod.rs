//! Endpoints: their whole life on the command line and over HTTP, and what a service gets of it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use lambda_http::http::Method;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt as _};
use local::product::webhook_secret;
use local::standins::development::delivery_key;
use serde_json::{Value, json};
use shared::access::Access;
use shared::answers::{Endpoint, EndpointRecord, Event, EventRecord, Switched, Test, WithSecret};
use shared::clock::Moment;
use shared::endpoints::EndpointState;
use shared::endpoints::signing::SigningSecret;
use tokio::sync::{Mutex, mpsc};

use crate::acting::{Scripted, acting};
use crate::command_line::Desk;
use crate::support::{Client, PATIENCE, Running, eventually};
use crate::world::World;

/// A request, as a service gets it.
struct Got {
    version: Version,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// It is what an endpoint gets, signed with these secrets and no others.
    fn is_signed_with(&self, secrets: &[&SigningSecret]) {
        assert_eq!(self.version, Version::HTTP_11);
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("webhook-id"), self.json()["id"].as_str().unwrap());
        let seconds: i64 = self.header("webhook-timestamp").parse().unwrap();
        let at = Moment::from_millis(seconds * 1000);
        let signed = |secret: &&SigningSecret| secret.sign(self.header("webhook-id"), at, &self.body);
        let expected: Vec<_> = secrets.iter().map(signed).collect();
        assert_eq!(self.header("webhook-signature"), expected.join(" "));
    }
}

/// A service of the user's: it keeps what it gets, and answers what it is told to.
struct Service {
    url: String,
    status: Arc<AtomicU16>,
    got: Mutex<mpsc::UnboundedReceiver<Got>>,
}

impl Service {
    async fn start() -> Self {
        let (sender, got) = mpsc::unbounded_channel();
        let status = Arc::new(AtomicU16::new(200));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/hook/t0ken", listener.local_addr().unwrap());
        let answer = async |State((status, sender)): State<(Arc<AtomicU16>, mpsc::UnboundedSender<Got>)>,
                            version: Version,
                            headers: HeaderMap,
                            body: String| {
            sender.send(Got { version, headers, body }).unwrap();
            (StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap(), "noted")
        };
        let app = Router::new().fallback(answer).with_state((Arc::clone(&status), sender));
        tokio::spawn(async { axum::serve(listener, app).await });
        Self { url, status, got: Mutex::new(got) }
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    async fn next(&self) -> Got {
        tokio::time::timeout(PATIENCE, self.got.lock().await.recv()).await.unwrap().unwrap()
    }

    /// Nothing has come that was not taken.
    async fn has_nothing(&self) -> bool {
        self.got.lock().await.try_recv().is_err()
    }
}

fn deposit(uid: &str) -> Value {
    json!({ "uid": uid, "amount": "0.5", "assetType": "BTC", "accountId": "a" })
}

/// What the words of a printed command are, without quotes.
fn words(command: &str) -> Vec<String> {
    let parts = command.trim().split('\'').enumerate();
    let words = parts.flat_map(|(number, part)| match number % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_lives_on_the_command_line() {
    let (desk, service) = (Desk::new(), Service::start().await);
    desk.well(&["subscribe", "email", "security@example.com"]);
    assert!(desk.well(&["endpoint", "list"]).contains("No endpoints."));

    let said = desk.well(&["endpoint", "add", &service.url, "--family", "deposits", "--why", "the shop"]);
    let endpoint: Endpoint = desk.json::<Vec<Endpoint>>(&["endpoint", "list"]).remove(0);
    let id = endpoint.id.as_str();
    let secret = |number| delivery_key().unwrap().secret(id, number);
    let (first, second) = (secret(1), secret(2));
    assert!(said.contains(&first.reveal()) && said.contains(&format!("endpoint test {id}")), "{said}");
    assert_eq!(endpoint.filter.family, [shared::model::Family::Deposits]);

    // It gets what it wants, and nothing else.
    let client = &desk.serving.client;
    client.send("customer.created", json!({ "uid": "c" })).await;
    client.send("transaction.deposit.success", deposit("d")).await;
    let got = service.next().await;
    got.is_signed_with(&[&first]);
    assert_eq!(got.json()["entity"]["uid"], "d");
    // All that is shown of the URL is scheme and host; of the secret nothing.
    for shown in [&["endpoint", "list"][..], &["endpoint", "show", id], &["endpoint", "list", "--json"]] {
        let shown = desk.well(shown);
        assert!(shown.contains("/…") && shown.contains(id), "{shown}");
        assert!(!shown.contains("t0ken") && !shown.contains("whsec_"), "{shown}");
    }

    // It is tested, and the exit code says what came of it.
    let beginning = id.get(..9).unwrap();
    let said = desk.well(&["endpoint", "test", beginning, "--why", "a first test"]);
    assert!(said.contains(": 200 in ") && said.contains("noted"), "{said}");
    let test = service.next().await;
    test.is_signed_with(&[&first]);
    assert_eq!(test.json()["type"], "endpoint.test");
    service.answer(500);
    let (code, said, error) = desk.run(&["endpoint", "test", id, "--why", "a second test", "--json"]);
    assert!(code == Some(1) && error.contains("did not accept the test"), "{said}{error}");
    let failed: Test = shared::answers::read(said.as_bytes()).unwrap();
    assert_eq!((failed.attempts[0].status, failed.attempts[0].answer.as_deref()), (Some(500), Some("noted")));
    service.answer(200);
    service.next().await;
    // The test is tried again, as an event is.
    assert_eq!(service.next().await.json()["id"], failed.id);

    // A new secret signs beside the one before; again within a day is refused.
    let rotated: WithSecret = desk.json(&["endpoint", "rotate", id, "--why", "somebody left"]);
    assert_eq!(rotated.secret, second.reveal());
    let (code, _, error) = desk.run(&["endpoint", "rotate", id, "--why", "again"]);
    assert!(code == Some(1) && error.contains("24 hours"), "{error}");
    desk.well(&["endpoint", "test", id, "--why", "both"]);
    service.next().await.is_signed_with(&[&second, &first]);

    // While it is disabled it gets nothing, and `enable` says how to resend what it missed.
    desk.well(&["endpoint", "disable", id, "--why", "maintenance"]);
    let (code, _, error) = desk.run(&["endpoint", "test", id, "--why", "x"]);
    assert!(code == Some(1) && error.contains("disabled"), "{error}");
    let (code, said, _) = desk.run(&["doctor"]);
    assert!(
        code == Some(1) && said.contains("1 disabled") && said.contains(&format!("endpoint show {id}")),
        "{said}"
    );
    client.send("customer.updated", json!({ "uid": "c", "name": "n" })).await;
    client.send("transaction.deposit.success", deposit("missed")).await;
    eventually(async || {
        let found: Vec<Event> = desk.log(&["--entity", "missed"]);
        let progress = found.first().and_then(|event| event.endpoints).map(|progress| progress.as_str());
        if progress == Some("failed") { Ok(()) } else { Err(format!("{progress:?}")) }
    })
    .await;
    assert!(service.has_nothing().await);
    let said = desk.well(&["endpoint", "enable", id, "--why", "it is back"]);
    let command = said.lines().find(|line| line.trim().starts_with("resend")).unwrap();
    let command = words(command);
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    let dry = desk.well(&command);
    assert!(dry.contains(&format!("1 events would be resent to {id}")), "{dry}");
    assert!(service.has_nothing().await);
    desk.well(&[&command[..], &["--yes"]].concat());
    let again = service.next().await;
    again.is_signed_with(&[&second, &first]);
    assert_eq!(
        (&again.json()["entity"]["uid"], again.json()["resend"]["id"].is_string()),
        (&json!("missed"), true)
    );
    assert!(desk.well(&["doctor"]).contains("1, all active"));

    let shown: EndpointRecord = desk.json(&["endpoint", "show", id]);
    let done: Vec<_> = shown.actions.iter().map(|done| done.action.as_str()).collect();
    let tests = ["test_endpoint"; 3];
    let expected = [
        &["add_endpoint"][..],
        &tests[..2],
        &["rotate_secret", "test_endpoint", "disable_endpoint", "enable_endpoint"],
    ];
    assert_eq!(done, expected.concat());
    assert!(shown.actions.iter().all(|done| !done.who.is_empty() && !done.why.is_empty()));
    assert_eq!(desk.json::<Value>(&["endpoint", "remove", id, "--why", "closed"]), json!({ "removed": id }));
    assert!(desk.json::<Vec<Endpoint>>(&["endpoint", "list"]).is_empty());
    let (code, _, error) = desk.run(&["endpoint", "show", id]);
    assert_eq!((code, error.trim()), (Some(1), "error: Not found: no endpoint has this id."));

    // People are notified of each change, and not of tests.
    let subjects = eventually(async || {
        let folder = std::fs::read_dir(desk.folder.path().join(".bitpowr/told")).unwrap();
        let mails = folder.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        let subject = |mail: String| {
            mail.lines().find(|line| line.starts_with("Subject: [test] Endpoint")).map(str::to_owned)
        };
        let subjects: Vec<_> = mails.filter_map(subject).collect();
        if subjects.len() >= 5 { Ok(subjects) } else { Err(format!("{subjects:?}")) }
    })
    .await;
    for change in ["was added", "has a new signing secret", "was disabled", "was enabled", "was removed"] {
        assert_eq!(subjects.iter().filter(|subject| subject.contains(change)).count(), 1, "{subjects:?}");
    }
    assert!(!subjects.concat().contains("t0ken"), "{subjects:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_refused_where_its_url_or_its_filter_is_wrong() {
    let desk = Desk::new();
    let add = |arguments: &[&str]| desk.run(&[&["endpoint", "add"], arguments, &["--why", "x"]].concat());
    let url = "http://127.0.0.1:9/";
    for (wrong, code, says) in [
        (&[url, "--family", "depsits"][..], 2, "did you mean deposits?"),
        (&[url, "--effect", "aplied"], 2, "did you mean applied?"),
        (&[url, "--event", "deposit.success"], 2, "did you mean transaction.deposit.success?"),
        (&[url, "--status", "sucess"], 2, "did you mean success?"),
        (&[url, "--least", "much"], 2, "--least"),
        (&["http://user:password@127.0.0.1:9/"], 1, "names no user and no password"),
        (&["http://user@127.0.0.1:9/"], 1, "names no user and no password"),
        (&["ftp://127.0.0.1/"], 1, "is a URL like"),
        (&["somewhere"], 1, "is a URL like"),
    ] {
        let (found, _, error) = add(wrong);
        assert!(found == Some(code) && error.contains(says), "{wrong:?}: {error}");
        assert!(!error.contains("password@"), "{error}");
    }
    assert_eq!(desk.run(&["endpoint", "add", url]).0, Some(2), "a reason is needed");
    assert!(desk.json::<Vec<Endpoint>>(&["endpoint", "list"]).is_empty());
    let unlisted = ["--event", "wallets.teleported", "--unlisted", "--counted", "--least", "100.50"];
    assert_eq!(add(&[&[url], &unlisted[..]].concat()).0, Some(0));
    let filter = desk.json::<Vec<Endpoint>>(&["endpoint", "list"]).remove(0).filter;
    let filter = serde_json::to_value(filter).unwrap();
    assert_eq!(filter, json!({ "event": ["wallets.teleported"], "counted": true, "least": "100.5" }));
}

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

#[tokio::test(flavor = "multi_thread")]
async fn show_and_log_say_who_was_notified_and_only_that() {
    let (desk, service) = (Desk::new(), Service::start().await);
    let client = &desk.serving.client;
    client.send("transaction.deposit.success", deposit("nobody")).await;
    client.log_of(1).await;
    let nobody: Event = desk.log(&["--entity", "nobody"]).remove(0);
    let shown = desk.well(&["show", &nobody.id]);
    assert!(
        shown.contains("notification  for programs and people") && !shown.contains("notified"),
        "{shown}"
    );
    let row = |uid: &str| {
        let table = desk.well(&["log", "--entity", uid]);
        let cells = table.lines().nth(1).unwrap().split_whitespace();
        cells.rev().nth(1).unwrap().to_owned()
    };
    assert_eq!(row("nobody"), "-");

    desk.well(&["endpoint", "add", &service.url, "--why", "x"]);
    let id = desk.json::<Vec<Endpoint>>(&["endpoint", "list"]).remove(0).id;
    service.answer(503);
    client.send("transaction.deposit.success", deposit("first-fails")).await;
    service.next().await;
    let wait = async |progress: &str| {
        eventually(async || {
            let found = row("first-fails");
            if found == progress { Ok(()) } else { Err(found) }
        })
        .await;
    };
    wait("retrying").await;
    let event: Event = desk.log(&["--entity", "first-fails"]).remove(0);
    let shown = desk.well(&["show", &event.id]);
    assert!(shown.contains(&format!("{id} #1 503 in ")) && shown.contains(", next 20"), "{shown}");
    assert!(!shown.contains("notified"), "{shown}");
    service.answer(204);
    wait("delivered").await;
    let shown = desk.well(&["show", &event.id]);
    assert!(
        shown.contains(&format!("notified      {id}")) && shown.contains(&format!("{id} #2 204 in ")),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_resent_to_one_endpoint_only() {
    let desk = Desk::new();
    let (one, other) = (Service::start().await, Service::start().await);
    desk.well(&["endpoint", "add", &one.url, "--family", "customers", "--description", "one", "--why", "x"]);
    desk.well(&["endpoint", "add", &other.url, "--why", "x"]);
    let endpoints: Vec<Endpoint> = desk.json(&["endpoint", "list"]);
    let id = &endpoints.iter().find(|endpoint| endpoint.description == "one").unwrap().id;
    let client = &desk.serving.client;
    for number in 0..3 {
        client.send("customer.created", json!({ "uid": format!("c{number}") })).await;
        client.send("accounts.created", json!({ "uid": format!("a{number}") })).await;
    }
    for _ in 0..3 {
        one.next().await;
    }
    for _ in 0..6 {
        other.next().await;
    }
    let event: Event = desk.log(&["--entity", "c1"]).remove(0);
    desk.well(&["resend", &event.id, "--endpoint", id, "--why", "lost"]);
    let again = one.next().await.json();
    assert_eq!((&again["id"], again["resend"].is_object()), (&json!(event.id), true));

    // Of a range it gets what it wants, each event once, also where the job is begun again.
    let done: Value = desk.json(&["resend", "--from", "1h", "--endpoint", id, "--why", "outage", "--yes"]);
    assert_eq!(done["told"], 3, "{done}");
    let mut uids = Vec::new();
    for _ in 0..3 {
        uids.push(one.next().await.json()["entity"]["uid"].as_str().unwrap().to_owned());
    }
    uids.sort();
    assert_eq!(uids, ["c0", "c1", "c2"]);
    assert!(one.has_nothing().await && other.has_nothing().await);

    desk.well(&["endpoint", "disable", id, "--why", "x"]);
    let (code, _, error) = desk.run(&["resend", &event.id, "--endpoint", id, "--why", "lost"]);
    assert!(code == Some(1) && error.contains("is disabled"), "{error}");
    let (code, _, error) = desk.run(&["resend", "--endpoint", "ep_unknown", "--why", "x"]);
    assert!(code == Some(1) && error.contains("no endpoint has this id"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn listen_forwards_what_was_missed_and_what_comes_as_to_an_endpoint() {
    let (desk, laptop, endpoint) = (Desk::new(), Service::start().await, Service::start().await);
    desk.well(&["endpoint", "add", &endpoint.url, "--why", "x"]);
    let client = &desk.serving.client;
    client.send("customer.created", json!({ "uid": "c" })).await;
    client.log_of(1).await;
    client.send("transaction.deposit.created", deposit("d")).await;
    client.log_of(2).await;
    client.send("transaction.deposit.pending", deposit("d")).await;
    client.log_of(3).await;

    let listen = ["listen", "--forward-to", &laptop.url, "--since", "1h", "--family", "deposits"];
    let mut child = crate::process::start(desk.folder.path(), &listen);
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut next = |part: &str| {
        let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("no line with {part}"))
    };
    let secret = webhook_secret().unwrap();
    assert!(next("signing secret").contains(&secret.reveal()));
    endpoint.next().await;
    for status in ["created", "pending", "success"] {
        if status == "success" {
            laptop.answer(500);
            client.send("transaction.deposit.success", deposit("d")).await;
        }
        let (here, there) = (laptop.next().await, endpoint.next().await);
        here.is_signed_with(&[&secret]);
        assert_eq!((here.json()["status"].as_str(), &here.body), (Some(status), &there.body));
        let names = |got: &Got| {
            let mut names: Vec<_> = got.headers.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        assert_eq!(names(&here), names(&there));
        let id = here.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(next("-->"), format!("--> transaction.deposit.{status} 0.5 BTC {id}"));
        assert!(next("<--").starts_with(if status == "success" { "<-- 500 " } else { "<-- 200 " }));
    }
    let interrupted =
        std::process::Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(laptop.has_nothing().await);

    // One event by itself, whatever came of it.
    let event: Event = desk.log(&["--status", "success"]).remove(0);
    let (code, said, error) = desk.run(&["resend", &event.id, "--to", &laptop.url]);
    assert!(code == Some(1) && said.contains("<-- 500 ") && said.contains("noted"), "{said}{error}");
    laptop.next().await.is_signed_with(&[&secret]);
    laptop.answer(200);
    let said = desk.well(&["resend", event.id.get(..8).unwrap(), "--to", &laptop.url]);
    assert!(said.contains(&secret.reveal()) && said.contains("<-- 200 "), "{said}");
    let again = laptop.next().await;
    assert_eq!((&again.json()["id"], &again.json()["resend"]), (&json!(event.id), &Value::Null));
    // Nothing of it is recorded.
    assert_eq!(desk.actions().await.len(), 1);
    assert_eq!(desk.json::<EventRecord>(&["show", &event.id]).attempts.len(), 1);
    for wrong in [
        &["resend", &event.id, "--to", "2026-11-23", "--why", "x"][..],
        &["resend", "--to", &laptop.url],
        &["resend", "--to", "2026-11-23"],
        &["listen", "--forward-to", "nowhere"],
        &["listen", "--forward-to", &laptop.url, "--family", "depsits"],
        &["listen", "--forward-to", &laptop.url, "--since", "yesterday"],
    ] {
        assert_eq!(desk.run(wrong).0, Some(2), "{wrong:?}");
    }
    let (code, said, _) = desk.run(&["resend", &event.id, "--to", "http://127.0.0.1:1/"]);
    assert!(code == Some(1) && said.contains("<-- no answer: "), "{said}");
}
