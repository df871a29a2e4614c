//! `erase` on the command line: what it shows, what it removes, and what stays.

use serde_json::{Value, json};
use shared::answers::EventRecord;

use crate::command_line::Desk;

const NAME: &str = "Ada Lovelace";

fn customer() -> Value {
    json!({ "uid": "c-1", "name": NAME, "email": "ada@example.com", "customerRef": "order of Ada" })
}

fn deposit() -> Value {
    json!({
        "uid": "d", "amount": "0.5", "assetType": "BTC", "accountId": "a", "customerId": "c-1", "memo": "for Ada",
        "description": NAME,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_data_is_shown_then_erased_and_money_stays() {
    let desk = Desk::new();
    let client = &desk.serving.client;
    client.send("customer.created", customer()).await;
    client.send("transaction.deposit.success", deposit()).await;
    client.log_of(2).await;
    let resent = desk.log(&["--customer", "c-1", "--family", "customers"]).remove(0);
    desk.well(&["resend", &resent.id, "--why", "the shop was down"]);

    let erase = ["erase", "--customer", "c-1", "--why", "request 7"];
    // Nobody sits at a terminal: it only shows.
    let shown = desk.well(&erase);
    for part in ["customerRef, email, name", "description, memo", "resent or corrected", "Nothing was erased"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let would: Value = serde_json::from_str(&desk.well(&[&erase[..], &["--json"]].concat())).unwrap();
    assert_eq!(would["would_erase"].as_array().unwrap().len(), 2, "{would}");
    assert!(!would.to_string().contains("Ada"), "{would}");
    assert_eq!(desk.log(&["--reference", "order of Ada"]).len(), 1);

    let erased = desk.well(&[&erase[..], &["--yes"]].concat());
    assert!(erased.contains("Erased in 2 places"), "{erased}");
    let again: Value =
        serde_json::from_str(&desk.well(&[&erase[..], &["--yes", "--json"]].concat())).unwrap();
    assert_eq!(again, json!({ "erased": [], "unread": [] }));

    // Bitpowr sends both again.
    client.send("customer.created", customer()).await;
    client.send("transaction.deposit.success", deposit()).await;
    client.log_of(4).await;
    let mut said = desk.well(&["export", "--format", "jsonl"]);
    for event in desk.log(&[]) {
        let record: EventRecord = desk.json(&["show", &event.id]);
        said.push_str(&format!("{record:?}"));
        let done: Vec<_> =
            record.actions.iter().map(|done| (done.action.as_str(), done.why.as_str())).collect();
        assert!(done.contains(&("erase", "request 7")), "{done:?}");
    }
    said.push_str(&desk.well(&["show", "customer:c-1", "--json"]));
    assert!(said.contains("erased") && !said.to_lowercase().contains("ada"), "{said}");
    assert_eq!(desk.log(&["--reference", "order of Ada"]).len(), 0);
    assert_eq!(client.balance("a", "BTC").await["received"], "0.5");
    desk.well(&["rebuild", "--check"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_erased_has_to_be_named_once_and_to_be_there() {
    let desk = Desk::new();
    let refused = |arguments: &[&str], says: &str, code: i32| {
        let (found, output, error) = desk.run(&[&["erase"], arguments].concat());
        assert!(found == Some(code) && error.contains(says), "{arguments:?}: {output}{error}");
    };
    refused(&["--why", "x"], "--customer", 2);
    refused(&["--customer", "c", "--event", "e", "--why", "x"], "cannot be used with", 2);
    refused(&["--customer", "c"], "--why", 2);
    refused(&["--event", "unknown", "--why", "x"], "Not found: no event has this id.", 1);
    refused(&["--quarantine", "unknown", "--why", "x"], "Not found: no body in quarantine has this id.", 1);
    assert!(
        desk.well(&["erase", "--customer", "nobody", "--why", "x"]).contains("There is nothing to erase.")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_quarantine_is_erased_by_its_id() {
    let desk = Desk::new();
    let body = format!("{{\"event\":\"customer.created\",\"data\":{{\"name\":\"{NAME}\"");
    assert_eq!(desk.serving.client.post("test", body).await.0, 400);
    let listed = crate::support::eventually(async || {
        let listed: Value = serde_json::from_str(&desk.well(&["quarantine", "list", "--json"])).unwrap();
        listed[0]["id"].as_str().map(str::to_owned).ok_or_else(|| listed.to_string())
    })
    .await;
    desk.well(&["erase", "--quarantine", &listed, "--why", "request 8", "--yes"]);
    let listed = desk.well(&["quarantine", "list", "--json"]);
    assert!(listed.contains(r#""raw":"erased""#) && !listed.contains(NAME), "{listed}");
}
