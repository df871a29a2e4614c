//! The header `x-webhook-secret`: Base64 of the secret that the customer set on Bitpowr's webhook page.
//!
//! Source: Bitpowr's documentation, "Webhooks · Verifying webhooks". It is a bearer secret: it proves who
//! calls, not what the body says. That is why `ingest` seals what it accepts (see [`super::seal`]).

use std::fmt;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// The header's name, in lower case as an HTTP API passes it.
pub const HEADER: &str = "x-webhook-secret";

/// A webhook secret. It does not print.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// The empty text is no secret.
#[derive(Debug, thiserror::Error)]
#[error("the webhook secret is empty")]
pub struct EmptySecret;

impl Secret {
    /// Takes the secret as the customer typed it.
    ///
    /// # Errors
    /// [`EmptySecret`] for no bytes at all: it would let everybody in.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, EmptySecret> {
        let secret = Zeroizing::new(secret.into());
        if secret.is_empty() { Err(EmptySecret) } else { Ok(Self(secret)) }
    }

    /// What the sender puts into the header: the secret in padded standard Base64.
    pub fn header_value(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(&*self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The secrets that are accepted at this moment: the current one, and while one is being replaced the
/// previous one, so that a rotation refuses no event.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// Accepts each of these.
    pub fn new(current: Secret, previous: impl IntoIterator<Item = Secret>) -> Self {
        Self(std::iter::once(current).chain(previous).collect())
    }

    /// Whether `candidate` is one of them, in a time that tells neither which, nor how much of it was
    /// right, nor how long the right one is: digests of one length are compared, all of them, to the end.
    fn admit(&self, candidate: &[u8]) -> bool {
        let candidate = Sha256::digest(candidate);
        self.0
            .iter()
            .fold(Choice::from(0), |admitted, secret| admitted | Sha256::digest(&*secret.0).ct_eq(&candidate))
            .into()
    }
}

/// Why a request was not let in. For logs and metrics only: the caller learns none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretRefusal {
    /// There is no `x-webhook-secret`.
    #[error("missing")]
    Missing,
    /// It was given more than once, so that it is unclear which one counts.
    #[error("repeated")]
    Repeated,
    /// It is not Base64 in either alphabet.
    #[error("not_base64")]
    NotBase64,
    /// It decodes to no accepted secret.
    #[error("wrong")]
    Wrong,
}

/// A request as it came in: its header values and its body, which nobody may read yet.
pub struct Unverified<'a> {
    headers: Vec<&'a [u8]>,
    body: &'a [u8],
}

impl<'a> Unverified<'a> {
    /// `headers`: every value of [`HEADER`], in any order.
    pub fn new(headers: impl IntoIterator<Item = &'a [u8]>, body: &'a [u8]) -> Self {
        Self { headers: headers.into_iter().collect(), body }
    }

    /// Lets the body be read if exactly one header names an accepted secret.
    ///
    /// # Errors
    /// The reason of refusal, for the log.
    pub fn verify(self, secrets: &Secrets) -> Result<Authentic<'a>, SecretRefusal> {
        let [header] = self.headers[..] else {
            return Err(if self.headers.is_empty() {
                SecretRefusal::Missing
            } else {
                SecretRefusal::Repeated
            });
        };
        let candidate = decode(header).ok_or(SecretRefusal::NotBase64)?;
        if secrets.admit(&candidate) { Ok(Authentic { body: self.body }) } else { Err(SecretRefusal::Wrong) }
    }
}

/// A body whose sender knew the secret.
#[derive(Debug)]
pub struct Authentic<'a> {
    body: &'a [u8],
}

impl<'a> Authentic<'a> {
    /// The body, byte for byte.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }
}

/// Decodes standard or URL-safe Base64, padded or not.
fn decode(header: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // All of the padding or none of it.
    let padding = if header.ends_with(b"=") {
        DecodePaddingMode::RequireCanonical
    } else {
        DecodePaddingMode::RequireNone
    };
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding);
    let with = |alphabet: &Alphabet| GeneralPurpose::new(alphabet, config).decode(header).ok();
    with(&STANDARD).or_else(|| with(&URL_SAFE)).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        accepted: Vec<String>,
        headers: Vec<String>,
        verdict: String,
        reason: Option<String>,
    }

    #[test]
    fn vectors_computed_elsewhere_hold_with_their_reasons() {
        let vectors: Vectors = serde_json::from_str(include_str!("../../vectors/secret.json")).unwrap();
        assert!(vectors.cases.len() >= 35);
        for case in vectors.cases {
            let mut accepted = case.accepted.iter().map(|encoded| {
                Secret::new(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()).unwrap()
            });
            let secrets = Secrets::new(accepted.next().unwrap(), accepted);
            let unverified = Unverified::new(case.headers.iter().map(|value| value.as_bytes()), b"body");
            let verdict = match unverified.verify(&secrets) {
                Ok(authentic) => {
                    assert_eq!(authentic.body(), b"body");
                    ("accepted".to_owned(), None)
                }
                Err(refusal) => ("refused".to_owned(), Some(refusal.to_string())),
            };
            assert_eq!(verdict, (case.verdict, case.reason), "{}", case.name);
        }
    }

    #[test]
    fn an_empty_secret_cannot_be_configured() {
        assert!(Secret::new("").is_err());
    }

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::new("hunter2").unwrap();
        let secrets = Secrets::new(secret.clone(), [secret]);
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }
}
