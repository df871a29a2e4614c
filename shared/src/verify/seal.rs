//! The sealed envelope: how a delivery travels from `ingest` to its family function.
//!
//! The seal is an HMAC-SHA256 over every field, each preceded by its length (64 bit, big endian), so that no
//! two different envelopes have the same input. Nobody with mere access to a queue, a dead-letter queue or a
//! redrive can make, alter or re-address a delivery, and the webhook secret itself is in no message.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::clock::Moment;
use crate::environment::{Environment, Environments};
use crate::hash;
use crate::model::{DeliveryId, Family, Reason};

/// The first field of the MAC's input: nothing else that this key might ever sign starts like this.
const DOMAIN: &[u8] = b"bitpowr-webhooks/envelope";
/// The format described here.
const VERSION: u64 = 1;

/// Names a sealing key without telling anything about it.
pub type KeyId = String;

/// A sealing key. It does not print.
#[derive(Clone)]
pub struct SealingKey {
    id: KeyId,
    key: Zeroizing<Vec<u8>>,
}

/// The key is too short to be one.
#[derive(Debug, thiserror::Error)]
#[error("a sealing key needs at least 32 bytes")]
pub struct WeakKey;

impl SealingKey {
    /// A key under its id.
    ///
    /// # Errors
    /// [`WeakKey`] for fewer than 32 bytes, the size of the hash (RFC 2104, section 3).
    pub fn new(id: impl Into<KeyId>, key: impl Into<Vec<u8>>) -> Result<Self, WeakKey> {
        let key = Zeroizing::new(key.into());
        if key.len() < 32 { Err(WeakKey) } else { Ok(Self { id: id.into(), key }) }
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({}, …)", self.id)
    }
}

/// The key that seals, and the older ones that still open.
#[derive(Clone, Debug)]
pub struct SealingKeys {
    current: SealingKey,
    previous: Vec<SealingKey>,
}

impl SealingKeys {
    /// Seals with `current`; opens with any.
    pub fn new(current: SealingKey, previous: impl IntoIterator<Item = SealingKey>) -> Self {
        Self { current, previous: previous.into_iter().collect() }
    }

    fn find(&self, id: &str) -> Option<&SealingKey> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| key.id == id)
    }
}

/// A delivery about to be sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Whose world it is.
    pub environment: Environment,
    /// The family that shall handle it.
    pub family: Family,
    /// The event's type as the body names it; empty where the body could not be read.
    pub event: String,
    /// When `ingest` received it.
    pub received_at: Moment,
    /// Names this one HTTP request; a message that its queue delivers twice keeps it.
    pub delivery_id: DeliveryId,
    /// Why the body cannot be read, where it cannot.
    pub refused: Option<(Reason, String)>,
    /// The body, byte for byte (of a body that is too large: its head).
    pub body: Vec<u8>,
}

impl Envelope {
    /// Seals it with the current key.
    ///
    /// # Errors
    /// [`SealError`]; there is no message then, and so nothing that a queue could take for one.
    pub fn seal(self, keys: &SealingKeys) -> Result<Sealed, SealError> {
        let (reason, detail) = match self.refused {
            Some((reason, detail)) => (reason.as_str().to_owned(), detail),
            None => (String::new(), String::new()),
        };
        let mut wire = Wire {
            version: VERSION,
            key_id: keys.current.id.clone(),
            environment: self.environment.as_str().to_owned(),
            family: self.family.as_str().to_owned(),
            event: self.event,
            received_at: self.received_at.to_string(),
            delivery_id: self.delivery_id,
            reason,
            detail,
            body: None,
            body_base64: None,
            seal: String::new(),
        };
        wire.seal = URL_SAFE_NO_PAD.encode(wire.mac(&keys.current, &self.body).finalize().into_bytes());
        match text(self.body) {
            Ok(body) => wire.body = Some(body),
            Err(bytes) => wire.body_base64 = Some(STANDARD.encode(bytes)),
        }
        Ok(Sealed { family: self.family, message: written(&wire)?, event: wire.event })
    }
}

/// An envelope cannot be written: the delivery is not kept.
#[derive(Debug, thiserror::Error)]
#[error("the envelope cannot be written")]
pub struct SealError(#[from] serde_json::Error);

fn written(wire: &impl Serialize) -> Result<String, SealError> {
    Ok(serde_json::to_string(wire)?)
}

/// The body as text if a message can carry it so: UTF-8, only characters of XML 1.0 (Amazon SQS, API
/// reference, `SendMessage`), and not longer, once its quotes are escaped, than its Base64 would be.
fn text(body: Vec<u8>) -> Result<String, Vec<u8>> {
    let body = String::from_utf8(body).map_err(std::string::FromUtf8Error::into_bytes)?;
    let carried = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    let escaped = body.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t')).count();
    if body.chars().all(carried) && escaped <= body.len() / 3 { Ok(body) } else { Err(body.into_bytes()) }
}

/// A sealed delivery: the message that a queue carries.
#[derive(Clone, Debug)]
pub struct Sealed {
    family: Family,
    event: String,
    message: String,
}

impl Sealed {
    /// The family whose queue it belongs to.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The event's type, for a message attribute; empty where it is unknown.
    pub fn event(&self) -> &str {
        &self.event
    }

    /// The message's text.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Why a message was not believed. Each has a stable name, used in logs and test vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealRefusal {
    /// It is no envelope.
    #[error("unreadable")]
    Unreadable,
    /// A version this program does not know.
    #[error("unknown_version")]
    UnknownVersion,
    /// Sealed with a key that is not in the ring (any more).
    #[error("unknown_key")]
    UnknownKey,
    /// The seal does not fit the contents.
    #[error("altered")]
    Altered,
    /// Genuine, but of an environment that is not served here.
    #[error("wrong_environment")]
    WrongEnvironment,
    /// Genuine, but for another family.
    #[error("wrong_family")]
    WrongFamily,
}

/// A delivery whose seal was verified. There is no other way to get one than [`Opened::verify`].
#[derive(Clone, Debug)]
pub struct Opened(Envelope);

impl Opened {
    /// Opens `message` if its seal holds and it is meant for `family` in a served environment.
    ///
    /// # Errors
    /// The reason of refusal; the message should go to the dead letters.
    pub fn verify(
        message: &str,
        keys: &SealingKeys,
        served: &Environments,
        family: Family,
    ) -> Result<Self, SealRefusal> {
        let wire: Wire = serde_json::from_str(message).map_err(|_| SealRefusal::Unreadable)?;
        let body = wire.bytes()?;
        if wire.version != VERSION {
            return Err(SealRefusal::UnknownVersion);
        }
        let key = keys.find(&wire.key_id).ok_or(SealRefusal::UnknownKey)?;
        let seal = URL_SAFE_NO_PAD.decode(&wire.seal).map_err(|_| SealRefusal::Altered)?;
        wire.mac(key, &body).verify_slice(&seal).map_err(|_| SealRefusal::Altered)?;

        let environment = served.served(&wire.environment).ok_or(SealRefusal::WrongEnvironment)?;
        if wire.family != family.as_str() {
            return Err(SealRefusal::WrongFamily);
        }
        let refused = match wire.reason.as_str() {
            "" => None,
            reason => Some((reason.parse().map_err(|_| SealRefusal::Unreadable)?, wire.detail)),
        };
        Ok(Self(Envelope {
            environment,
            family,
            event: wire.event,
            received_at: wire.received_at.parse().map_err(|_| SealRefusal::Unreadable)?,
            delivery_id: wire.delivery_id,
            refused,
            body,
        }))
    }

    /// What was sealed.
    pub fn envelope(&self) -> &Envelope {
        &self.0
    }
}

/// The envelope as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u64,
    key_id: KeyId,
    environment: String,
    family: String,
    event: String,
    received_at: String,
    delivery_id: DeliveryId,
    reason: String,
    detail: String,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    seal: String,
}

/// A field that may be absent, but not null: an envelope has one spelling.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

impl Wire {
    fn bytes(&self) -> Result<Vec<u8>, SealRefusal> {
        match (&self.body, &self.body_base64) {
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(encoded)) => STANDARD.decode(encoded).map_err(|_| SealRefusal::Unreadable),
            _ => Err(SealRefusal::Unreadable),
        }
    }

    fn mac(&self, key: &SealingKey, body: &[u8]) -> Hmac<Sha256> {
        // HMAC takes keys of any length (RFC 2104), so this constructor cannot refuse one.
        #[allow(clippy::expect_used)]
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.key).expect("HMAC takes keys of any length");
        let version = self.version.to_string();
        let fields = [
            DOMAIN,
            version.as_bytes(),
            self.key_id.as_bytes(),
            self.environment.as_bytes(),
            self.family.as_bytes(),
            self.event.as_bytes(),
            self.received_at.as_bytes(),
            self.delivery_id.as_bytes(),
            self.reason.as_bytes(),
            self.detail.as_bytes(),
            body,
        ];
        hash::feed(&mut mac, fields);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        keys: Vec<Key>,
        environment: String,
        family: String,
        message: String,
        verdict: String,
        reason: Option<String>,
        body_base64: Option<String>,
    }

    #[derive(Deserialize)]
    struct Key {
        id: String,
        key: String,
    }

    #[test]
    fn vectors_computed_elsewhere_hold_with_their_reasons() {
        let vectors: Vectors = serde_json::from_str(include_str!("../../vectors/seal.json")).unwrap();
        assert!(vectors.cases.len() >= 35);
        for case in vectors.cases {
            let mut keys = case
                .keys
                .iter()
                .map(|key| SealingKey::new(&key.id, STANDARD.decode(&key.key).unwrap()).unwrap());
            // A ring has at least one key; one that no case names stands in for an empty ring.
            let first = keys.next().unwrap_or_else(|| SealingKey::new("unnamed", [0; 32]).unwrap());
            let keys = SealingKeys::new(first, keys);
            let served = Environments::only(case.environment.parse().unwrap());
            let verdict = match Opened::verify(&case.message, &keys, &served, case.family.parse().unwrap()) {
                Ok(opened) => {
                    assert_eq!(
                        Some(STANDARD.encode(&opened.envelope().body)),
                        case.body_base64,
                        "{}",
                        case.name
                    );
                    ("accepted".to_owned(), None)
                }
                Err(refusal) => ("refused".to_owned(), Some(refusal.to_string())),
            };
            assert_eq!(verdict, (case.verdict, case.reason), "{}", case.name);
        }
    }

    fn keys() -> SealingKeys {
        SealingKeys::new(SealingKey::new("k1", [7; 32]).unwrap(), [])
    }

    fn envelope(body: Vec<u8>) -> Envelope {
        Envelope {
            environment: Environment::Live,
            family: Family::Deposits,
            event: "transaction.deposit.success".to_owned(),
            received_at: Moment::from_millis(1_795_411_744_123),
            delivery_id: "delivery-1".into(),
            refused: None,
            body,
        }
    }

    #[test]
    fn a_key_shorter_than_the_hash_is_refused() {
        assert!(SealingKey::new("k", [0; 31]).is_err());
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_no_empty_message() {
        let unwritable = std::collections::BTreeMap::from([((1, 2), "JSON has no such key")]);
        assert!(written(&unwritable).is_err());
        assert!(!envelope(Vec::new()).seal(&keys()).unwrap().message().is_empty());
    }

    #[test]
    fn a_key_does_not_print() {
        assert!(!format!("{:?}", keys()).contains('7'));
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_what_is_opened(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let sealed = envelope(body.clone()).seal(&keys()).unwrap();
            let opened = Opened::verify(sealed.message(), &keys(), &Environments::both(), Family::Deposits).unwrap();
            prop_assert_eq!(opened.envelope(), &envelope(body));
        }

        #[test]
        fn any_text_fits_a_message_of_256_kib(unit in "\\PC|[\"\\\\\t\n\r]|[\u{0}-\u{1f}]|[\u{fff0}-\u{ffff}]") {
            let body = unit.repeat(crate::model::MAX_BODY / unit.len());
            let sealed = envelope(body.into_bytes()).seal(&keys()).unwrap();
            let message = sealed.message();
            prop_assert!(message.len() <= 256 * 1024, "{} bytes", message.len());
            let xml = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
            prop_assert!(message.chars().all(xml));
        }
    }
}
