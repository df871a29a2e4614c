//! The real binary: killed, restarted, stopped, misused.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Client, PATIENCE};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_bitpowr-webhooks");

/// The binary, serving; killed when dropped.
pub(crate) struct Serving {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    pub(crate) client: Client,
    curl: String,
    greeting: Vec<String>,
}

impl Serving {
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_with(folder, arguments, None)
    }

    /// With a webhook secret in the environment.
    fn start_with(folder: &Path, arguments: &[&str], secret: Option<&str>) -> Self {
        let mut child = Command::new(BINARY)
            .envs(secret.map(|secret| ("BITPOWR_WEBHOOK_SECRET", secret)))
            .args(["serve", "--port", "0"])
            .args(arguments)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut greeting = Vec::new();
        while !greeting.last().is_some_and(|line: &String| line.contains("Ctrl-C")) {
            greeting.push(lines.recv_timeout(PATIENCE).unwrap());
        }
        let curl = greeting.iter().find(|line| line.contains("curl")).unwrap().trim().to_owned();
        let base = greeting[0].split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        let address = base.trim_start_matches("http://").trim_end_matches("/webhooks/test").parse().unwrap();
        Self { child, lines, client: Client::new(address), curl, greeting }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn notification(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(PATIENCE).unwrap()).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn deposit(uid: &str) -> Value {
    json!({ "uid": uid, "amount": "1", "assetType": "BTC", "accountId": "a" })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut accepted = 0;
    for round in 0..3 {
        let serving = Serving::start(folder.path(), &[]);
        for number in 0..15 {
            serving.client.send("transaction.deposit.success", deposit(&format!("{round}-{number}"))).await;
            accepted += 1;
        }
        // In the middle of applying them.
        serving.signal("KILL");
    }
    let serving = Serving::start(folder.path(), &[]);
    let log = serving.client.log_of(accepted).await;
    assert_eq!(log.len() as u64, accepted);
    assert_eq!(serving.client.balance("a", "BTC").await["received"], accepted.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn state_survives_a_restart_and_stopping_exits_0() {
    let folder = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(folder.path(), &["--data", "kept"]);
    serving.client.send("transaction.deposit.success", deposit("d")).await;
    assert_eq!(serving.notification()["event"], "transaction.deposit.success");
    serving.signal("INT");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    assert!(folder.path().join("kept").is_dir());

    let mut serving = Serving::start(folder.path(), &["--data", "kept"]);
    assert_eq!(serving.client.balance("a", "BTC").await["received"], "1");
    assert_eq!(serving.client.log().await.len(), 1);
    serving.signal("TERM");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--memory"]);
    serving.client.send("transaction.deposit.success", deposit("d")).await;
    serving.client.log_of(1).await;
    drop(serving);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_curl_line_works_when_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let own = "it's \"quoted\" & $strange, and longer than what fits into one line of Base64 text";
    for arguments in [&["--memory"][..], &["--memory", "--secret", own]] {
        let serving = Serving::start(folder.path(), arguments);
        let pasted =
            Command::new("sh").args(["-c", &serving.curl]).env("BITPOWR_WEBHOOK_SECRET", own).output();
        let pasted = pasted.unwrap();
        let answer = String::from_utf8_lossy(&pasted.stdout);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer} {}", String::from_utf8_lossy(&pasted.stderr));
        assert_eq!(serving.notification()["event"], "transaction.deposit.success");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_ones_own_is_taken_from_an_option_a_file_or_the_environment_and_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "of our own\n").unwrap();
    for (arguments, variable) in [
        (&["--secret", "of our own"][..], None),
        (&["--secret-file", "secret"], None),
        (&["--secret-file", "secret", "--secret", "another"], None),
        (&[], Some("of our own")),
    ] {
        let arguments = [&["--memory"], arguments].concat();
        let serving = Serving::start_with(folder.path(), &arguments, variable);
        let greeting = serving.greeting.join("\n");
        for text in ["of our own", "b2Ygb3VyIG93bg"] {
            assert!(!greeting.contains(text), "{greeting}");
        }
        let url = &serving.client.base;
        let trigger = ["trigger", "accounts.created", "--url", url, "--secret-file", "secret"];
        assert_eq!(run(folder.path(), &trigger).0, Some(0));
    }
}

/// Runs the binary to its end: exit code, standard output, standard error.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(BINARY).args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Starts the binary, with its standard output to be read.
pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(BINARY).args(arguments).current_dir(folder).stdout(Stdio::piped()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn trigger_sends_the_samples_and_reports_each_answer() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--memory"]);
    let url = serving.client.base.clone();
    let (code, output, _) = run(folder.path(), &["trigger", "all", "--url", &url]);
    assert_eq!(code, Some(0));
    assert_eq!(output.lines().filter(|line| line.starts_with("200 ")).count(), 43);
    assert_eq!(serving.client.log_of(43).await.len(), 43);

    let (code, output, _) = run(folder.path(), &["trigger", "deposits", "--url", &url, "--env", "live"]);
    assert_eq!((code, output.lines().last()), (Some(0), Some("5 of 5 accepted")));

    let changed = [
        "trigger",
        "transaction.deposit.success",
        "--url",
        &url,
        "--set",
        "uid=mine",
        "--set",
        "amount=7.10",
    ];
    assert_eq!(run(folder.path(), &changed).0, Some(0));
    serving.client.log_of(44).await;
    assert_eq!(serving.client.get("transactions/mine").await["amount"], "7.10");

    let (code, output, error) =
        run(folder.path(), &["trigger", "deposits", "--url", &url, "--secret", "wrong"]);
    assert_eq!((code, error.trim()), (Some(1), "error: 5 were not accepted"));
    assert!(output.starts_with("401 "));
}

#[test]
fn misuse_gets_one_clear_line_and_exit_1() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "not a folder").unwrap();
    std::fs::DirBuilder::new().mode(0o700).create(folder.path().join("broken")).unwrap();
    std::fs::write(folder.path().join("broken/queues.db"), "this is no database, and long enough to tell")
        .unwrap();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    for (arguments, message) in [
        (&["--memory", "--port", &port][..], "cannot be used"),
        (&["--port", "0", "--data", "file"], "the data folder file cannot be used"),
        (&["--port", "0", "--data", "broken"], "the data folder broken cannot be used"),
        (&["--port", "0", "--memory", "--secret", ""], "the webhook secret is empty"),
        (&["trigger", "accounts", "--url", "http://127.0.0.1:1"], "no answer from"),
        (&["trigger", "accounts.created", "--set", "uid"], "key=value"),
        (&["ledger", "--account", "a"], "no data in .bitpowr"),
        (&["rebuild", "--check", "--data", "file"], "no data in file"),
    ] {
        let (code, _, error) = run(folder.path(), arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{arguments:?}: {error}");
        assert!(error.starts_with("error: ") && error.contains(message), "{arguments:?}: {error}");
    }
}

#[test]
fn a_data_folder_is_used_by_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let _serving = Serving::start(folder.path(), &[]);
    let (code, _, error) = run(folder.path(), &["--port", "0"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("in use by another process"), "{error}");
}

#[test]
fn help_lists_the_events() {
    let folder = tempfile::tempdir().unwrap();
    let (code, help, _) = run(folder.path(), &["trigger", "--help"]);
    assert_eq!(code, Some(0));
    for event in shared::model::EventType::ALL {
        assert!(help.contains(event.as_str()), "{}", event.as_str());
    }
}
