//! Applying one event to what is known of its entity: a pure function.

use crate::model::lifecycle::{self, Step};
use crate::model::transaction::{self, Posting};
use crate::model::{EntityType, Facts, Meaning};

/// What is known of an entity before an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The facts of all its events so far.
    pub facts: Facts,
    /// What it has added to a balance so far.
    pub posted: Option<Posting>,
}

crate::names! {
    /// What an event did.
    "effect" Effect {
        /// It changed the state.
        Applied "applied";
        /// A later step or a newer word was known already: kept, not notified.
        Stale "stale";
        /// Other bytes, same state: kept, not notified; it may have added a hash or confirmations.
        Repeat "repeat";
        /// It contradicts what is known: kept, notified, counted for nothing until somebody has looked.
        Conflict "conflict";
        /// It came again although the entity has changed since, and nothing shows whether it happened again.
        Ambiguous "ambiguous";
        /// Nothing to change: kept, and notified to programs.
        None "none";
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
    /// Whether it is told: everything is, except a step that was overtaken and a mere repetition. The end of a
    /// transaction is told in whatever order it arrives, and a step that was known from an object's `status`
    /// is told when the event of its name comes.
    pub told: bool,
}

impl Folded {
    /// Whether the entity's events contradict each other.
    pub fn is_contradicted(&self) -> bool {
        !transaction::contradictions(&self.known.facts).is_empty()
    }
}

/// Applies what an event says to what is known of its entity.
pub fn fold(known: Option<&Known>, meaning: &Meaning) -> Folded {
    let before = known.cloned().unwrap_or_default();
    let facts = before.facts.clone().join(meaning.facts.clone());
    let posted = meaning.entity.kind.and_then(|kind| transaction::contribution(kind, &facts));
    let (effect, why) = match meaning.entity.entity_type {
        EntityType::Transaction => judge_transaction(known.is_some(), &before.facts, &facts, &meaning.facts),
        other => judge_object(other, &before.facts, &facts, &meaning.facts),
    };
    let announces = !meaning.facts.announced().is_subset(&before.facts.announced());
    let told = match effect {
        Effect::Stale => lifecycle::steps(&meaning.facts)
            .any(|step| step.is_terminal() && (announces || !before.facts.steps.contains(step.as_str()))),
        Effect::Repeat => announces,
        Effect::Applied | Effect::Conflict | Effect::Ambiguous | Effect::None => true,
    };
    Folded { known: Known { facts, posted }, effect, why, told }
}

/// A transaction is changed by a new status, a flag, or another amount, asset, account or fee.
fn judge_transaction(existed: bool, before: &Facts, after: &Facts, event: &Facts) -> (Effect, String) {
    let contradictions = transaction::contradictions(after);
    let new_step = !event.steps.is_subset(&before.steps);
    let new_end = new_step && lifecycle::steps(event).any(Step::is_terminal);
    let new_money = transaction::said_of_money(before) != transaction::said_of_money(after);
    if !contradictions.is_empty() && (new_end || new_money) {
        return (Effect::Conflict, format!("the events disagree about the {}", contradictions.join(", ")));
    }
    let status = |facts| lifecycle::status(EntityType::Transaction, facts);
    if !existed {
        return (Effect::Applied, format!("first seen as {}", status(after)));
    }
    if status(before) != status(after) {
        return (Effect::Applied, format!("{} became {}", status(before), status(after)));
    }
    if before.set("flags").ne(after.set("flags")) {
        return (Effect::Applied, "flagged".to_owned());
    }
    if contradictions.is_empty() && !transaction::contradictions(before).is_empty() {
        return (Effect::Applied, "the contradiction was resolved".to_owned());
    }
    if new_money {
        return (Effect::Applied, "amount, asset, account or fee was corrected".to_owned());
    }
    if new_step {
        (Effect::Stale, format!("{} was known already", status(after)))
    } else {
        (Effect::Repeat, "said again in other words".to_owned())
    }
}

/// An account, asset, address or customer is changed by every event that is not older than what is known:
/// the object may have changed in fields that are not followed here.
fn judge_object(entity_type: EntityType, before: &Facts, after: &Facts, event: &Facts) -> (Effect, String) {
    let status = |facts| lifecycle::status(entity_type, facts);
    // What stands once it was seen is news however late it comes.
    let stands =
        event.steps.iter().any(|step| lifecycle::stands(entity_type, step) && !before.steps.contains(step));
    if !before.steps.is_empty() && status(before) != status(after) {
        (Effect::Applied, format!("{} became {}", status(before), status(after)))
    } else if before.members != after.members || stands {
        (Effect::Applied, "news, whenever it comes".to_owned())
    } else if event.overtaken_by(before) {
        (Effect::Stale, "a newer word was known already".to_owned())
    } else if before == after {
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
        let fields: Vec<_> =
            facts.fields.iter().map(|(name, register)| (name.clone(), register.values.clone())).collect();
        (fields, facts.members.clone(), facts.steps.clone())
    };
    word(&again) != word(&known.facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::model::facts::Stamp;
    use crate::model::{Entity, Kind, transaction::Transaction};
    use proptest::prelude::*;

    fn says(step: Step, amount: &str) -> Meaning {
        let transaction = Transaction {
            uid: Some("u".to_owned()),
            amount: Some(amount.to_owned()),
            asset_type: Some("BTC".to_owned()),
            account_id: Some("a".to_owned()),
            ..Transaction::default()
        };
        transaction.step(Kind::Deposit, step).unwrap()
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
        let life = [says(Step::Created, "1"), says(Step::Pending, "1"), says(Step::Success, "1")];
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
            assert_eq!(effects(&life), [(Effect::Applied, true), (Effect::Conflict, true)]);
        }
    }

    #[test]
    fn a_second_failure_is_stale_but_told() {
        let life = [says(Step::Failed, "1"), says(Step::Cancelled, "1")];
        assert_eq!(effects(&life), [(Effect::Applied, true), (Effect::Stale, true)]);
    }

    fn dated(amount: &str, at: i64) -> Meaning {
        let stamp = Stamp { rank: Step::Success.rank(), at: Some(Moment::from_millis(at)) };
        let meaning = says(Step::Success, amount);
        Meaning { facts: meaning.facts.field("amount", stamp, Some(amount)), ..meaning }
    }

    #[test]
    fn a_resolved_contradiction_is_applied_and_told() {
        let life = [says(Step::Success, "1"), says(Step::Success, "2"), dated("2", 5)];
        let effects = effects(&life);
        assert_eq!(effects, [(Effect::Applied, true), (Effect::Conflict, true), (Effect::Applied, true)]);
    }

    #[test]
    fn the_same_amount_in_another_spelling_is_a_repeat() {
        let life = [says(Step::Success, "0.45"), says(Step::Success, "0.450")];
        assert_eq!(effects(&life), [(Effect::Applied, true), (Effect::Repeat, false)]);
    }

    #[test]
    fn every_further_contradicting_value_is_a_conflict() {
        for third in ["0.5", "3"] {
            let life = [says(Step::Success, "1"), says(Step::Success, "2"), says(Step::Success, third)];
            assert_eq!(effects(&life)[2], (Effect::Conflict, true));
        }
    }

    #[test]
    fn a_late_step_of_a_contradicted_transaction_is_stale() {
        let life = [says(Step::Success, "1"), says(Step::Failed, "1"), says(Step::Pending, "1")];
        assert_eq!(effects(&life)[2], (Effect::Stale, false));
    }

    #[test]
    fn a_flag_before_the_first_step_hides_it_from_nobody() {
        let flag = Transaction { uid: Some("u".to_owned()), ..Transaction::default() };
        let flag = flag.flag(Kind::Deposit, "aml_flagged").unwrap();
        let life = [flag, says(Step::Created, "1"), says(Step::Created, "1")];
        assert_eq!(
            effects(&life),
            [(Effect::Applied, true), (Effect::Applied, true), (Effect::Repeat, false)]
        );
    }

    #[test]
    fn an_end_known_by_its_status_is_told_again_by_its_name() {
        let incoming = Transaction { uid: Some("u".to_owned()), ..Transaction::default() };
        let incoming = incoming.step_by_status(Kind::Deposit, Step::Success).unwrap();
        let named = Transaction { uid: Some("u".to_owned()), ..Transaction::default() };
        let named = named.step(Kind::Deposit, Step::Success).unwrap();
        assert_eq!(effects(&[incoming, named]), [(Effect::Applied, true), (Effect::Repeat, true)]);
    }

    #[test]
    fn both_failures_are_told_in_either_order_though_only_a_status_says_so() {
        let ended = |step| {
            let incoming = Transaction { uid: Some("u".to_owned()), ..Transaction::default() };
            incoming.step_by_status(Kind::Deposit, step).unwrap()
        };
        assert_eq!(
            effects(&[ended(Step::Failed), ended(Step::Rejected)]),
            [(Effect::Applied, true), (Effect::Stale, true)]
        );
        assert_eq!(effects(&[ended(Step::Rejected), ended(Step::Failed)]), [(Effect::Applied, true); 2]);
    }

    #[test]
    fn a_late_block_is_told_though_its_label_is_older() {
        let stamp = |at| Stamp { rank: 0, at: Some(Moment::from_millis(at)) };
        let address = |step: &str, label: &str, at| Meaning {
            entity: Entity::new(EntityType::Address, "p"),
            facts: Facts::default().step(step).field("label", stamp(at), Some(label)),
            ..account("true", 0)
        };
        let life = [address("updated", "new", 2), address("blocked", "old", 1), address("flagged", "old", 1)];
        assert_eq!(effects(&life), [(Effect::Applied, true); 3]);
    }

    fn account(frozen: &str, at: i64) -> Meaning {
        let stamp = Stamp { rank: 0, at: Some(Moment::from_millis(at)) };
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
        assert!(!is_ambiguous(&known, &Meaning { dated: true, ..account("true", 3) }));
    }

    proptest! {
        #[test]
        fn every_order_ends_in_the_same_state(
            mut events in prop::collection::vec((prop::sample::select(Step::ALL.to_vec()), 1_u8..4), 1..8),
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
