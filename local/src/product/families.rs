//! The families' code, by family: for everything that has to know all of them.

use shared::clock::Moment;
use shared::family;
use shared::model::{Body, Meaning};

/// Runs an expression with a type that stands for the code of a family: `with_family!(family, F => f::<F>())`.
#[macro_export]
macro_rules! with_family {
    ($family:expr, $name:ident => $action:expr) => {
        $crate::with_family!(@ $family, $name, $action,
            Accounts = ::accounts::Accounts, Assets = ::assets::Assets, Addresses = ::addresses::Addresses,
            Customers = ::customers::Customers, Deposits = ::deposits::Deposits,
            Transfers = ::transfers::Transfers, Compliance = ::compliance::Compliance,
            Contracts = ::contracts::Contracts, Legacy = ::legacy::Legacy,
            Unrecognised = ::unrecognised::Unrecognised)
    };
    (@ $family:expr, $name:ident, $action:expr, $($variant:ident = $code:path),*) => {
        match $family {
            $(::shared::model::Family::$variant => {
                type $name = $code;
                $action
            })*
        }
    };
}

/// What the family of an event makes of its body, whichever it is.
///
/// # Errors
/// As [`shared::family::meaning`].
pub fn meaning(body: &Body, received_at: Moment) -> Result<Option<Meaning>, serde_json::Error> {
    with_family!(body.event.family(), F => family::meaning::<F>(body, received_at))
}
