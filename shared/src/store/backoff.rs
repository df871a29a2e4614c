//! Waiting after others were in the way.

use std::time::Duration;

use super::table::StoreError;

/// How often a write is tried before the delivery goes back to its queue.
const ATTEMPTS: u32 = 10;

/// Waits longer each time, by chance: those who got into each other's way do not meet again.
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Waits.
    ///
    /// # Errors
    /// [`StoreError::Contended`] where it has waited often enough.
    pub async fn wait(&mut self) -> Result<(), StoreError> {
        self.attempts += 1;
        if self.attempts >= ATTEMPTS {
            return Err(StoreError::Contended(self.attempts));
        }
        let longest = 10_u64 << self.attempts.min(6);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=longest))).await;
        Ok(())
    }
}
