//! What everything relies on, of every implementation alike.
//!
//! | module | contract | implementations |
//! | --- | --- | --- |
//! | [`store`] | the table, written and read by the real code | dynoxide; an emulated AWS account |
//! | [`queue`] | `DeliveryQueue`, `DeadLetters` | the local queues; the SQS client over the local AWS endpoint; over an emulated AWS account |
//! | [`publish`] | `Publish` | the local topics; the SNS client over the local AWS endpoint; over an emulated AWS account |
//!
//! The emulated account is MiniStack's, at `CONTRACT_ENDPOINT`; tests/sam starts one and runs these tests with
//! `--ignored`. Without it they are ignored, and counted as such.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod account;
mod publish;
mod queue;
mod store;
#[path = "../world.rs"]
mod world;
