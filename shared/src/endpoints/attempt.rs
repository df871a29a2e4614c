//! One POST to an endpoint, and what came of it.

use serde::{Deserialize, Serialize};

use crate::clock::Moment;

/// The most bytes of an answer that are kept.
pub const ANSWER: usize = 256;

/// An attempt; or, with the number 0, that there was none, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The endpoint's id.
    pub endpoint: String,
    /// 1 for the first of the event to the endpoint; a resend counts anew.
    pub number: u32,
    /// When it began.
    pub at: Moment,
    /// The HTTP status that was answered.
    #[serde(default)]
    pub status: Option<u16>,
    /// Why there was none, or no attempt.
    #[serde(default)]
    pub error: Option<String>,
    /// How long it took.
    pub milliseconds: u64,
    /// The first bytes of the answer, as text.
    #[serde(default)]
    pub answer: Option<String>,
    /// When the next attempt is due; none where there will be none.
    #[serde(default)]
    pub next_at: Option<Moment>,
    /// The resend that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resend: Option<String>,
}

crate::names! {
    /// How far an event is on its way to its endpoints, the worst of them.
    "progress" Progress {
        /// One will not get it: its last attempt failed, or it is disabled.
        Failed "failed";
        /// One has not got it yet, and will be tried again.
        Retrying "retrying";
        /// All that want it have it.
        Delivered "delivered";
    }
}

impl Attempt {
    /// Whether the endpoint took it.
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// How far the event is, by its attempts, oldest first; none where there are none.
    pub fn progress(attempts: &[Self]) -> Option<Progress> {
        let last = |endpoint: &str| {
            let newest_first = || attempts.iter().rev().filter(|attempt| attempt.endpoint == endpoint);
            let newest = newest_first().next()?;
            // Repeated deliveries may fail after one that succeeded.
            let of_it = newest_first().filter(|attempt| attempt.resend == newest.resend);
            Some(if of_it.clone().any(Self::is_success) {
                Progress::Delivered
            } else if newest.next_at.is_some() {
                Progress::Retrying
            } else {
                Progress::Failed
            })
        };
        attempts.iter().filter_map(|attempt| last(&attempt.endpoint)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(endpoint: &str, status: u16, is_last: bool, resend: Option<&str>) -> Attempt {
        let at = Moment::from_millis(0);
        Attempt {
            endpoint: endpoint.to_owned(),
            number: 1,
            at,
            status: Some(status),
            error: None,
            milliseconds: 1,
            answer: None,
            next_at: (!is_last).then_some(at),
            resend: resend.map(str::to_owned),
        }
    }

    #[test]
    fn the_worst_endpoint_says_how_far_an_event_is() {
        let good = attempt("a", 200, true, None);
        let retried = attempt("b", 500, false, None);
        let failed = attempt("c", 500, true, None);
        assert_eq!(Attempt::progress(&[]), None);
        assert_eq!(Attempt::progress(std::slice::from_ref(&good)), Some(Progress::Delivered));
        assert_eq!(Attempt::progress(&[good.clone(), retried.clone()]), Some(Progress::Retrying));
        assert_eq!(Attempt::progress(&[good, retried.clone(), failed]), Some(Progress::Failed));
        let late = attempt("b", 204, true, None);
        assert_eq!(Attempt::progress(&[retried, late]), Some(Progress::Delivered));
    }

    #[test]
    fn a_resend_is_judged_by_itself() {
        let before = attempt("a", 200, true, None);
        let again = attempt("a", 500, false, Some("r"));
        assert_eq!(Attempt::progress(&[before, again]), Some(Progress::Retrying));
    }
}
