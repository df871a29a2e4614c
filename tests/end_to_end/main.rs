//! End-to-end tests, through the public surface: real HTTP, a real database, real processes.
//!
//! | module | what it shows |
//! | --- | --- |
//! | [`story`] | all 43 events in, and everything that can be read back |
//! | [`once`] | repeated, parallel, reordered and contradicting deliveries |
//! | [`refused`] | bad secrets, bad bodies, bad paths |
//! | [`reading`] | lists, filters, cursors |
//! | [`understood`] | what Bitpowr may say in other words than it documents |
//! | [`notifying`] | notifications at a webhook that fails, and e-mails |
//! | [`acting`] | resending, retrying, redriving; who may ask |
//! | [`corrected`] | what `rebuild` moves reaches programs |
//! | [`delivering`] | every event reaches the endpoints, though the product is killed |
//! | [`exposed`] | what other users of the machine, and web pages in its browser, can reach |
//! | [`horizon`] | identity over time, with a clock that is set |
//! | [`invocations`] | the events in `events/<function>` are current |
//! | [`process`] | the real binary: killed, restarted, stopped, misused |
//! | [`command_line`] | what the binary's other commands show of the data, with the product running and stopped |
//! | [`unreachable`] | what is said of a stack that cannot be reached, without reaching for one |
//! | [`erasing`] | erasing personal data on the command line |
//! | [`endpoints`] | the life of endpoints on the command line and over HTTP, and what a service gets |
//! | [`documentation`] | the README's table is what the code does |

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod acting;
mod command_line;
mod corrected;
mod delivering;
mod documentation;
mod endpoints;
mod erasing;
mod exposed;
mod horizon;
mod invocations;
mod notifying;
mod once;
mod process;
mod reading;
mod refused;
mod services;
mod signatures;
mod story;
mod support;
mod understood;
mod unreachable;
#[path = "../world.rs"]
mod world;
