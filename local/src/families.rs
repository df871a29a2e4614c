//! The families' code, by family: for everything that has to know all of them.

use shared::clock::Moment;
use shared::model::{Body, Meaning};
use shared::pipeline;

/// Runs an expression with a type that stands for the code of a family: `with_family!(family, F => f::<F>())`.
#[macro_export]
macro_rules! with_family {
    ($family:expr, $name:ident => $action:expr) => {
        $crate::with_family!(@ $family, $name, $action,
            Accounts accounts, Assets assets, Addresses addresses, Customers customers, Deposits deposits,
            Transfers transfers, Compliance compliance, Contracts contracts, Legacy legacy,
            Unrecognised unrecognised)
    };
    (@ $family:expr, $name:ident, $action:expr, $($variant:ident $crate_name:ident),*) => {
        match $family {
            $(::shared::model::Family::$variant => {
                type $name = ::$crate_name::$variant;
                $action
            })*
        }
    };
}

/// What the family of an event makes of its body, whichever it is.
///
/// # Errors
/// As [`shared::pipeline::meaning`].
pub fn meaning(body: &Body, received_at: Moment) -> Result<Option<Meaning>, serde_json::Error> {
    with_family!(body.event.family(), F => pipeline::meaning::<F>(body, received_at))
}
