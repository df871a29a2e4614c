//! A webhook's body: `{"event": "<type>", "data": {…}}`, or the reason it cannot be read.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

use super::catalogue::EventName;
use super::grammar::{self, MAX_DEPTH, Unfit};
use super::lenient;
use crate::environment::Environment;

/// The largest body that is accepted, in bytes: as Base64 it still fits a queue message of 256 KiB.
pub const MAX_BODY: usize = 128 * 1024;

macro_rules! reasons {
    ($($variant:ident $name:literal $doc:literal $remedy:literal;)*) => {
        crate::names! {
            /// Why an authenticated body went to quarantine. The names are stable.
            "reason" Reason {
                $(#[doc = $doc] $variant $name;)*
            }
        }

        impl Reason {
            /// What is wrong, in words.
            pub fn describe(self) -> &'static str {
                match self { $(Self::$variant => $doc),* }
            }

            /// What to do about it, in words.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),* }
            }
        }
    };
}

reasons! {
    Empty "empty" "The body is empty."
        "Send an object with the fields `event` and `data`.";
    NotUtf8 "not_utf8" "The body is not UTF-8."
        "Send it in UTF-8.";
    NotJson "not_json" "The body is not JSON."
        "Send one JSON object, as RFC 8259 has it.";
    ReservedName "reserved_name" "The name of a field begins with $serde_json::private::, which is reserved."
        "Give the field another name.";
    NotAnObject "not_an_object" "The body is JSON, but no object."
        "Send an object with the fields `event` and `data`.";
    RepeatedField "repeated_field" "`event` or `data` is given more than once."
        "Give each of them once.";
    NoEvent "no_event" "The field `event` is missing."
        "Add it, with the event's type, such as transaction.deposit.success.";
    EventNotText "event_not_text" "The field `event` is no text, or an empty one."
        "Give it the event's type, such as transaction.deposit.success.";
    NoData "no_data" "The field `data` is missing."
        "Add it, with the object that the event is about.";
    DataNotAnObject "data_not_an_object" "The field `data` is no object."
        "Give it the object that the event is about.";
    TestOnLive "test_on_live" "An object of the test environment was sent to the live URL."
        "Have Bitpowr's test environment send to /webhooks/test.";
    TooLarge "too_large" "The body is larger than 128 KiB."
        "Ask Bitpowr's API for the object; only the first 4 KiB are kept.";
    NotUnderstood "not_understood" "The fields of `data` are of other types than the event's family reads."
        "Deploy a version that reads them, and retry it.";
    NotApplied "not_applied" "The delivery could not be applied for three days."
        "Mend what the family's log names, and retry it.";
}

impl Reason {
    /// What is wrong, as `detail` has it, and what to do about it. What is kept is the detail alone: advice may
    /// become better, and the identity of a body in quarantine must not change with it.
    pub fn explain(self, detail: &str) -> String {
        format!("{detail} {}", self.remedy())
    }
}

/// The body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Unreadable {
    /// The reason, for programs.
    pub reason: Reason,
    /// Where or how, for people: printable ASCII, and none of the body's own text.
    pub detail: String,
}

impl Unreadable {
    /// Unreadable for this reason, in the reason's own words.
    pub fn new(reason: Reason) -> Self {
        Self { reason, detail: reason.describe().to_owned() }
    }
}

/// A body that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// The event's type.
    pub event: EventName,
    /// The object it is about. Numbers keep their digits.
    pub data: Map<String, Value>,
}

impl Body {
    /// Reads a body that arrived for `environment`.
    ///
    /// # Errors
    /// [`Unreadable`] for everything that is not one JSON object with a text `event` and an object `data`,
    /// each once; and for an object of the test environment at the live URL.
    pub fn parse(bytes: &[u8], environment: Environment) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::new(Reason::NotUtf8))?;
        // RFC 8259, section 8.1: a parser may ignore a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.is_empty() {
            return Err(Unreadable::new(Reason::Empty));
        }
        let text = &*grammar::mended(text);
        grammar::check(text).map_err(|unfit| match unfit {
            Unfit::ReservedName => Unreadable::new(Reason::ReservedName),
            Unfit::TooDeep => Unreadable {
                reason: Reason::NotJson,
                detail: format!("The body is nested more than {MAX_DEPTH} levels deep."),
            },
        })?;
        let fields: Fields = serde_json::from_str(text).map_err(|error| match error.classify() {
            Category::Data => Unreadable::new(Reason::NotAnObject),
            _ => Unreadable {
                reason: Reason::NotJson,
                detail: format!(
                    "The body is not JSON: error at line {}, column {}.",
                    error.line(),
                    error.column()
                ),
            },
        })?;
        if fields.repeated {
            return Err(Unreadable::new(Reason::RepeatedField));
        }
        let event = match fields.event {
            Some(Value::String(name)) if !name.is_empty() => EventName::new(name),
            Some(_) => return Err(Unreadable::new(Reason::EventNotText)),
            None => return Err(Unreadable::new(Reason::NoEvent)),
        };
        let data = match fields.data {
            Some(Value::Object(data)) => data,
            Some(_) => return Err(Unreadable::new(Reason::DataNotAnObject)),
            None => return Err(Unreadable::new(Reason::NoData)),
        };
        let body = Self { event, data };
        if environment == Environment::Live && (says_test(&body.data) || says_test(body.subject())) {
            return Err(Unreadable::new(Reason::TestOnLive));
        }
        Ok(body)
    }

    /// The object that the event is about: `data`, or one in it.
    pub fn subject(&self) -> &Map<String, Value> {
        lenient::subject(&self.data, self.event.family().objects())
    }
}

/// Whether the object says of itself that it belongs to the test environment.
fn says_test(data: &Map<String, Value>) -> bool {
    let says = |field, word| {
        data.get(field).and_then(Value::as_str).is_some_and(|value: &str| value.eq_ignore_ascii_case(word))
    };
    says("mode", "TEST") || says("network", "TESTNET")
}

/// The two fields that matter, and whether one was given twice: the second could contradict the first, and
/// programs differ in which one they believe.
#[derive(Default)]
struct Fields {
    event: Option<Value>,
    data: Option<Value>,
    repeated: bool,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key::<String>()? {
                    let field = match key.as_str() {
                        "event" => &mut fields.event,
                        "data" => &mut fields.data,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    fields.repeated |= field.replace(map.next_value()?).is_some();
                }
                Ok(fields)
            }

            // With arbitrary precision serde_json hands a number over as a map; it is none.
            fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<Fields, D::Error> {
                Err(D::Error::custom("not an object"))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(bytes: &[u8]) -> Reason {
        Body::parse(bytes, Environment::Live).unwrap_err().reason
    }

    #[test]
    fn each_unreadable_body_has_its_reason() {
        let deep =
            format!("{{\"event\":\"a.b\",\"data\":{}{}}}", "{\"a\":".repeat(10_000), "1}".repeat(10_000));
        for (bytes, expected) in [
            (&b""[..], Reason::Empty),
            (b"\xff\xfe", Reason::NotUtf8),
            (b"hello", Reason::NotJson),
            (b" ", Reason::NotJson),
            (b"\0", Reason::NotJson),
            (b"{\"event\":\"a.b\",\"data\":{}", Reason::NotJson),
            (b"{\"event\":\"a.b\",\"data\":{}} trailing", Reason::NotJson),
            (b"{\"event\":\"a.b\",\"data\":{\"x\":\"\0\"}}", Reason::NotJson),
            (b"{\"event\":\"a.b\",\"data\":{\"x\":\"\\ud80\"}}", Reason::NotJson),
            (b"{\"event\":\"a.b\",\"data\":{\"x\":\"\\ud800}}", Reason::NotJson),
            (b"\xef\xbb\xbf", Reason::Empty),
            (b"\xef\xbb\xbf\xef\xbb\xbf{\"event\":\"a.b\",\"data\":{}}", Reason::NotJson),
            (b"\xff\xfe{\0}\0", Reason::NotUtf8),
            (b"{\"event\":\"a.b\",\"data\":{\"$serde_json::private::\\ud83c\":\"2\"}}", Reason::ReservedName),
            (deep.as_bytes(), Reason::NotJson),
            (
                b"{\"event\":\"a.b\",\"data\":{\"amount\":{\"$serde_json::private::Number\":\"2\"}}}",
                Reason::ReservedName,
            ),
            (b"[]", Reason::NotAnObject),
            (b"null", Reason::NotAnObject),
            (b"1.5", Reason::NotAnObject),
            (b"\"text\"", Reason::NotAnObject),
            (b"{}", Reason::NoEvent),
            (b"{\"data\":{}}", Reason::NoEvent),
            (b"{\"event\":1,\"data\":{}}", Reason::EventNotText),
            (b"{\"event\":null,\"data\":{}}", Reason::EventNotText),
            (b"{\"event\":\"\",\"data\":{}}", Reason::EventNotText),
            (b"{\"event\":\"a.b\"}", Reason::NoData),
            (b"{\"event\":\"a.b\",\"data\":null}", Reason::DataNotAnObject),
            (b"{\"event\":\"a.b\",\"data\":[]}", Reason::DataNotAnObject),
            (b"{\"event\":\"a.b\",\"data\":7}", Reason::DataNotAnObject),
            (b"{\"event\":\"a.b\",\"event\":\"a.b\",\"data\":{}}", Reason::RepeatedField),
            (b"{\"event\":\"a.b\",\"data\":{},\"d\\u0061ta\":{}}", Reason::RepeatedField),
            (b"{\"event\":\"a.b\",\"data\":{\"mode\":\"TEST\"}}", Reason::TestOnLive),
            (b"{\"event\":\"a.b\",\"data\":{\"network\":\"testnet\"}}", Reason::TestOnLive),
        ] {
            assert_eq!(
                reason(bytes),
                expected,
                "{}",
                String::from_utf8_lossy(bytes).get(..60).unwrap_or("short")
            );
        }
    }

    #[test]
    fn extra_fields_and_odd_but_valid_json_are_read() {
        let bytes = br#" {"id":1.5e3,"event":"a.b","nested":{"event":"x"},"data":{"n":0.10,"n2":1e-7,"s":"\u0000"}} "#;
        let body = Body::parse(bytes, Environment::Live).unwrap();
        assert_eq!(body.event.as_str(), "a.b");
        assert_eq!(body.data.get("n").map(ToString::to_string).as_deref(), Some("0.10"));
    }

    fn read(text: &str) -> Body {
        Body::parse(text.as_bytes(), Environment::Live).unwrap()
    }

    #[test]
    fn half_a_character_is_read_as_what_stands_for_none() {
        let body =
            read(r#"{"event":"a.\ud83c","data":{"k\uDF81":"Gift \ud83c","deep":[{"\ud83c":"\\ud83c"}]}}"#);
        let expected = "{\"k\u{fffd}\":\"Gift \u{fffd}\",\"deep\":[{\"\u{fffd}\":\"\\\\ud83c\"}]}";
        assert_eq!(serde_json::to_string(&body.data).unwrap(), expected);
        assert_eq!(body.event.as_str(), "a.\u{fffd}");
    }

    #[test]
    fn a_byte_order_mark_is_skipped_at_the_start_and_kept_elsewhere() {
        let body = read("\u{feff}{\"event\":\"a.b\",\"data\":{\"x\":\"\u{feff}\"}}");
        assert_eq!(body, read("{\"event\":\"a.b\",\"data\":{\"x\":\"\u{feff}\"}}"));
        assert_eq!(body.data.get("x"), Some(&Value::from("\u{feff}")));
    }

    #[test]
    fn every_reason_says_what_to_do() {
        for reason in Reason::ALL {
            let explained = reason.explain(reason.describe());
            assert!(explained.starts_with(reason.describe()) && explained.ends_with('.'), "{explained}");
            assert!(reason.remedy().len() > 10 && explained.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        }
    }

    /// A part of a JSON string: any unit of UTF-16 as an escape, in either case, alone or beside others; text.
    fn part() -> impl Strategy<Value = String> {
        let escape = |unit: u16, upper: bool| {
            if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") }
        };
        prop_oneof![
            (any::<u16>(), any::<bool>()).prop_map(move |(unit, upper)| escape(unit, upper)),
            (0xd800_u16..0xe000, any::<bool>()).prop_map(move |(unit, upper)| escape(unit, upper)),
            (0xd800_u16..0xdc00, 0xdc00_u16..0xe000)
                .prop_map(move |(high, low)| escape(high, true) + &escape(low, false)),
            "[a-zA-Z0-9u ü🎁]{0,4}",
            r#"\\["\\/bfnrt]"#,
        ]
    }

    proptest! {
        #[test]
        fn any_escapes_are_read_and_as_serde_json_reads_them_where_it_does(
            parts in prop::collection::vec(part(), 0..8)
        ) {
            let string = format!("\"x{}\"", parts.concat());
            let body = read(&format!("{{\"event\":\"a.b\",\"data\":{{{string}:[{string}]}}}}"));
            let (key, value) = body.data.iter().next().unwrap();
            prop_assert_eq!(value, &Value::from(vec![key.as_str()]));
            match serde_json::from_str::<String>(&string) {
                Ok(text) => prop_assert_eq!(key, &text),
                Err(_) => prop_assert!(key.contains('\u{fffd}'), "half a pair was lost"),
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[\\\\ud83cDF8\"{}:,a]{0,60}") {
            let _ = Body::parse(format!("{{\"event\":\"a.b\",\"data\":{{\"{text}").as_bytes(), Environment::Live);
        }
    }

    #[test]
    fn a_test_object_is_read_at_the_test_url() {
        let bytes = br#"{"event":"a.b","data":{"mode":"TEST"}}"#;
        assert!(Body::parse(bytes, Environment::Test).is_ok());
    }

    #[test]
    fn names_of_reasons_read_back() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse::<Reason>().unwrap(), reason);
        }
    }
}
