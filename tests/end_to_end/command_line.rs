//! The commands that look at the data and act on it, while the product runs on it and after.

use serde_json::{Value, json};

use crate::process::{Serving, run};

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
    let json = |arguments: &[&str]| -> Value {
        let (code, output, error) =
            run(folder.path(), &[&["ledger", "--account", "a", "--json"], arguments].concat());
        assert_eq!(code, Some(0), "{error}");
        serde_json::from_str(&output).unwrap()
    };
    let now = json(&["--asset", "BTC"]);
    assert_eq!((&now["balances"][0]["balance"], now["ledger"].as_array().unwrap().len()), (&json!("0.5"), 2));
    let event = now["ledger"][0]["event_id"].as_str().unwrap();
    assert_eq!(serving.client.get(&format!("events/{event}")).await["event"], "transaction.deposit.success");
    let past = json(&["--at", &then]);
    assert_eq!(
        (&past["balances"][0]["pending"], past["ledger"].as_array().unwrap().len()),
        (&json!("0.5"), 1)
    );

    let (code, _, error) = run(folder.path(), &["ledger", "--account", "nobody"]);
    assert_eq!((code, error.trim()), (Some(1), "error: nothing was ever counted for the account nobody"));
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
    assert!(clean(&[]).contains("everything is as the webhooks say"));
    clean(&["--entity", "transaction:80009100-efc7-49b3-b008-08903fa748c4", "--check"]);
    assert_eq!(run(folder.path(), &["rebuild", "--entity", "nonsense"]).0, Some(2));
    // What was opened for it is closed again.
    let _again = Serving::start(folder.path(), &[]);
}
