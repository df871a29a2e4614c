//! What is to be done with what an endpoint has not got, and what follows from an attempt: decided without a clock, a table
//! or a network.

use std::time::Duration;

use jiff::SignedDuration;
use shared::clock::Moment;
use shared::endpoints::{Attempt, Endpoint, EndpointState, Lane, MOST_DELAY};

/// How long after an attempt that failed the next one is due: after the first, after the second …: 67 hours in all. After the
/// last there is none.
const PAUSES: [SignedDuration; 12] = [
    SignedDuration::from_secs(5),
    SignedDuration::from_mins(1),
    SignedDuration::from_mins(5),
    SignedDuration::from_mins(30),
    SignedDuration::from_hours(2),
    SignedDuration::from_hours(5),
    SignedDuration::from_hours(10),
    SignedDuration::from_hours(10),
    SignedDuration::from_hours(10),
    SignedDuration::from_hours(10),
    SignedDuration::from_hours(10),
    SignedDuration::from_hours(10),
];

/// The longest pause, also if the endpoint asks for a longer one.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(10);

/// From this pause on, what failed together is spread over a tenth of it.
const SPREAD_FROM: SignedDuration = SignedDuration::from_mins(30);

/// How many failures in a row make an endpoint a failing one.
const FAILURES: u32 = 5;

/// An endpoint that takes longer than this to answer is slow …
pub const SLOW: Duration = Duration::from_secs(3);

/// … and counts as slow for so long.
pub const SLOW_FOR: SignedDuration = SignedDuration::from_mins(10);

/// An endpoint that took nothing for so long …
const DISABLED_AFTER: SignedDuration = SignedDuration::from_hours(5 * 24);

/// … and has been failing for so long is disabled.
const FAILED_FOR: SignedDuration = SignedDuration::from_hours(12);

/// What is to be done with what an endpoint has not got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// POST it; which attempt it is.
    Attempt(u32),
    /// It waits until the endpoint has recovered.
    Wait,
    /// Its next attempt is not due yet.
    Later(Duration),
    /// Its next attempt is due later than a queue can delay it: it waits in the table, perhaps already.
    WaitUntil(Moment),
    /// It belongs into the other queue.
    Move,
    /// The endpoint is disabled, and will not get it.
    Disabled,
    /// Nothing is left to do.
    Nothing,
}

/// What is to be done with what came out of a queue. `earlier`: the attempts of this event to this endpoint, or of this
/// resend of it.
pub fn task(endpoint: &Endpoint, earlier: &[Attempt], lane: Lane, now: Moment) -> Task {
    let last = earlier.last();
    if earlier.iter().any(Attempt::is_success) {
        return Task::Nothing;
    }
    match endpoint.state {
        // It is noted once.
        EndpointState::Disabled if last.is_some_and(|last| last.next_at.is_none()) => return Task::Nothing,
        EndpointState::Disabled => return Task::Disabled,
        EndpointState::Failing => return Task::Wait,
        EndpointState::Active => {}
    }
    let after_attempt = last.filter(|last| last.number > 0).and_then(|last| last.next_at);
    match after_attempt.map(|next| (next, next.since(now))) {
        // Clocks differ, and a queue counts in seconds.
        Some((next, pause)) if pause > SignedDuration::from_secs(1) => match Duration::try_from(pause) {
            Ok(pause) if pause <= MOST_DELAY => Task::Later(pause),
            _ => Task::WaitUntil(next),
        },
        _ if endpoint.is_slow(now) && lane == Lane::Fast => Task::Move,
        _ => Task::Attempt(number(earlier)),
    }
}

/// Which attempt the next one is.
pub fn number(earlier: &[Attempt]) -> u32 {
    earlier.iter().map(|attempt| attempt.number).max().unwrap_or_default().saturating_add(1)
}

/// When the attempt after this one is due; none where there is none. `chance`, of 0 to 255, spreads
/// what failed together.
pub fn next_at(attempt: &Attempt, retry_after: Option<SignedDuration>, chance: u8) -> Option<Moment> {
    if attempt.is_success() || attempt.status == Some(410) {
        return None;
    }
    let pause = PAUSES.get(usize::try_from(attempt.number).ok()?.checked_sub(1)?)?;
    let spread =
        if *pause < SPREAD_FROM { SignedDuration::ZERO } else { *pause / 10 / 256 * i32::from(chance) };
    let asked = retry_after.unwrap_or_default().min(LONGEST_PAUSE);
    let ended = attempt
        .at
        .after(SignedDuration::from_millis(i64::try_from(attempt.milliseconds).unwrap_or_default()));
    Some(ended.after((*pause + spread).max(asked)))
}

/// When a failing endpoint is tried again, after so many times.
pub fn probe_at(probes: u32, now: Moment) -> Moment {
    let place = usize::try_from(probes).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    now.after(PAUSES.get(place).copied().unwrap_or(LONGEST_PAUSE))
}

/// What an endpoint's failure makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays what it is.
    Same,
    /// It is failing, or still is: it is tried again for the so many-th time.
    Failing(u32),
    /// It is disabled.
    Disabled,
}

/// What an endpoint's failure makes of it; `before`: what it was when the attempt began; the endpoint is as it is after
/// the failure was counted.
pub fn verdict(before: EndpointState, endpoint: &Endpoint, status: Option<u16>, now: Moment) -> Verdict {
    let longer = |since: Option<Moment>, than| since.is_some_and(|since| now.since(since) >= than);
    let last_good = endpoint.last_success_at.or(Some(endpoint.created_at));
    let is_hopeless = longer(last_good, DISABLED_AFTER) && longer(endpoint.failing_since, FAILED_FOR);
    match endpoint.state {
        EndpointState::Disabled => Verdict::Same,
        _ if status == Some(410) || is_hopeless => Verdict::Disabled,
        EndpointState::Failing if before == EndpointState::Failing => {
            Verdict::Failing(endpoint.probes.saturating_add(1))
        }
        // It began before, beside the one that was one too many.
        EndpointState::Failing => Verdict::Same,
        EndpointState::Active if endpoint.failures >= FAILURES => Verdict::Failing(0),
        EndpointState::Active => Verdict::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::endpoints::{EndpointUrl, Reach};
    use shared::environment::Environment;

    fn now() -> Moment {
        Moment::from_millis(1_795_411_744_000)
    }

    fn endpoint(state: EndpointState) -> Endpoint {
        Endpoint {
            state,
            ..Endpoint::new(
                "e",
                Environment::Test,
                EndpointUrl::read("https://example.com/", Reach::Public).unwrap(),
                "k",
                now().before(SignedDuration::from_hours(1)),
            )
        }
    }

    fn attempt(number: u32, status: u16) -> Attempt {
        Attempt {
            endpoint: "e".to_owned(),
            number,
            at: now(),
            status: Some(status),
            error: None,
            milliseconds: 0,
            answer: None,
            next_at: None,
            resend: None,
        }
    }

    #[test]
    fn an_event_is_tried_thirteen_times_in_three_days() {
        let mut at = now();
        let mut pauses = Vec::new();
        for number in 1.. {
            let failed = Attempt { at, ..attempt(number, 500) };
            let Some(next) = next_at(&failed, None, 0) else { break };
            pauses.push(next.since(at).as_secs());
            at = next;
        }
        assert_eq!(pauses[..5], [5, 60, 300, 1800, 7200]);
        assert_eq!(pauses.len(), 12);
        let hours = at.since(now()).as_hours();
        assert!((60..72).contains(&hours), "{hours}");
    }

    #[test]
    fn a_pause_that_an_endpoint_asks_for_is_kept_up_to_ten_hours() {
        let pause = |asked| {
            next_at(&attempt(1, 429), Some(SignedDuration::from_secs(asked)), 0).unwrap().since(now())
        };
        assert_eq!(pause(120).as_secs(), 120);
        assert_eq!(pause(1).as_secs(), 5);
        assert_eq!(pause(i64::MAX / 1_000_000_000).as_hours(), 10);
        assert_eq!(next_at(&attempt(1, 410), None, 0), None);
        assert_eq!(next_at(&attempt(1, 204), None, 0), None);
    }

    #[test]
    fn what_failed_together_is_spread() {
        let pause = |chance| next_at(&attempt(4, 500), None, chance).unwrap().since(now()).as_secs();
        assert_eq!(pause(0), 1800);
        assert!((1970..1980).contains(&pause(255)), "{}", pause(255));
    }

    #[test]
    fn what_is_done_follows_from_the_endpoint_and_what_was_tried() {
        let active = endpoint(EndpointState::Active);
        let slow = Endpoint { slow_until: Some(now().after(SLOW_FOR)), ..active.clone() };
        let soon = |seconds| Some(now().after(SignedDuration::from_secs(seconds)));
        let tried = |seconds| vec![Attempt { next_at: soon(seconds), ..attempt(1, 500) }];
        let waits = vec![Attempt { next_at: soon(30), number: 0, ..attempt(0, 0) }];
        for (endpoint, earlier, lane, expected) in [
            (&active, vec![], Lane::Fast, Task::Attempt(1)),
            (&active, tried(0), Lane::Fast, Task::Attempt(2)),
            (&active, tried(60), Lane::Fast, Task::Later(Duration::from_secs(60))),
            // Perhaps a crash came between the attempt and what was to follow from it.
            (&active, tried(1800), Lane::Fast, Task::WaitUntil(now().after(SignedDuration::from_secs(1800)))),
            (&active, vec![attempt(1, 200)], Lane::Fast, Task::Nothing),
            (&active, waits, Lane::Fast, Task::Attempt(1)),
            (&slow, vec![], Lane::Fast, Task::Move),
            (&slow, vec![], Lane::Slow, Task::Attempt(1)),
            (&endpoint(EndpointState::Failing), vec![], Lane::Slow, Task::Wait),
            (&endpoint(EndpointState::Disabled), vec![], Lane::Slow, Task::Disabled),
            (&endpoint(EndpointState::Disabled), vec![attempt(0, 0)], Lane::Slow, Task::Nothing),
        ] {
            assert_eq!(task(endpoint, &earlier, lane, now()), expected, "{earlier:?}");
        }
    }

    #[test]
    fn an_endpoint_is_failing_after_some_failures_and_disabled_after_days() {
        let active = endpoint(EndpointState::Active);
        let failed = |failures| Endpoint { failures, failing_since: Some(now()), ..active.clone() };
        let began = |state| move |endpoint: &Endpoint, status, now| verdict(state, endpoint, status, now);
        let verdict = began(EndpointState::Active);
        assert_eq!(verdict(&failed(4), Some(500), now()), Verdict::Same);
        assert_eq!(verdict(&failed(5), None, now()), Verdict::Failing(0));
        assert_eq!(verdict(&failed(1), Some(410), now()), Verdict::Disabled);
        let failing = Endpoint { probes: 3, state: EndpointState::Failing, ..failed(9) };
        assert_eq!(verdict(&failing, None, now()), Verdict::Same, "it is no probe");
        let verdict = began(EndpointState::Failing);
        assert_eq!(verdict(&failing, None, now()), Verdict::Failing(4));
        let after = |days: i64| now().after(SignedDuration::from_hours(24 * days));
        assert_eq!(verdict(&failing, None, after(4)), Verdict::Failing(4));
        assert_eq!(verdict(&failing, None, after(5)), Verdict::Disabled);
        let recent = Endpoint { last_success_at: Some(after(1)), ..failing.clone() };
        assert_eq!(verdict(&recent, None, after(5)), Verdict::Failing(4));
        // It was enabled a moment ago.
        let enabled = Endpoint { failing_since: Some(after(5)), ..failing };
        assert_eq!(verdict(&enabled, None, after(5)), Verdict::Failing(4));
    }
}
