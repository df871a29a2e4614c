//! What Bitpowr's events mean, without any input or output.
//!
//! ```text
//! bytes ──Body──▶ event type + data ──family function──▶ Entity + Facts ──join──▶ state ──▶ view, contribution
//! ```
//!
//! | module | concept |
//! | --- | --- |
//! | [`catalogue`] | the closed list of event types, and the families they belong to |
//! | [`body`] | a webhook's body, or the reason it cannot be read |
//! | [`identity`] | when two deliveries are the same event |
//! | [`lenient`] | typed fields that put up with what real objects contain |
//! | [`amount`] | exact decimals, and the texts that are none |
//! | [`entity`] | what an event is about |
//! | [`meaning`] | what an event says: which entity, which facts |
//! | [`erased`] | what is left of a body once the personal data in it is erased |
//! | [`facts`] | what an event adds to what is known; joins in any order |
//! | [`lifecycle`] | the states of a transaction and what outranks what |
//! | [`transaction`] | what an event says of a transaction |
//! | [`money`] | what its events say of money together: contradictions, oddities, contribution to balances |
//! | [`ledger`] | the lines that changes of balances leave, each following another |
//! | [`notification`] | what people and programs are sent |
//! | [`words`] | the words of events and statuses, as somebody types them |

pub mod amount;
pub mod body;
pub mod catalogue;
pub mod entity;
pub mod erased;
pub mod facts;
mod grammar;
pub mod identity;
mod ids;
pub mod ledger;
pub mod lenient;
pub mod lifecycle;
pub mod meaning;
pub mod money;
pub mod notification;
pub mod transaction;
pub mod words;

pub use amount::{Decimal, Oddity};
pub use body::{Body, MAX_BODY, Reason, Unreadable};
pub use catalogue::{EventName, EventType, Family};
pub use entity::{Entity, EntityRef, EntityType, Kind};
pub use facts::{Fact, Facts, Register, Stamp};
pub use ids::{Account, Asset, DeliveryId, EventId};
pub use meaning::{Meaning, Word};
pub use money::{Contradiction, Posting};
pub use notification::{Notification, Words};
