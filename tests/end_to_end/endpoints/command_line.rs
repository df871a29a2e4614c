//! The life of an endpoint on the command line.

use local::standins::development::delivery_key;
use serde_json::{Value, json};
use shared::answers::{Endpoint, EndpointRecord, Event, Test, WithSecret};
use shared::endpoints::signing::SigningSecret;

use super::{Service, deposit};
use crate::command_line::Desk;
use crate::support::eventually;

/// What the words of a printed command are, without quotes.
fn words(command: &str) -> Vec<String> {
    let parts = command.trim().split('\'').enumerate();
    let words = parts.flat_map(|(number, part)| match number % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// An endpoint that was added on the command line, and the service behind it.
struct Life {
    desk: Desk,
    service: Service,
    id: String,
    first: SigningSecret,
    second: SigningSecret,
}

impl Life {
    async fn begin() -> Self {
        let (desk, service) = (Desk::new(), Service::start().await);
        desk.well(&["subscribe", "email", "security@example.com"]);
        assert!(desk.well(&["endpoint", "list"]).contains("No endpoints."));
        let said = desk.well(&["endpoint", "add", &service.url, "--family", "deposits", "--why", "the shop"]);
        let endpoint: Endpoint = desk.json::<Vec<Endpoint>>(&["endpoint", "list"]).remove(0);
        let id = endpoint.id;
        let secret = |number| delivery_key().unwrap().secret(&id, number);
        let (first, second) = (secret(1), secret(2));
        assert!(said.contains(&first.reveal()) && said.contains(&format!("endpoint test {id}")), "{said}");
        assert_eq!(endpoint.filter.family, [shared::model::Family::Deposits]);
        Self { desk, service, id, first, second }
    }

    async fn gets_what_it_wants_and_nothing_else(&self) {
        let id = self.id.as_str();
        self.desk.serving.client.send("customer.created", json!({ "uid": "c" })).await;
        self.desk.serving.client.send("transaction.deposit.success", deposit("d")).await;
        let got = self.service.next().await;
        got.is_signed_with(&[&self.first]);
        assert_eq!(got.json()["entity"]["uid"], "d");
        // All that is shown of the URL is scheme and host; of the secret nothing.
        for shown in [&["endpoint", "list"][..], &["endpoint", "show", id], &["endpoint", "list", "--json"]] {
            let shown = self.desk.well(shown);
            assert!(shown.contains("/…") && shown.contains(id), "{shown}");
            assert!(!shown.contains("t0ken") && !shown.contains("whsec_"), "{shown}");
        }
    }

    async fn is_tested_and_the_exit_code_says_what_came_of_it(&self) {
        let id = self.id.as_str();
        let beginning = id.get(..9).unwrap();
        let said = self.desk.well(&["endpoint", "test", beginning, "--why", "a first test"]);
        assert!(said.contains(": 200 in ") && said.contains("noted"), "{said}");
        let test = self.service.next().await;
        test.is_signed_with(&[&self.first]);
        assert_eq!(test.json()["type"], "endpoint.test");
        self.service.answer(500);
        let (code, said, error) =
            self.desk.run(&["endpoint", "test", id, "--why", "a second test", "--json"]);
        assert!(code == Some(1) && error.contains("did not accept the test"), "{said}{error}");
        let failed: Test = shared::answers::read(said.as_bytes()).unwrap();
        assert_eq!(
            (failed.attempts[0].status, failed.attempts[0].answer.as_deref()),
            (Some(500), Some("noted"))
        );
        self.service.answer(200);
        self.service.next().await;
        // The test is tried again, as an event is.
        assert_eq!(self.service.next().await.json()["id"], failed.id);
    }

    /// A new secret signs beside the one before; again within a day is refused.
    async fn is_rotated(&self) {
        let id = self.id.as_str();
        let rotated: WithSecret = self.desk.json(&["endpoint", "rotate", id, "--why", "somebody left"]);
        assert_eq!(rotated.secret, self.second.reveal());
        let (code, _, error) = self.desk.run(&["endpoint", "rotate", id, "--why", "again"]);
        assert!(code == Some(1) && error.contains("24 hours"), "{error}");
        self.desk.well(&["endpoint", "test", id, "--why", "both"]);
        self.service.next().await.is_signed_with(&[&self.second, &self.first]);
    }

    /// While it is disabled it gets nothing, and `enable` says how to resend what it missed.
    async fn is_disabled_and_enabled_again(&self) {
        let id = self.id.as_str();
        self.desk.well(&["endpoint", "disable", id, "--why", "maintenance"]);
        let (code, _, error) = self.desk.run(&["endpoint", "test", id, "--why", "x"]);
        assert!(code == Some(1) && error.contains("disabled"), "{error}");
        let (code, said, _) = self.desk.run(&["doctor"]);
        assert!(
            code == Some(1) && said.contains("1 disabled") && said.contains(&format!("endpoint show {id}")),
            "{said}"
        );
        self.desk.serving.client.send("customer.updated", json!({ "uid": "c", "name": "n" })).await;
        self.desk.serving.client.send("transaction.deposit.success", deposit("missed")).await;
        eventually(async || {
            let found: Vec<Event> = self.desk.log(&["--entity", "missed"]);
            let progress = found.first().and_then(|event| event.endpoints).map(|progress| progress.as_str());
            if progress == Some("failed") { Ok(()) } else { Err(format!("{progress:?}")) }
        })
        .await;
        assert!(self.service.has_nothing().await);
        let said = self.desk.well(&["endpoint", "enable", id, "--why", "it is back"]);
        let command = said.lines().find(|line| line.trim().starts_with("resend")).unwrap();
        let command = words(command);
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        let dry = self.desk.well(&command);
        assert!(dry.contains(&format!("1 events would be resent to {id}")), "{dry}");
        assert!(self.service.has_nothing().await);
        self.desk.well(&[&command[..], &["--yes"]].concat());
        let again = self.service.next().await;
        again.is_signed_with(&[&self.second, &self.first]);
        assert_eq!(
            (&again.json()["entity"]["uid"], again.json()["resend"]["id"].is_string()),
            (&json!("missed"), true)
        );
        assert!(self.desk.well(&["doctor"]).contains("1, all active"));
    }

    fn is_removed_with_every_action_on_record(&self) {
        let id = self.id.as_str();
        let shown: EndpointRecord = self.desk.json(&["endpoint", "show", id]);
        let done: Vec<_> = shown.actions.iter().map(|done| done.action.as_str()).collect();
        let tests = ["test_endpoint"; 3];
        let expected = [
            &["add_endpoint"][..],
            &tests[..2],
            &["rotate_secret", "test_endpoint", "disable_endpoint", "enable_endpoint"],
        ];
        assert_eq!(done, expected.concat());
        assert!(shown.actions.iter().all(|done| !done.who.is_empty() && !done.why.is_empty()));
        assert_eq!(
            self.desk.json::<Value>(&["endpoint", "remove", id, "--why", "closed"]),
            json!({ "removed": id })
        );
        assert!(self.desk.json::<Vec<Endpoint>>(&["endpoint", "list"]).is_empty());
        let (code, _, error) = self.desk.run(&["endpoint", "show", id]);
        assert_eq!((code, error.trim()), (Some(1), "error: Not found: no endpoint has this id."));
    }

    async fn notified_people_of_each_change_and_not_of_tests(&self) {
        let subjects = eventually(async || {
            let folder = std::fs::read_dir(self.desk.folder.path().join(".bitpowr/told")).unwrap();
            let mails = folder.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
            let subject = |mail: String| {
                mail.lines().find(|line| line.starts_with("Subject: [test] Endpoint")).map(str::to_owned)
            };
            let subjects: Vec<_> = mails.filter_map(subject).collect();
            if subjects.len() >= 5 { Ok(subjects) } else { Err(format!("{subjects:?}")) }
        })
        .await;
        for change in ["was added", "has a new signing secret", "was disabled", "was enabled", "was removed"]
        {
            assert_eq!(subjects.iter().filter(|subject| subject.contains(change)).count(), 1, "{subjects:?}");
        }
        assert!(!subjects.concat().contains("t0ken"), "{subjects:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_lives_on_the_command_line() {
    let life = Life::begin().await;
    life.gets_what_it_wants_and_nothing_else().await;
    life.is_tested_and_the_exit_code_says_what_came_of_it().await;
    life.is_rotated().await;
    life.is_disabled_and_enabled_again().await;
    life.is_removed_with_every_action_on_record();
    life.notified_people_of_each_change_and_not_of_tests().await;
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
