//! Who may be believed: the webhook secret at the door, the seal from there on.
//!
//! | where | what is checked | type before → after |
//! | --- | --- | --- |
//! | `ingest` | header `x-webhook-secret` ([`secret`]) | [`Unverified`] → [`Authentic`] |
//! | every family function | the envelope's seal ([`seal`]) | text → [`Opened`] |
//!
//! Bytes are reachable only through the type on the right, so nothing unverified can become data.

pub mod seal;
pub mod secret;

pub use seal::{Envelope, KeyId, Opened, SealRefusal, Sealed, SealingKey, SealingKeys};
pub use secret::{Authentic, Secret, SecretRefusal, Secrets, Unverified};
