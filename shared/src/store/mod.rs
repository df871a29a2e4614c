//! The table: what is kept, how it is read, and how it is written.
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`keys`], [`schema`] | which item is where; the table's shape |
//! | `table` | one item and many at once; [`StoreError`] |
//! | `query` | ranges of a partition or an index, pages and cursors |
//! | `lists`, `deliveries`, `backoff` | places in lists, the deliveries that brought an item, waiting |
//! | `commit` | recalling several items at once, and committing a [`Plan`] in one transaction |
//! | `packed` | what is kept small |
//! | `events`, `bodies`, `states`, `ledger`, `actions`, `quarantine`, `endpoints`, `attempts` | one concept each: its items, and what reads and writes them |
//! | `erase` | personal data: which items hold some, and erasing it there |
//! | `moved` | moving an event that is understood since a later version |
//! | `records`, `listed` | an event with all that belongs to it; an event as lists show it |
//! | `facets`, `log`, `counts` | what events are found by; the search; how many there were |
//!
//! It decides nothing: what follows from an event is decided in [`decide`](crate::decide), without a table.
//!
//! One table, keys `pk` and `sk`. What belongs to one entity is in one partition: its events and its state. Bodies with
//! their notifications, balances and the quarantine have partitions of their own. The index [`keys::LOG_INDEX`] orders events,
//! quarantine and actions by the time of recording, spread over buckets a day; others order the events that share a value.
//! Components of keys are percent-encoded.

mod actions;
mod attempts;
mod backoff;
mod bodies;
mod commit;
mod counts;
mod deliveries;
mod endpoints;
mod erase;
mod events;
mod facets;
pub mod keys;
mod ledger;
mod listed;
mod lists;
mod log;
mod moved;
mod packed;
mod quarantine;
mod query;
mod records;
pub mod schema;
mod states;
mod table;

pub use actions::{Action, ActionItem, Job, Mandate, Record, Target, TargetType};
pub use attempts::Waiting;
pub use backoff::Backoff;
pub use bodies::{BodyItem, Carrier, Content};
pub use commit::{Earlier, Plan, Recalled};
pub use counts::{Counted, Counts};
pub use deliveries::MAX_DELIVERIES;
pub use endpoints::EndpointChange;
pub use erase::{Copied, Holding};
pub use events::{EventItem, SeenItem};
pub use facets::Facet;
pub use keys::{Key, Partition};
pub use ledger::{Balance, Shard, balance_key};
pub use listed::ListedEvent;
pub use log::{LogFilter, Logged};
pub use quarantine::{Kept, QuarantineItem, QuarantineRecord};
pub use query::{Cursor, Page, Start};
pub use records::EventRecord;
pub use states::StateItem;
pub use table::{StoreError, Table};
