//! What Bitpowr may say in other words than those that it documents, and what a person would understand by it.

use serde_json::{Value, json};

use crate::support::{Client, Running, eventually};

/// Sends events one after the other, each applied before the next.
async fn say(running: &Running, events: &[(&str, Value)]) {
    let before: u64 =
        running.client.log().await.iter().map(|event| event["deliveries"].as_u64().unwrap()).sum();
    for (position, (event, data)) in (1..).zip(events) {
        running.client.send(event, data.clone()).await;
        running.client.log_of(before + position).await;
    }
}

async fn found(client: &Client, query: &str) -> Vec<String> {
    let events = client.get(&format!("events?{query}")).await;
    let uid = |event: &Value| event["entity"]["uid"].as_str().unwrap_or_default().to_owned();
    events["events"].as_array().unwrap().iter().map(uid).collect()
}

/// The notification of the newest event, and what people got of it.
async fn notified(client: &Client) -> (Value, Value) {
    let newest = client.log().await.remove(0);
    let event = client.get(&format!("events/{}", newest["id"].as_str().unwrap())).await;
    (event["told"]["programs"].clone(), event["told"]["people"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_of_the_status_page_are_steps() {
    let running = Running::start().await;
    let client = &running.client;
    let transfer = |more: Value| {
        let mut data = json!({ "uid": "cs-1", "type": "TRANSFER", "accountId": "a-c", "amount": "100", "assetType": "USDT_TRON" });
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    };
    let events = [
        ("transaction.new", transfer(json!({ "status": "NEW", "updatedAt": "2026-11-20T10:00:00.000Z" }))),
        (
            "transaction.broadcasted",
            transfer(json!({ "status": "BROADCASTED", "updatedAt": "2026-11-20T10:05:00.000Z" })),
        ),
        (
            "TRANSACTION.CONFIRMED",
            transfer(json!({ "status": "CONFIRMED", "fee": "1.1", "updatedAt": "2026-11-20T10:09:00.000Z" })),
        ),
    ];
    say(&running, &events).await;
    let (programs, people) = notified(client).await;
    assert_eq!(
        (&programs["event"], &programs["status"]),
        (&json!("transaction.confirmed"), &json!("success"))
    );
    assert_eq!(people["subject"], "[test] Transfer of 100 USDT_TRON has been sent");
    let state = client.get("transactions/cs-1").await;
    assert_eq!((&state["status"], state["history"].as_array().unwrap().len()), (&json!("success"), 3));
    assert_eq!(client.balance("a-c", "USDT_TRON").await["sent"], "100");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_outside_the_list_ends_a_deposit() {
    let running = Running::start().await;
    let deposit =
        json!({ "uid": "cs-2", "accountId": "a-c", "amount": "7", "type": "DEPOSIT", "assetType": "BTC" });
    let events = [("transaction.deposit.created", deposit.clone()), ("transaction.deposit.failed", deposit)];
    say(&running, &events).await;
    let (_, people) = notified(&running.client).await;
    assert_eq!(people["subject"], "[test] Deposit of 7 BTC failed");
    assert_eq!(running.client.get("transactions/cs-2").await["status"], "failed");
    assert_eq!(running.client.get("balances?account=a-c").await["balances"], json!([]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credit_is_a_deposit() {
    let running = Running::start().await;
    let credit = json!({ "uid": "ty-1", "status": "SUCCESS", "type": "CREDIT", "accountId": "a-t", "amount": "1.5",
        "assetType": "BTC", "hash": "f00d01", "ref": "REF-ty-1" });
    say(&running, &[("transaction.success", credit)]).await;
    assert_eq!(running.client.balance("a-t", "BTC").await["received"], "1.5");
    for query in ["entity=ty-1", "hash=f00d01", "reference=REF-ty-1"] {
        assert_eq!(found(&running.client, query).await, ["ty-1"], "{query}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_no_kind_is_found_and_marked_and_counts_once_its_kind_is_known() {
    let running = Running::start().await;
    let client = &running.client;
    let processing = json!({ "uid": "ty-2", "status": "PROCESSING", "amount": "0.00012741", "assetType": "BTC",
        "chain": "BITCOIN", "fee": "0.00003034", "ref": "REF-ty-2", "hash": "f00d02" });
    let success = json!({ "uid": "ty-2", "status": "SUCCESS", "amount": "0.00012741", "assetType": "BTC" });
    say(&running, &[("transaction.processing", processing.clone())]).await;
    let (programs, people) = notified(client).await;
    assert_eq!((&programs["kind"], &programs["oddity"]), (&json!("unknown"), &json!("direction_unknown")));
    let text = people["text"].as_str().unwrap();
    assert!(text.contains("is not counted: it is unknown which way the money goes"), "{text}");
    for query in ["entity=ty-2", "hash=f00d02", "reference=REF-ty-2", "chain=bitcoin"] {
        assert_eq!(found(client, query).await, ["ty-2"], "{query}");
    }
    let state = client.get("transactions/ty-2").await;
    assert_eq!((&state["kind"], &state["oddity"]), (&json!("unknown"), &json!("direction_unknown")));

    say(&running, &[("transaction.success", success)]).await;
    assert_eq!(client.get("balances").await["balances"], json!([]));
    say(
        &running,
        &[(
            "transaction.transfer.created",
            json!({ "uid": "ty-2", "amount": "0.00012741", "assetType": "BTC" }),
        )],
    )
    .await;
    let (programs, people) = notified(client).await;
    assert_eq!(people["subject"], "[test] Transfer of 0.00012741 BTC has been sent");
    assert_eq!(programs["counted"][0]["field"], "sent");
    let state = client.get("transactions/ty-2").await;
    assert_eq!((&state["kind"], &state["oddity"]), (&json!("transfer"), &Value::Null));
    assert_eq!(state["history"].as_array().unwrap().len(), 3);
    assert_eq!(client.balance("unattributed", "BTC").await["fees"], "0.00003034");

    // A second kind: what was said of no kind counts for neither.
    say(
        &running,
        &[(
            "transaction.deposit.created",
            json!({ "uid": "ty-2", "amount": "0.00012741", "assetType": "BTC" }),
        )],
    )
    .await;
    assert_eq!(client.balance("unattributed", "BTC").await["sent"], "0");
    let (status, problem) = client.ask("/api/test/transactions/ty-2").await;
    assert_eq!((status, &problem["code"]), (409, &json!("kind_needed")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_id_names_the_asset_until_a_type_does() {
    let running = Running::start().await;
    let client = &running.client;
    let by_id = json!({ "uid": "as-1", "status": "SUCCESS", "type": "DEPOSIT", "accountId": "a-a", "amount": "0.45",
        "assetId": "as-9", "transactionRef": "REF$as#1" });
    let asset = json!({ "uid": "as-9", "assetType": "BTC", "label": "Treasury" });
    say(&running, &[("assets.created", asset), ("transaction.success", by_id)]).await;
    assert_eq!(client.balance("a-a", "as-9").await["received"], "0.45");
    let state = client.get("transactions/as-1").await;
    assert_eq!((&state["asset"], &state["asset_type"]), (&json!("as-9"), &json!("BTC")));
    assert_eq!(found(client, "reference=REF%24as%231").await, ["as-1"]);

    let typed =
        json!({ "uid": "as-1", "type": "DEPOSIT", "accountId": "a-a", "amount": "0.45", "assetType": "BTC" });
    say(&running, &[("transaction.deposit.pending", typed)]).await;
    assert_eq!(client.balance("a-a", "BTC").await["received"], "0.45");
    let (programs, _) = notified(client).await;
    assert_eq!(programs["counted"].as_array().unwrap().len(), 2);
    assert_eq!(client.get("ledger?account=a-a").await["ledger"].as_array().unwrap().len(), 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_found_by_all_that_back_ends_attribute_by() {
    let running = Running::start().await;
    let client = &running.client;
    let incoming = json!({ "uid": "at-1", "status": "SUCCESS", "type": "DEPOSIT", "accountId": "a-d", "subAccountId": "sub-1",
        "amount": "1.5", "assetType": "NGNC", "chain": "STELLAR", "hash": "f00d03", "ref": "REF-at-1",
        "memo": "771200450", "idempotencyKey": "idem-at-1", "label": "Deposit address 7",
        "senderAddress": "GSENDER7", "customerId": "cust-7", "externalId": "ext-at-1", "address": "GSHARED7",
        "updatedAt": "2026-11-20T10:00:00.000Z" });
    say(&running, &[("transaction.incoming", incoming)]).await;
    assert_eq!(client.get("balances?sub_account=sub-1").await["balances"][0]["received"], "1.5");
    for query in [
        "account=a-d",
        "sub_account=sub-1",
        "customer=cust-7",
        "reference=REF-at-1",
        "reference=771200450",
        "reference=idem-at-1",
        "reference=ext-at-1",
        "address=GSENDER7",
        "address=GSHARED7",
        "asset=ngnc&account=a-d",
    ] {
        assert_eq!(found(client, query).await, ["at-1"], "{query}");
    }
    assert!(found(client, "account=sub-1").await.is_empty());
    let state = client.get("transactions/at-1").await;
    let (programs, people) = notified(client).await;
    assert_eq!(people["subject"], "[test] Deposit of 1.5 NGNC has arrived");
    for shown in [&state, &programs] {
        assert_eq!(
            (&shown["memo"], &shown["from_address"], &shown["label"], &shown["sub_account"]),
            (&json!("771200450"), &json!("GSENDER7"), &json!("Deposit address 7"), &json!("sub-1"))
        );
    }
    let text = people["text"].as_str().unwrap();
    for line in ["Memo: 771200450", "Sender: GSENDER7", "Label: Deposit address 7", "Customer: cust-7"] {
        assert!(text.contains(line), "{text}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_bump_is_applied_and_programs_are_notified() {
    let running = Running::start().await;
    let pending = |hash: &str, at: &str| json!({ "uid": "rb-1", "accountId": "a-h", "amount": 0.5, "hash": hash, "updatedAt": at, "type": "DEPOSIT", "assetType": "BTC" });
    let events = [
        ("transaction.deposit.pending", pending("f00d0a", "2026-11-20T10:01:00.000Z")),
        ("transaction.deposit.pending", pending("f00d0b", "2026-11-20T10:05:00.000Z")),
    ];
    say(&running, &events).await;
    let (programs, people) = notified(&running.client).await;
    assert_eq!(
        (&programs["effect"], &programs["why"]),
        (&json!("applied"), &json!("hash f00d0a became f00d0b"))
    );
    assert_eq!(people, Value::Null);
    assert_eq!(found(&running.client, "hash=f00d0a").await, ["rb-1"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_transfer_is_a_transfer_and_a_deposit() {
    let running = Running::start().await;
    let client = &running.client;
    let side = |kind: &str, account: &str| {
        json!({ "uid": "in-1", "amount": "10", "assetType": "USDT_TRON", "status": "SUCCESS", "type": kind,
            "accountId": account, "address": "TB", "fromAddress": "TA" })
    };
    say(&running, &[("transaction.success", side("TRANSFER", "own-a"))]).await;
    assert_eq!(notified(client).await.1["subject"], "[test] Transfer of 10 USDT_TRON has been sent");
    say(&running, &[("transaction.success", side("DEPOSIT", "own-b"))]).await;
    let people = notified(client).await.1;
    assert_eq!(people["subject"], "[test] Deposit of 10 USDT_TRON has arrived");
    let text = people["text"].as_str().unwrap();
    assert!(text.contains("From: TA\n") && text.contains("To: TB\n"), "{text}");
    assert_eq!(client.balance("own-a", "USDT_TRON").await["sent"], "10");
    assert_eq!(client.balance("own-b", "USDT_TRON").await["received"], "10");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_does_not_count_says_so_wherever_it_is_shown() {
    let running = Running::start().await;
    let client = &running.client;
    let odd = json!({ "uid": "od-1", "status": "SUCCESS", "accountId": "a-v", "amount": "1,000.5", "type": "DEPOSIT", "assetType": "SHIB" });
    say(&running, &[("transaction.deposit.success", odd)]).await;
    let (programs, people) = notified(client).await;
    assert_eq!((&programs["oddity"], &programs["counted"]), (&json!("not_a_number"), &json!([])));
    let says = "Deposit of 1,000.5 SHIB succeeded, but is not counted: the amount is not a number";
    assert_eq!(people["subject"], format!("[test] {says}"));
    assert_eq!(people["sms"], format!("(test) {says}"));
    assert_eq!(client.log().await[0]["oddity"], "not_a_number");
    assert_eq!(client.get("transactions/od-1").await["oddity"], "not_a_number");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_in_a_notification_is_a_string_with_every_digit() {
    let running = Running::start().await;
    let body = r#"{"event":"transaction.deposit.success","data":{"uid":"pr-1","amount":0.450000000000000001,"assetType":"ETH","accountId":"a-p"}}"#;
    assert_eq!(running.client.post("test", body).await.0, 200);
    running.client.log_of(1).await;
    let (programs, _) = notified(&running.client).await;
    assert_eq!(programs["amount"], "0.450000000000000001");
    assert_eq!(
        programs["counted"],
        json!([{ "account": "a-p", "asset": "ETH", "field": "received", "change": "0.450000000000000001" }])
    );
    assert_eq!(programs["counts"]["lines"][0]["received"], "0.450000000000000001");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_contradicts_itself_is_a_conflict() {
    let running = Running::start().await;
    let client = &running.client;
    let body = json!({ "uid": "co-1", "status": "FAILED", "accountId": "a-o", "amount": "2", "type": "DEPOSIT", "assetType": "BTC" });
    say(&running, &[("transaction.deposit.success", body)]).await;
    let (programs, people) = notified(client).await;
    assert_eq!((&programs["effect"], &programs["conflict"]), (&json!("conflict"), &json!(true)));
    assert!(people["subject"].as_str().unwrap().starts_with("[test] CONFLICT"), "{people}");
    assert_eq!(client.get("transactions/co-1").await["contradictions"], json!(["outcome"]));
    assert_eq!(client.get("balances").await["balances"], json!([]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_found_by_each_of_its_recipients() {
    let running = Running::start().await;
    let client = &running.client;
    let batch = json!({ "uid": "ba-1", "status": "SUCCESS", "type": "TRANSFER", "accountId": "a-i", "amount": "0.003",
        "assetType": "BTC", "address": null,
        "tos": [{ "address": "bc1qaaa7", "value": "0.001" }, { "address": "bc1qbbb7", "value": "0.002" }] });
    say(&running, &[("transaction.transfer.success", batch)]).await;
    for query in ["address=bc1qaaa7", "address=bc1qbbb7"] {
        assert_eq!(found(client, query).await, ["ba-1"], "{query}");
    }
    let recipients = json!(["bc1qaaa7", "bc1qbbb7"]);
    let (programs, people) = notified(client).await;
    assert_eq!(
        (&programs["recipients"], &client.get("transactions/ba-1").await["recipients"]),
        (&recipients, &recipients)
    );
    assert!(people["text"].as_str().unwrap().contains("To: bc1qaaa7\nTo: bc1qbbb7\n"), "{people}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hexadecimal_is_found_in_any_case_and_shown_as_it_came() {
    let running = Running::start().await;
    let client = &running.client;
    let (address, hash) = ("0xAbC00000000000000000000000000000000a7dEf", "0xABCDEF01");
    let data = json!({ "uid": "ev-1", "accountId": "a-e", "amount": "50", "assetType": "USDT_BSC", "chain": "BSC",
        "type": "DEPOSIT", "address": address, "hash": hash });
    say(&running, &[("transaction.deposit.success", data)]).await;
    for text in [address.to_owned(), address.to_lowercase(), address.to_uppercase()] {
        assert_eq!(found(client, &format!("address={text}")).await, ["ev-1"], "{text}");
    }
    assert_eq!(found(client, "hash=0xabcdef01").await, ["ev-1"]);
    let state = client.get("transactions/ev-1").await;
    assert_eq!((&state["address"], &state["hash"]), (&json!(address), &json!(hash)));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_one_level_deeper_is_read() {
    let running = Running::start().await;
    let client = &running.client;
    let data = json!({ "transaction": { "uid": "ne-1", "status": "SUCCESS", "type": "DEPOSIT", "accountId": "a-k",
        "amount": "5", "assetType": "TRX", "hash": "f00d0c" }, "stake": {} });
    say(&running, &[("transaction.deposit.success", data)]).await;
    assert_eq!(client.balance("a-k", "TRX").await["received"], "5");
    for query in ["hash=f00d0c", "entity=ne-1"] {
        assert_eq!(found(client, query).await, ["ne-1"], "{query}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_asked_once_a_day_to_look_at_a_word_that_is_not_understood() {
    let running = Running::start().await;
    let client = &running.client;
    for number in 0..3 {
        let data =
            json!({ "uid": format!("un-{number}"), "type": "DEPOSIT", "hash": format!("f00d1{number}") });
        say(&running, &[("transaction.frobnicated", data)]).await;
        let (programs, people) = notified(client).await;
        assert_eq!((&programs["effect"], &programs["status"]), (&json!("none"), &json!("frobnicated")));
        assert_eq!(people.is_null(), number > 0, "{people}");
        assert_eq!(found(client, &format!("hash=f00d1{number}")).await, [format!("un-{number}")]);
        assert_eq!(client.get(&format!("transactions/un-{number}")).await["status"], "unknown");
    }
    // The same of what is about nothing that is known.
    for number in 0..2 {
        say(&running, &[("payments.settled", json!({ "id": number, "hash": "f00d20" }))]).await;
        assert_eq!(notified(client).await.1.is_null(), number > 0);
    }
    assert_eq!(found(client, "hash=f00d20").await.len(), 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_number_of_spellings_resolves_a_contradiction() {
    let running = Running::start().await;
    let client = &running.client;
    let mut amounts = vec!["1".to_owned()];
    amounts.extend((1..9).map(|zeros| format!("9.{}", "0".repeat(zeros))));
    for amount in &amounts {
        let data = json!({ "uid": "nine", "amount": amount, "assetType": "BTC", "accountId": "a-n" });
        client.send("transaction.deposit.success", data).await;
    }
    client.log_of(9).await;
    let state = eventually(async || {
        let state = client.get("transactions/nine").await;
        if state["history"].as_array().unwrap().len() == 9 { Ok(state) } else { Err(state.to_string()) }
    })
    .await;
    assert_eq!(state["contradictions"], json!(["amount"]));
    assert_eq!(state["disagreements"], json!([{ "about": "amount", "values": ["1", "9"] }]));
    assert_eq!(client.get("balances").await["balances"], json!([]));
    running.stop().await;
}
