//! Why `api` and `actions` refuse what they are asked: one table from the refusal to the problem that says so.

use std::error::Error;

use lambda_http::http::StatusCode;
use lambda_http::{Body, Response};
use tracing::error;

use crate::access::Denied;
use crate::http::Problem;
use crate::model::{Kind, Unreadable};
use crate::queue::QueueError;
use crate::store::StoreError;

/// Why a request was refused.
#[derive(Debug)]
pub enum Refusal {
    /// There is nothing there.
    NotFound(&'static str),
    /// A parameter is not understood.
    Parameter(String),
    /// The body or a header of an order is not understood.
    Order(String),
    /// The body is not JSON by its media type.
    MediaType,
    /// Somebody may not do this.
    Denied(Denied),
    /// The uid has transactions of several kinds.
    KindNeeded(Vec<Kind>),
    /// Nobody was ever notified of the event, for this reason.
    NoNotification(String),
    /// It cannot be done as things stand; a name for programs, and why.
    Conflict(&'static str, String),
    /// Only the head of the body was kept.
    NotWhole,
    /// The body cannot be read now either.
    StillUnreadable(Unreadable),
    /// The table cannot be read.
    Store(StoreError),
    /// The queues cannot be asked.
    Queue(QueueError),
    /// The queues failed before any dead letter was put back.
    NonePutBack(QueueError),
    /// An action cannot be done now.
    Undone(Box<dyn Error + Send + Sync>),
}

impl From<QueueError> for Refusal {
    fn from(error: QueueError) -> Self {
        Self::Queue(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cursor => Self::Parameter("`cursor` is none that this list gave.".to_owned()),
            StoreError::TooMany => {
                Self::Parameter("`sub_account` has more than 50,000 events: export them instead.".to_owned())
            }
            other => Self::Store(other),
        }
    }
}

impl Refusal {
    /// The same of an action: it may be tried again without being done twice.
    #[must_use]
    pub fn of_action(self) -> Self {
        match self {
            Self::Store(error) => Self::Undone(error.into()),
            Self::Queue(error) => Self::Undone(error.into()),
            other => other,
        }
    }

    /// The problem that says it.
    fn problem(self) -> Problem {
        let (status, code, detail) = match self {
            Self::NotFound(detail) => (StatusCode::NOT_FOUND, "not_found", detail.to_owned()),
            Self::Parameter(detail) => (StatusCode::BAD_REQUEST, "invalid_parameter", detail),
            Self::Order(detail) => (StatusCode::BAD_REQUEST, "invalid_request", detail),
            Self::MediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body is JSON, and its content-type says so.".to_owned(),
            ),
            Self::Denied(denied) => (StatusCode::FORBIDDEN, "denied", denied.to_string()),
            Self::KindNeeded(kinds) => {
                let kinds = kinds.into_iter().map(Kind::as_str).collect::<Vec<_>>().join(", ");
                let detail = format!("This uid has several transactions. Add ?kind= with one of: {kinds}.");
                (StatusCode::CONFLICT, "kind_needed", detail)
            }
            Self::NoNotification(why) => {
                let detail = format!("This event has no notification to send: {why}.");
                (StatusCode::CONFLICT, "never_told", detail)
            }
            Self::Conflict(code, detail) => (StatusCode::CONFLICT, code, detail),
            Self::NotWhole => {
                (StatusCode::CONFLICT, "not_whole", "Only the first 4 KiB of the body were kept.".to_owned())
            }
            Self::StillUnreadable(Unreadable { reason, detail }) => {
                let explained = reason.explain(&detail);
                (
                    StatusCode::CONFLICT,
                    "still_unreadable",
                    format!("The body still cannot be read: {explained}"),
                )
            }
            Self::NonePutBack(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "No dead letter was put back. Try again, with another Idempotency-Key.".to_owned(),
            ),
            Self::Store(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The table cannot be read at the moment. Try again.".to_owned(),
            ),
            Self::Queue(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The queues cannot be asked at the moment. Try again.".to_owned(),
            ),
            Self::Undone(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "It cannot be done at the moment. Try again, with the same Idempotency-Key.".to_owned(),
            ),
        };
        Problem::new(status, code, detail)
    }

    /// The answer that says it. What is a fault of ours is logged, with its cause; whoever asked does not see it.
    pub fn into_response(self) -> Response<Body> {
        match &self {
            Self::Store(error) => error!(%error, "the table cannot be read"),
            Self::Queue(error) => error!(%error, "the queues cannot be asked"),
            Self::NonePutBack(error) => error!(%error, "a redrive failed"),
            Self::Undone(error) => error!(%error, "an action failed"),
            _ => {}
        }
        self.problem().into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws_error::AwsError;
    use aws_sdk_sqs::error::BuildError;

    #[test]
    fn an_event_without_a_notification_says_so_and_why() {
        let (status, detail) =
            Refusal::NoNotification("success was known already".to_owned()).problem().into_parts();
        assert_eq!(status, StatusCode::CONFLICT);
        assert_eq!(detail, "This event has no notification to send: success was known already.");
    }

    #[test]
    fn a_fault_of_ours_is_unavailable_and_says_nothing_of_its_cause() {
        let fault = || AwsError::from(BuildError::other("a secret"));
        for refusal in [
            Refusal::from(StoreError::from(fault())),
            Refusal::from(QueueError::from(fault())),
            Refusal::from(StoreError::from(fault())).of_action(),
        ] {
            let (status, detail) = refusal.problem().into_parts();
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(!detail.contains("secret"), "{detail}");
        }
        let cursor = Refusal::from(StoreError::Cursor).of_action();
        assert_eq!(cursor.problem().into_parts().0, StatusCode::BAD_REQUEST);
    }
}
