//! How tasks hear that it is time to stop.

use std::future::Future;

use tokio::sync::watch;

/// Tells tasks to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Stops when the sender says so, or is gone.
    pub fn new(signal: watch::Receiver<bool>) -> Self {
        Self(signal)
    }

    /// Whether to stop.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for `work`, but no longer than until it is time to stop.
    pub async fn or(&mut self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            _ = self.0.wait_for(|stop| *stop) => {}
        }
    }
}
