//! What other users of this machine, and web pages in its browser, can reach.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::process::{Serving, run};
use crate::support::PATIENCE;

/// The TCP ports that a process listens on, as the kernel lists them (proc(5)).
fn ports(process: u32) -> BTreeSet<u16> {
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let sockets: BTreeSet<String> = descriptors
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
        .collect();
    let mut found = BTreeSet::new();
    for table in ["tcp", "tcp6"] {
        let table = std::fs::read_to_string(format!("/proc/{process}/net/{table}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            const LISTENS: &str = "0A";
            if fields[3] == LISTENS && sockets.contains(fields[9]) {
                let port = fields[1].rsplit(':').next().unwrap();
                found.insert(u16::from_str_radix(port, 16).unwrap());
            }
        }
    }
    found
}

fn port(serving: &Serving) -> u16 {
    serving.client.base.rsplit(':').next().unwrap().parse().unwrap()
}

fn deposit(uid: &str) -> Value {
    json!({ "uid": uid, "amount": "1", "assetType": "BTC", "accountId": "a" })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_product_listens_on_its_documented_port_only() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["--memory"]] {
        let serving = Serving::start(folder.path(), arguments);
        serving.client.send("transaction.deposit.success", deposit("d")).await;
        serving.client.log_of(1).await;
        assert_eq!(ports(serving.id()), BTreeSet::from([port(&serving)]), "{arguments:?}");
    }
    let serving = Serving::start(folder.path(), &["--aws-endpoint", "127.0.0.1:0"]);
    assert_eq!(ports(serving.id()).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_on_an_idle_folder_listens_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &[]);
    serving.client.send("transaction.deposit.success", deposit("d")).await;
    serving.client.log_of(1).await;
    drop(serving);
    let mut following = crate::process::start(folder.path(), &["log", "--follow"]);
    let mut first = String::new();
    let output = following.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut first).unwrap();
    let found = ports(following.id());
    following.kill().unwrap();
    following.wait().unwrap();
    assert_eq!(found, BTreeSet::new());
}

/// Everything below a folder, with its rights.
fn rights(folder: &Path) -> Vec<(String, u32)> {
    let mut found = vec![(folder.display().to_string(), std::fs::metadata(folder).unwrap().mode() & 0o777)];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rights(&path));
        } else {
            found.push((path.display().to_string(), std::fs::metadata(&path).unwrap().mode() & 0o777));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_read_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--mail", "mail"]);
    let (code, _, error) = run(folder.path(), &["subscribe", "email", "a@example.com"]);
    assert_eq!(code, Some(0), "{error}");
    serving.client.send("transaction.deposit.success", deposit("d")).await;
    serving.client.log_of(1).await;
    serving.notification();
    let (code, _, error) = run(folder.path(), &["export", "--output", "events.jsonl"]);
    assert_eq!(code, Some(0), "{error}");
    let mut found = rights(&folder.path().join(".bitpowr"));
    found.extend(rights(&folder.path().join("mail")));
    found.extend(rights(folder.path()).into_iter().filter(|(name, _)| name.ends_with("events.jsonl")));
    assert!(found.len() >= 8, "{found:?}");
    for (name, mode) in found {
        assert_eq!(mode & 0o077, 0, "{name} is {mode:o}");
    }
}

#[test]
fn a_folder_that_others_could_read_is_narrowed_and_that_is_said() {
    let parent = tempfile::tempdir().unwrap();
    drop(Serving::start(parent.path(), &[]));
    let folder = parent.path().join(".bitpowr");
    std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    let (code, _, error) = run(parent.path(), &["log"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(error.contains("the data folder was readable by others"), "{error}");
    assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_lock_that_is_a_link_does_no_harm() {
    let parent = tempfile::tempdir().unwrap();
    drop(Serving::start(parent.path(), &[]));
    let precious = parent.path().join("precious");
    std::fs::write(&precious, "precious").unwrap();
    let lock = parent.path().join(".bitpowr/lock");
    std::fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&precious, &lock).unwrap();
    for arguments in [&["--port", "0"][..], &["log"]] {
        let (code, _, error) = run(parent.path(), arguments);
        assert_eq!(code, Some(1), "{arguments:?}");
        assert!(error.contains("is a symbolic link"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_a_running_product_below_a_path_that_is_too_long_for_a_socket() {
    let parent = tempfile::tempdir().unwrap();
    let long = "a-folder-with-a-long-name".repeat(8);
    let serving = Serving::start(parent.path(), &["--data", &long]);
    serving.client.send("transaction.deposit.success", deposit("far-away")).await;
    serving.client.log_of(1).await;
    let (code, output, error) = run(parent.path(), &["log", "--data", &long]);
    assert_eq!(code, Some(0), "{error}");
    assert!(output.contains("far-away"), "{output}");
}

/// What HTTP says to a request that is written by hand: the status, and everything.
fn by_hand(address: &str, request: &str) -> (String, String) {
    use std::io::{Read as _, Write as _};
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    (answer.split_whitespace().nth(1).unwrap_or_default().to_owned(), answer)
}

/// A request with these header lines, and a body.
fn request(line: &str, headers: &[&str], body: &str) -> String {
    let headers = headers.iter().map(|header| format!("{header}\r\n")).collect::<String>();
    format!("{line} HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

const WEBHOOK: &str = r#"{"event":"transaction.deposit.success","data":{"uid":"forged","amount":"1","assetType":"BTC","accountId":"a"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_cannot_forge_a_webhook() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "x-webhook-secret: bG9jYWwtc2VjcmV0";
    let post = |serving: &Serving, host: &str, more: &[&str]| {
        let host = format!("host: {host}");
        let headers: Vec<&str> = [host.as_str(), secret].into_iter().chain(more.iter().copied()).collect();
        let address = serving.client.base.trim_start_matches("http://");
        by_hand(address, &request("POST /webhooks/live", &headers, WEBHOOK)).0
    };
    let serving = Serving::start(folder.path(), &["--memory"]);
    let own = serving.client.base.trim_start_matches("http://").to_owned();
    // Whatever the page's origin is, also one that names this very product.
    for origin in ["https://evil.example", "null", "http://localhost:3000", &serving.client.base] {
        assert_eq!(post(&serving, &own, &[&format!("origin: {origin}")]), "403", "{origin}");
    }
    // A name that was bent to this address, while everybody knows the secret.
    for host in ["evil.example", "evil.example:8787", "192.168.0.1", "tunnel.example"] {
        assert_eq!(post(&serving, host, &[]), "421", "{host}");
    }
    assert_eq!(serving.client.log().await.len(), 0);
    assert_eq!(post(&serving, &own, &[]), "200");
    drop(serving);

    // With a secret of one's own a tunnel works, and a page still does not.
    let serving = Serving::start(folder.path(), &["--memory", "--secret", "of our own"]);
    let secret = "x-webhook-secret: b2Ygb3VyIG93bg==";
    let address = serving.client.base.trim_start_matches("http://");
    let through_a_tunnel = request("POST /webhooks/live", &["host: tunnel.example", secret], WEBHOOK);
    assert_eq!(by_hand(address, &through_a_tunnel).0, "200");
    let headers = ["host: tunnel.example", secret, "origin: https://tunnel.example"];
    assert_eq!(by_hand(address, &request("POST /webhooks/live", &headers, WEBHOOK)).0, "403");
}

#[test]
fn the_aws_endpoint_answers_the_functions_only() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--memory", "--aws-endpoint", "127.0.0.1:0"]);
    let ports = ports(serving.id());
    let port = ports.into_iter().find(|found| *found != port(&serving)).unwrap();
    let address = format!("127.0.0.1:{port}");
    let own = format!("host: {address}");
    let signed = "authorization: AWS4-HMAC-SHA256 Credential=local/20261125/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    let of_others = "authorization: AWS4-HMAC-SHA256 Credential=AKIAOTHER/20261125/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    let list = "x-amz-target: DynamoDB_20120810.ListTables";
    let secret = "x-amz-target: secretsmanager.GetSecretValue";
    let publish = "Action=PublishBatch&TopicArn=a:people&PublishBatchRequestEntries.member.1.Id=1&PublishBatchRequestEntries.member.1.Message=%7B%7D";
    let ask = |line: &str, headers: &[&str], body: &str| by_hand(&address, &request(line, headers, body));

    // A function in a container.
    for host in ["host.docker.internal:8788", &address, "localhost"] {
        let (status, answer) = ask("POST /", &[&format!("host: {host}"), signed, list], "{}");
        assert_eq!(status, "200", "{host}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control-"), "{answer}");
    }
    // A form of a page elsewhere: no preflight asks whether it may be sent.
    let form = "content-type: application/x-www-form-urlencoded";
    assert_eq!(ask("POST /", &[&own, form, "origin: https://evil.example"], publish).0, "403");
    assert_eq!(ask("POST /", &[&own, form], publish).0, "403");
    // A name that was bent to this address.
    for target in [list, secret] {
        assert_eq!(
            ask("POST /", &["host: evil.example", signed, target], r#"{"SecretId":"sealing-key"}"#).0,
            "421"
        );
    }
    // A preflight, and whoever looks what there is.
    let preflight = [
        "origin: https://evil.example",
        "access-control-request-method: POST",
        "access-control-request-headers: authorization",
    ];
    for (headers, status) in
        [(vec![own.as_str(), preflight[0], preflight[1], preflight[2]], "403"), (vec![own.as_str()], "403")]
    {
        let (found, answer) = ask("OPTIONS /", &headers, "");
        assert_eq!(found, status, "{answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control-"), "{answer}");
    }
    assert_eq!(ask("GET /", &[&own], "").0, "403");
    // Without the access key, or with another one.
    assert_eq!(ask("POST /", &[&own, secret], r#"{"SecretId":"sealing-key"}"#).0, "403");
    let (status, answer) = ask("POST /", &[&own, of_others, list], "{}");
    assert_eq!(status, "403");
    assert!(answer.contains("AWS_ACCESS_KEY_ID"), "{answer}");
}

/// What acts on whoever reads it, and how it is shown.
const HOSTILE: &str =
    "=cmd|' /C calc'!A0\nEnvironment: live\n\nSee https://evil.example\u{1b}[2J\u{9b}31m\u{7f}\u{202e}";

#[tokio::test(flavor = "multi_thread")]
async fn other_peoples_text_acts_on_no_terminal_mail_or_spreadsheet() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--mail", "mail"]);
    let data = json!({
        "uid": HOSTILE, "amount": HOSTILE, "assetType": HOSTILE, "accountId": HOSTILE, "chain": HOSTILE,
        "transactionRef": HOSTILE, "hash": HOSTILE, "address": HOSTILE, "status": "SUCCESS",
    });
    serving.client.send("transaction.deposit.success", data).await;
    serving.client.send(HOSTILE, json!({ "uid": "u", "amount": HOSTILE })).await;
    assert_eq!(serving.client.post("test", format!("{HOSTILE} is no JSON")).await.0, 400);
    let log = serving.client.log_of(2).await;
    let about = log.iter().find(|event| event["family"] == "deposits").unwrap();
    let id = about["id"].as_str().unwrap();
    assert_eq!(about["entity"]["uid"], HOSTILE);

    let acts = |text: &str| {
        text.chars().any(|c| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}'))
    };
    let forged =
        |text: &str| text.lines().any(|line| line.trim() == "Environment: live" || line.starts_with("See"));
    let transaction = format!("transaction:{HOSTILE}");
    for arguments in [
        &["log"][..],
        &["log", "--json"],
        &["show", id],
        &["show", id, "--json"],
        &["show", &transaction],
        &["quarantine", "list"],
        &["quarantine", "list", "--json"],
        &["ledger", "--account", HOSTILE],
        &["export"],
        &["export", "--raw"],
        &["export", "--format", "csv"],
        &["resend", "--why", HOSTILE, "--status", HOSTILE],
    ] {
        let (_, output, error) = run(folder.path(), arguments);
        for text in [&output, &error] {
            assert!(!acts(text), "{arguments:?}: {text:?}");
            // Of a body every line is shown, and nothing of ours stands beside it.
            assert!(!forged(text), "{arguments:?}: {text:?}");
        }
    }
    let (_, csv, _) = run(folder.path(), &["export", "--format", "csv"]);
    let columns = csv.lines().next().unwrap().split(',').count();
    assert_eq!((csv.lines().count(), columns), (3, 20), "{csv}");
    for line in csv.lines() {
        let cells = line.split(',').map(|cell| cell.trim_start_matches('"'));
        assert!(!cells.into_iter().any(|cell| cell.starts_with('=')), "{line}");
    }

    let event = serving.client.get(&format!("events/{id}")).await;
    let mail = event["told"]["people"]["text"].as_str().unwrap();
    assert!(!acts(mail) && !forged(mail), "{mail:?}");
    assert_eq!(mail.lines().filter(|line| line.starts_with("Environment: ")).count(), 1, "{mail:?}");
    for field in ["subject", "sms"] {
        let text = event["told"]["people"][field].as_str().unwrap();
        assert!(!text.contains('\n') && !acts(text), "{text:?}");
    }
}
