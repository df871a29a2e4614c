//! What is derived is derived again from the bodies: the same; and what was damaged is found and mended.

use local::families;
use shared::clock::{ManualClock, Moment};
use shared::environment::Environment;
use shared::store::Table;
use shared::store::rebuild::{Mode, Report};

/// Rebuilds everything.
pub(crate) async fn rebuild(table: &Table, mode: Mode, now: Moment) -> Report {
    let clock = ManualClock::at(now);
    table.rebuild(Environment::Test, None, &families::meaning, mode, &clock, |_| {}).await.unwrap()
}
