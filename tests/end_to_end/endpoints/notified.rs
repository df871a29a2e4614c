//! What services get of events, of resends and by `listen`, and what is shown of that.

use local::product::webhook_secret;
use serde_json::{Value, json};
use shared::answers::{Endpoint, Event, EventRecord};

use super::{Got, Service, deposit};
use crate::command_line::Desk;
use crate::support::eventually;

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
