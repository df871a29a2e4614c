//! Typed fields that put up with what real objects contain: absent, null, or of another JSON type than the
//! reference shows. Used with `#[serde(default, deserialize_with = "lenient::text")]`; none of them fails.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::clock::Moment;

/// Reads an object into its type.
///
/// # Errors
/// None in practice, since every field is lenient; the type system cannot tell.
pub fn object<T: for<'de> Deserialize<'de>>(data: &Map<String, Value>) -> Result<T, serde_json::Error> {
    // By way of its text: read from a `Value`, serde_json takes a number that a float can hold for one, and
    // 0.0000001 becomes 1e-7.
    serde_json::from_str(&serde_json::to_string(data)?)
}

/// The object that an event is about: `data`, or, where that has no identifier, the object under one of these names that
/// has one.
pub fn subject<'a>(data: &'a Map<String, Value>, names: &[&str]) -> &'a Map<String, Value> {
    let is_identified = |object: &Map<String, Value>| {
        ["uid", "guid", "id"].iter().any(|name| object.get(*name).is_some_and(is_text))
    };
    if is_identified(data) {
        return data;
    }
    let nested = names.iter().filter_map(|name| data.get(*name)?.as_object());
    nested.into_iter().find(|object| is_identified(object)).unwrap_or(data)
}

fn is_text(value: &Value) -> bool {
    value.is_number() || value.as_str().is_some_and(|text| !text.is_empty())
}

/// A text; a number or a boolean is taken as its text. Empty, null and everything else is none.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    })
}

/// An identifier: a text of at most 512 bytes. What is longer is none; nothing is kept under it.
pub fn identifier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    /// Its place in a key is bounded anyway; this bounds every item and message that names it.
    const LONGEST: usize = 512;
    Ok(text(deserializer)?.filter(|text| text.len() <= LONGEST))
}

/// An amount as it was written, number or text, digit for digit. Null and the empty text are none; of any
/// other JSON the text is kept, to be recognised as odd later.
pub fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    })
}

/// A moment in RFC 3339; everything else is none.
pub fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Moment>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text.parse().ok(),
        _ => None,
    })
}

/// A count, as number or text; everything else is none.
pub fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    })
}

/// A truth value, also as `"true"`, `"false"`, 0 or 1; everything else is none.
pub fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(truth) => Some(truth),
        Value::String(text) => text.to_ascii_lowercase().parse().ok(),
        Value::Number(number) => match number.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        _ => None,
    })
}

/// Any JSON as its compact text; null is none. For fields that are kept, not understood.
pub fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        other => Some(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Object {
        #[serde(deserialize_with = "text")]
        text: Option<String>,
        #[serde(deserialize_with = "amount")]
        amount: Option<String>,
        #[serde(deserialize_with = "moment")]
        moment: Option<Moment>,
        #[serde(deserialize_with = "count")]
        count: Option<u64>,
        #[serde(deserialize_with = "truth")]
        truth: Option<bool>,
    }

    fn read(json: &str) -> Object {
        object(&serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn an_object_one_level_deeper_is_read() {
        let uid = |json: &str| {
            let data = serde_json::from_str(json).unwrap();
            subject(&data, &["transaction"]).get("uid").cloned()
        };
        assert_eq!(uid(r#"{"transaction":{"uid":"t"},"stake":{"uid":"s"}}"#), Some("t".into()));
        assert_eq!(uid(r#"{"uid":"o","transaction":{"uid":"t"}}"#), Some("o".into()));
        assert_eq!(uid(r#"{"stake":{"uid":"s"},"transaction":{}}"#), None);
    }

    #[test]
    fn a_small_number_keeps_its_spelling() {
        for text in ["0.0000001", "0.00000000000000000000000000000000000001", "1.50", "100000000000000000000"]
        {
            assert_eq!(read(&format!(r#"{{"amount":{text}}}"#)).amount.as_deref(), Some(text));
        }
    }

    #[test]
    fn absent_null_and_oddly_typed_fields_are_none() {
        assert_eq!(read("{}"), Object::default());
        assert_eq!(
            read(r#"{"text":null,"amount":null,"moment":null,"count":null,"truth":null}"#),
            Object::default()
        );
        assert_eq!(read(r#"{"text":{},"amount":"","moment":7,"count":-1,"truth":[]}"#), Object::default());
    }

    #[test]
    fn amounts_keep_every_digit_as_number_or_text() {
        for (json, text) in [
            (r#"{"amount":0.02999761}"#, "0.02999761"),
            (r#"{"amount":"0.450000000000000001"}"#, "0.450000000000000001"),
            (r#"{"amount":0}"#, "0"),
            (r#"{"amount":1.10}"#, "1.10"),
            (
                r#"{"amount":-123456789012345678901234567890123456789012345678901234567890123456789}"#,
                "-123456789012345678901234567890123456789012345678901234567890123456789",
            ),
            (r#"{"amount":{"value":1}}"#, r#"{"value":1}"#),
        ] {
            assert_eq!(read(json).amount.as_deref(), Some(text));
        }
    }

    #[test]
    fn other_types_are_taken_for_what_they_say() {
        let object = read(r#"{"text":48213,"count":"12","truth":"TRUE","moment":"2026-11-23T05:29:04Z"}"#);
        assert_eq!(object.text.as_deref(), Some("48213"));
        assert_eq!((object.count, object.truth), (Some(12), Some(true)));
        assert_eq!(object.moment.unwrap().to_string(), "2026-11-23T05:29:04.000Z");
    }
}
