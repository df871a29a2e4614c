//! What AWS refused, or what kept it from being asked, in one line that people can read.
//!
//! An error of the AWS SDK says little by itself (`dispatch failure`), and its chain of causes in Rust's own form
//! fills pages. What helps is the service's answer or, where there was none, the innermost cause.

use std::error::Error;
use std::fmt;
use std::io::ErrorKind;
use std::iter::successors;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::RequestId as _;

/// A call of AWS did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AwsError(String);

impl<E, R> From<SdkError<E, R>> for AwsError
where
    E: Error + ProvideErrorMetadata + 'static,
    R: fmt::Debug + 'static,
{
    fn from(error: SdkError<E, R>) -> Self {
        Self(readable(&error))
    }
}

impl From<BuildError> for AwsError {
    fn from(error: BuildError) -> Self {
        Self(innermost(&error))
    }
}

/// What the service answered, else why it did not.
fn readable<E, R>(error: &SdkError<E, R>) -> String
where
    E: Error + ProvideErrorMetadata + 'static,
    R: fmt::Debug + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let answer = answer.err().meta();
            // AWS's support asks for it.
            let request = answer.request_id().map(|id| format!(" (request {id})")).unwrap_or_default();
            match (answer.code(), answer.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}{request}"),
                (Some(one), None) | (None, Some(one)) => format!("{one}{request}"),
                (None, None) => format!("{}{request}", innermost(error)),
            }
        }
        SdkError::TimeoutError(_) => NOT_IN_TIME.to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => NOT_IN_TIME.to_owned(),
        _ => without_answer(error),
    }
}

const NOT_IN_TIME: &str = "AWS did not answer in time";

/// Why nothing was answered.
fn without_answer(error: &(dyn Error + 'static)) -> String {
    for cause in causes(error) {
        match cause.downcast_ref::<CredentialsError>() {
            Some(CredentialsError::CredentialsNotLoaded(_)) => {
                return "no credentials were found: sign in, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                        AWS_SECRET_ACCESS_KEY"
                    .to_owned();
            }
            Some(refused) => return format!("the credentials cannot be used: {}", innermost(refused)),
            None => {}
        }
        let system = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if system == Some(ErrorKind::ConnectionRefused) {
            return "the connection was refused".to_owned();
        }
    }
    match innermost(error) {
        // The endpoint rules of every service say it so; there is no type for it.
        text if text.contains("Missing Region") => {
            "no region is set: set AWS_REGION, or a region in your AWS profile".to_owned()
        }
        text => text,
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let next = |cause: &&'a (dyn Error + 'static)| (*cause).source();
    successors(Some(error), next)
}

/// The cause that has none itself.
fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().unwrap_or(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sqs::error::{ConnectorError, ErrorMetadata};
    use aws_sdk_sqs::operation::send_message::SendMessageError;

    type Failed = SdkError<SendMessageError, ()>;

    fn dispatch(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Failed {
        SdkError::dispatch_failure(ConnectorError::other(cause.into(), None))
    }

    fn answered(code: Option<&str>, message: Option<&str>, request: Option<&str>) -> Failed {
        let mut metadata = ErrorMetadata::builder();
        if let Some(request) = request {
            metadata = metadata.custom("aws_request_id", request);
        }
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        if let Some(message) = message {
            metadata = metadata.message(message);
        }
        SdkError::service_error(SendMessageError::generic(metadata.build()), ())
    }

    #[test]
    fn an_answer_of_the_service_is_its_code_and_its_message() {
        for (answer, line) in [
            (answered(Some("AccessDenied"), Some("You may not."), None), "AccessDenied: You may not."),
            (answered(Some("AccessDenied"), None, None), "AccessDenied"),
            (answered(None, Some("You may not."), None), "You may not."),
            (
                answered(Some("AccessDenied"), Some("You may not."), Some("7")),
                "AccessDenied: You may not. (request 7)",
            ),
        ] {
            assert_eq!(AwsError::from(answer).to_string(), line);
        }
    }

    #[test]
    fn without_an_answer_the_innermost_cause_is_said_in_plain_words() {
        let refused = std::io::Error::from(ErrorKind::ConnectionRefused);
        let unknown = std::io::Error::other("the cable is cut");
        for (failed, line) in [
            (Failed::timeout_error("late"), "AWS did not answer in time"),
            (
                SdkError::dispatch_failure(ConnectorError::timeout("late".into())),
                "AWS did not answer in time",
            ),
            (dispatch(refused), "the connection was refused"),
            (dispatch(unknown), "the cable is cut"),
            (
                dispatch("Invalid Configuration: Missing Region"),
                "no region is set: set AWS_REGION, or a region in your AWS profile",
            ),
            (
                dispatch(CredentialsError::not_loaded("nowhere")),
                "no credentials were found: sign in, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY",
            ),
            (
                dispatch(CredentialsError::provider_error("the token has expired")),
                "the credentials cannot be used: the token has expired",
            ),
            (Failed::construction_failure("no such thing"), "no such thing"),
        ] {
            assert_eq!(AwsError::from(failed).to_string(), line);
        }
    }
}
