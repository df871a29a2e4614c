//! The pure part: what a set of events means does not depend on their order, nor on how often each is said.

use std::collections::BTreeMap;

use local::with_family;
use proptest::prelude::{any, prop_assert, prop_assert_eq};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use serde_json::json;
use shared::clock::Moment;
use shared::environment::Environment;
use shared::family::meaning;
use shared::fold::{Known, fold};
use shared::model::{Body, Decimal, Entity, Meaning, lifecycle};

use crate::lives::{Said, lives, say, setting};

/// How many sets of events are tried; the environment's `CASES` overrides it.
const CASES: u32 = 100_000;

fn means(said: &Said) -> Option<Meaning> {
    let body = json!({ "event": said.event.as_str(), "data": said.data }).to_string();
    let body = Body::parse(body.as_bytes(), Environment::Test).unwrap();
    let at = Moment::from_millis(i64::from(said.at) * 1000);
    with_family!(said.event.family(), F => meaning::<F>(&body, at).unwrap())
}

/// Every entity's state, and the ends that were told.
type Outcome = (BTreeMap<Entity, Known>, BTreeMap<Entity, Vec<String>>);

fn fold_all<'a>(meanings: impl IntoIterator<Item = &'a Meaning>) -> Outcome {
    let (mut states, mut told) = Outcome::default();
    for meaning in meanings {
        let folded = fold(states.get(&meaning.entity), meaning);
        let ends = lifecycle::steps(&meaning.facts).any(lifecycle::Step::is_terminal);
        if folded.told && ends && meaning.entity.kind.is_some() {
            let told: &mut Vec<String> = told.entry(meaning.entity.clone()).or_default();
            if !told.contains(&meaning.status) {
                told.push(meaning.status.clone());
                told.sort();
            }
        }
        states.insert(meaning.entity.clone(), folded.known);
    }
    (states, told)
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
        let amounts = known.posted.as_ref().map(|posting| posting.amounts.clone()).unwrap_or_default();
        let nothing = Decimal::zero();
        prop_assert!(
            [amounts.received, amounts.sent, amounts.pending].iter().all(|amount| *amount >= nothing)
        );
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
        let config = Config { cases, rng_seed, failure_persistence: None, ..Config::default() };
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
