//! Signatures as Standard Webhooks have them (standardwebhooks.com, specification 1.0): whoever has one of its
//! libraries verifies our requests as they are.
//!
//! An endpoint's secret is not kept: it is derived from the delivery key, the endpoint's id and the secret's number, so
//! that a table that leaks gives no secret away. The endpoint names the delivery key by its id: a new key changes no
//! secret that is in use.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::endpoint::SecretVersion;
use crate::clock::Moment;
use crate::hash;
use crate::rotating::Cause;

/// The first field of what a secret is derived from: nothing else that this key might ever sign starts like this.
const DOMAIN: &[u8] = b"bitpowr-webhooks/endpoint";

/// The header with the event's id.
pub const ID: &str = "webhook-id";

/// The header with the time of the attempt, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";

/// The header with the signatures.
pub const SIGNATURE: &str = "webhook-signature";

/// What secrets are derived from. It does not print.
#[derive(Clone)]
pub struct DeliveryKey {
    id: String,
    key: Zeroizing<Vec<u8>>,
}

/// The key is too short to be one.
#[derive(Debug, thiserror::Error)]
#[error("a delivery key needs at least 32 bytes")]
pub struct WeakKey;

impl DeliveryKey {
    /// A key under its id.
    ///
    /// # Errors
    /// [`WeakKey`] for fewer than 32 bytes, the size of the hash (RFC 2104, section 3).
    pub fn new(id: impl Into<String>, key: impl Into<Vec<u8>>) -> Result<Self, WeakKey> {
        let key = Zeroizing::new(key.into());
        if key.len() < 32 { Err(WeakKey) } else { Ok(Self { id: id.into(), key }) }
    }

    /// Names it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret of this number of an endpoint.
    pub fn secret(&self, endpoint: &str, number: u32) -> SigningSecret {
        let mut mac = keyed(&self.key);
        hash::feed(&mut mac, [DOMAIN, endpoint.as_bytes(), &number.to_be_bytes()]);
        SigningSecret(Zeroizing::new(mac.finalize().into_bytes().to_vec()))
    }
}

impl fmt::Debug for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveryKey({}, …)", self.id)
    }
}

/// What signs the requests to an endpoint. It prints only where it is asked to.
#[derive(Clone)]
pub struct SigningSecret(Zeroizing<Vec<u8>>);

impl SigningSecret {
    /// As libraries take it: `whsec_` and Base64.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&*self.0))
    }

    /// The signature of a request: `v1,` and Base64 of the HMAC-SHA256 over `id.timestamp.body`.
    pub fn sign(&self, id: &str, at: Moment, body: &str) -> String {
        let mut mac = keyed(&self.0);
        mac.update(format!("{id}.{}.", timestamp(at)).as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// The headers of a request, each by its name: signed with every secret that is in use.
pub fn headers(secrets: &[SigningSecret], id: &str, at: Moment, body: &str) -> [(&'static str, String); 3] {
    let signatures: Vec<_> = secrets.iter().map(|secret| secret.sign(id, at, body)).collect();
    [(ID, id.to_owned()), (TIMESTAMP, timestamp(at)), (SIGNATURE, signatures.join(" "))]
}

fn timestamp(at: Moment) -> String {
    at.as_millis().div_euclid(1000).to_string()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "an HMAC takes a key of any length (RFC 2104, section 2)")]
    Hmac::new_from_slice(key).expect("any length")
}

/// Gets the key of an id, or the current one.
pub type Fetch = dyn Fn(Option<String>) -> BoxFuture<'static, Result<DeliveryKey, Cause>> + Send + Sync;

/// The delivery keys: the one that new secrets are derived from, and those that older ones were.
pub enum DeliveryKeys {
    /// One key that never changes.
    Fixed(DeliveryKey),
    /// Keys that are fetched when they are needed, and known from then on.
    Fetched {
        /// Those that were needed, by their ids.
        known: RwLock<HashMap<String, DeliveryKey>>,
        /// Gets the key of an id, or the current one.
        fetch: Arc<Fetch>,
    },
}

/// A delivery key cannot be had now.
#[derive(Debug, thiserror::Error)]
#[error("the delivery key cannot be had: {0}")]
pub struct NoKey(#[source] Cause);

impl fmt::Debug for DeliveryKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeliveryKeys(…)")
    }
}

impl DeliveryKeys {
    /// Keys that are fetched when they are needed: that of an id, or the current one.
    pub fn fetched<F>(fetch: impl Fn(Option<String>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<DeliveryKey, Cause>> + Send + 'static,
    {
        let fetch: Arc<Fetch> = Arc::new(move |id| Box::pin(fetch(id)));
        Self::Fetched { known: RwLock::default(), fetch }
    }

    /// The key for new secrets.
    ///
    /// # Errors
    /// [`NoKey`].
    pub async fn current(&self) -> Result<DeliveryKey, NoKey> {
        self.key(None).await
    }

    /// The secrets that sign at this time, the newest first.
    ///
    /// # Errors
    /// [`NoKey`].
    pub async fn secrets(
        &self,
        endpoint: &str,
        versions: impl IntoIterator<Item = &SecretVersion>,
    ) -> Result<Vec<SigningSecret>, NoKey> {
        let mut secrets = Vec::new();
        for SecretVersion { key_id, number } in versions {
            secrets.push(self.key(Some(key_id)).await?.secret(endpoint, *number));
        }
        Ok(secrets)
    }

    async fn key(&self, id: Option<&str>) -> Result<DeliveryKey, NoKey> {
        let (known, fetch) = match self {
            Self::Fixed(key) => return Ok(key.clone()),
            Self::Fetched { known, fetch } => (known, fetch),
        };
        let found = id.and_then(|id| known.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned());
        if let Some(key) = found {
            return Ok(key);
        }
        let key = fetch(id.map(str::to_owned)).await.map_err(NoKey)?;
        known.write().unwrap_or_else(PoisonError::into_inner).insert(key.id.clone(), key.clone());
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DeliveryKey {
        DeliveryKey::new("k", [7; 32]).unwrap()
    }

    #[test]
    fn a_signature_is_the_one_that_the_specification_gives_as_its_example() {
        // standard-webhooks, libraries' own test vector.
        let secret =
            SigningSecret(Zeroizing::new(STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()));
        let at = Moment::from_millis(1_614_265_330_000);
        let body = r#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_endpoint_and_number_has_its_own_secret_and_always_the_same() {
        let secrets =
            [("a", 1), ("a", 2), ("b", 1)].map(|(endpoint, number)| key().secret(endpoint, number).reveal());
        assert!(secrets.iter().all(|secret| secret.starts_with("whsec_")));
        assert_ne!(secrets[0], secrets[1]);
        assert_ne!(secrets[0], secrets[2]);
        assert_eq!(secrets[0], key().secret("a", 1).reveal());
    }

    #[test]
    fn keys_and_secrets_do_not_print() {
        let secret = key().secret("a", 1);
        let printed = format!("{:?} {:?} {:?}", key(), secret, DeliveryKeys::Fixed(key()));
        assert_eq!(printed, "DeliveryKey(k, …) SigningSecret(…) DeliveryKeys(…)");
    }

    #[tokio::test]
    async fn an_older_key_goes_on_signing_and_is_fetched_once() {
        let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let keys = DeliveryKeys::fetched(move |id| {
            noted.lock().unwrap().push(id.clone());
            let id = id.unwrap_or_else(|| "new".to_owned());
            let byte = if id == "new" { 1 } else { 2 };
            std::future::ready(DeliveryKey::new(id, [byte; 32]).map_err(Cause::from))
        });
        let versions = [
            SecretVersion { key_id: "new".to_owned(), number: 2 },
            SecretVersion { key_id: "old".to_owned(), number: 1 },
        ];
        for _ in 0..2 {
            let secrets = keys.secrets("e", &versions).await.unwrap();
            assert_eq!(
                secrets[1].reveal(),
                DeliveryKey::new("old", [2; 32]).unwrap().secret("e", 1).reveal()
            );
        }
        assert_eq!(*asked.lock().unwrap(), [Some("new".to_owned()), Some("old".to_owned())]);
    }
}
