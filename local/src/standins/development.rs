//! What stands here for the secrets and the identities of a deployed stack.

use shared::endpoints::signing::{self, DeliveryKey, DeliveryKeys};
use shared::verify::seal::WeakKey;
use shared::verify::{SealingKey, SealingKeys, Secret};

/// What deliveries are sealed with here. It is known to all, as everything on this machine is to its user;
/// deployed, the key is a secret that the stack generates.
pub const KEY: &[u8] = b"a sealing key for development only";

/// The id of that key.
pub const KEY_ID: &str = "development";

/// What deliveries are sealed with here.
///
/// # Errors
/// None: the key is long enough.
pub fn keys() -> Result<SealingKeys, WeakKey> {
    Ok(SealingKeys::new(SealingKey::new(KEY_ID, KEY)?, []))
}

/// What endpoints' signing secrets are derived from here, known to all, too.
pub const DELIVERY_KEY: &[u8] = b"a delivery key for development only";

/// What endpoints' signing secrets are derived from here.
///
/// # Errors
/// None: the key is long enough.
pub fn delivery_key() -> Result<DeliveryKey, signing::WeakKey> {
    DeliveryKey::new(KEY_ID, DELIVERY_KEY)
}

/// The same, as handlers take it.
///
/// # Errors
/// None: the key is long enough.
pub fn delivery_keys() -> Result<DeliveryKeys, signing::WeakKey> {
    Ok(DeliveryKeys::Fixed(delivery_key()?))
}

/// The webhook secret, where no other is given.
pub const SECRET: &str = "local-secret";

/// Whether a webhook secret is the one that everybody knows.
pub fn is_public(secret: &Secret) -> bool {
    Secret::new(SECRET).is_ok_and(|public| public.header_value() == secret.header_value())
}

/// The access key that functions in containers sign with, beside the one that the environment names.
pub const ACCESS_KEY: &str = "local";

/// What the SAM CLI has functions sign with where it finds no credentials.
pub const SAM_ACCESS_KEY: &str = "defaultkey";

/// Who uses this machine, by name.
pub fn user() -> String {
    let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|variable| std::env::var(variable).ok());
    name.unwrap_or_else(|| "this machine's user".to_owned())
}
