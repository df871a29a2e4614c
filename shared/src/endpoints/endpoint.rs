//! What is kept of an endpoint.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::filter::EndpointFilter;
use super::url::EndpointUrl;
use crate::clock::Moment;
use crate::environment::Environment;
use crate::store::{StoreError, Table};

crate::names! {
    /// Whether an endpoint gets events.
    "state" EndpointState {
        /// It does.
        Active "active";
        /// Its last attempts failed: events wait, and one is tried now and then.
        Failing "failing";
        /// It does not, until it is enabled.
        Disabled "disabled";
    }
}

/// Which secret: the key that it is derived from, and its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretVersion {
    /// The delivery key's id.
    pub key_id: String,
    /// 1 for the first.
    pub number: u32,
}

/// The secrets of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// The one in use.
    pub current: SecretVersion,
    /// The one before, and when it was replaced: both sign for [`Secrets::OVERLAP`] from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<(SecretVersion, Moment)>,
}

impl Secrets {
    /// For how long the previous secret signs, too.
    pub const OVERLAP: SignedDuration = SignedDuration::from_hours(24);

    /// The first secret of an endpoint.
    pub fn first(key_id: &str) -> Self {
        Self { current: SecretVersion { key_id: key_id.to_owned(), number: 1 }, previous: None }
    }

    /// The next secret, beside the one in use; none while the one before still signs.
    pub fn rotated(&self, key_id: &str, now: Moment) -> Option<Self> {
        if self.overlaps(now) {
            return None;
        }
        let number = self.current.number.saturating_add(1);
        Some(Self {
            current: SecretVersion { key_id: key_id.to_owned(), number },
            previous: Some((self.current.clone(), now)),
        })
    }

    /// Those that sign at this time, the newest first.
    pub fn in_use(&self, now: Moment) -> impl Iterator<Item = &SecretVersion> {
        let previous = self.previous.as_ref().filter(|_| self.overlaps(now)).map(|(version, _)| version);
        std::iter::once(&self.current).chain(previous)
    }

    fn overlaps(&self, now: Moment) -> bool {
        self.previous.as_ref().is_some_and(|(_, replaced)| now.since(*replaced) < Self::OVERLAP)
    }
}

/// What went wrong last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub at: Moment,
    /// What, in a few words: `it answered 500`.
    pub error: String,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: String,
    /// Whose world it is.
    pub environment: Environment,
    /// Where requests go.
    pub url: EndpointUrl,
    /// What it is for, in its owner's words.
    #[serde(default)]
    pub description: String,
    /// Which events it wants.
    #[serde(default)]
    pub filter: EndpointFilter,
    /// Whether it gets them.
    pub state: EndpointState,
    /// What its requests are signed with.
    pub secrets: Secrets,
    /// When it was made.
    pub created_at: Moment,
    /// How many attempts failed since the last that succeeded.
    #[serde(default)]
    pub failures: u32,
    /// When the first of them did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Moment>,
    /// What came of the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
    /// When it last took something, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Moment>,
    /// When it was disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Moment>,
    /// While it is failing: how often it was tried again …
    #[serde(default)]
    pub probes: u32,
    /// … and when it is next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_at: Option<Moment>,
    /// Until when it counts as slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_until: Option<Moment>,
}

impl Endpoint {
    /// A new endpoint, which wants everything.
    pub fn new(
        id: impl Into<String>,
        environment: Environment,
        url: EndpointUrl,
        key_id: &str,
        created_at: Moment,
    ) -> Self {
        Self {
            id: id.into(),
            environment,
            url,
            description: String::new(),
            filter: EndpointFilter::default(),
            state: EndpointState::Active,
            secrets: Secrets::first(key_id),
            created_at,
            failures: 0,
            failing_since: None,
            last_failure: None,
            last_success_at: None,
            disabled_at: None,
            probes: 0,
            probe_at: None,
            slow_until: None,
        }
    }

    /// Whether it counts as slow.
    pub fn is_slow(&self, now: Moment) -> bool {
        self.slow_until.is_some_and(|until| now < until)
    }
}

/// Knows the endpoints.
pub trait Directory: Send + Sync + 'static {
    /// Those of an environment.
    fn endpoints(
        &self,
        environment: Environment,
    ) -> impl Future<Output = Result<Vec<Endpoint>, StoreError>> + Send;
}

impl Directory for Table {
    fn endpoints(
        &self,
        environment: Environment,
    ) -> impl Future<Output = Result<Vec<Endpoint>, StoreError>> + Send {
        Self::endpoints(self, environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_sign_for_a_day_and_no_third_meanwhile() {
        let now = Moment::from_millis(1_795_411_744_000);
        let later = |hours: i64| Moment::from_millis(now.as_millis() + hours * 3_600_000);
        let first = Secrets::first("k");
        assert_eq!(first.in_use(now).count(), 1);
        let second = first.rotated("l", now).unwrap();
        let numbers = |secrets: &Secrets, at| secrets.in_use(at).map(|one| one.number).collect::<Vec<_>>();
        assert_eq!(numbers(&second, later(23)), [2, 1]);
        assert_eq!(second.rotated("l", later(23)), None);
        assert_eq!(numbers(&second, later(24)), [2]);
        assert_eq!(numbers(&second.rotated("l", later(24)).unwrap(), later(25)), [3, 2]);
    }
}
