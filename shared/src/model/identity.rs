//! When two deliveries are the same event. Bitpowr sends no event id, so the content is the identity.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::catalogue::EventName;
use super::ids::EventId;
use crate::environment::Environment;
use crate::hash;

/// How long equal content is the same event, in hours: Bitpowr sends again every hour for 72 hours after an
/// attempt that failed, and the last attempt may take a while. After that it is a new occurrence.
pub const HORIZON_HOURS: i64 = 73;

/// The identity of an event's content: SHA-256 over environment, type and the canonical JSON of `data`.
/// In the canonical form keys are sorted and white space is gone; numbers keep their digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity([u8; 32]);

impl Identity {
    /// The identity of an event that was read.
    pub fn of_event(environment: Environment, event: &EventName, data: &Map<String, Value>) -> Self {
        let mut canonical = String::new();
        write_object(data, &mut canonical);
        Self::over(&["event", environment.as_str(), event.as_written(), &canonical].map(str::as_bytes))
    }

    /// The identity of a body that could not be read: its bytes, and why.
    pub fn of_unreadable(environment: Environment, reason: &str, detail: &str, body: &[u8]) -> Self {
        let text = ["quarantine", environment.as_str(), reason, detail].map(str::as_bytes);
        Self::over(&[&text[..], &[body]].concat())
    }

    /// The identity of the same content in one place: a partition of the table.
    #[must_use]
    pub fn within(&self, place: &str) -> Self {
        Self::over(&[b"place", place.as_bytes(), &self.0])
    }

    fn over(fields: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash::feed(&mut hash, fields.iter().copied());
        Self(hash.finalize().into())
    }

    /// The whole hash in hexadecimal: 64 characters.
    pub fn hex(&self) -> String {
        hash::hex(&self.0)
    }

    /// The identity of this hash in hexadecimal; none where it is none.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let is_whole = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks(2)).filter(|_| is_whole) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        is_whole.then_some(Self(hash))
    }

    /// The public id of the identity's `occurrence` (1 is the first): 32 hexadecimal characters, from the
    /// second on followed by `-2` and so on.
    pub fn id(&self, occurrence: u64) -> EventId {
        let mut id = self.hex();
        id.truncate(32);
        if occurrence > 1 {
            id.push_str(&format!("-{occurrence}"));
        }
        id.into()
    }
}

fn write_object(object: &Map<String, Value>, out: &mut String) {
    let mut fields: Vec<_> = object.iter().collect();
    fields.sort_by_key(|(key, _)| key.as_str());
    out.push('{');
    for (position, (key, value)) in fields.into_iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(key.as_str()).to_string());
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => write_object(object, out),
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Body;

    fn identity(environment: Environment, event: &str, data: &str) -> Identity {
        Identity::of_event(environment, &EventName::new(event), &serde_json::from_str(data).unwrap())
    }

    #[test]
    fn order_of_keys_and_white_space_do_not_matter() {
        let one = identity(Environment::Test, "a.b", r#"{"a":1,"b":{"c":[1,2],"d":null}}"#);
        let other = identity(Environment::Test, "a.b", r#" { "b": {"d":null, "c":[1, 2]}, "a": 1 } "#);
        assert_eq!(one, other);
    }

    #[test]
    fn every_part_and_every_digit_matters() {
        let base = identity(Environment::Test, "a.b", r#"{"a":0.1}"#);
        for other in [
            identity(Environment::Live, "a.b", r#"{"a":0.1}"#),
            identity(Environment::Test, "a.c", r#"{"a":0.1}"#),
            identity(Environment::Test, "a.b", r#"{"a":0.10}"#),
            identity(Environment::Test, "a.b", r#"{"a":"0.1"}"#),
            identity(Environment::Test, "a.b", r#"{"a":0.1000000000000000000000000000000001}"#),
            identity(Environment::Test, "a.b", r#"{"a":0.1,"b":null}"#),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn ids_stay_what_they_were_and_half_a_character_is_what_it_is_read_as() {
        let id = |body: &str| {
            let body = Body::parse(body.as_bytes(), Environment::Test).unwrap();
            Identity::of_event(Environment::Test, &body.event, &body.data).id(1)
        };
        for (body, expected) in [
            (r#"{"event":"a.b","data":{}}"#, "b295d45ac17a067c911c10d65923e893"),
            (
                r#"{"event":"a.b","data":{"n":0.10,"t":"\ud83c\udf81 \u00fc\ufffd \\ud83c","b":[null,{"z":1,"a":true}]}}"#,
                "dcacc1b3a7c3415c1f38beb63ddb87fd",
            ),
            (
                r#"{"event":"a.b","data":{"t":"Gift \ufffd"},"note":"\ud83c"}"#,
                "ca9e18108a4d6703320a7a7c048551cd",
            ),
        ] {
            assert_eq!(id(body), expected, "{body}");
        }
        let whole = id(r#"{"event":"a.b","data":{"t":"Gift \ufffd"}}"#);
        assert_eq!(id(r#"{"event":"a.b","data":{"t":"Gift \ud83c"}}"#), whole);
        assert_eq!(id(r#"{"event":"a.b","data":{"t":"Gift \uDF81"}}"#), whole);
        assert_eq!(id("\u{feff}{\"event\":\"a.b\",\"data\":{\"t\":\"Gift \u{fffd}\"}}"), whole);
        assert_ne!(id(r#"{"event":"a.b","data":{"t":"Gift \\ud83c"}}"#), whole);
    }

    #[test]
    fn the_first_occurrence_has_a_bare_id() {
        let identity = Identity::of_unreadable(Environment::Test, "not_json", "", b"x");
        assert_eq!(identity.id(1).len(), 32);
        assert_eq!(Identity::from_hex(&identity.hex()).as_ref(), Some(&identity));
        assert_eq!([Identity::from_hex(&"g".repeat(64)), Identity::from_hex("00")], [None, None]);
        assert_eq!(identity.id(2).as_str(), format!("{}-2", identity.id(1)));
    }
}
