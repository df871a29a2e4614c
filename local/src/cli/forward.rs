//! POSTs events to a URL on this machine, as an endpoint would get them; nothing of it is recorded.

use std::collections::BTreeMap;

use deliver::parcel::Parcel;
use deliver::post::Poster;
use shared::clock::{Clock as _, SystemClock};
use shared::endpoints::signing::SigningSecret;
use shared::endpoints::{Attempt, EndpointUrl, Reach};
use shared::model::notification::Attribute;
use shared::store::Carrier;

use super::failure::Failure;
use super::place::Opened;
use crate::product::webhook_secret;

/// What an endpoint is sent of an event, and what filters know of it; none where it has no notification.
///
/// # Errors
/// Where the table cannot be read.
pub(super) async fn parcel(
    opened: &Opened,
    id: &str,
) -> Result<Option<(Parcel, BTreeMap<String, Attribute>)>, Failure> {
    let found = opened.table.event(opened.environment, id).await?;
    let record = found.ok_or_else(|| Failure::new("Not found: no event has this id."))?;
    let Some(notification) = record.notification else { return Ok(None) };
    let attributes = notification.attributes.clone();
    let carrier = Carrier {
        environment: record.event.environment,
        id: record.event.id.to_string(),
        recorded_at: record.event.recorded_at,
        notification,
        taken_up: false,
    };
    let parcel = Parcel::of(&opened.table, carrier).await?;
    Ok(parcel.map(|parcel| (parcel, attributes)))
}

/// Where events go.
pub(super) struct Forward {
    url: EndpointUrl,
    secret: SigningSecret,
    poster: Poster,
}

impl Forward {
    /// To a URL.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub(super) fn new(url: EndpointUrl) -> Result<Self, Failure> {
        Ok(Self { url, secret: webhook_secret()?, poster: Poster::new(Reach::Local)? })
    }

    /// What requests are signed with: always the same, and known to all.
    pub(super) fn secret(&self) -> String {
        self.secret.reveal()
    }

    /// POSTs it, once.
    pub(super) async fn send(&self, parcel: &Parcel) -> Attempt {
        let at = SystemClock.now();
        let secrets = std::slice::from_ref(&self.secret);
        let (answer, took) = deliver::send(&self.poster, &self.url, secrets, parcel, at).await;
        let (status, answer, error) = match answer {
            Ok(answer) => (Some(answer.status), Some(answer.text), None),
            Err(error) => (None, None, Some(error.to_string())),
        };
        Attempt {
            endpoint: self.url.to_string(),
            number: 1,
            at,
            status,
            error,
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            answer: answer.filter(|answer| !answer.is_empty()),
            next_at: None,
            resend: None,
        }
    }
}

/// What was answered, in a line.
pub(super) fn answered(attempt: &Attempt) -> String {
    let Attempt { status, error, milliseconds, answer, .. } = attempt;
    match status {
        Some(status) if attempt.is_success() => format!("<-- {status} {milliseconds} ms"),
        Some(status) => {
            let answer = answer.as_ref().map(|answer| format!(": {answer}")).unwrap_or_default();
            format!("<-- {status} {milliseconds} ms{answer}")
        }
        None => format!("<-- no answer: {}", error.as_deref().unwrap_or_default()),
    }
}
