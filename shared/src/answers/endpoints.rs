//! Endpoints, as they are shown: of the URL scheme and host only, since its path may hold a token.

#![allow(
    clippy::disallowed_types,
    reason = "what serde derives to read a flattened struct names floats; no amount here is a number"
)]

use serde::{Deserialize, Serialize};

use super::{Action, Entry, Size};
use crate::clock::Moment;
use crate::endpoints::{self, Attempt, EndpointFilter, EndpointState, Failure};

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: String,
    /// Scheme and host of its URL; `…` for the rest.
    pub url: String,
    /// What it is for.
    pub description: String,
    /// Which events it wants.
    pub filter: EndpointFilter,
    /// Whether it gets them.
    pub state: EndpointState,
    /// While it is failing, or disabled for that: when the first attempt failed since the last that succeeded.
    pub failing_since: Option<Moment>,
    /// What went wrong last.
    pub last_failure: Option<Failure>,
    /// When it last took something, to the minute.
    pub last_success_at: Option<Moment>,
    /// When it was disabled.
    pub disabled_at: Option<Moment>,
    /// When it was added.
    pub created_at: Moment,
}

impl From<endpoints::Endpoint> for Endpoint {
    fn from(endpoint: endpoints::Endpoint) -> Self {
        let failing_since = endpoint.failing_since.filter(|_| endpoint.state != EndpointState::Active);
        Self {
            id: endpoint.id,
            url: endpoint.url.to_string(),
            description: endpoint.description,
            filter: endpoint.filter,
            state: endpoint.state,
            failing_since,
            last_failure: endpoint.last_failure,
            last_success_at: endpoint.last_success_at,
            disabled_at: endpoint.disabled_at,
            created_at: endpoint.created_at,
        }
    }
}

impl Entry for Endpoint {
    const LIST: &'static str = "endpoints";
}

/// An endpoint by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// What it has not got yet, the first 1,000 events.
    pub waiting: Size,
    /// What came of the last test event; none where it was never tested.
    pub test: Option<Test>,
    /// What was done to it, oldest first.
    pub actions: Vec<Action>,
}

/// A test event, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// Its id.
    pub id: String,
    /// When it was sent.
    pub at: Moment,
    /// The attempts so far.
    pub attempts: Vec<Attempt>,
}

/// An endpoint with the secret that its requests are signed with: shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithSecret {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// `whsec_` and Base64.
    pub secret: String,
}

/// An endpoint that was enabled or disabled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// From when to when it was disabled: what was recorded then was not sent to it, and can be resent.
    pub missed: Option<Missed>,
}

/// A time in which an endpoint got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// From when on …
    pub from: Moment,
    /// … until when.
    pub to: Moment,
}

/// A test event was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// Its id.
    pub id: String,
}
