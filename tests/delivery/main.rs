//! From an event to the user's own service: `notify` and `deliver` over an embedded DynamoDB and the local queues, with a
//! clock that is set.
//!
//! | module | what it shows |
//! | --- | --- |
//! | [`attempts`] | what is tried when, what is given up, what is kept of it |
//! | [`reach`] | which addresses the client dials, and what it makes of answers |
//! | [`rights`] | what each role does to which partitions of the table |
//! | [`waiting`] | what waits for an endpoint that is failing or disabled, and how it drains |

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod attempts;
mod reach;
mod rights;
mod service;
mod waiting;
#[allow(dead_code, reason = "these tests bring their own engine")]
#[path = "../world.rs"]
mod world;
