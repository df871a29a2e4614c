//! Repeated, parallel, reordered and contradicting deliveries.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Client, Running, eventually};

fn deposit(amount: &str) -> Value {
    json!({ "uid": "d", "amount": amount, "assetType": "BTC", "accountId": "a", "type": "DEPOSIT" })
}

fn at(mut data: Value, updated_at: &str) -> Value {
    data["updatedAt"] = json!(updated_at);
    data
}

async fn transaction(client: &Client, uid: &str, events: usize) -> Value {
    eventually(async || {
        let (_, found) = client.ask(&format!("/api/test/transactions/{uid}")).await;
        let known = found["history"].as_array().map_or(0, Vec::len);
        if known == events { Ok(found) } else { Err(format!("{known} events of {events}: {found}")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_parallel_deliveries_of_one_event_are_one_event_with_sixteen_deliveries() {
    let running = Running::start().await;
    let client = &running.client;
    join_all((0..16).map(|_| client.send("transaction.deposit.success", deposit("1.5")))).await;
    let log = client.log_of(16).await;
    assert_eq!(log.len(), 1);
    assert_eq!(client.balance("a", "BTC").await["received"], "1.5");
    assert_eq!(running.webhook.take(1).await.len(), 1);
    assert!(running.webhook.is_silent().await);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_parallel_deposits_and_transfers_of_one_account_add_up() {
    let running = Running::start().await;
    let client = &running.client;
    join_all((1..=50).flat_map(|number| {
        let data = |uid: String| json!({ "uid": uid, "amount": "0.000000000000000001", "assetType": "ETH", "accountId": "a" });
        [
            client.send("transaction.deposit.success", data(format!("d{number}"))),
            client.send("transaction.transfer.success", data(format!("t{number}"))),
        ]
    }))
    .await;
    client.log_of(100).await;
    let balance = client.balance("a", "ETH").await;
    assert_eq!(
        (&balance["received"], &balance["sent"]),
        (&json!("0.00000000000000005"), &json!("0.00000000000000005"))
    );
    assert_eq!(balance["balance"], "0");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_order_and_white_space_do_not_make_another_event() {
    let running = Running::start().await;
    let client = &running.client;
    let one = r#"{"event":"transaction.deposit.success","data":{"uid":"d","amount":"1","assetType":"BTC"}}"#;
    let other = r#" { "data": {"assetType": "BTC", "uid":"d", "amount":"1"}, "extra": [], "event": "transaction.deposit.success" } "#;
    assert_eq!((client.post("test", one).await.0, client.post("test", other).await.0), (200, 200));
    assert_eq!(client.log_of(2).await.len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_step_is_kept_as_stale_and_not_notified() {
    let running = Running::start().await;
    let client = &running.client;
    client.send("transaction.deposit.success", deposit("1")).await;
    client.log_of(1).await;
    client.send("transaction.deposit.pending", deposit("1")).await;
    let log = client.log_of(2).await;
    assert_eq!(log[0]["effect"], "stale");
    assert_eq!(transaction(client, "d", 2).await["status"], "success");
    let balance = client.balance("a", "BTC").await;
    assert_eq!((&balance["received"], &balance["pending"]), (&json!("1"), &json!("0")));
    assert_eq!(running.webhook.take(1).await[0]["status"], "success");
    assert!(running.webhook.is_silent().await);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contradicted_end_is_a_conflict_that_counts_no_money_and_is_notified() {
    for order in [["success", "failed"], ["failed", "success"]] {
        let running = Running::start().await;
        let client = &running.client;
        let data = json!({ "uid": "t", "amount": "3", "fee": "0.1", "assetType": "ETH", "accountId": "a" });
        for (number, end) in order.iter().enumerate() {
            client.send(&format!("transaction.transfer.{end}"), data.clone()).await;
            client.log_of(number as u64 + 1).await;
        }
        let transfer = transaction(client, "t", 2).await;
        assert_eq!((&transfer["status"], &transfer["conflict"]), (&json!("failed"), &json!(true)));
        assert_eq!(client.balance("a", "ETH").await["sent"], "0");
        let sent = running.webhook.take(2).await;
        assert_eq!((&sent[1]["effect"], &sent[1]["conflict"]), (&json!("conflict"), &json!(true)));
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_word_moves_the_money_with_a_ledger_line_for_each_balance() {
    let running = Running::start().await;
    let client = &running.client;
    client.send("transaction.deposit.success", at(deposit("1"), "2026-11-01T00:00:00Z")).await;
    client.log_of(1).await;
    let mut corrected = at(deposit("2"), "2026-11-02T00:00:00Z");
    corrected["accountId"] = json!("b");
    client.send("transaction.deposit.success", corrected).await;
    client.log_of(2).await;
    assert_eq!(client.balance("a", "BTC").await["received"], "0");
    assert_eq!(client.balance("b", "BTC").await["received"], "2");
    let changes = |ledger: &Value| -> Vec<String> {
        let lines = ledger["ledger"].as_array().unwrap();
        lines.iter().map(|line| line["change"]["received"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(changes(&client.get("ledger?account=a").await), ["-1", "1"]);
    assert_eq!(changes(&client.get("ledger?account=b").await), ["2"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_both_versions_announce_counts_once() {
    let running = Running::start().await;
    let client = &running.client;
    client.send("transaction.success", deposit("1")).await;
    client.send("transaction.deposit.success", deposit("1")).await;
    client.log_of(2).await;
    assert_eq!(client.balance("a", "BTC").await["received"], "1");
    assert_eq!(transaction(client, "d", 2).await["kind"], "deposit");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_uid_on_both_sides_of_an_internal_transfer_is_two_transactions() {
    let running = Running::start().await;
    let client = &running.client;
    client.send("transaction.deposit.success", deposit("1")).await;
    client.send("transaction.transfer.success", deposit("1")).await;
    client.log_of(2).await;
    let (status, problem) = client.ask("/api/test/transactions/d").await;
    assert_eq!((status, &problem["code"]), (409, &json!("kind_needed")));
    assert_eq!(client.get("transactions/d?kind=deposit").await["kind"], "deposit");
    assert_eq!(client.get("transactions/d?kind=transfer").await["kind"], "transfer");
    assert_eq!(client.ask("/api/test/transactions/d?kind=contract").await.0, 404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_that_are_none_are_kept_and_counted_for_nothing() {
    let running = Running::start().await;
    let client = &running.client;
    let long = "9".repeat(69);
    let odd = [
        (json!("-1"), json!("-1"), json!("negative")),
        (json!("1,5"), json!("1,5"), json!("not_a_number")),
        (json!(" 1 "), json!(" 1 "), json!("not_a_number")),
        (json!("NaN"), json!("NaN"), json!("not_a_number")),
        (json!("0x10"), json!("0x10"), json!("not_a_number")),
        (json!({ "value": "1" }), json!("{\"value\":\"1\"}"), json!("not_a_number")),
        (json!(long), json!(long), json!("too_long")),
        (json!(null), json!(null), json!(null)),
        (json!(""), json!(null), json!(null)),
        (json!("0"), json!("0"), json!(null)),
    ];
    for (number, (amount, _, _)) in odd.iter().enumerate() {
        let data =
            json!({ "uid": format!("o{number}"), "amount": amount, "assetType": "BTC", "accountId": "a" });
        client.send("transaction.deposit.success", data).await;
    }
    client.log_of(odd.len() as u64).await;
    for (number, (_, kept, oddity)) in odd.iter().enumerate() {
        let found = transaction(client, &format!("o{number}"), 1).await;
        assert_eq!((&found["amount"], &found["oddity"]), (kept, oddity));
    }
    assert_eq!(client.get("balances").await["balances"], json!([]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_nobody_knows_is_kept_and_notified_without_a_state_change() {
    let running = Running::start().await;
    let client = &running.client;
    let deposit = json!({ "type": "transaction", "uid": "x" });
    for (event, family, entity) in [
        ("payments.settled", "unrecognised", json!(null)),
        ("transaction.deposit.reversed", "deposits", deposit),
        ("ä öü\u{1}", "unrecognised", json!(null)),
    ] {
        client.send(event, json!({ "uid": "x", "amount": "1", "assetType": "BTC" })).await;
        let sent = running.webhook.take(1).await.remove(0);
        assert_eq!(
            (&sent["event"], &sent["family"], &sent["effect"]),
            (&json!(event), &json!(family), &json!("none"))
        );
        let kept = client.get(&format!("events/{}", sent["id"].as_str().unwrap())).await;
        assert_eq!((&kept["event"], &kept["entity"]), (&json!(event), &entity));
    }
    assert_eq!(client.get("balances").await["balances"], json!([]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_without_an_identifier_moves_no_money() {
    let running = Running::start().await;
    let client = &running.client;
    client
        .send("transaction.deposit.success", json!({ "amount": "1", "assetType": "BTC", "accountId": "a" }))
        .await;
    let log = client.log_of(1).await;
    assert_eq!((&log[0]["effect"], &log[0]["entity"]), (&json!("none"), &json!(null)));
    assert_eq!(client.get("balances").await["balances"], json!([]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undated_repetition_after_the_entity_has_changed_is_ambiguous() {
    let running = Running::start().await;
    let client = &running.client;
    let named = |name: &str| json!({ "uid": "acc", "name": name });
    for (number, name) in ["First", "Second", "First"].iter().enumerate() {
        client.send("accounts.updated", named(name)).await;
        client.log_of(number as u64 + 1).await;
    }
    let log = client.log().await;
    let first = log.iter().find(|event| event["deliveries"] == 2).unwrap();
    assert_eq!(first["effect"], "ambiguous");
    assert_eq!(client.get("accounts/acc").await["name"], "Second");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_a_hundred_kilobytes_in_any_place_are_kept_and_block_nobody() {
    let running = Running::start().await;
    let client = &running.client;
    let long = "x".repeat(100_000);
    client.send(&long, json!({ "uid": "u" })).await;
    client
        .send("transaction.deposit.success", json!({ "uid": long, "amount": "1", "assetType": "BTC" }))
        .await;
    for field in ["amount", "assetType", "accountId", "hash", "errorMessage", "status", "type"] {
        let mut data = json!({ "uid": format!("d-{field}"), "amount": "1", "assetType": "BTC" });
        data[field] = json!(long);
        client.send("transaction.deposit.success", data).await;
    }
    client.send("accounts.frozen", json!({ "uid": "a", "name": "n", "whiteListAddresses": [long] })).await;
    assert_eq!(client.log_of(10).await.len(), 10);
    let kept = transaction(client, "d-hash", 1).await;
    assert!(kept["hash"].as_str().unwrap().len() <= 1024);
    let id = kept["history"][0]["id"].as_str().unwrap();
    assert!(client.get(&format!("events/{id}")).await["raw"].as_str().unwrap().contains(&long));
    running.webhook.take(10).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_with_many_addresses_goes_on() {
    let running = Running::start().await;
    let client = &running.client;
    for number in 0..300 {
        let data = json!({ "uid": "c", "address": { "address": format!("tb1q{number:0>60}"), "note": "n".repeat(900) } });
        client.send("customer.attached_to_address", data).await;
    }
    client.log_of(300).await;
    assert_eq!(client.get("customers/c").await["addresses"].as_array().unwrap().len(), 128);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flagged_transfer_of_unknown_kind_invents_no_pending_money() {
    let running = Running::start().await;
    let client = &running.client;
    let flagged = json!({ "uid": "t", "amount": "5", "assetType": "BTC", "accountId": "a" });
    client.send("transaction.compliance.aml_flag", flagged).await;
    client.log_of(1).await;
    assert_eq!(client.get("balances").await["balances"], json!([]));
    assert_eq!(transaction(client, "t", 1).await["flags"], json!(["aml_flag"]));
    running.stop().await;
}
