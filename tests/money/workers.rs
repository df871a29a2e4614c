//! Several workers take deliveries from a queue that delivers some of them twice, over a table behind faults. In
//! the end everything is as if each event had been delivered once, one after the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use jiff::SignedDuration;
use local::product::families;
use local::standins::engine::Engine;
use local::with_family;
use proptest::prelude::{Strategy as _, any, prop_assert, prop_assert_eq};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use serde_json::json;
use shared::clock::{Clock as _, Moment};
use shared::environment::Environment;
use shared::family::meaning;
use shared::fold::Known;
use shared::model::{Body, Decimal, Entity, EventId, EventName, Meaning, lifecycle};
use shared::rebuild::Mode;
use shared::store::{LogFilter, Table, schema};

use crate::consumer::{self, Books};
use crate::faults::{Fault, Faults};
use crate::lives::{Said, lives, say, setting};
use crate::pure::{ends, of_no_kind};
use crate::rebuilding;
use crate::world::World;

const TEST: Environment = Environment::Test;

/// How many sets of events are tried; the environment's `STORE_CASES` overrides it.
const CASES: u32 = 60;

/// What is left in the end.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    states: BTreeMap<Entity, Known>,
    balances: Books,
    ledger: Books,
    /// The ends of transactions, and what else stands once it was seen, that were notified.
    notified: BTreeSet<(Entity, String)>,
    /// Of each event: when it was received first.
    events: BTreeMap<EventId, Moment>,
}

impl Outcome {
    pub(crate) async fn of(table: &Table) -> Self {
        let mut notified = BTreeSet::new();
        let mut events = BTreeMap::new();
        let mut entities = BTreeSet::new();
        let mut cursor = None;
        loop {
            let page = table.log(TEST, &LogFilter::default(), 100, cursor.as_ref()).await.unwrap();
            for listed in page.items {
                let record = table.event(TEST, &listed.id).await.unwrap().unwrap();
                let event = record.event;
                events.insert(event.id.clone(), event.received_at);
                let Some(entity) = event.entity else { continue };
                let entity = Entity { entity_type: entity.entity_type, kind: event.kind, uid: entity.uid };
                if record.notification.is_some() {
                    let body = Body::parse(&record.raw, TEST).unwrap();
                    let meaning =
                        with_family!(body.event.family(), F => meaning::<F>(&body, event.received_at));
                    notified
                        .extend(ends(&meaning.unwrap().unwrap()).map(|end| (entity.clone(), end.to_owned())));
                    if lifecycle::stands(entity.entity_type, &event.status) {
                        notified.insert((entity.clone(), event.status));
                    }
                }
                // The kinds of one uid have one state.
                entities.insert(Entity { kind: None, ..entity });
            }
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        let mut states = BTreeMap::new();
        for entity in entities {
            let state = table.state(TEST, &entity).await.unwrap().unwrap();
            states.insert(entity, state.known);
        }
        let notified =
            notified.into_iter().map(|(entity, status)| (of_no_kind(&states, entity), status)).collect();
        let (mut balances, mut ledger) = (BTreeMap::new(), BTreeMap::new());
        for balance in table.balances(TEST, None, None, 100, None).await.unwrap().items {
            let columns = |amounts: &shared::model::money::Amounts| {
                vec![
                    amounts.received.clone(),
                    amounts.sent.clone(),
                    amounts.fees.clone(),
                    amounts.pending.clone(),
                ]
            };
            let place = (balance.account.clone(), balance.asset.clone());
            let mut sum = vec![Decimal::zero(); 4];
            let mut cursor = None;
            loop {
                let page =
                    table.ledger(TEST, (&place.0, Some(&place.1)), None, 100, cursor.as_ref()).await.unwrap();
                for line in &page.items {
                    sum = sum.iter().zip(columns(&line.change)).map(|(sum, change)| sum + &change).collect();
                }
                cursor = page.cursor;
                if cursor.is_none() {
                    break;
                }
            }
            balances.insert(place.clone(), columns(&balance.amounts));
            ledger.insert(place, sum);
        }
        // A balance that came and went may or may not have an entry.
        let is_something = |columns: &Vec<Decimal>| columns.iter().any(|amount| !amount.is_zero());
        balances.retain(|_, columns| is_something(columns));
        ledger.retain(|_, columns| is_something(columns));
        Self { states, balances, ledger, notified, events }
    }

    pub(crate) fn balances(&self) -> &Books {
        &self.balances
    }

    pub(crate) fn states(&self) -> &BTreeMap<Entity, Known> {
        &self.states
    }

    pub(crate) fn events(&self) -> &BTreeMap<EventId, Moment> {
        &self.events
    }

    /// The same, with states that are looked at otherwise.
    pub(crate) fn with_states(self, as_seen: impl Fn(&Entity, Known) -> Known) -> Self {
        let states = self.states.into_iter().map(|(entity, known)| {
            let known = as_seen(&entity, known);
            (entity, known)
        });
        Self { states: states.collect(), ..self }
    }

    /// What the states of the transactions add up to.
    fn contributions(&self) -> Books {
        let mut sums = Books::new();
        for posting in self.states.values().flat_map(|known| known.posted.values()) {
            let amounts = &posting.amounts;
            let sum = sums
                .entry((posting.account.clone(), posting.asset.clone()))
                .or_insert_with(|| vec![Decimal::zero(); 4]);
            let columns = [&amounts.received, &amounts.sent, &amounts.fees, &amounts.pending];
            *sum = sum.iter().zip(columns).map(|(sum, amount)| sum + amount).collect();
        }
        sums
    }
}

pub(crate) fn start() -> Moment {
    "2026-11-01T00:00:00Z".parse().unwrap()
}

/// The message of a delivery that was received so many seconds after the start.
pub(crate) fn message(world: &World, said: &Said, later: u16, delivery_id: &str) -> (EventName, String) {
    world.clock.set(start());
    world.clock.advance(SignedDuration::from_secs(i64::from(said.at) + i64::from(later)));
    (said.event.clone(), world.message(said.event.as_written(), &said.data, delivery_id))
}

/// One delivery of each event, in the order in which they were received.
async fn one_after_the_other(world: &World, lives: &[Said]) -> Outcome {
    for (number, said) in lives.iter().enumerate() {
        let (event, message) = message(world, said, 0, &format!("first {number}"));
        world.hand_over(event.as_str(), &message).await.unwrap();
    }
    Outcome::of(world.table()).await
}

/// All deliveries, some of them again and again, taken by several workers.
async fn by_workers(world: &World, lives: &[Said], workers: usize, rng: &mut fastrand::Rng) {
    let mut messages = Vec::new();
    for (number, said) in lives.iter().enumerate() {
        let first = message(world, said, 0, &format!("first {number}"));
        // Its queue delivers it twice, or Bitpowr sends it again.
        for _ in 0..rng.u8(0..2) {
            messages.push(first.clone());
        }
        for again in 0..rng.u16(0..3) {
            messages.push(message(world, said, rng.u16(1..5000), &format!("again {number} {again}")));
        }
        messages.push(first);
    }
    rng.shuffle(&mut messages);
    let queue = Arc::new(Mutex::new(VecDeque::from(messages)));
    join_all((0..workers).map(async |_| {
        loop {
            let next = queue.lock().unwrap().pop_front();
            let Some((event, message)) = next else { return };
            if world.hand_over(event.as_str(), &message).await.is_err() {
                queue.lock().unwrap().push_back((event, message));
            }
        }
    }))
    .await;
}

/// What a build understands that reads 8 where others read 1.5.
fn otherwise(body: &Body, at: Moment) -> Result<Option<Meaning>, serde_json::Error> {
    let mut body = body.clone();
    if let Some(amount) = body.data.get_mut("amount").filter(|amount| **amount == json!("1.5")) {
        *amount = json!("8");
    }
    families::meaning(&body, at)
}

/// What programs are sent leads a consumer to the product's books, whatever happens to it on the way.
async fn books_agree(table: &Table, found: &Outcome, rng: &mut fastrand::Rng) -> Result<(), TestCaseError> {
    let sent = consumer::notifications(table).await;
    prop_assert_eq!(&consumer::moved(&sent), &found.balances);
    for only_counted in [false, true] {
        let received = consumer::reaching(&sent, only_counted, rng);
        prop_assert_eq!(&consumer::books(&received), &found.balances, "{:#?}", received);
    }
    Ok(())
}

/// Some of the events were kept about nothing by an earlier build: once they are taken up, all is as if they had been
/// understood when they came.
async fn taken_up(
    engine: &Engine,
    lives: &[Said],
    expected: &Outcome,
    rng: &mut fastrand::Rng,
) -> Result<(), TestCaseError> {
    let world = World::over(schema::create(&engine.client(), "upgraded").await.unwrap());
    for (number, said) in lives.iter().enumerate() {
        let (event, message) = message(&world, said, 0, &format!("first {number}"));
        if rng.bool() {
            rebuilding::apply_blindly(&world, event.as_written(), &said.data, &format!("first {number}"))
                .await;
        } else {
            world.hand_over(event.as_str(), &message).await.unwrap();
        }
    }
    rebuilding::rebuild(world.table(), rebuilding::WRITE, world.clock.now()).await;
    let found = Outcome::of(world.table()).await;
    prop_assert_eq!(&found.states, &expected.states);
    prop_assert_eq!(&found.balances, &expected.balances);
    prop_assert_eq!(&found.balances, &found.ledger);
    books_agree(world.table(), &found, rng).await?;
    let report = rebuilding::rebuild(world.table(), Mode::Check, world.clock.now()).await;
    prop_assert!(report.is_clean(), "{:#?}", report);
    Ok(())
}

/// A later build reads another amount in the same bodies: it corrects, and notifies of it.
async fn corrected(table: &Table, now: Moment, rng: &mut fastrand::Rng) -> Result<(), TestCaseError> {
    rebuilding::rebuild_as(table, &otherwise, rebuilding::WRITE, now).await;
    let corrected = Outcome::of(table).await;
    prop_assert_eq!(&corrected.balances, &corrected.ledger);
    prop_assert_eq!(&corrected.balances, &corrected.contributions());
    books_agree(table, &corrected, rng).await
}

/// One set of events, both ways: what was injected.
async fn check(lives: &[Said], seed: u64) -> Result<BTreeMap<Fault, u64>, TestCaseError> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let engine = Engine::open(None).unwrap();
    let ordered = World::over(schema::create(&engine.client(), "ordered").await.unwrap());
    let expected = one_after_the_other(&ordered, lives).await;

    let table = schema::create(&engine.client(), "workers").await.unwrap();
    let faults = Faults::new(seed, 20);
    let world = World::over(Table::new(faults.client(&engine), "workers"));
    by_workers(&world, lives, rng.usize(1..6), &mut rng).await;
    let found = Outcome::of(&table).await;
    let report = rebuilding::rebuild(&table, Mode::Check, world.clock.now()).await;
    prop_assert_eq!(&found, &expected);
    prop_assert_eq!(&found.balances, &found.ledger);
    prop_assert_eq!(&found.balances, &found.contributions());
    prop_assert!(report.is_clean(), "{:#?}", report);
    books_agree(&table, &found, &mut rng).await?;

    if rng.bool() {
        taken_up(&engine, lives, &expected, &mut rng).await?;
    } else {
        corrected(&table, world.clock.now(), &mut rng).await?;
    }
    Ok(faults.injected())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_redeliveries_and_faults_end_as_one_delivery_after_the_other() {
    let seed: u64 = setting("SEED").unwrap_or_else(|| fastrand::u64(..));
    let cases = setting("STORE_CASES").unwrap_or(CASES);
    say(&format!("workers: {cases} sets of events, SEED={seed}"));
    let injected: Mutex<BTreeMap<Fault, u64>> = Mutex::default();
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        // A failure that takes long each time is said as it is, not made smaller for hours.
        max_shrink_iters: 300,
        max_shrink_time: 120_000,
        ..Config::default()
    };
    let outcome = tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&(lives(14), any::<u64>().no_shrink()), |(lives, seed)| {
            for (fault, count) in tokio::runtime::Handle::current().block_on(check(&lives, seed))? {
                *injected.lock().unwrap().entry(fault).or_default() += count;
            }
            Ok(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("SEED={seed}: {error}"));
    let injected = injected.into_inner().unwrap();
    say(&format!("workers: injected {injected:?}"));
    assert!(cases < 20 || injected.len() == 6, "{injected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_parallel_deposits_and_transfers_over_one_balance_are_exact() {
    let engine = Engine::open(None).unwrap();
    schema::create(&engine.client(), "hot").await.unwrap();
    let faults = Faults::new(1, 15);
    let world = World::over(Table::new(faults.client(&engine), "hot"));
    let deliver = async |number: usize| {
        let (event, amount) = match number % 2 {
            0 => ("transaction.deposit.success", "0.3"),
            _ => ("transaction.transfer.success", "0.1"),
        };
        let data =
            json!({ "uid": format!("u{number}"), "amount": amount, "assetType": "BTC", "accountId": "hot" });
        let message = world.message(event, &data, &format!("d{number}"));
        while world.hand_over(event, &message).await.is_err() {}
    };
    join_all((0..100).map(deliver)).await;
    let table = Table::new(engine.client(), "hot");
    let balances = table.balances(TEST, Some("hot"), None, 10, None).await.unwrap().items;
    let [balance] = &balances[..] else { panic!("{balances:?}") };
    assert_eq!(balance.amounts.received.to_string(), "15");
    assert_eq!(balance.amounts.sent.to_string(), "5");
    assert_eq!(balance.amounts.balance().to_string(), "10");
    assert!(faults.injected()[&Fault::TransactionConflict] > 0);
    let found = Outcome::of(&table).await;
    assert_eq!(found.balances, found.ledger);
    assert_eq!(found.events.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_costs_the_requests_that_the_document_on_costs_counts() {
    let engine = Engine::open(None).unwrap();
    schema::create(&engine.client(), "costs").await.unwrap();
    let faults = Faults::new(0, 0);
    let world = World::over(Table::new(faults.client(&engine), "costs"));
    let deposit = json!({ "uid": "d", "amount": "1", "assetType": "BTC", "accountId": "a" });
    let count = async |event: &str| {
        world.deliver(event, deposit.clone()).await;
        let requests = faults.requests();
        let requests = requests.into_iter().map(|(operation, count)| format!("{count} {operation}"));
        requests.collect::<Vec<_>>().join(", ")
    };
    // The first event of a day marks it.
    assert_eq!(count("transaction.deposit.created").await, "1 BatchGetItem, 1 PutItem, 1 TransactWriteItems");
    for event in ["pending", "awaiting_confirmation", "success", "aml_flagged"] {
        let requests = count(&format!("transaction.deposit.{event}")).await;
        assert_eq!(requests, "1 BatchGetItem, 1 TransactWriteItems", "{event}");
    }
    // Sent again.
    assert_eq!(count("transaction.deposit.success").await, "1 BatchGetItem, 1 UpdateItem");
}
