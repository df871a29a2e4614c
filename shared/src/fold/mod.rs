//! Applying one event to what is known: a pure function.

mod judge;
mod known;
#[cfg(test)]
mod tests;

use self::judge::{judge_kinds, judge_object, judge_transaction};
pub use self::known::Known;
use crate::model::lifecycle::{self, Outcome};
use crate::model::{EntityType, Facts, Kind, Meaning, Oddity, Posting, Word, money};

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
    /// The facts that the event is about, as they are known now.
    pub facts: Facts,
    /// For a transaction the kind as which the event counts.
    pub kind: Option<Kind>,
    /// What the event did.
    pub effect: Effect,
    /// Why, in words.
    pub why: String,
    /// Whether anybody is notified: of everything, except a step that was overtaken and a mere repetition. The end of a
    /// transaction is notified in whatever order it arrives, and a step that was known from an object's `status`
    /// is notified when the event of its name comes.
    pub notified: bool,
    /// Whether people are.
    pub people: People,
}

/// Whether people are notified of an event of which anybody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum People {
    /// Somebody has to see it, whatever its name: a contradiction, money that counts for nothing, the first proof that
    /// money has moved.
    Always,
    /// They were notified of the same success under another name.
    NotAgain,
    /// Its family decides.
    AsUsual,
}

impl Folded {
    /// Whether the entity's events contradict each other.
    pub fn is_contradicted(&self) -> bool {
        !money::contradictions(&self.facts).is_empty()
    }

    /// Why the money of a transaction counts for nothing.
    pub fn oddity(&self) -> Option<Oddity> {
        money::oddity(self.kind?, &self.facts)
    }
}

/// Applies what an event says to what is known.
pub fn fold(known: Option<&Known>, meaning: &Meaning) -> Folded {
    let before = known.cloned().unwrap_or_default();
    let after = before.clone().join(meaning.entity.kind, meaning.added()).settled();
    let kind = meaning.entity.kind.map(|said| after.counts_as(said));
    let sides = Sides { before: before.of(kind), after: after.of(kind) };
    let (effect, why) = match meaning.entity.kind.zip(kind) {
        Some((said, kind)) => {
            judge_kinds(&before, &after, said, kind).unwrap_or_else(|| judge_transaction(&sides, meaning))
        }
        None => judge_object(&sides, meaning),
    };
    let announces = !meaning.facts.announced().is_subset(&sides.before.announced());
    let notified = match effect {
        Effect::Stale => lifecycle::steps(&meaning.facts)
            .any(|step| step.is_terminal() && (announces || !sides.before.steps.contains(step.as_str()))),
        Effect::Repeat => announces,
        Effect::Applied | Effect::Conflict | Effect::Ambiguous | Effect::None => true,
    };
    let people = kind.map_or(People::AsUsual, |kind| people(kind, &before, &after, &sides, meaning));
    Folded { facts: sides.after, known: after, kind, effect, why, notified, people }
}

/// The facts that an event is about, before and after it.
struct Sides {
    before: Facts,
    after: Facts,
}

/// Whether another kind's money changes by an event of this one.
fn moves_another(before: &Known, after: &Known, kind: Kind) -> bool {
    Kind::ALL.iter().any(|other| *other != kind && before.posted.get(other) != after.posted.get(other))
}

/// Whether people have to see what became of a transaction.
fn people(kind: Kind, before: &Known, after: &Known, sides: &Sides, meaning: &Meaning) -> People {
    if !money::contradictions(&sides.after).is_empty() || moves_another(before, after, kind) {
        return People::Always;
    }
    let was_odd = money::oddity(kind, &sides.before).filter(|_| sides.before != Facts::default());
    let oddity = money::oddity(kind, &sides.after);
    let succeeded =
        |facts: &Facts| lifecycle::furthest(facts).is_some_and(|step| step.outcome() == Outcome::Success);
    // A contract that was called is routine: it moves no balance.
    let proof = kind != Kind::Contract && succeeded(&sides.after) && !succeeded(&sides.before);
    let has_moved = |known: &Known| known.posted.get(&kind).is_some_and(Posting::has_moved);
    let is_odd_anew = oddity.is_some_and(|oddity| oddity != Oddity::NotCounted) && oddity != was_odd;
    if proof || is_odd_anew || (has_moved(after) && !has_moved(before)) {
        People::Always
    } else if succeeded(&sides.before)
        && matches!(meaning.word, Word::Step(step) if step.outcome() == Outcome::Success)
    {
        People::NotAgain
    } else {
        People::AsUsual
    }
}

/// Whether applying the same content again, as if it had happened now, would change what is known: then a
/// repeated delivery may be an old one sent again, or a new one that looks the same.
pub fn is_ambiguous(known: &Known, meaning: &Meaning) -> bool {
    if meaning.dated || meaning.word == Word::Unknown || meaning.entity.entity_type == EntityType::Transaction
    {
        return false;
    }
    let again = known.facts.clone().join(meaning.facts.clone());
    let word = |facts: &Facts| {
        let fields: Vec<_> =
            facts.fields.iter().map(|(name, register)| (*name, register.values.clone())).collect();
        (fields, facts.members.clone(), facts.steps.clone())
    };
    word(&again) != word(&known.facts)
}
