//! All 43 events of the samples' story, and everything that can be read back.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::model::EventType;

use crate::support::{Client, Running};

const ACCOUNT: &str = "c3275a32-0b71-401c-aa25-b5771f22e0b0";

async fn send_the_story(running: &Running) {
    for event in EventType::ALL {
        running.client.send_sample(event).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_received_kept_applied_and_notified_once_and_again_only_counted() {
    let running = Running::start().await;
    let client = &running.client;

    send_the_story(&running).await;
    let log = client.log_of(43).await;
    let sent = running.webhook.take(43).await;

    // Received and kept: each event once, in its family.
    let families: BTreeMap<_, _> =
        log.iter().map(|event| (event["event"].as_str(), event["family"].as_str())).collect();
    assert_eq!(families.len(), 43);
    for event in EventType::ALL {
        assert_eq!(families[&Some(event.as_str())], Some(event.family().as_str()));
    }
    // Applied: in this order every step is news.
    for event in &log {
        assert_eq!((&event["effect"], &event["deliveries"]), (&json!("applied"), &json!(1)), "{event}");
    }
    // Notified: each once.
    let sent: BTreeMap<_, _> = sent.iter().map(|sent| (sent["event"].as_str(), sent)).collect();
    assert_eq!(sent.len(), 43);
    for (name, sent) in &sent {
        let event = log.iter().find(|event| event["event"].as_str() == *name).unwrap();
        for field in ["id", "environment", "event", "family", "entity", "effect", "status", "occurred_at"] {
            assert_eq!(sent[field], event[field], "{field} of {name:?}");
        }
        assert!(sent["data"].is_object());
    }
    assert!(running.webhook.is_silent().await);
    check_books(&running).await;
    let ledger = client.get(&format!("ledger?account={ACCOUNT}&limit=100")).await;

    // Again: nothing changes but the delivery counts.
    send_the_story(&running).await;
    let again = client.log_of(86).await;
    let lasting = |log: &[Value]| -> Vec<Value> {
        let mut log = log.to_vec();
        for event in &mut log {
            // The first time, some were still on their way.
            event.as_object_mut().unwrap().retain(|field, _| field != "deliveries" && field != "endpoints");
        }
        log
    };
    assert_eq!(lasting(&log), lasting(&again));
    assert!(again.iter().all(|event| event["deliveries"] == 2 && event["endpoints"] == "delivered"));
    assert!(running.webhook.is_silent().await);
    check_books(&running).await;
    assert_eq!(ledger, client.get(&format!("ledger?account={ACCOUNT}&limit=100")).await);
    running.stop().await;
}

/// Balances and states, as the samples say.
async fn check_books(running: &Running) {
    let client = &running.client;
    let balances = client.get("balances").await;
    let expected = json!([
        { "account": ACCOUNT, "asset": "BTC", "received": "0.02999761", "sent": "0", "fees": "0", "pending": "0",
          "balance": "0.02999761" },
        { "account": ACCOUNT, "asset": "ETH", "received": "0", "sent": "0.450000000000000001", "fees": "0.00042",
          "pending": "0", "balance": "-0.450000000000000001" },
        { "account": ACCOUNT, "asset": "TRX", "received": "0", "sent": "0", "fees": "0",
          "pending": "1500.000001", "balance": "0" },
        { "account": ACCOUNT, "asset": "USDT_TRON", "received": "0", "sent": "125.75", "fees": "13.5",
          "pending": "250.5", "balance": "-125.75" },
    ]);
    assert_eq!(balances["balances"], expected);
    check_transactions(client).await;
    check_other_entities(client).await;
    check_ledger(client).await;
}

/// Where each transaction has come to.
async fn check_transactions(client: &Client) {
    for (uid, kind, status, flags) in [
        ("80009100-efc7-49b3-b008-08903fa748c4", "deposit", "success", json!(null)),
        ("e6af536b-e92c-49e7-90a1-894b1d68454d", "deposit", "created", json!(["aml_flag", "aml_flagged"])),
        ("4f216a99-b7ad-4299-91da-b3483b181e1b", "deposit", "pending", json!(null)),
        ("cc58c274-a550-4b64-8f97-05f6d6471c5d", "transfer", "success", json!(null)),
        ("3f7827f4-049c-4f25-a459-f597cdc1c717", "transfer", "failed", json!(null)),
        ("0a0365a0-c219-4567-a8e7-df161abd1295", "transfer", "cancelled", json!(null)),
        ("e1328dc2-4183-40c4-8bdc-d78b8f202600", "transfer", "rejected", json!(null)),
        ("421d9347-cb72-44d2-a131-39fe7fc41753", "transfer", "rejected_by_counterparty", json!(null)),
        ("2508100c-b851-4e48-858c-3dc2660da447", "transfer", "dropped", json!(null)),
        ("b7935245-efd8-4dce-8297-e4cac2c05407", "transfer", "success", json!(null)),
        ("eb3b3fcc-dc26-4c9f-8456-264786b3e9ac", "transfer", "failed", json!(null)),
        ("9950a780-39bb-4265-a2d1-775530c9428c", "contract", "success", json!(null)),
        ("3513cb8d-49a0-4d01-bb8d-0f3b9a4bd373", "contract", "failed", json!(null)),
    ] {
        let transaction = client.get(&format!("transactions/{uid}")).await;
        let found =
            (&transaction["kind"], &transaction["status"], &transaction["flags"], &transaction["conflict"]);
        assert_eq!(found, (&json!(kind), &json!(status), &flags, &json!(false)), "{uid}");
    }
    let deposit = client.get("transactions/80009100-efc7-49b3-b008-08903fa748c4").await;
    assert_eq!(deposit["amount"], "0.02999761");
    assert_eq!(deposit["confirmations"], 6);
    assert_eq!(deposit["account"], ACCOUNT);
    let life: Vec<_> =
        deposit["history"].as_array().unwrap().iter().map(|event| event["status"].clone()).collect();
    assert_eq!(life, ["created", "pending", "awaiting_confirmation", "success"]);
}

async fn check_other_entities(client: &Client) {
    let account = client.get(&format!("accounts/{ACCOUNT}")).await;
    assert_eq!((&account["status"], &account["name"]), (&json!("archived"), &json!("Treasury (Operations)")));
    assert_eq!(account["max_daily_amount"], "25000.00");
    let asset = client.get("assets/8413b8c0-fed5-4f41-a7bf-623fefbca812").await;
    assert_eq!((&asset["status"], &asset["asset"]), (&json!("active"), &json!("USDT_TRON")));
    let address = client.get("addresses/f26514b3-0edf-4c8b-ae11-d8a27792c498").await;
    assert_eq!(
        (&address["status"], &address["label"]),
        (&json!("blocked"), &json!("Customer deposits (USDT)"))
    );
    let customer = client.get("customers/5742dc8e-7694-4f26-9d74-2d1e0d77bbc2").await;
    assert_eq!(customer["status"], "deleted");
    assert_eq!(customer["email"], "sample.customer.new@example.com");
    assert_eq!(customer["addresses"], json!(["TNhiyMgBz8f4rMcPXNZNangNBztrEbU1XF"]));
}

/// The ledger drills down: its changes add up to the balance, and each names the webhook that made it.
async fn check_ledger(client: &Client) {
    let ledger = client.get(&format!("ledger?account={ACCOUNT}&asset=BTC")).await;
    let lines = ledger["ledger"].as_array().unwrap();
    let rules: Vec<_> = lines.iter().map(|line| line["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["deposit.success", "deposit.created"]);
    assert_eq!(
        lines[0]["change"],
        json!({ "received": "0.02999761", "sent": "0", "fees": "0", "pending": "-0.02999761" })
    );
    let cause = client.get(&format!("events/{}", lines[0]["event_id"].as_str().unwrap())).await;
    assert_eq!(cause["event"], "transaction.deposit.success");
    // The body is kept byte for byte.
    let sent =
        local::cli::samples::sample(EventType::DepositSuccess, shared::environment::Environment::Test, &[]);
    assert_eq!(cause["raw"], sent.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environments_share_nothing() {
    let running = Running::start().await;
    let client = &running.client;
    let body = json!({ "event": "transaction.deposit.success",
        "data": { "uid": "u", "amount": "1", "assetType": "BTC", "accountId": "a" } });
    assert_eq!(client.post("live", body.to_string()).await.0, 200);
    crate::support::eventually(async || {
        let (_, live) = client.ask("/api/live/balances").await;
        if live["balances"][0]["received"] == "1" { Ok(()) } else { Err(live.to_string()) }
    })
    .await;
    assert_eq!(client.get("balances").await["balances"], json!([]));
    assert_eq!(client.ask("/api/test/transactions/u").await.0, 404);
    assert_eq!(client.ask("/api/live/transactions/u").await.0, 200);
    assert_eq!(running.webhook.take(1).await[0]["environment"], "live");
    running.stop().await;
}
