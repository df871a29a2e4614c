//! Why a command failed.

use std::error::Error;

use shared::causes::with_causes;
use shared::printable::one_line;

/// A command failed, or found something that is not as it should be. Every error becomes one, with its causes.
#[derive(Debug)]
pub(super) struct Failure {
    error: Box<dyn Error + Send + Sync>,
    /// What the command exits with.
    pub(super) code: u8,
}

/// Something could not be done, because of something else.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct Failed {
    what: String,
    source: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// A failure that has no other cause.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { error: what.into().into(), code: 1 }
    }

    /// The command line is not understood.
    pub(super) fn usage(what: impl Into<String>) -> Self {
        Self { code: 2, ..Self::new(what) }
    }

    /// Says of an error what could not be done because of it: `.map_err(Failure::of("the file cannot be read"))`.
    pub(super) fn of<E: Into<Box<dyn Error + Send + Sync>>>(
        what: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        move |error| Self::from(Failed { what: what.into(), source: error.into() })
    }

    /// All of it in one readable line.
    pub(super) fn line(&self) -> String {
        one_line(&with_causes(&*self.error)).into_owned()
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: Box::new(error), code: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the folder cannot be used: {0}. Choose another")]
    struct SaysItsCause(#[source] std::io::Error);

    #[test]
    fn a_failure_is_one_line_with_all_its_causes() {
        let failure = Failure::of("the job cannot be saved")(Failed {
            what: "the table cannot be written.".to_owned(),
            source: "the disk\nis full".into(),
        });
        assert_eq!(
            failure.line(),
            "the job cannot be saved: the table cannot be written: the disk\\nis full"
        );
        assert_eq!(Failure::new("There is no such event.").line(), "There is no such event.");
    }

    #[test]
    fn a_cause_that_is_said_already_is_not_said_again() {
        let failure = Failure::from(SaysItsCause(std::io::Error::other("it is gone")));
        assert_eq!(failure.line(), "the folder cannot be used: it is gone. Choose another");
    }
}
