//! An event as lists show it.

use super::events::EventItem;
use crate::clock::Moment;
use crate::endpoints::Progress;
use crate::environment::Environment;
use crate::fold::Effect;
use crate::model::{EntityRef, EventId, Family, Kind, Oddity};
use crate::shown::shown;

shown! {
    /// An event, as lists show it.
    ListedEvent of EventItem without notified {
        /// Its public id.
        id: EventId,
        /// Whose world it is.
        environment: Environment,
        /// Its type.
        event: String,
        /// Its family.
        family: Family,
        /// What it is about; none where its type or object is unknown.
        entity: Option<EntityRef>,
        /// For a transaction its kind.
        kind: Option<Kind>,
        /// What it did.
        effect: Effect,
        /// Why.
        why: String,
        /// Its own last word: `created`, `success` …
        status: String,
        /// Why the money that it speaks of counts for nothing.
        oddity: Option<Oddity>,
        /// Whether its entity's events contradicted each other once it was applied.
        conflict: bool,
        /// Whether somebody has looked at what is wrong with it, as it stands.
        acknowledged: bool,
        /// The asset it is about.
        asset: Option<String>,
        /// For a transaction how much it is about, as this event says.
        amount: Option<String>,
        /// How many HTTP requests brought it.
        deliveries: u64,
        /// When the first of them came.
        received_at: Moment,
        /// When it was applied.
        recorded_at: Moment,
        /// When it happened, as the object says; else when it was received.
        occurred_at: Moment,
    }
    and {
        /// How far it is on its way to the endpoints; none where no endpoint was to get it.
        endpoints: Option<Progress>,
    }
}
