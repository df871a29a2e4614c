//! The commands that look at the data and act on it, while the product runs on it and after.

use local::standins::database::Database;
use local::standins::queues::Queues;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::answers::{Action, Balance, Event, EventRecord, List, Quarantined, Queue, read};
use shared::clock::SystemClock;
use shared::model::Family;
use shared::model::ledger::LedgerLine;

use crate::process::{Serving, run};

/// What `ledger --json` prints.
#[derive(Deserialize)]
struct Books {
    balances: Vec<Balance>,
    ledger: Vec<LedgerLine>,
}

#[tokio::test(flavor = "multi_thread")]
async fn ledger_drills_a_balance_down_to_its_webhooks_also_as_of_the_past() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let deposit = json!({ "uid": "d", "amount": "0.5", "assetType": "BTC", "accountId": "a" });
    serving.client.send("transaction.deposit.pending", deposit.clone()).await;
    let log = serving.client.log_of(1).await;
    let then = log[0]["recorded_at"].as_str().unwrap().to_owned();
    serving.client.send("transaction.deposit.success", deposit).await;
    serving.client.log_of(2).await;

    let (code, output, error) = run(folder.path(), &["ledger", "--account", "a"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(output.contains("received +0.5, pending -0.5"), "{output}");
    let books = |arguments: &[&str]| -> Books {
        let (code, output, error) =
            run(folder.path(), &[&["ledger", "--account", "a", "--json"], arguments].concat());
        assert_eq!(code, Some(0), "{error}");
        read(output.as_bytes()).unwrap()
    };
    let now = books(&["--asset", "BTC"]);
    assert_eq!((now.balances[0].balance.to_string().as_str(), now.ledger.len()), ("0.5", 2));
    let event = now.ledger[0].event_id.as_ref().unwrap();
    assert_eq!(serving.client.get(&format!("events/{event}")).await["event"], "transaction.deposit.success");
    let past = books(&["--at", &then]);
    assert_eq!((past.balances[0].pending.to_string().as_str(), past.ledger.len()), ("0.5", 1));

    let (code, _, error) = run(folder.path(), &["ledger", "--account", "nobody"]);
    assert_eq!((code, error.trim()), (Some(1), "error: nothing was ever counted for account nobody"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuild_finds_everything_as_the_webhooks_say_running_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let url = serving.client.base.clone();
    assert_eq!(run(folder.path(), &["trigger", "all", "--url", &url]).0, Some(0));
    serving.client.log_of(43).await;
    let clean = |arguments: &[&str]| {
        let (code, output, error) = run(folder.path(), &[&["rebuild"], arguments].concat());
        assert_eq!(code, Some(0), "{output}{error}");
        output
    };
    let report: Value = serde_json::from_str(&clean(&["--check", "--json"])).unwrap();
    assert_eq!((&report["events"], &report["differences"]), (&json!(43), &json!([])));
    drop(serving);
    assert!(clean(&[]).contains("everything matches the webhooks"));
    clean(&["--entity", "transaction:80009100-efc7-49b3-b008-08903fa748c4", "--check"]);
    assert_eq!(run(folder.path(), &["rebuild", "--entity", "nonsense"]).0, Some(2));
    // What was opened for it is closed again.
    let _again = Serving::start(folder.path(), &[]);
}

/// A product on a folder, and commands on the same.
pub(crate) struct Desk {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) serving: Serving,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let serving = Serving::start(folder.path(), &[]);
        Self { folder, serving }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        run(self.folder.path(), arguments)
    }

    /// What a command prints that has to go well.
    pub(crate) fn well(&self, arguments: &[&str]) -> String {
        let (code, output, error) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {output}{error}");
        output
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> T {
        read(self.well(&[arguments, &["--json"]].concat()).as_bytes()).unwrap()
    }

    /// The events that `log` prints with these filters.
    pub(crate) fn log(&self, filters: &[&str]) -> Vec<Event> {
        let printed = self.well(&[&["log", "--json"], filters].concat());
        printed.lines().map(|line| read(line.as_bytes()).unwrap()).collect()
    }

    /// What people did here.
    pub(crate) async fn actions(&self) -> Vec<Action> {
        let answer = self.serving.client.get("actions").await;
        List::deserialize(answer).unwrap().entries
    }

    async fn deposits(&self, count: usize) {
        for number in 0..count {
            let data = json!({ "uid": format!("d{number}"), "amount": "1", "assetType": "BTC" });
            self.serving.client.send("transaction.deposit.success", data).await;
        }
        self.serving.client.log_of(count as u64).await;
        for _ in 0..count {
            self.serving.notification();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_and_show_find_an_event_and_print_no_control_characters() {
    let desk = Desk::new();
    let hostile = json!({ "uid": "\u{1b}[31mred", "amount": "0.5", "assetType": "BTC", "hash": "0xabc" });
    desk.serving.client.send("transaction.deposit.success", hostile).await;
    desk.serving.client.log_of(1).await;
    let table = desk.well(&["log", "--hash", "0xabc"]);
    assert!(table.contains("transaction.deposit.success") && !table.contains('\u{1b}'), "{table}");
    assert!(desk.well(&["log", "--hash", "0xdef"]).contains("No events match."));
    let event: Event = desk.json(&["log", "--status", "success", "--limit", "1"]);
    let shown: EventRecord = desk.json(&["show", &event.id]);
    assert_eq!((shown.event.amount.as_deref(), &shown.event), (Some("0.5"), &event));
    assert_eq!(shown.notification.programs.unwrap()["event"], event.event);
    let text = desk.well(&["show", &event.id]);
    assert!(text.contains("notification  for programs and people") && !text.contains('\u{1b}'), "{text}");
    let (code, _, error) = desk.run(&["show", "unknown"]);
    assert_eq!((code, error.trim()), (Some(1), "error: Not found: no event has this id."));
    let (code, _, error) = desk.run(&["log", "--effect", "wonderful"]);
    assert!(code == Some(2) && error.contains("unknown effect"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn resend_of_a_range_sends_each_event_once_however_often_it_is_interrupted() {
    let desk = Desk::new();
    desk.deposits(6).await;
    let dry: Value = desk.json(&["resend", "--family", "deposits", "--why", "outage"]);
    assert_eq!((&dry["would_tell"], dry["sample"].as_array().unwrap().len()), (&json!(6), 5));
    assert_eq!(desk.actions().await, []);

    // Two a second: it is at its third when it is killed.
    let resend = ["resend", "--family", "deposits", "--why", "outage", "--yes", "--rate", "2"];
    let mut child = crate::process::start(desk.folder.path(), &resend);
    for _ in 0..3 {
        assert!(desk.serving.notification()["resend"].is_object());
    }
    child.kill().unwrap();
    let output = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    let _ = child.wait();
    let job = output.split("--resume ").nth(1).unwrap().trim();
    let done: Value = desk.json(&["resend", "--resume", job, "--rate", "100"]);
    assert_eq!(done["told"], json!(6), "{done}");
    for _ in 3..6 {
        assert!(desk.serving.notification()["resend"].is_object());
    }
    let actions = desk.actions().await;
    assert_eq!(actions.len(), 6);
    assert!(actions.iter().all(|action| action.why == "outage"));
    let (code, _, error) = desk.run(&["resend", "--resume", job]);
    assert!(code == Some(1) && error.contains("is already finished"), "{error}");
    assert_eq!(desk.run(&["resend", "--family", "deposits"]).0, Some(2), "a reason is needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_follows_what_comes_each_event_once() {
    let desk = Desk::new();
    desk.deposits(2).await;
    let mut child = crate::process::start(desk.folder.path(), &["log", "--follow", "--json", "--limit", "1"]);
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut next = || -> String {
        let event: Event = read(lines.next().unwrap().unwrap().as_bytes()).unwrap();
        event.entity.unwrap().uid
    };
    assert_eq!(next(), "d1");
    for number in 0..5 {
        desk.serving.client.send("customer.created", json!({ "uid": format!("c{number}") })).await;
    }
    let found: Vec<_> = (0..5).map(|_| next()).collect();
    assert_eq!(found.iter().collect::<std::collections::BTreeSet<_>>().len(), 5, "{found:?}");
    child.kill().unwrap();
    let _ = child.wait();
}

#[tokio::test(flavor = "multi_thread")]
async fn export_streams_every_event_as_json_lines_and_as_csv() {
    let desk = Desk::new();
    desk.deposits(230).await;
    let lines = desk.well(&["export"]);
    assert_eq!(lines.lines().count(), 230);
    let first: Event = read(lines.lines().next().unwrap().as_bytes()).unwrap();
    assert_eq!(first.amount.as_deref(), Some("1"));
    let file = desk.folder.path().join("log.csv");
    desk.well(&["export", "--format", "csv", "--status", "success", "--output", file.to_str().unwrap()]);
    let mut reader = csv::Reader::from_path(file).unwrap();
    let names = reader.headers().unwrap().clone();
    // The entity takes two columns.
    assert_eq!((names.get(0), names.len()), (Some("id"), Event::FIELDS.len() + 1));
    let uid = names.iter().position(|name| name == "entity_uid").unwrap();
    let uids: std::collections::BTreeSet<_> =
        reader.records().map(|record| record.unwrap()[uid].to_owned()).collect();
    assert_eq!(uids.len(), 230);
    let raw = desk.well(&["export", "--raw", "--entity", "d7"]);
    assert!(raw.contains(r#"\"uid\":\"d7\""#), "{raw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_are_in_no_list_are_named_with_the_nearest() {
    let desk = Desk::new();
    let data = json!({ "uid": "my-deposit", "amount": "1", "assetType": "BTC", "accountId": "a",
        "subAccountId": "s", "chain": "BITCOIN" });
    desk.serving.client.send("transaction.deposit.success", data).await;
    desk.serving.client.log_of(1).await;
    for (wrong, nearest) in [
        (&["log", "--family", "depsits"][..], "deposits"),
        (&["log", "--effect", "aplied"], "applied"),
        (&["log", "--entity", "transction:my-deposit"], "transaction"),
        (&["resend", "--why", "a test", "--family", "depsits"], "deposits"),
        (&["export", "--family", "depsits"], "deposits"),
        (&["show", "transction:my-deposit"], "transaction"),
        (&["show", "transaction:my-deposit", "--kind", "depositt"], "deposit"),
        (&["trigger", "deposit.success"], "transaction.deposit.success"),
        (&["subscribe", "https", "https://example.com/x", "--family", "depositss"], "deposits"),
        (&["subscribe", "https", "https://example.com/x", "--effect", "aplied"], "applied"),
        (
            &["subscribe", "https", "https://example.com/x", "--event", "transaction.deposit.sucess"],
            "transaction.deposit.success",
        ),
    ] {
        let (code, _, error) = desk.run(wrong);
        assert!(code == Some(2) && error.contains(&format!("did you mean {nearest}?")), "{wrong:?}: {error}");
    }
    assert_eq!(desk.run(&["subscribe", "email", "a@b"]).0, Some(2));
    for open in [["--event", "transaction.deposit.sucess"], ["--status", "sucess"]] {
        let said = desk.well(&[&["log"], &open[..]].concat());
        assert!(said.contains("No events match.") && said.contains("did you mean"), "{said}");
        let said = desk.well(&[&["resend", "--why", "a test"], &open[..]].concat());
        assert!(said.contains("did you mean"), "{said}");
    }
    for found in [
        &["--family", "Deposits", "--effect", "APPLIED", "--status", "Success", "--asset", "btc"][..],
        &["--account", "a", "--sub-account", "s", "--chain", "bitcoin"],
        &["--entity", "Transaction:my-deposit"],
    ] {
        let event: Event = desk.json(&[&["log"], found].concat());
        assert_eq!(event.entity.unwrap().uid, "my-deposit", "{found:?}");
    }
    assert!(desk.well(&["log", "--account", "b"]).contains("No events match."));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_found_by_the_beginning_of_its_id_and_an_entity_is_named_for_its_uid() {
    let desk = Desk::new();
    desk.deposits(2).await;
    let event: Event = desk.json(&["log", "--entity", "d0"]);
    let beginning = event.id.get(..8).unwrap();
    let shown: EventRecord = desk.json(&["show", beginning]);
    assert_eq!(shown.event.id, event.id);
    desk.well(&["resend", beginning, "--why", "a test"]);
    assert_eq!(desk.actions().await[0].target.id, event.id);
    let (code, _, error) = desk.run(&["show", "d0"]);
    let meant = "error: Not found: no event has this id. Did you mean transaction:d0?";
    assert_eq!((code, error.trim()), (Some(1), meant));
    let (code, _, error) = desk.run(&["resend", "00000000", "--why", "a test"]);
    assert!(code == Some(1) && error.contains("of none begins with 00000000"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_get_what_their_filter_selects() {
    let desk = Desk::new();
    let webhook = crate::support::Receiver::start().await;
    desk.well(&["subscribe", "https", webhook.url.as_str(), "--family", "deposits", "--status", "success"]);
    desk.well(&["subscribe", "email", "treasury@example.com", "--asset", "ETH", "--least", "100"]);
    desk.well(&["subscribe", "sms", "+4912345678", "--asset", "ETH"]);
    assert_eq!(desk.json::<Vec<Value>>(&["subscribe", "list"]).len(), 3);
    let deposit = |uid: &str, asset: &str, dollars: &str| json!({ "uid": uid, "amount": "1", "assetType": asset, "dollarAmount": dollars });
    desk.serving.client.send("transaction.deposit.pending", deposit("a", "BTC", "500")).await;
    desk.serving.client.send("transaction.deposit.success", deposit("b", "BTC", "500")).await;
    desk.serving.client.send("transaction.deposit.success", deposit("c", "ETH", "99.99")).await;
    desk.serving.client.send("transaction.deposit.success", deposit("d", "ETH", "100")).await;
    let mut sent: Vec<_> =
        webhook.take(3).await.iter().map(|sent| sent["entity"]["uid"].as_str().unwrap().to_owned()).collect();
    sent.sort();
    assert_eq!(sent, ["b", "c", "d"]);
    let files = crate::support::eventually(async || {
        let folder = desk.folder.path().join(".bitpowr/told");
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(entry.unwrap().path()).unwrap()
        };
        let files: Vec<String> =
            std::fs::read_dir(folder).map(|all| all.map(read).collect()).unwrap_or_default();
        if files.len() == 3 { Ok(files) } else { Err(format!("{} files", files.len())) }
    })
    .await;
    let mails: Vec<_> = files.iter().filter(|file| file.contains("Subject:")).collect();
    assert!(matches!(&mails[..], [mail] if mail.contains("treasury@example.com")), "{files:?}");
    assert_eq!(files.iter().filter(|file| file.starts_with("To: +4912345678")).count(), 2);

    let id = desk.json::<Vec<Value>>(&["subscribe", "list"])[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.json::<Value>(&["subscribe", "remove", &id]), json!({ "removed": id }));
    assert_eq!(desk.json::<Vec<Value>>(&["subscribe", "list"]).len(), 2);
    assert_eq!(desk.run(&["subscribe", "remove", &id]).0, Some(1));
    for wrong in [
        &["subscribe", "email", "nobody"][..],
        &["subscribe", "email", "a@b"],
        &["subscribe", "sms", "0123"],
        &["subscribe", "https", webhook.url.as_str(), "--family", "depositss"],
        &["subscribe", "https", webhook.url.as_str(), "--effect", "aplied"],
        &["subscribe", "https", webhook.url.as_str(), "--event", "transaction.deposit.sucess"],
    ] {
        assert_eq!(desk.run(wrong).0, Some(2), "{wrong:?}");
    }
    assert_eq!(desk.json::<Vec<Value>>(&["subscribe", "list"]).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_ill_and_dead_letters_go_back() {
    let desk = Desk::new();
    let findings: Vec<Value> = desk.json(&["doctor"]);
    assert!(findings.iter().all(|finding| finding["verdict"] != "fail"), "{findings:?}");
    assert_eq!(desk.serving.client.post("test", "nonsense").await.0, 400);
    crate::support::eventually(async || {
        let listed: Vec<Quarantined> = desk.json(&["quarantine", "list"]);
        if listed.len() == 1 { Ok(()) } else { Err(format!("{listed:?}")) }
    })
    .await;
    let (code, output, error) = desk.run(&["quarantine", "retry", "--why", "mended", "--json"]);
    assert!(code == Some(1) && output.contains("The body still cannot be read"), "{output}{error}");
    let (code, output, _) = desk.run(&["doctor"]);
    assert!(
        code == Some(1) && output.contains("fail  quarantine") && output.contains("not_json"),
        "{output}"
    );

    // A letter that nobody can open, as a redrive from elsewhere would leave it.
    let file = desk.folder.path().join(".bitpowr/queues.db");
    let queues = Queues::attach(Database::open(Some(&file)).unwrap(), SystemClock);
    queues.send("deposits-dead-letters", vec!["forged".to_owned()]).await.unwrap();
    let (code, output, _) = desk.run(&["doctor"]);
    assert!(code == Some(1) && output.contains("dead-letters redrive"), "{output}");
    let moved: Value = desk.json(&["dead-letters", "redrive", "--why", "mended"]);
    assert_eq!(moved, json!({ "moved": { "deposits": 1 } }));
    let listed: Vec<Queue> = desk.json(&["dead-letters", "list"]);
    let deposits = listed.iter().find(|queue| queue.family == Family::Deposits).unwrap();
    assert_eq!(deposits.dead_letters, 0);
    assert_eq!(desk.actions().await[0].moved, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_fails_on_money_that_is_not_counted_until_a_later_event_says_how() {
    let desk = Desk::new();
    let client = &desk.serving.client;
    let found = |what: &str| -> (String, String) {
        let (_, output, error) = desk.run(&["doctor", "--json"]);
        let findings: Vec<Value> = serde_json::from_str(&output).expect(&error);
        let finding = findings.into_iter().find(|finding| finding["what"] == what).unwrap();
        (finding["verdict"].as_str().unwrap().to_owned(), finding["found"].as_str().unwrap().to_owned())
    };
    client
        .send("transaction.deposit.success", json!({ "uid": "d1", "amount": "1,5", "assetType": "BTC" }))
        .await;
    client.send("transaction.deposit.success", json!({ "uid": "d2", "amount": "2" })).await;
    client
        .send("transaction.deposit.success", json!({ "uid": "d3", "amount": "3", "assetType": "BTC" }))
        .await;
    client
        .send("transaction.deposit.failed", json!({ "uid": "d3", "amount": "3", "assetType": "BTC" }))
        .await;
    client.send("accounts.unheard_of", json!({ "uid": "a" })).await;
    client.log_of(5).await;
    let (verdict, said) = found("money not counted");
    assert_eq!(verdict, "fail");
    assert!(said.contains("1, the newest ") && said.contains("log --oddity not_a_number"), "{said}");
    assert!(said.contains("log --oddity asset_unknown"), "{said}");
    let listed = desk.well(&["log", "--oddity", "not_a_number"]);
    assert!(listed.contains("d1") && !listed.contains("d2"), "{listed}");
    let listed = desk.well(&["log"]);
    assert!(listed.contains("conflict") && listed.contains("asset_unknown"), "{listed}");
    let shown = desk.well(&["show", "transaction:d1"]);
    assert!(shown.contains("not_a_number, not counted: the amount is not a number"), "{shown}");
    assert!(!shown.contains("disagreements") && !shown.contains("[]"), "an empty list is shown: {shown}");
    let shown = desk.well(&["show", "transaction:d3"]);
    assert!(shown.lines().any(|line| line == "disagreements outcome"), "{shown}");
    assert_eq!(found("conflicts").0, "fail");
    let (verdict, said) = found("events without effect");
    assert!(verdict == "fail" && said.contains("accounts.unheard_of"), "{said}");

    client
        .send("transaction.deposit.success", json!({ "uid": "d2", "amount": "2", "assetType": "BTC" }))
        .await;
    client.log_of(6).await;
    let (verdict, said) = found("money not counted");
    assert!(verdict == "fail" && !said.contains("asset_unknown"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_no_problem_until_a_later_event_makes_one() {
    let desk = Desk::new();
    let client = &desk.serving.client;
    let fails = |what: &str| {
        let (_, output, error) = desk.run(&["doctor", "--json"]);
        let findings: Vec<Value> = serde_json::from_str(&output).expect(&error);
        findings.iter().any(|finding| finding["what"] == what && finding["verdict"] == "fail")
    };
    let send = async |event: &str, amount: &str| {
        client.send(event, json!({ "uid": "d", "amount": amount, "assetType": "BTC" })).await;
    };
    send("transaction.deposit.pending", "1,5").await;
    let id = client.log_of(1).await[0]["id"].as_str().unwrap().to_owned();
    assert!(fails("money not counted"));
    assert_eq!(desk.run(&["acknowledge", &id]).0, Some(2), "without a reason");
    assert_eq!(desk.run(&["acknowledge", &"0".repeat(32), "--why", "there is none"]).0, Some(1));
    let said = desk.well(&["acknowledge", &id, "--why", "paid by hand"]);
    assert!(said.contains("its marks stay"), "{said}");
    assert!(!fails("money not counted"));
    let record: EventRecord = desk.json(&["show", &id]);
    assert!(record.event.acknowledged && record.event.oddity.is_some());
    assert_eq!(record.actions[0].why, "paid by hand");

    send("transaction.deposit.success", "1,5").await;
    client.log_of(2).await;
    assert!(fails("money not counted"));
}
