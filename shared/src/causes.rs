//! An error with its causes, for people: all that is known of why, and nothing twice.

use std::error::Error;

/// An error and its causes, the innermost last. Some errors say their cause themselves: nothing is said twice.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let why = cause.to_string();
        if !text.contains(&why) {
            text = format!("{}: {why}", text.trim_end_matches('.'));
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws_error::AwsError;
    use crate::queue::QueueError;
    use crate::store::StoreError;
    use aws_sdk_sqs::error::BuildError;

    #[derive(Debug, thiserror::Error)]
    #[error("the log cannot be read.")]
    struct Unread(#[source] StoreError);

    #[test]
    fn what_aws_said_is_a_cause_and_is_said_once() {
        let refused = || AwsError::from(BuildError::other("throttled"));
        let unread = Unread(StoreError::from(refused()));
        assert!(unread.source().unwrap().source().unwrap().is::<AwsError>());
        assert_eq!(with_causes(&unread), "the log cannot be read: DynamoDB: throttled");
        assert_eq!(with_causes(&QueueError::from(refused())), "SQS: throttled");
    }
}
