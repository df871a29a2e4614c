//! Money and state, under every order, repetition, race and fault.
//!
//! | module | what it shows |
//! | --- | --- |
//! | [`lives`] | generates sets of events: valid lives, and contradictory ones |
//! | [`pure`] | every order of the same events ends in the same state: many cases, no table |
//! | [`workers`] | several workers, redeliveries and faults between them and a real table: the same state, balances, ledger and notified ends as one delivery after the other |
//! | [`consumer`] | a program that books from notifications alone, under loss, repetition, reordering and filters: the product's books |
//! | [`faults`] | what stands between the SDK and the table, and injects them |
//! | [`rebuilding`] | what is derived can be derived again, and what was damaged is found and mended |
//! | [`erasing`] | personal data is erased at any time: nothing is left of it, and money and states are the same |
//! | [`past`] | balances and ledger as of a past moment |
//! | [`limits`] | no limit decides in silence |
//! | [`document`] | docs/money.md's tables are what the code does; each odd amount is a test |
//! | [`units`] | what an event costs to write, in write units of DynamoDB |
//! | [`understood`] | docs/understood.md: what Bitpowr may say, and what is understood by it; each row is a test |

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod consumer;
mod document;
mod erasing;
mod faults;
mod limits;
mod lives;
mod past;
mod pure;
mod rebuilding;
mod understood;
mod units;
mod workers;
#[path = "../world.rs"]
mod world;
