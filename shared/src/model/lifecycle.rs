//! Life cycles as data: the steps of a transaction, how far each is, and what outranks what; and the status of
//! what has no life cycle.

use super::entity::EntityType;
use super::facts::{Fact, Facts};

/// How a transaction stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// On its way.
    Open,
    /// Ended well: money has moved.
    Success,
    /// Ended without moving money.
    Failure,
}

macro_rules! steps {
    ($($variant:ident $name:literal $rank:literal $outcome:ident $($alias:literal)*;)*) => {
        crate::names! {
            /// A step in the life of a transaction (source: Bitpowr's documentation, "Transactions · Life cycle",
            /// and the event types).
            "step" Step {
                $(#[doc = concat!("`", $name, "`")] $variant $name;)*
            }
        }

        impl Step {
            /// How far it is: of the steps seen, the one of the highest rank is the status.
            pub fn rank(self) -> u16 {
                match self { $(Self::$variant => $rank),* }
            }

            /// How the transaction stands after it.
            pub fn outcome(self) -> Outcome {
                match self { $(Self::$variant => Outcome::$outcome),* }
            }

            /// The step that an object's own `status` names; also under the other names seen for it.
            pub fn named(status: &str) -> Option<Self> {
                let status = status.trim().to_ascii_lowercase().replace(['-', ' '], "_");
                match status.as_str() {
                    $($name $(| $alias)* => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

// The failures outrank success: a transaction that is said to have ended both ways counts no money.
steps! {
    Created "created" 10 Open "new" "incoming";
    PendingApproval "pending_approval" 20 Open;
    Approved "approved" 30 Open;
    ApprovedByCounterparty "approved_by_counterparty" 31 Open;
    Pending "pending" 40 Open;
    Processing "processing" 50 Open;
    Queue "queue" 60 Open "queued";
    PreBroadcast "pre_broadcast" 70 Open;
    Broadcasted "broadcasted" 80 Open "broadcast";
    Stuck "stuck" 85 Open;
    AwaitingConfirmation "awaiting_confirmation" 90 Open;
    Success "success" 100 Success "successful" "confirmed" "completed";
    Rejected "rejected" 110 Failure;
    RejectedByCounterparty "rejected_by_counterparty" 111 Failure;
    Cancelled "cancelled" 112 Failure "canceled";
    Dropped "dropped" 113 Failure;
    Failed "failed" 114 Failure;
}

impl Step {
    /// Whether it ends the transaction's life.
    pub fn is_terminal(self) -> bool {
        self.outcome() != Outcome::Open
    }
}

/// The steps that were seen of a transaction.
pub fn steps(facts: &Facts) -> impl Iterator<Item = Step> {
    facts.steps.iter().filter_map(|name| name.parse().ok())
}

/// How far a transaction is.
pub fn furthest(facts: &Facts) -> Option<Step> {
    steps(facts).max_by_key(|step| step.rank())
}

/// When an object without a life cycle is in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Once an event of this name was seen: no event takes it back.
    Seen(&'static str),
    /// As long as the latest word on this field is `true`.
    LatestWord(Fact),
    /// Where it is in no other state.
    Otherwise,
}

/// A state of an account, asset, address or customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Its name: the object's status.
    pub name: &'static str,
    /// When the object is in it.
    pub when: When,
}

const fn state(name: &'static str, when: When) -> State {
    State { name, when }
}

const ACTIVE: State = state("active", When::Otherwise);
const ARCHIVED: State = state("archived", When::LatestWord(Fact::Archived));
const ACCOUNT: &[State] = &[ARCHIVED, state("frozen", When::LatestWord(Fact::Frozen)), ACTIVE];
const ASSET: &[State] = &[ARCHIVED, ACTIVE];
const ADDRESS: &[State] =
    &[state("blocked", When::Seen("blocked")), state("flagged", When::Seen("flagged")), ACTIVE];
const CUSTOMER: &[State] =
    &[state("deleted", When::Seen("deleted")), state("attached", When::Seen("attached_to_address")), ACTIVE];

/// The states of what has no life cycle (source: Bitpowr's event types), the strongest first: of those that the
/// object is in, the first is its status. Empty for transactions, whose states are their [`Step`]s.
pub fn states(entity_type: EntityType) -> &'static [State] {
    match entity_type {
        EntityType::Transaction => &[],
        EntityType::Account => ACCOUNT,
        EntityType::Asset => ASSET,
        EntityType::Address => ADDRESS,
        EntityType::Customer => CUSTOMER,
    }
}

/// Whether a step of an object stands once it was seen: no event takes it back.
pub fn stands(entity_type: EntityType, step: &str) -> bool {
    states(entity_type).iter().any(|state| matches!(state.when, When::Seen(seen) if seen == step))
}

/// The word for an entity's state: of a transaction the furthest step that was seen, of everything else the
/// strongest of its [`states`].
pub fn status(entity_type: EntityType, facts: &Facts) -> &'static str {
    let is_in = |state: &&State| match state.when {
        When::Seen(step) => facts.steps.contains(step),
        When::LatestWord(field) => facts.is(field),
        When::Otherwise => true,
    };
    match entity_type {
        EntityType::Transaction => furthest(facts).map_or("unknown", Step::as_str),
        other => states(other).iter().find(is_in).map_or("unknown", |state| state.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_distinct_and_failures_outrank_success() {
        let mut ranks: Vec<_> = Step::ALL.iter().map(|step| step.rank()).collect();
        ranks.dedup();
        assert_eq!(ranks.len(), Step::ALL.len());
        assert!(ranks.is_sorted());
        for step in Step::ALL {
            match step.outcome() {
                Outcome::Open => assert!(step.rank() < Step::Success.rank()),
                Outcome::Success => assert_eq!(step, Step::Success),
                Outcome::Failure => assert!(step.rank() > Step::Success.rank()),
            }
        }
    }

    #[test]
    fn an_objects_own_status_is_understood() {
        for (status, step) in [
            ("SUCCESS", Some(Step::Success)),
            ("Confirmed", Some(Step::Success)),
            ("AWAITING_CONFIRMATION", Some(Step::AwaitingConfirmation)),
            ("pre-broadcast", Some(Step::PreBroadcast)),
            ("NEW", Some(Step::Created)),
            ("AML_FLAGGED", None),
            ("", None),
        ] {
            assert_eq!(Step::named(status), step, "{status}");
        }
    }
}
