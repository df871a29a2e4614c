//! Times, as people type them: RFC 3339, a day, or how long ago.

use jiff::SignedDuration;
use shared::clock::{Clock as _, Moment, SystemClock};

/// A text names no time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write a time like 2026-11-23T05:29:04Z, a day like 2026-11-23 (in UTC), or how long ago: 30m, 2h, 3d"
)]
pub(super) struct NoTime;

/// The time that is meant: a day is its beginning in UTC; `2h` is two hours ago.
pub(super) fn time(text: &str) -> Result<Moment, NoTime> {
    time_at(text, SystemClock.now())
}

fn time_at(text: &str, now: Moment) -> Result<Moment, NoTime> {
    if let Some(ago) = ago(text) {
        return Ok(now.before(ago));
    }
    text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).map_err(|_| NoTime)
}

/// A number and its unit.
fn ago(text: &str) -> Option<SignedDuration> {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let seconds = match text.strip_prefix(number)? {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        _ => return None,
    };
    // Some digits, and no sign.
    let count: u32 = number.parse().ok().filter(|_| !number.starts_with('+'))?;
    Some(SignedDuration::from_secs(i64::from(count) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_a_day_or_how_long_ago() {
        let now: Moment = "2026-11-23T12:00:00Z".parse().unwrap();
        for (text, meant) in [
            ("2026-11-23T05:29:04+01:00", Some("2026-11-23T04:29:04.000Z")),
            ("2026-11-22", Some("2026-11-22T00:00:00.000Z")),
            ("90s", Some("2026-11-23T11:58:30.000Z")),
            ("30m", Some("2026-11-23T11:30:00.000Z")),
            ("2h", Some("2026-11-23T10:00:00.000Z")),
            ("3d", Some("2026-11-20T12:00:00.000Z")),
            ("1w", Some("2026-11-16T12:00:00.000Z")),
            ("+2h", None),
            ("-2h", None),
            ("h", None),
            ("2y", None),
            ("2026-13-01", None),
            ("yesterday", None),
            ("", None),
            ("2 h", None),
        ] {
            let read = time_at(text, now).ok().map(|time| time.to_string());
            assert_eq!(read.as_deref(), meant, "{text}");
        }
    }
}
