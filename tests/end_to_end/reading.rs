//! Lists, filters, cursors.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::{Client, Running, eventually};

async fn ids(client: &Client, query: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("events?{query}&cursor={cursor}")).await;
        ids.extend(
            page["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()),
        );
        match page["cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return ids,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_size_lists_every_event_once_newest_first() {
    let running = Running::start().await;
    let client = &running.client;
    for number in 0..37 {
        let (event, uid) = if number % 3 == 0 { ("address.created", "p") } else { ("customer.updated", "c") };
        client
            .send(event, json!({ "uid": uid, "name": format!("{number}") , "label": format!("{number}") }))
            .await;
    }
    let log = client.log_of(37).await;
    let recorded: Vec<_> = log.iter().map(|event| event["recorded_at"].as_str().unwrap()).collect();
    assert!(recorded.is_sorted_by(|newer, older| newer >= older));
    let all = ids(client, "limit=100").await;
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 37);
    for limit in [1, 5, 36, 37, 38] {
        assert_eq!(ids(client, &format!("limit={limit}")).await, all, "limit {limit}");
    }

    // Filters, alone and together, page for page.
    assert_eq!(ids(client, "family=addresses&limit=4").await.len(), 13);
    assert_eq!(ids(client, "event=customer.updated&limit=7").await.len(), 24);
    assert_eq!(ids(client, "entity=p&limit=2").await.len(), 13);
    assert_eq!(ids(client, "entity=customer:c&limit=3").await.len(), 24);
    assert_eq!(ids(client, "entity=address:c").await.len(), 0);
    assert_eq!(ids(client, "effect=applied&family=customers").await.len(), 24);
    assert_eq!(ids(client, "effect=conflict").await.len(), 0);

    // A range includes its start and not its end.
    let middle = recorded[18];
    let (from, to) =
        (ids(client, &format!("from={middle}")).await, ids(client, &format!("to={middle}")).await);
    assert_eq!(from.len() + to.len(), 37);
    assert!(from.contains(&log[18]["id"].as_str().unwrap().to_owned()));
    assert_eq!(ids(client, "from=2000-01-01T00:00:00Z&to=2000-01-02T00:00:00Z").await.len(), 0);

    // The history of an entity is paged, too: oldest first.
    let first = client.get("customers/c?limit=20").await;
    assert_eq!(first["history"].as_array().unwrap().len(), 20);
    let rest =
        client.get(&format!("customers/c?limit=20&cursor={}", first["cursor"].as_str().unwrap())).await;
    assert_eq!((rest["history"].as_array().unwrap().len(), &rest["cursor"]), (4, &Value::Null));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_and_ledger_are_paged() {
    let running = Running::start().await;
    let client = &running.client;
    for number in 0..12 {
        let data = json!({ "uid": format!("d{number}"), "amount": "1", "assetType": format!("A{}", number % 4),
            "accountId": if number < 8 { "a#1" } else { "b" } });
        client.send("transaction.deposit.success", data).await;
    }
    client.log_of(12).await;
    let page = client.get("balances?limit=3").await;
    let mut balances = page["balances"].as_array().unwrap().clone();
    let mut cursor = page["cursor"].clone();
    while let Some(next) = cursor.as_str() {
        let page = client.get(&format!("balances?limit=3&cursor={next}")).await;
        balances.extend(page["balances"].as_array().unwrap().clone());
        cursor = page["cursor"].clone();
    }
    let listed: HashSet<_> = balances
        .iter()
        .map(|balance| (balance["account"].to_string(), balance["asset"].to_string()))
        .collect();
    assert_eq!((balances.len(), listed.len()), (8, 8));
    assert_eq!(client.get("balances?account=a%231").await["balances"].as_array().unwrap().len(), 4);
    assert_eq!(client.get("balances?account=a").await["balances"], json!([]));

    let mut lines = HashSet::new();
    let mut cursor = String::new();
    let mut pages = 0;
    loop {
        let page = client.get(&format!("ledger?account=a%231&limit=3&cursor={cursor}")).await;
        pages += 1;
        for line in page["ledger"].as_array().unwrap() {
            assert!(lines.insert(line["event_id"].as_str().unwrap().to_owned()));
        }
        match page["cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!((lines.len(), pages), (8, 3));
    assert_eq!(client.get("ledger?account=a%231&asset=A0").await["ledger"].as_array().unwrap().len(), 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identifiers_with_reserved_characters_are_found() {
    let running = Running::start().await;
    let client = &running.client;
    let uid = "a#b$c/d e%f?ü";
    client.send("accounts.created", json!({ "uid": uid, "name": "n" })).await;
    client.log_of(1).await;
    let found = client.get(&format!("accounts/{}", "a%23b%24c%2Fd%20e%25f%3F%C3%BC")).await;
    assert_eq!(found["uid"], uid);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_event_is_in_the_log_in_the_state_and_notified_soon() {
    let running = Running::start().await;
    let client = &running.client;
    client
        .send("transaction.deposit.success", json!({ "uid": "d", "amount": "1", "assetType": "BTC" }))
        .await;
    eventually(async || {
        let (status, _) = client.ask("/api/test/transactions/d").await;
        if status == 200 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    assert_eq!(client.log().await.len(), 1);
    assert_eq!(client.balance("unattributed", "BTC").await["received"], "1");
    assert_eq!(running.webhook.take(1).await[0]["entity"], json!({ "type": "transaction", "uid": "d" }));
    running.stop().await;
}
