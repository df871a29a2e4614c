//! The pure part: what a set of events means does not depend on their order, nor on how often each is said.

use std::collections::{BTreeMap, BTreeSet};

use local::with_family;
use proptest::prelude::{any, prop_assert, prop_assert_eq};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use serde_json::json;
use shared::clock::Moment;
use shared::environment::Environment;
use shared::family::meaning;
use shared::fold::{Known, fold};
use shared::model::{Body, Decimal, Entity, Kind, Meaning, lifecycle, money};

use crate::lives::{Said, lives, say, setting};

/// How many sets of events are tried; the environment's `CASES` overrides it.
const CASES: u32 = 100_000;

fn means(said: &Said) -> Option<Meaning> {
    let body = json!({ "event": said.event.as_written(), "data": said.data }).to_string();
    let body = Body::parse(body.as_bytes(), Environment::Test).unwrap();
    let at = Moment::from_millis(i64::from(said.at) * 1000);
    with_family!(said.event.family(), F => meaning::<F>(&body, at).unwrap())
}

/// The states, and the ends of which anybody was notified.
type Outcome = (BTreeMap<Entity, Known>, BTreeMap<Entity, BTreeSet<&'static str>>);

/// The ends of a transaction that an event says: two where it contradicts itself.
pub(crate) fn ends(meaning: &Meaning) -> impl Iterator<Item = &'static str> {
    let added = meaning.added();
    let ends: Vec<_> = lifecycle::steps(&added).filter(|step| step.is_terminal()).collect();
    ends.into_iter().map(lifecycle::Step::as_str)
}

fn fold_all<'a>(meanings: impl IntoIterator<Item = &'a Meaning>) -> Outcome {
    let (mut states, mut notified) = Outcome::default();
    for meaning in meanings {
        // The kinds of one uid have one state.
        let whole = Entity { kind: None, ..meaning.entity.clone() };
        let folded = fold(states.get(&whole), meaning);
        if folded.notified {
            notified.entry(meaning.entity.clone()).or_default().extend(ends(meaning));
        }
        states.insert(whole, folded.known);
    }
    // Where something was said of no kind, an end is notified as of the uid: once, whichever event came first.
    let mut ends: BTreeMap<Entity, BTreeSet<&'static str>> = BTreeMap::new();
    for (entity, said) in notified {
        ends.entry(of_no_kind(&states, entity)).or_default().extend(said);
    }
    ends.retain(|_, ends| !ends.is_empty());
    (states, ends)
}

/// An entity without its kind, where something was said of no kind.
pub(crate) fn of_no_kind(states: &BTreeMap<Entity, Known>, entity: Entity) -> Entity {
    let whole = Entity { kind: None, ..entity.clone() };
    let waits = states.get(&whole).is_some_and(|known| known.kinds.contains_key(&Kind::Unknown));
    if waits { whole } else { entity }
}

fn check(lives: &[Said], order: u64) -> Result<(), TestCaseError> {
    let mut meanings: Vec<Meaning> = lives.iter().filter_map(means).collect();
    let expected = fold_all(&meanings);
    let mut rng = fastrand::Rng::with_seed(order);
    rng.shuffle(&mut meanings);
    let again: Vec<_> = meanings.iter().filter(|_| rng.bool()).cloned().collect();
    let found = fold_all(meanings.iter().chain(&again));
    prop_assert_eq!(&found, &expected);
    for known in found.0.values() {
        // No transaction takes away.
        for posting in known.posted.values() {
            prop_assert!(posting.amounts.columns().all(|(_, amount)| *amount >= Decimal::zero()));
        }
        // What was said of no kind counts where exactly one kind is known.
        let waits = known.kinds.contains_key(&Kind::Unknown) && known.sole_kind().is_none();
        let of_no_kind = known.of(Some(Kind::Unknown));
        prop_assert!(!waits || money::oddity(Kind::Unknown, &of_no_kind).is_some());
    }
    Ok(())
}

#[test]
fn every_order_and_repetition_ends_in_the_same_state() {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cases = setting("CASES").unwrap_or(CASES).div_ceil(u32::try_from(threads).unwrap());
    let seed = setting("SEED").unwrap_or_else(|| fastrand::u64(..));
    say(&format!("pure: {threads} times {cases} sets of events, SEED={seed}"));
    let run = |thread: u64| {
        let rng_seed = RngSeed::Fixed(seed.wrapping_add(thread));
        let max_shrink_time = 120_000;
        let config =
            Config { cases, rng_seed, failure_persistence: None, max_shrink_time, ..Config::default() };
        let outcome =
            TestRunner::new(config).run(&(lives(10), any::<u64>()), |(lives, order)| check(&lives, order));
        outcome.unwrap_or_else(|error| panic!("SEED={seed}: {error}"));
    };
    std::thread::scope(|scope| {
        for thread in 0..threads as u64 {
            scope.spawn(move || run(thread));
        }
    });
}
