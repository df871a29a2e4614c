//! What `rebuild` moves reaches programs, as what an event moves does.

use local::product::attached::Attached;
use serde_json::json;
use shared::clock::{Clock as _, SystemClock};
use shared::decide::Delivery;
use shared::environment::Environment;
use shared::family::FamilyRules;
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{Body, EventName, Family, Meaning, Words};
use shared::notice::Notice;
use shared::pipeline::apply;

use crate::process::run;
use crate::support::Running;

/// An earlier version, which understood nothing of version 1.
struct Blind;

impl FamilyRules for Blind {
    const FAMILY: Family = Family::Legacy;
    type Data = Transaction;

    fn meaning(_: &EventName, _: &Transaction, _: shared::clock::Moment) -> Option<Meaning> {
        None
    }

    fn audience(_: &EventName) -> Audience {
        Audience::Programs("")
    }

    fn words(notice: &Notice<'_>) -> Words {
        notice.say("", &[])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_are_notified_of_what_rebuild_takes_up_and_of_no_event_twice() {
    let folder = tempfile::tempdir().unwrap();
    let data_folder = folder.path().join(".bitpowr");
    let running = Running::with(|settings| settings.data = Some(data_folder.clone())).await;
    let credit = json!({ "uid": "u", "type": "CREDIT", "amount": "8", "assetType": "BTC", "accountId": "a" });
    let raw = json!({ "event": "transaction.success", "data": credit }).to_string();
    let delivery = Delivery {
        environment: Environment::Test,
        body: Body::parse(raw.as_bytes(), Environment::Test).unwrap(),
        raw: raw.into_bytes(),
        received_at: SystemClock.now(),
        delivery_id: "first".into(),
    };
    let kept = {
        let table = Attached::to(&data_folder).unwrap();
        apply::<Blind>(&table.table(), &SystemClock, &delivery).await.unwrap()
    };
    let first = running.webhook.take(1).await.remove(0);
    assert_eq!(
        (&first["id"], &first["effect"], &first["entity"]),
        (&json!(kept.id), &json!("none"), &json!(null))
    );

    let (code, said, _) = run(folder.path(), &["rebuild", "--check"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("differs: event {} was kept about nothing: it is about deposit u", kept.id)),
        "{said}"
    );
    assert!(running.webhook.is_silent().await);
    let (code, said, error) = run(folder.path(), &["rebuild"]);
    assert_eq!(code, Some(0), "{said}{error}");

    let correction = running.webhook.take(1).await.remove(0);
    assert_eq!((&correction["type"], &correction["entity"]["uid"]), (&json!("correction"), &json!("u")));
    assert_eq!(
        correction["counted"],
        json!([{ "account": "a", "asset": "BTC", "field": "received", "change": "8" }])
    );
    assert_eq!(correction["counts"]["lines"][0]["received"], "8");
    assert!(running.webhook.is_silent().await);
    let state = running.client.get("transactions/u").await;
    assert_eq!((&state["status"], &state["history"][0]["id"]), (&json!("success"), &json!(kept.id)));
    assert_eq!(running.client.balance("a", "BTC").await["received"], "8");
    let actions = running.client.get("actions").await;
    let action = &actions["actions"][0];
    assert_eq!((&action["action"], &action["target"]["id"]), (&json!("rebuild"), &json!("u")));
    assert_eq!(run(folder.path(), &["rebuild", "--check"]).0, Some(0));
    running.stop().await;
}
