//! What every function of the receiver shares.
//!
//! The way of an event, from top to bottom:
//!
//! | step | module |
//! | --- | --- |
//! | authenticate the sender, seal the delivery | [`verify`] |
//! | carry it to its family's queue | [`queue`] |
//! | open the seal, read the body, ask the family what it means | [`pipeline`], [`model`], [`family`] |
//! | recall what is known, and decide what follows | [`store`], [`decide`], [`fold`] |
//! | render the notification | [`notice`] |
//! | write event, state, balance and ledger in one transaction | [`store`] |
//! | notify people and programs | [`publish`], [`endpoints`] |
//!
//! [`rebuild`] derives everything anew from the bodies. [`erase`] takes personal data out of them. [`http`] stands before the HTTP functions, [`answers`] and [`refusal`] are what `api` and `actions` say, [`access`] knows who may do what there, [`runtime`] starts a deployed function, [`rotating`] holds its
//! secrets, [`telemetry`] is what is seen from outside, [`clock`] tells the time,
//! [`aws_error`] says what AWS refused, [`causes`] says it with all that led to it, [`mod@names`] makes closed lists of names, [`mod@hash`] hashes fields, [`printable`] takes the power from other people's text.

pub mod access;
pub mod answers;
pub mod aws_error;
pub mod causes;
pub mod clock;
pub mod decide;
pub mod endpoints;
pub mod environment;
pub mod erase;
pub mod family;
pub mod fold;
pub mod hash;
pub mod http;
pub mod model;
pub mod names;
pub mod notice;
pub mod pipeline;
pub mod printable;
pub mod publish;
pub mod queue;
pub mod rebuild;
pub mod refusal;
pub mod rotating;
pub mod runtime;
#[cfg(test)]
mod schema;
mod shown;
pub mod store;
pub mod telemetry;
pub mod verify;
