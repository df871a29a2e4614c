//! What is left of a body, and of what was sent about it, once the personal data in it is erased.
//!
//! What stays is a closed list: what identifies, dates and counts, and what stands on the chain. Everything else, also
//! what nobody knows yet, becomes [`ERASED`]. So the body is read as before, means the same but for what was erased, and
//! its money counts the same. Erasing it again changes nothing.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::body::Body;
use super::catalogue::Family;
use super::notification::{Notification, Words};
use crate::printable::one_line;

/// What stands in the place of what was erased.
pub const ERASED: &str = "erased";

/// What stays of every object: Bitpowr's own identifiers, its times, and whose world it is.
const OF_EVERY_OBJECT: [&str; 9] =
    ["uid", "guid", "id", "organizationId", "mode", "network", "createdAt", "updatedAt", "deletedAt"];

/// What also stays of what is no customer: what books, states and the chain are made of. A customer's `address` is not
/// here: it may be where somebody lives.
const OF_ALL_BUT_CUSTOMERS: [&str; 46] = [
    // How far a transaction is, which way its money goes, and for whom.
    "status",
    "subStatus",
    "type",
    "depositId",
    "transferId",
    "walletId",
    "accountId",
    "subAccountId",
    "customerId",
    "completedAt",
    "cancelledAt",
    // How much of what.
    "amount",
    "fee",
    "dollarRate",
    "dollarAmount",
    "assetId",
    "assetType",
    "value",
    // What everybody can read on the chain.
    "chain",
    "hash",
    "confirmation",
    "address",
    "fromAddress",
    "senderAddress",
    "tos",
    // Accounts, assets and addresses.
    "fiatCurrency",
    "maxDailyAmount",
    "whiteListAddresses",
    "isFrozen",
    "isArchived",
    "isDeleted",
    "isContract",
    "isChangeAddress",
    "autoForwardAddress",
    "addressType",
    "derivationIndex",
    "used",
    "lastUsedAt",
    "fiatBalance",
    "balance",
    "received",
    "sent",
    "pending",
    "blocked",
    "asset",
    // Of an object that is too large for a notification: where it is.
    "event_id",
];

/// What is erased of what programs are sent, beside `data`.
const OF_NOTIFICATIONS: [&str; 5] = ["reference", "memo", "label", "external_id", "idempotency_key"];

/// What stays of the lines of a text for people, which are a label and a value each.
const OF_LINES: [&str; 18] = [
    "CONFLICT",
    "Amount",
    "Asset",
    "Asset id",
    "Fee",
    "Chain",
    "Account",
    "Wallet",
    "Sub-account",
    "Customer",
    "From",
    "Sender",
    "To",
    "Address",
    "Hash",
    "Identifier",
    "Event",
    "Environment",
];

/// Whether a field of an object stays, and what is in it is looked at.
fn stays(family: Family, name: &str, value: &Value) -> bool {
    OF_EVERY_OBJECT.contains(&name)
        || (family != Family::Customers && OF_ALL_BUT_CUSTOMERS.contains(&name))
        // The object that the event is about may stand one level deeper.
        || (family.objects().contains(&name) && value.is_object())
}

/// Erases what does not stay of an object, and of the objects in it; the names of what was erased.
fn erase(family: Family, object: &mut Map<String, Value>, erased: &mut BTreeSet<String>) {
    for (name, value) in object {
        if stays(family, name, value) {
            erase_within(family, value, erased);
        } else if says_something(value) {
            *value = Value::from(ERASED);
            erased.insert(name.clone());
        }
    }
}

fn erase_within(family: Family, value: &mut Value, erased: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => erase(family, object, erased),
        Value::Array(values) => values.iter_mut().for_each(|value| erase_within(family, value, erased)),
        _ => {}
    }
}

/// Whether there is anything to erase.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty() && text != ERASED,
        _ => true,
    }
}

/// What is left of a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    /// What is left.
    pub body: Body,
    /// The same, as text.
    pub text: String,
    /// The names of the fields that were erased.
    pub erased: BTreeSet<String>,
}

impl Body {
    /// What is left of it: its event and its object, without personal data. What stands beside them is gone.
    ///
    /// # Errors
    /// None in practice, since it was read from JSON.
    pub fn without_personal_data(&self) -> Result<Left, serde_json::Error> {
        let mut body = self.clone();
        let mut erased = BTreeSet::new();
        erase(body.event.family(), &mut body.data, &mut erased);
        let fields = [("event", Value::from(body.event.as_written())), ("data", body.data.clone().into())];
        let fields: Map<_, _> = fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        Ok(Left { text: serde_json::to_string(&fields)?, body, erased })
    }
}

impl Left {
    /// Whether the body that it is left of says no more, even in what is not read of it.
    pub fn is_all_of(&self, raw: &[u8]) -> bool {
        without_white_space(raw) == self.text.as_bytes()
    }
}

/// A JSON text without what stands between its tokens.
fn without_white_space(raw: &[u8]) -> Vec<u8> {
    let (mut in_string, mut is_escaped) = (false, false);
    let is_kept = |byte: &u8| {
        let kept = in_string || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            _ => {}
        }
        kept
    };
    raw.iter().copied().filter(is_kept).collect()
}

impl Notification {
    /// What is left of it.
    ///
    /// # Errors
    /// Where what it says to programs is no JSON object.
    pub fn without_personal_data(&self) -> Result<Self, serde_json::Error> {
        let Some(programs) = &self.programs else { return Ok(self.clone()) };
        let mut programs: Map<String, Value> = serde_json::from_str(programs)?;
        let text = |name: &str| programs.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (event, id) = (text("event"), text("id"));
        let family = text("family").parse().unwrap_or(Family::Unrecognised);
        // The sentence about an account has its name.
        let is_named = family == Family::Accounts;
        let texts = OF_NOTIFICATIONS.iter().copied().chain(is_named.then_some("subject"));
        for name in texts {
            if let Some(value) = programs.get_mut(name).filter(|value| says_something(value)) {
                *value = Value::from(ERASED);
            }
        }
        if let Some(Value::Object(data)) = programs.get_mut("data") {
            erase(family, data, &mut BTreeSet::new());
        }
        let people = self.people.as_ref().map(|words| match is_named {
            true => {
                let headline = one_line(&format!("{event}: {ERASED}")).into_owned();
                Words::new(&headline, &format!("{headline}.\n\nEvent: {id}\n"), &headline)
            }
            false => Words { text: lines_left(&words.text), ..words.clone() },
        });
        Ok(Self { people, programs: Some(serde_json::to_string(&programs)?), ..self.clone() })
    }
}

/// A text for people without the values of the lines that do not stay. No value makes a line of its own.
fn lines_left(text: &str) -> String {
    let is_label = |label: &str| label.starts_with(|first: char| first.is_ascii_uppercase());
    let left = |line: &str| match line.split_once(": ") {
        Some((label, _)) if is_label(label) && !OF_LINES.contains(&label) => format!("{label}: {ERASED}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(left).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use proptest::prelude::*;
    use serde_json::json;

    fn left_of(text: &str) -> Left {
        Body::parse(text.as_bytes(), Environment::Test).unwrap().without_personal_data().unwrap()
    }

    #[test]
    fn of_a_customer_identifiers_and_times_are_left() {
        let body = json!({ "event": "Customer.created", "note": "for Ada", "data": {
            "id": 7, "uid": "c", "name": "Ada", "email": "ada@example.com", "phone": 123, "address": "tb1q",
            "metaData": { "uid": "Lovelace", "tier": true }, "birthday": "1815-12-10", "description": null, "nick": "",
            "createdAt": "2026-11-02T11:30:00.125Z", "mode": "TEST",
        }});
        let left = left_of(&body.to_string());
        assert_eq!(
            left.text,
            json!({ "event": "Customer.created", "data": {
                "id": 7, "uid": "c", "name": "erased", "email": "erased", "phone": "erased", "address": "erased",
                "metaData": "erased", "birthday": "erased", "description": null, "nick": "",
                "createdAt": "2026-11-02T11:30:00.125Z", "mode": "TEST",
            }})
            .to_string()
        );
        let names = ["address", "birthday", "email", "metaData", "name", "phone"];
        assert!(left.erased.iter().eq(names), "{:?}", left.erased);
    }

    #[test]
    fn of_a_transaction_money_and_chain_are_left_digit_for_digit() {
        let text = r#"{"event":"transaction.transfer.success","data":{"uid":"t","amount":0.0000001,"fee":"1.50",
            "memo":"for Ada","customer":{"uid":"c","name":"Ada"},"customerId":"c","label":"Ada",
            "tos":[{"address":"a","value":1.10,"name":"Ada"}]}}"#;
        let left = left_of(text);
        assert_eq!(
            left.text,
            r#"{"event":"transaction.transfer.success","data":{"uid":"t","amount":0.0000001,"fee":"1.50","memo":"erased","customer":"erased","customerId":"c","label":"erased","tos":[{"address":"a","value":1.10,"name":"erased"}]}}"#
        );
    }

    #[test]
    fn an_object_one_level_deeper_is_looked_into() {
        let left = left_of(r#"{"event":"customer.updated","data":{"customer":{"uid":"c","name":"Ada"}}}"#);
        assert_eq!(
            left.text,
            r#"{"event":"customer.updated","data":{"customer":{"uid":"c","name":"erased"}}}"#
        );
    }

    #[test]
    fn what_is_not_read_of_a_body_is_not_left_either() {
        let clean = r#"{"event":"customer.updated","data":{"uid":"c","name":"erased"}}"#;
        let spaced =
            " {\"event\" :\t\"customer.updated\",\n\"data\":{\"uid\":\"c\",\"name\":\"erased\"}}\r\n";
        assert!(left_of(clean).is_all_of(clean.as_bytes()) && left_of(spaced).is_all_of(spaced.as_bytes()));
        for hiding in [
            r#"{"event":"customer.updated","data":{"uid":"c","name":"Ada","name":"erased"}}"#,
            r#"{"event":"customer.updated","by":"Ada","data":{"uid":"c","name":"erased"}}"#,
        ] {
            let left = left_of(hiding);
            assert!(left.erased.is_empty() && !left.is_all_of(hiding.as_bytes()), "{hiding}");
            assert_eq!(left.text, clean);
        }
    }

    #[test]
    fn a_quote_in_a_string_does_not_end_it() {
        let text = r#"{"a \" b": " \\", "c" : "d e"}"#;
        assert_eq!(without_white_space(text.as_bytes()), br#"{"a \" b":" \\","c":"d e"}"#);
    }

    fn notification(family: &str, words: &Words) -> Notification {
        let programs = json!({
            "id": "e", "event": "x.y", "environment": "test", "family": family, "subject": words.subject,
            "reference": "ada@example.com", "memo": null, "hash": null,
            "data": { "uid": "c", "name": "Ada" }, "resend": { "id": "r" },
        });
        Notification {
            people: Some(words.clone()),
            programs: Some(programs.to_string()),
            endpoint: Some("ep".to_owned()),
            attributes: [].into(),
        }
    }

    #[test]
    fn of_a_notification_references_the_object_and_lines_about_people_are_erased() {
        let text = "[test] Deposit of 1 BTC has arrived.\n\nAmount: 1\nMemo: for Ada\nNew: Ada\nTo: tb1q\nIdentifier: d\n";
        let words = Words::new("[test] Deposit of 1 BTC has arrived", text, "Deposit of 1 BTC");
        let erased = notification("deposits", &words).without_personal_data().unwrap();
        let json: Value = serde_json::from_str(erased.programs.as_deref().unwrap()).unwrap();
        assert_eq!(json["data"], json!({ "uid": "c", "name": "erased" }));
        assert_eq!((&json["reference"], &json["memo"]), (&json!("erased"), &Value::Null));
        assert_eq!((&json["resend"]["id"], erased.endpoint.as_deref()), (&json!("r"), Some("ep")));
        assert_eq!(json["subject"], words.subject);
        let people = erased.people.clone().unwrap();
        assert_eq!((&people.subject, &people.sms), (&words.subject, &words.sms));
        let text = "[test] Deposit of 1 BTC has arrived.\n\nAmount: 1\nMemo: erased\nNew: erased\nTo: tb1q\nIdentifier: d\n";
        assert_eq!(people.text, text);
        assert_eq!(erased.without_personal_data().unwrap(), erased);
    }

    #[test]
    fn of_a_notification_about_an_account_its_name_is_erased() {
        let words =
            Words::new("Account Ada was frozen", "Account Ada was frozen.\n\nName: Ada\n", "Account Ada");
        let erased = notification("accounts", &words).without_personal_data().unwrap();
        assert!(!serde_json::to_string(&erased).unwrap().to_lowercase().contains("ada"), "{erased:?}");
        assert_eq!(erased.without_personal_data().unwrap(), erased);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "Ada[a-z]{0,3}".prop_map(Value::from),
        ];
        scalar.prop_recursive(3, 16, 4, |inner| {
            let name = prop_oneof![
                prop::sample::select(vec![
                    "uid", "tos", "data", "customer", "name", "memo", "amount", "data"
                ])
                .prop_map(str::to_owned),
                "[a-z]{1,4}",
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(name, inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn erasing_again_changes_nothing(
            event in prop::sample::select(vec!["customer.updated", "transaction.deposit.success", "wallets.x"]),
            data in prop::collection::btree_map("[a-z]{1,4}|uid|customer|tos", any_json(), 0..5),
        ) {
            let data: Map<_, _> = data.into_iter().collect();
            let once = left_of(&json!({ "event": event, "data": data }).to_string());
            let twice = left_of(&once.text);
            prop_assert!(twice.erased.is_empty() && twice.is_all_of(once.text.as_bytes()));
            prop_assert_eq!(&twice.body, &once.body);
            prop_assert_eq!(once.body.event.as_str(), event);
        }
    }
}
