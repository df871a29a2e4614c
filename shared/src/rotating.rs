//! Secrets that are replaced while the program runs: the last good value is kept, and fetched again when a
//! check fails.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::causes::with_causes;

/// A failed check fetches anew at most this often: who guesses secrets shall not make us ask for ours.
const PAUSE: Duration = Duration::from_secs(60);

/// Where there is no value at all, it is asked for this often.
const PAUSE_WITHOUT: Duration = Duration::from_secs(1);

/// Why a secret cannot be fetched.
pub type Cause = Box<dyn Error + Send + Sync>;

type Fetch<T> = Box<dyn Fn() -> BoxFuture<'static, Result<T, Cause>> + Send + Sync>;

/// A value that may be replaced elsewhere.
pub struct Rotating<T> {
    current: RwLock<Option<Arc<T>>>,
    /// Where it comes from; nowhere, if it is fixed.
    fetch: Option<Fetch<T>>,
    /// When it was last asked for.
    asked: Mutex<Option<Instant>>,
}

impl<T> fmt::Debug for Rotating<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rotating(…)")
    }
}

impl<T: Send + Sync + 'static> Rotating<T> {
    /// A value that never changes.
    pub fn fixed(value: T) -> Self {
        Self { current: RwLock::new(Some(Arc::new(value))), fetch: None, asked: Mutex::default() }
    }

    /// A value that is fetched: once now, and again when [`Rotating::refreshed`] is asked for. That it cannot
    /// be had now is not fatal; it is tried again at the first use.
    pub async fn fetched<F>(fetch: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, Cause>> + Send + 'static,
    {
        let rotating = Self::fetched_when_used(fetch);
        rotating.current().await;
        rotating
    }

    /// A value that is not fetched before its first use: for whoever may have no right to it, and no need of it.
    pub fn fetched_when_used<F>(fetch: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, Cause>> + Send + 'static,
    {
        let fetch: Fetch<T> = Box::new(move || Box::pin(fetch()));
        Self { current: RwLock::default(), fetch: Some(fetch), asked: Mutex::default() }
    }

    fn known(&self) -> Option<Arc<T>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last good value; none where there never was one.
    pub async fn current(&self) -> Option<Arc<T>> {
        match self.known() {
            Some(value) => Some(value),
            None => {
                self.fetch(PAUSE_WITHOUT).await;
                self.known()
            }
        }
    }

    /// A newer value than the one that just failed a check, if there is one: it is fetched at most once a minute.
    pub async fn refreshed(&self, failed: &Arc<T>) -> Option<Arc<T>> {
        self.fetch(PAUSE).await;
        self.known().filter(|value| !Arc::ptr_eq(value, failed))
    }

    async fn fetch(&self, pause: Duration) {
        let Some(fetch) = &self.fetch else { return };
        // Who waits here for somebody else's answer uses it.
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < pause) {
            return;
        }
        *asked = Some(Instant::now());
        match fetch().await {
            Ok(value) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(value));
            }
            Err(cause) => warn!(
                cause = with_causes(&*cause),
                "a secret cannot be fetched; the last good value stays in use"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A source that fails at its first `failures` calls, and counts.
    async fn source(failures: u32) -> (Rotating<u32>, Arc<AtomicU32>) {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let fetch = move || {
            let call = counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(if call < failures { Err("down".into()) } else { Ok(call) })
        };
        (Rotating::fetched(fetch).await, calls)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_never_used_is_never_asked_for() {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let value = Rotating::fetched_when_used(move || {
            std::future::ready(Ok(counted.fetch_add(1, Ordering::SeqCst)))
        });
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        assert_eq!(
            (value.current().await.as_deref(), value.current().await.as_deref()),
            (Some(&0), Some(&0))
        );
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_is_down_at_the_start_is_asked_again() {
        let (value, calls) = source(1).await;
        assert_eq!(value.current().await, None);
        tokio::time::advance(PAUSE_WITHOUT).await;
        assert_eq!(value.current().await.as_deref(), Some(&1));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_checks_fetch_anew_at_most_once_a_minute() {
        let (value, calls) = source(0).await;
        let first = value.current().await.unwrap();
        for _ in 0..10 {
            assert_eq!(value.refreshed(&first).await, None);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        tokio::time::advance(PAUSE).await;
        assert_eq!(value.refreshed(&first).await.as_deref(), Some(&1));
        // Others whose check failed with the old value get the new one without another question.
        assert_eq!(value.refreshed(&first).await.as_deref(), Some(&1));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_good_value_outlasts_an_outage() {
        let up = Arc::new(AtomicU32::new(1));
        let switch = Arc::clone(&up);
        let value = Rotating::fetched(move || {
            let answer = if switch.load(Ordering::SeqCst) == 1 { Ok(7) } else { Err("down".into()) };
            std::future::ready(answer)
        })
        .await;
        up.store(0, Ordering::SeqCst);
        tokio::time::advance(PAUSE).await;
        let known = value.current().await.unwrap();
        assert_eq!(value.refreshed(&known).await, None);
        assert_eq!(*value.current().await.unwrap(), 7);
    }
}
