//! Applying one event to what is known of its entity: a pure function.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::model::transaction::{self, Posting};
use crate::model::{Entity, EntityType, Facts, lifecycle};

/// What an event says: the answer of its family.
#[derive(Clone, Debug, PartialEq)]
pub struct Meaning {
    /// What it is about.
    pub entity: Entity,
    /// What it adds to what is known.
    pub facts: Facts,
    /// The event's own word for how things stand: `created`, `success`, `aml_flagged` …
    pub status: String,
    /// When it happened, as the object says.
    pub occurred_at: Option<Moment>,
    /// Whether the object itself is dated, so that equal content is the same event for sure.
    pub dated: bool,
}

/// What is known of an entity before an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The facts of all its events so far.
    pub facts: Facts,
    /// What it has added to a balance so far.
    pub posted: Option<Posting>,
}

/// What an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It changed the state.
    Applied,
    /// A later step or a newer word was known already: kept, not told.
    Stale,
    /// Other bytes, same state: kept, not told; it may have added a hash or confirmations.
    Repeat,
    /// It contradicts what is known: kept, told, counted for nothing until somebody has looked.
    Conflict,
    /// It came again although the entity has changed since, and nothing tells whether it happened again.
    Ambiguous,
    /// Nothing to change: kept and told to programs.
    None,
}

impl Effect {
    /// Every effect.
    pub const ALL: [Self; 6] = [
        Self::Applied,
        Self::Stale,
        Self::Repeat,
        Self::Conflict,
        Self::Ambiguous,
        Self::None,
    ];

    /// The name in events and filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Stale => "stale",
            Self::Repeat => "repeat",
            Self::Conflict => "conflict",
            Self::Ambiguous => "ambiguous",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No effect has this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown effect")]
pub struct UnknownEffect;

impl std::str::FromStr for Effect {
    type Err = UnknownEffect;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|known| known.as_str() == name)
            .ok_or(UnknownEffect)
    }
}

/// The outcome of applying an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// What is known now.
    pub known: Known,
    /// What the event did.
    pub effect: Effect,
    /// Why, in words.
    pub why: String,
    /// Whether it is told: everything is, except a step that was overtaken and a mere repetition; but the end
    /// of a transaction is told in whatever order it arrives.
    pub told: bool,
}

/// Applies what an event says to what is known of its entity.
pub fn fold(known: Option<&Known>, meaning: &Meaning) -> Folded {
    let before = known.cloned().unwrap_or_default();
    let facts = before.facts.clone().join(meaning.facts.clone());
    let posted = meaning
        .entity
        .kind
        .and_then(|kind| transaction::contribution(kind, &facts));
    let (effect, why) = match meaning.entity.entity_type {
        EntityType::Transaction => judge_transaction(known.is_some(), &before.facts, &facts, &meaning.facts),
        _ => judge_object(&before.facts, &meaning.facts),
    };
    let ends = |facts: &Facts| lifecycle::steps(facts).any(lifecycle::Step::is_terminal);
    let first_seen = !meaning.facts.steps.is_subset(&before.facts.steps);
    let told = !matches!(effect, Effect::Stale | Effect::Repeat) || (first_seen && ends(&meaning.facts));
    Folded {
        known: Known { facts, posted },
        effect,
        why,
        told,
    }
}

/// A transaction is changed by a new status, a flag, or another amount, asset or account.
fn judge_transaction(existed: bool, before: &Facts, after: &Facts, event: &Facts) -> (Effect, String) {
    let contradictions = transaction::contradictions(after);
    let known_before = transaction::contradictions(before);
    let new_step = !event.steps.is_subset(&before.steps);
    if !contradictions.is_empty() && (contradictions != known_before || new_step) {
        return (
            Effect::Conflict,
            format!("the events disagree about the {}", contradictions.join(", ")),
        );
    }
    let money = |facts: &Facts| ["amount", "asset"].map(|field| facts.get(field).map(str::to_owned));
    let status = |facts| lifecycle::status(EntityType::Transaction, facts);
    if !existed {
        return (Effect::Applied, format!("first seen as {}", status(after)));
    }
    if status(before) != status(after) {
        return (
            Effect::Applied,
            format!("{} became {}", status(before), status(after)),
        );
    }
    if before.members != after.members {
        return (Effect::Applied, "flagged".to_owned());
    }
    if money(before) != money(after) || transaction::account(before) != transaction::account(after) {
        return (
            Effect::Applied,
            "amount, asset or account was corrected".to_owned(),
        );
    }
    if !contradictions.is_empty() && known_before.is_empty() {
        return (Effect::Applied, "the contradiction was resolved".to_owned());
    }
    if new_step {
        (Effect::Stale, format!("{} was known already", status(after)))
    } else {
        (Effect::Repeat, "said again in other words".to_owned())
    }
}

/// An account, asset, address or customer is changed by every event that is not older than what is known:
/// the object may have changed in fields that are not followed here.
fn judge_object(before: &Facts, event: &Facts) -> (Effect, String) {
    if event.overtaken_by(before) {
        (Effect::Stale, "a newer word was known already".to_owned())
    } else if event.clone().join(before.clone()) == *before {
        (Effect::Repeat, "said again in other words".to_owned())
    } else {
        (Effect::Applied, "the latest word".to_owned())
    }
}

/// Whether applying the same content again, as if it had happened now, would change what is known: then a
/// repeated delivery may be an old one sent again, or a new one that looks the same.
pub fn is_ambiguous(known: &Known, meaning: &Meaning) -> bool {
    if meaning.dated || meaning.entity.entity_type == EntityType::Transaction {
        return false;
    }
    let again = known.facts.clone().join(meaning.facts.clone());
    let word = |facts: &Facts| {
        let fields: Vec<_> = facts
            .fields
            .iter()
            .map(|(name, register)| (name.clone(), register.values.clone()))
            .collect();
        (fields, facts.members.clone(), facts.steps.clone())
    };
    word(&again) != word(&known.facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::Stamp;
    use crate::model::lifecycle::Step;
    use crate::model::{Kind, transaction::Transaction};
    use proptest::prelude::*;

    fn says(step: Step, amount: &str) -> Meaning {
        let transaction = Transaction {
            uid: Some("u".to_owned()),
            amount: Some(amount.to_owned()),
            asset_type: Some("BTC".to_owned()),
            account_id: Some("a".to_owned()),
            ..Transaction::default()
        };
        transaction
            .step(Kind::Deposit, step, Moment::from_millis(0))
            .unwrap()
    }

    fn effects(meanings: &[Meaning]) -> Vec<(Effect, bool)> {
        let mut known: Option<Known> = None;
        meanings
            .iter()
            .map(|meaning| {
                let folded = fold(known.as_ref(), meaning);
                known = Some(folded.known);
                (folded.effect, folded.told)
            })
            .collect()
    }

    #[test]
    fn a_life_in_order_is_applied_step_by_step() {
        let life = [
            says(Step::Created, "1"),
            says(Step::Pending, "1"),
            says(Step::Success, "1"),
        ];
        assert_eq!(effects(&life), [(Effect::Applied, true); 3]);
    }

    #[test]
    fn an_overtaken_step_is_stale_and_not_told() {
        let life = [says(Step::Success, "1"), says(Step::Pending, "1")];
        assert_eq!(effects(&life), [(Effect::Applied, true), (Effect::Stale, false)]);
    }

    #[test]
    fn the_same_step_in_other_words_is_a_repeat() {
        let again = Meaning {
            facts: says(Step::Success, "1").facts.count("confirmations", Some(9)),
            ..says(Step::Success, "1")
        };
        assert_eq!(
            effects(&[says(Step::Success, "1"), again]),
            [(Effect::Applied, true), (Effect::Repeat, false)]
        );
    }

    #[test]
    fn a_contradicted_end_is_a_conflict_in_either_order_and_both_ends_are_told() {
        for life in [[Step::Success, Step::Failed], [Step::Failed, Step::Success]] {
            let life = life.map(|step| says(step, "1"));
            assert_eq!(
                effects(&life),
                [(Effect::Applied, true), (Effect::Conflict, true)]
            );
        }
    }

    #[test]
    fn a_second_failure_is_stale_but_told() {
        let life = [says(Step::Failed, "1"), says(Step::Cancelled, "1")];
        assert_eq!(effects(&life), [(Effect::Applied, true), (Effect::Stale, true)]);
    }

    fn account(frozen: &str, at: i64) -> Meaning {
        let stamp = Stamp {
            rank: 0,
            at: Some(Moment::from_millis(at)),
        };
        Meaning {
            entity: Entity::new(EntityType::Account, "a"),
            facts: Facts::default().field("frozen", stamp, Some(frozen)),
            status: "updated".to_owned(),
            occurred_at: None,
            dated: false,
        }
    }

    #[test]
    fn an_older_word_is_stale() {
        assert_eq!(
            effects(&[account("true", 2), account("false", 1)]),
            [(Effect::Applied, true), (Effect::Stale, false)]
        );
    }

    #[test]
    fn content_that_would_change_the_state_again_is_ambiguous_unless_it_is_dated() {
        let known = fold(None, &account("true", 1)).known;
        let known = fold(Some(&known), &account("false", 2)).known;
        assert!(is_ambiguous(&known, &account("true", 3)));
        assert!(!is_ambiguous(&known, &account("false", 3)));
        assert!(!is_ambiguous(
            &known,
            &Meaning {
                dated: true,
                ..account("true", 3)
            }
        ));
    }

    proptest! {
        #[test]
        fn every_order_ends_in_the_same_state(
            mut events in prop::collection::vec((prop::sample::select(Step::ALL), 1_u8..4), 1..8),
            seed in any::<u64>(),
        ) {
            let state = |events: &[(Step, u8)]| {
                events.iter().fold(Known::default(), |known, (step, amount)| {
                    fold(Some(&known), &says(*step, &amount.to_string())).known
                })
            };
            let ordered = state(&events);
            let doubled: Vec<_> = events.iter().chain(&events).copied().collect();
            prop_assert_eq!(&ordered, &state(&doubled));
            fastrand::Rng::with_seed(seed).shuffle(&mut events);
            prop_assert_eq!(ordered, state(&events));
        }
    }
}
