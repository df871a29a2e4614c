//! Notifications at a webhook that fails, and e-mails.

use serde_json::json;

use crate::support::{Running, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_fails_is_notified_again() {
    let running = Running::start().await;
    running.webhook.fail(1);
    running.client.send("accounts.frozen", json!({ "uid": "a", "name": "Treasury" })).await;
    let sent = running.webhook.take(1).await.remove(0);
    assert_eq!(sent["subject"], "[test] Account Treasury was frozen");
    assert!(running.webhook.is_silent().await);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_an_e_mail_only_of_what_they_want_to_hear() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::with(|settings| settings.mail = Some(folder.path().join("mail"))).await;
    let data = json!({ "uid": "d", "amount": "0.45", "assetType": "BTC", "accountId": "a", "hash": "0xabc" });
    running.client.send("transaction.deposit.pending", data.clone()).await;
    running.client.send("transaction.deposit.success", data).await;
    running.webhook.take(2).await;
    let mails = eventually(async || {
        let files: Vec<_> = std::fs::read_dir(folder.path().join("mail")).unwrap().collect();
        if files.is_empty() { Err("no e-mail".to_owned()) } else { Ok(files) }
    })
    .await;
    assert_eq!(mails.len(), 1);
    let mail = std::fs::read_to_string(mails[0].as_ref().unwrap().path()).unwrap();
    assert!(mail.contains("Subject: [test] Deposit of 0.45 BTC has arrived"), "{mail}");
    assert!(mail.contains("Hash: 0xabc"), "{mail}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_applies_and_tells_what_was_accepted() {
    let running = Running::start().await;
    for number in 0..20 {
        running.client.send("customer.updated", json!({ "uid": "c", "name": number })).await;
    }
    let Running { webhook, product, .. } = running;
    product.stop().await;
    webhook.take(20).await;
}
