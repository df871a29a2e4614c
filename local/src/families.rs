//! The families' code, by family: for everything that has to know all of them.

use shared::clock::Moment;
use shared::model::{Body, Meaning};
use shared::pipeline;

/// Runs an expression with a type that stands for the code of a family: `with_family!(family, F => f::<F>())`.
#[macro_export]
macro_rules! with_family {
    ($family:expr, $name:ident => $action:expr) => {
        match $family {
            ::shared::model::Family::Accounts => {
                type $name = ::accounts::Accounts;
                $action
            }
            ::shared::model::Family::Assets => {
                type $name = ::assets::Assets;
                $action
            }
            ::shared::model::Family::Addresses => {
                type $name = ::addresses::Addresses;
                $action
            }
            ::shared::model::Family::Customers => {
                type $name = ::customers::Customers;
                $action
            }
            ::shared::model::Family::Deposits => {
                type $name = ::deposits::Deposits;
                $action
            }
            ::shared::model::Family::Transfers => {
                type $name = ::transfers::Transfers;
                $action
            }
            ::shared::model::Family::Compliance => {
                type $name = ::compliance::Compliance;
                $action
            }
            ::shared::model::Family::Contracts => {
                type $name = ::contracts::Contracts;
                $action
            }
            ::shared::model::Family::Legacy => {
                type $name = ::legacy::Legacy;
                $action
            }
            ::shared::model::Family::Unrecognised => {
                type $name = ::unrecognised::Unrecognised;
                $action
            }
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
