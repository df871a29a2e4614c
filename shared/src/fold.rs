//! Applying one event to what is known: a pure function.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::lifecycle::{self, Outcome};
use crate::model::{EntityType, Fact, Facts, Kind, Meaning, Oddity, Posting, Word, money};

/// What is known under one uid, before an event or after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The facts of an account, asset, address or customer.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub facts: Facts,
    /// The facts of a transaction, by its kind: one uid may be a deposit and a transfer. What was said of no kind
    /// waits under [`Kind::Unknown`] until exactly one kind is known; then it counts as said of that kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<Kind, Facts>,
    /// What each kind has added to a balance so far.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub posted: BTreeMap<Kind, Posting>,
}

fn is_empty(facts: &Facts) -> bool {
    *facts == Facts::default()
}

impl Known {
    /// The one kind that is known of this uid; none where there is none, or several.
    pub fn sole_kind(&self) -> Option<Kind> {
        let mut kinds = self.kinds.keys().filter(|kind| **kind != Kind::Unknown);
        kinds.next().copied().filter(|_| kinds.next().is_none())
    }

    /// The kind as which an event counts that says `kind`.
    pub fn counts_as(&self, kind: Kind) -> Kind {
        if kind == Kind::Unknown { self.sole_kind().unwrap_or(kind) } else { kind }
    }

    /// All that is known of a transaction of this kind, or of an object that has none.
    pub fn of(&self, kind: Option<Kind>) -> Facts {
        let Some(kind) = kind else { return self.facts.clone() };
        let kind = self.counts_as(kind);
        let own = self.kinds.get(&kind).cloned().unwrap_or_default();
        match self.kinds.get(&Kind::Unknown) {
            Some(of_no_kind) if self.sole_kind() == Some(kind) => own.join(of_no_kind.clone()),
            _ => own,
        }
    }

    /// Everything that is known from either; what both have posted is left to [`Self::settled`].
    #[must_use]
    pub fn join(mut self, kind: Option<Kind>, facts: Facts) -> Self {
        let mine = match kind {
            Some(kind) => self.kinds.entry(kind).or_default(),
            None => &mut self.facts,
        };
        *mine = std::mem::take(mine).join(facts);
        self
    }

    /// The same, with what each kind adds to which balance.
    #[must_use]
    pub fn settled(mut self) -> Self {
        let kinds = self.kinds.keys();
        let post = |kind: &Kind| Some((*kind, money::contribution(*kind, &self.of(Some(*kind)))?));
        self.posted = kinds.filter_map(post).collect();
        self
    }
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

/// What an event does that makes a kind known, where something was said of no kind before: all of that counts from now
/// on; or, where it had counted as of another kind, no longer.
fn judge_kinds(before: &Known, after: &Known, said: Kind, kind: Kind) -> Option<(Effect, String)> {
    if said == Kind::Unknown || !before.kinds.contains_key(&Kind::Unknown) || before.kinds.contains_key(&said)
    {
        return None;
    }
    let status = lifecycle::status(EntityType::Transaction, &after.of(Some(kind)));
    let why = match before.sole_kind() {
        None if after.sole_kind() == Some(kind) => format!("known to be a {kind} now, and {status}"),
        Some(other) => {
            format!("first seen as {status}; what was said of no kind no longer counts as a {other}")
        }
        None => return None,
    };
    Some((Effect::Applied, why))
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

/// An event whose word is not understood belongs to its object, and that is all.
fn not_understood(meaning: &Meaning) -> (Effect, String) {
    let why = format!("unknown word {}: kept in the history, changes nothing", meaning.status);
    (Effect::None, why)
}

/// A transaction is changed by a new status, a flag, another amount, asset, account or fee, or, while it is open, by
/// another hash.
fn judge_transaction(sides: &Sides, meaning: &Meaning) -> (Effect, String) {
    let Sides { before, after } = sides;
    if meaning.word == Word::Unknown {
        return not_understood(meaning);
    }
    let event = &meaning.facts;
    let contradictions = money::contradictions(after);
    let new_step = !event.steps.is_subset(&before.steps);
    let new_end = new_step && lifecycle::steps(event).any(lifecycle::Step::is_terminal);
    let changed = changed(before, after);
    if !contradictions.is_empty()
        && (new_end || !changed.is_empty() || money::is_contradicted_by(before, event))
    {
        let about: Vec<_> =
            contradictions.iter().map(|about| format!("{about}{}", money::values(after, *about))).collect();
        return (Effect::Conflict, format!("the events disagree about the {}", about.join(", ")));
    }
    let status = |facts| lifecycle::status(EntityType::Transaction, facts);
    let (was, is) = (status(before), status(after));
    if before.steps.is_empty() {
        return (Effect::Applied, format!("first seen as {is}"));
    }
    let mut changes = changed;
    if was != is {
        changes.insert(0, format!("{was} became {is}"));
    }
    if before.set(Fact::Flags).ne(after.set(Fact::Flags)) {
        changes.push("flagged".to_owned());
    }
    if contradictions.is_empty() && !money::contradictions(before).is_empty() {
        changes.insert(0, "the contradiction was resolved".to_owned());
    }
    let is_open = lifecycle::furthest(after).is_none_or(|step| !step.is_terminal());
    if let Some((old, new)) = before.get(Fact::Hash).zip(after.get(Fact::Hash))
        && is_open
        && before.said(Fact::Hash) != after.said(Fact::Hash)
    {
        changes.push(format!("hash {old} became {new}"));
    }
    if !changes.is_empty() {
        (Effect::Applied, changes.join(", "))
    } else if new_step {
        (Effect::Stale, format!("{is} was known already"))
    } else {
        (Effect::Repeat, "said again in other words".to_owned())
    }
}

/// What is said of money otherwise than before: `amount 1 became 2`.
fn changed(before: &Facts, after: &Facts) -> Vec<String> {
    let (before, after) = (money::said_of_money(before), money::said_of_money(after));
    let listed = |values: &std::collections::BTreeSet<std::borrow::Cow<'_, str>>| {
        let shown: Vec<_> = values.iter().map(|value| money::readable(value)).collect();
        if shown.is_empty() { "unknown".to_owned() } else { shown.join(" or ") }
    };
    let differ = before.iter().zip(&after).filter(|((_, before), (_, after))| before != after);
    differ
        .map(|((name, before), (_, after))| format!("{name} {} became {}", listed(before), listed(after)))
        .collect()
}

/// An account, asset, address or customer is changed by every event that is not older than what is known:
/// the object may have changed in fields that are not followed here.
fn judge_object(sides: &Sides, meaning: &Meaning) -> (Effect, String) {
    let Sides { before, after } = sides;
    let (entity_type, event) = (meaning.entity.entity_type, &meaning.facts);
    if meaning.word == Word::Unknown {
        return not_understood(meaning);
    }
    let status = |facts| lifecycle::status(entity_type, facts);
    // What a set has no room for is news each time: rather twice than never.
    let joins = event
        .members
        .iter()
        .any(|(set, members)| before.members.get(set).is_none_or(|known| !members.is_subset(known)));
    // What stands once it was seen is news however late it comes.
    let stands =
        event.steps.iter().any(|step| lifecycle::stands(entity_type, step) && !before.steps.contains(step));
    if !before.steps.is_empty() && status(before) != status(after) {
        (Effect::Applied, format!("{} became {}", status(before), status(after)))
    } else if joins || stands {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::model::facts::Stamp;
    use crate::model::lifecycle::Step;
    use crate::model::{Entity, transaction::Transaction};
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
                (folded.effect, folded.notified)
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
            facts: says(Step::Success, "1").facts.count(Fact::Confirmations, Some(9)),
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
        Meaning { facts: meaning.facts.field(Fact::Amount, stamp, Some(amount)), ..meaning }
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
            facts: Facts::default().step(step).field(Fact::Label, stamp(at), Some(label)),
            ..account("true", 0)
        };
        let life = [address("updated", "new", 2), address("blocked", "old", 1), address("flagged", "old", 1)];
        assert_eq!(effects(&life), [(Effect::Applied, true); 3]);
    }

    fn account(frozen: &str, at: i64) -> Meaning {
        let stamp = Stamp { rank: 0, at: Some(Moment::from_millis(at)) };
        Meaning {
            entity: Entity::new(EntityType::Account, "a"),
            facts: Facts::default().field(Fact::Frozen, stamp, Some(frozen)),
            word: Word::Object(crate::model::EventType::AccountsUpdated),
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

    fn of_kind(kind: Kind, step: Step, amount: &str) -> Meaning {
        Meaning { entity: Entity::transaction(kind, "u"), ..says(step, amount) }
    }

    fn received(known: &Known) -> Option<String> {
        Some(known.posted.get(&Kind::Deposit)?.amounts.received.to_string())
    }

    #[test]
    fn what_was_said_of_no_kind_counts_as_soon_as_one_kind_is_known() {
        let (success, created) =
            (of_kind(Kind::Unknown, Step::Success, "2"), of_kind(Kind::Deposit, Step::Created, "2"));
        for life in [[&success, &created], [&created, &success]] {
            let first = fold(None, life[0]);
            assert_eq!(received(&first.known).filter(|received| received != "0"), None);
            let second = fold(Some(&first.known), life[1]);
            assert_eq!((second.effect, second.people), (Effect::Applied, People::Always), "{}", second.why);
            assert_eq!(received(&second.known), Some("2".to_owned()));
            assert_eq!(second.known.of(Some(Kind::Unknown)), second.known.of(Some(Kind::Deposit)));
        }
    }

    #[test]
    fn where_two_kinds_are_known_what_was_said_of_no_kind_counts_for_neither() {
        let life = [
            of_kind(Kind::Deposit, Step::Created, "2"),
            of_kind(Kind::Unknown, Step::Success, "2"),
            of_kind(Kind::Transfer, Step::Created, "2"),
        ];
        let mut known = Known::default();
        for meaning in &life {
            known = fold(Some(&known), meaning).known;
        }
        let posted = &known.posted[&Kind::Deposit];
        assert_eq!((posted.amounts.pending.to_string(), posted.has_moved()), ("2".to_owned(), false));
        assert_eq!(
            money::oddity(Kind::Unknown, &known.of(Some(Kind::Unknown))),
            Some(crate::model::Oddity::DirectionUnknown)
        );
        let last = fold(Some(&fold(Some(&fold(None, &life[0]).known), &life[1]).known), &life[2]);
        assert_eq!((last.effect, last.people), (Effect::Applied, People::Always));
    }

    #[test]
    fn a_changed_hash_of_an_open_transaction_is_applied() {
        let with_hash = |hash: &str, at: i64| {
            let stamp = Stamp { rank: Step::Pending.rank(), at: Some(Moment::from_millis(at)) };
            let meaning = says(Step::Pending, "1");
            Meaning { facts: meaning.facts.field(Fact::Hash, stamp, Some(hash)), ..meaning }
        };
        let first = fold(None, &with_hash("f00d0a", 1));
        let second = fold(Some(&first.known), &with_hash("f00d0b", 2));
        assert_eq!((second.effect, second.why.as_str()), (Effect::Applied, "hash f00d0a became f00d0b"));
        assert_eq!(second.people, People::AsUsual);
    }

    #[test]
    fn people_hear_of_the_first_proof_of_success_once() {
        let transaction = Transaction { uid: Some("u".to_owned()), ..Transaction::default() };
        let incoming = transaction.step_by_status(Kind::Deposit, Step::Success).unwrap();
        let named = transaction.step(Kind::Deposit, Step::Success).unwrap();
        let first = fold(None, &incoming);
        let second = fold(Some(&first.known), &named);
        assert_eq!((first.people, second.people), (People::Always, People::NotAgain));
    }

    #[test]
    fn people_are_not_notified_of_every_call_of_a_contract() {
        let call = fold(None, &of_kind(Kind::Contract, Step::Success, "5"));
        assert_eq!((call.people, call.oddity()), (People::AsUsual, Some(Oddity::NotCounted)));
    }

    #[test]
    fn an_unknown_word_changes_nothing() {
        let transaction =
            Transaction { uid: Some("u".to_owned()), amount: Some("9".to_owned()), ..Transaction::default() };
        let known = fold(None, &says(Step::Success, "1")).known;
        let folded = fold(Some(&known), &transaction.unknown_word(Kind::Deposit, "frobnicated").unwrap());
        assert_eq!((folded.effect, folded.notified), (Effect::None, true));
        assert_eq!(folded.known, known);
    }

    #[test]
    fn many_spellings_and_many_values_resolve_no_contradiction() {
        let mut amounts = vec!["1".to_owned()];
        amounts.extend((1..9).map(|zeros| format!("9.{}", "0".repeat(zeros))));
        amounts.extend((20..40).map(|number| number.to_string()));
        let mut known = Known::default();
        for (number, amount) in amounts.iter().enumerate() {
            let folded = fold(Some(&known), &says(Step::Success, amount));
            let expected = match number {
                0 => Effect::Applied,
                2..9 => Effect::Repeat,
                _ => Effect::Conflict,
            };
            assert_eq!(folded.effect, expected, "{amount}");
            assert_eq!(received(&folded.known).is_some(), number == 0);
            known = folded.known;
        }
    }

    fn any_event() -> impl Strategy<Value = Meaning> {
        (prop::sample::select(Kind::ALL.to_vec()), prop::sample::select(Step::ALL.to_vec()), 1_u8..4)
            .prop_map(|(kind, step, amount)| of_kind(kind, step, &amount.to_string()))
    }

    proptest! {
        #[test]
        fn every_order_of_kinds_ends_in_the_same_state(
            mut events in prop::collection::vec(any_event(), 1..8),
            seed in any::<u64>(),
        ) {
            let state = |events: &[Meaning]| {
                events.iter().fold(Known::default(), |known, meaning| fold(Some(&known), meaning).known)
            };
            let ordered = state(&events);
            prop_assert_eq!(&ordered, &ordered.clone().settled());
            fastrand::Rng::with_seed(seed).shuffle(&mut events);
            prop_assert_eq!(ordered, state(&events));
        }

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
