//! What people are sent about the endpoints themselves: an endpoint carries customers' data away, so that a new one, and any
//! change, is news.

use super::endpoint::Endpoint;
use crate::environment::Environment;
use crate::model::notification::attributes;
use crate::model::{Notification, Words};
use crate::printable::one_line;
use crate::store::{Action, Mandate};

/// What people are sent about what was done to an endpoint.
pub fn announcement(action: Action, endpoint: &Endpoint, mandate: &Mandate) -> Notification {
    let done = match action {
        Action::AddEndpoint => "was added",
        Action::RotateSecret => "has a new signing secret",
        Action::EnableEndpoint => "was enabled",
        Action::DisableEndpoint => "was disabled",
        Action::RemoveEndpoint => "was removed",
        _ => "was changed",
    };
    let mark = match endpoint.environment {
        Environment::Test => "[test] ",
        Environment::Live => "",
    };
    let headline = format!("{mark}Endpoint {} {done}", endpoint.url);
    let (who, why) = (one_line(&mandate.who), one_line(&mandate.why));
    let text = format!(
        "{headline}.\n\nEndpoint: {}\nBy: {who}\nReason: {why}\nEnvironment: {}\n\n\
         An endpoint gets the events of your customers. If you do not know of this, look at it now.\n",
        endpoint.id, endpoint.environment
    );
    let environment = Some(endpoint.environment.as_str());
    Notification {
        people: Some(Words::new(&headline, &text, &headline)),
        programs: None,
        endpoint: None,
        attributes: attributes([("environment", environment)], None),
    }
}
