//! Time, as an argument: everything that asks for the time takes a [`Clock`], so that a test can set it.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC to the millisecond.
///
/// Its text form always has the same width (`2026-11-23T05:29:04.123Z`), so that the order of the texts,
/// which is what a DynamoDB sort key compares, is the order of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Timestamp);

/// The beginning of the year 0: RFC 3339 has no earlier one, and a sign would disturb the order of the texts.
const EARLIEST: i64 = -62_167_219_200_000;

/// The text names no moment.
#[derive(Debug, thiserror::Error)]
#[error("write a time like 2026-11-23T05:29:04Z")]
pub struct NoMoment;

impl Moment {
    /// The moment so many milliseconds after 1970 (negative: before). Out of range means the nearest end.
    pub fn from_millis(millis: i64) -> Self {
        let bounded = millis.clamp(EARLIEST, Timestamp::MAX.as_millisecond());
        Self(Timestamp::from_millisecond(bounded).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// Milliseconds since 1970.
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// The day in UTC, as `2026-11-23`.
    pub fn day(self) -> String {
        self.0.strftime("%Y-%m-%d").to_string()
    }

    /// The moment that is so much earlier.
    #[must_use]
    pub fn before(self, by: SignedDuration) -> Self {
        Self::from_millis(self.as_millis().saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The moment that is so much later.
    #[must_use]
    pub fn after(self, by: SignedDuration) -> Self {
        self.before(-by)
    }

    /// How long after `earlier` this is; negative where it is before.
    pub fn since(self, earlier: Self) -> SignedDuration {
        self.0.duration_since(earlier.0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Moment {
    type Err = NoMoment;

    /// Reads RFC 3339 with any offset and precision; what is finer than a millisecond is dropped.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let moment = text.parse::<Timestamp>().map_err(|_| NoMoment)?;
        if moment.as_millisecond() < EARLIEST {
            Err(NoMoment)
        } else {
            Ok(Self::from_millis(moment.as_millisecond()))
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Moment;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment::from_millis(Timestamp::now().as_millisecond())
    }
}

/// A clock that stands still until it is set: for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `moment`.
    pub fn at(moment: Moment) -> Self {
        Self(AtomicI64::new(moment.as_millis()))
    }

    /// Shows `moment` from now on.
    pub fn set(&self, moment: Moment) {
        self.0.store(moment.as_millis(), Ordering::SeqCst);
    }

    /// Moves on (or, with a negative duration, back).
    pub fn advance(&self, by: SignedDuration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl<C: Clock> Clock for std::sync::Arc<C> {
    fn now(&self) -> Moment {
        (**self).now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_one_width_so_that_it_sorts_by_time() {
        let whole = Moment::from_millis(1_795_411_744_000);
        let fraction = Moment::from_millis(1_795_411_744_120);
        assert_eq!(whole.to_string(), "2026-11-23T05:29:04.000Z");
        assert_eq!(fraction.to_string(), "2026-11-23T05:29:04.120Z");
        assert!(whole.to_string() < fraction.to_string());
    }

    #[test]
    fn offsets_and_finer_fractions_are_read() {
        let moment: Moment = "2026-11-23T06:29:04.1234567+01:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-23T05:29:04.123Z");
        assert!("yesterday".parse::<Moment>().is_err());
    }
}
