//! What is derived is derived again from the bodies: the same; and what was damaged is found and mended.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use futures::future::join_all;
use local::product::families;
use local::standins::engine::{Engine, TABLE};
use local::with_family;
use serde_json::{Value, json};
use shared::clock::{Clock as _, ManualClock, Moment};
use shared::decide::{Applied, Delivery};
use shared::environment::Environment;
use shared::family::FamilyRules;
use shared::fold::Effect;
use shared::model::ledger::Rule;
use shared::model::lifecycle::Step;
use shared::model::notification::Audience;
use shared::model::transaction::Transaction;
use shared::model::{Body, Entity, EntityType, EventName, Family, Kind, Meaning, Words};
use shared::notice::Notice;
use shared::pipeline::apply;
use shared::rebuild::{self, Interpreter, Mode, Report, TakenUp};
use shared::store::{Action, Facet, LogFilter, Mandate, StateItem, Table, schema};

use crate::consumer;
use crate::workers::Outcome;
use crate::world::World;

const TEST: Environment = Environment::Test;

/// Also writes what differs.
pub(crate) const WRITE: Mode<'_> = Mode::Write { who: "the test" };

/// Rebuilds everything.
pub(crate) async fn rebuild(table: &Table, mode: Mode<'_>, now: Moment) -> Report {
    rebuild_as(table, &families::meaning, mode, now).await
}

/// Rebuilds everything, as a build that understands events so.
pub(crate) async fn rebuild_as(
    table: &Table,
    interpret: &Interpreter<'_>,
    mode: Mode<'_>,
    now: Moment,
) -> Report {
    rebuild::rebuild(table, TEST, None, interpret, mode, &ManualClock::at(now), |_| {}).await.unwrap()
}

/// A table with three deposits and an account, and the means to damage it.
struct Damaged {
    world: World,
    client: Client,
    engine: Engine,
}

impl Damaged {
    async fn new() -> Self {
        let engine = Engine::open(None).unwrap();
        let client = engine.client();
        let world = World::over(schema::create(&client, TABLE).await.unwrap());
        for (uid, amount) in [("one", "1"), ("two", "2"), ("three", "4")] {
            let data = json!({ "uid": uid, "amount": amount, "assetType": "BTC", "accountId": "a" });
            world.deliver("transaction.deposit.pending", data.clone()).await;
            world.deliver("transaction.deposit.success", data).await;
        }
        world.deliver("accounts.frozen", json!({ "uid": "a", "name": "Treasury" })).await;
        Self { world, client, engine }
    }

    async fn check(&self) -> Report {
        rebuild(self.world.table(), Mode::Check, self.world.clock.now()).await
    }

    /// Rebuilds, and finds everything as it was.
    async fn mend(&self, expected: &Outcome) {
        let report = rebuild(self.world.table(), WRITE, self.world.clock.now()).await;
        assert!(report.differences.iter().all(|difference| difference.written), "{report:#?}");
        assert!(report.imbalances.iter().all(|imbalance| imbalance.written), "{report:#?}");
        assert!(report.broken.iter().all(|broken| broken.written), "{report:#?}");
        let report = self.check().await;
        assert!(report.is_clean(), "{report:#?}");
        assert_eq!(Outcome::of(self.world.table()).await, *expected);
        consumer::ends_with(self.world.table(), expected.balances()).await;
    }

    fn key(pk: &str, sk: &str) -> HashMap<String, AttributeValue> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
    }

    async fn delete(&self, pk: &str, sk: &str) {
        let request = self.client.delete_item().table_name(TABLE).set_key(Some(Self::key(pk, sk)));
        request.send().await.unwrap();
    }

    async fn set(&self, pk: &str, sk: &str, path: &str, value: &str) {
        let request = self.client.update_item().table_name(TABLE).set_key(Some(Self::key(pk, sk)));
        let request = request.update_expression(format!("SET {path} = :value"));
        let request = request.expression_attribute_values(":value", AttributeValue::S(value.to_owned()));
        request.send().await.unwrap();
    }

    /// Alters a state: what it says is not what its events say.
    async fn antedate_state(&self, pk: &str) {
        let request = self.client.get_item().table_name(TABLE).set_key(Some(Self::key(pk, "state")));
        let mut item = request.send().await.unwrap().item.unwrap();
        let mut state: StateItem = serde_dynamo::from_item(item.clone()).unwrap();
        state.known.facts.updated_at = Some("2020-01-01T00:00:00Z".parse().unwrap());
        item.extend::<HashMap<_, _>>(serde_dynamo::to_item(state).unwrap());
        self.client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }

    /// The partition of the shard that a deposit posted to.
    async fn shard_of(&self, uid: &str) -> String {
        let ledger = self.world.table().ledger(TEST, ("a", None), None, 100, None).await.unwrap().items;
        let line =
            ledger.iter().find(|line| line.transaction.as_ref().is_some_and(|tx| tx.uid == uid)).unwrap();
        format!("test#balance#a#BTC#{}", line.shard)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_touched_is_the_same() {
    let damaged = Damaged::new().await;
    let report = damaged.check().await;
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!((report.events, report.entities, report.busy), (7, 4, 0));
    let before = Outcome::of(damaged.world.table()).await;
    damaged.mend(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_gone_or_altered_is_found_and_mended() {
    let damaged = Damaged::new().await;
    let before = Outcome::of(damaged.world.table()).await;
    damaged.delete("test#transaction#one", "state").await;
    damaged.antedate_state("test#account#a").await;
    let report = damaged.check().await;
    let found: Vec<_> = report
        .differences
        .iter()
        .map(|found| (found.entity.uid.as_str(), found.before.as_deref(), found.after.as_str()))
        .collect();
    assert!(found.contains(&("one", None, "success")), "{report:#?}");
    assert!(found.contains(&("a", Some("frozen"), "frozen")), "{report:#?}");
    damaged.mend(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_that_was_altered_is_found_and_mended() {
    let damaged = Damaged::new().await;
    let before = Outcome::of(damaged.world.table()).await;
    damaged.set(&damaged.shard_of("two").await, "balance", "amounts.received", "1000000").await;
    let report = damaged.check().await;
    let [imbalance] = &report.imbalances[..] else { panic!("{report:#?}") };
    assert_eq!(imbalance.balance.received.to_string(), "1000000");
    assert_eq!(Some(&imbalance.ledger), imbalance.contributions.as_ref());
    damaged.mend(&before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_that_is_gone_is_found_and_mended() {
    let damaged = Damaged::new().await;
    let before = Outcome::of(damaged.world.table()).await;
    damaged.delete(&damaged.shard_of("two").await, "balance").await;
    let report = damaged.check().await;
    let [imbalance] = &report.imbalances[..] else { panic!("{report:#?}") };
    assert_eq!(Some(&imbalance.ledger), imbalance.contributions.as_ref());
    damaged.mend(&before).await;
    let data = json!({ "uid": "two", "amount": "3", "assetType": "BTC", "accountId": "a", "updatedAt": "2026-01-01T00:00:00Z" });
    damaged.world.deliver("transaction.deposit.success", data).await;
    assert!(damaged.check().await.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_line_that_is_gone_is_found_and_made_up_for() {
    let damaged = Damaged::new().await;
    let before = Outcome::of(damaged.world.table()).await;
    damaged.delete(&damaged.shard_of("three").await, &format!("line#{:020}", 2)).await;
    let report = damaged.check().await;
    let [broken] = &report.broken[..] else { panic!("{report:#?}") };
    assert_eq!((broken.line.number, broken.line.why), (2, "is missing"));
    assert!(report.imbalances.is_empty(), "{report:#?}");
    damaged.mend(&before).await;
}

/// An earlier version, which took every amount for 0.8.
struct Misreading;

impl FamilyRules for Misreading {
    const FAMILY: Family = Family::Deposits;
    type Data = Transaction;

    fn meaning(_: &EventName, deposit: &Transaction, _: Moment) -> Option<Meaning> {
        let misread = Transaction { amount: Some("0.8".to_owned()), ..deposit.clone() };
        misread.step(Kind::Deposit, Step::Success)
    }

    fn audience(_: &EventName) -> Audience {
        Audience::Programs("")
    }

    fn words(notice: &Notice<'_>) -> Words {
        notice.say("", &[])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_an_earlier_version_misread_is_moved_with_a_line_that_says_so() {
    let damaged = Damaged::new().await;
    let table = damaged.world.table();
    let data = json!({ "uid": "misread", "amount": "8", "assetType": "BTC", "accountId": "a" });
    let raw = json!({ "event": "transaction.deposit.success", "data": data }).to_string();
    let delivery = Delivery {
        environment: TEST,
        body: Body {
            event: EventName::new("transaction.deposit.success"),
            data: data.as_object().unwrap().clone(),
        },
        raw: raw.into_bytes(),
        received_at: damaged.world.clock.now(),
        delivery_id: "d".into(),
    };
    apply::<Misreading>(table, &*damaged.world.clock, &delivery).await.unwrap();
    let balance = async || {
        let balances = table.balances(TEST, Some("a"), None, 10, None).await.unwrap().items;
        balances[0].amounts.received.to_string()
    };
    assert_eq!(balance().await, "7.8");
    let report = damaged.check().await;
    let [difference] = &report.differences[..] else { panic!("{report:#?}") };
    assert_eq!(Vec::from_iter(&difference.differs), ["amount", "contribution"]);
    assert!(report.imbalances.is_empty());
    rebuild(table, WRITE, damaged.world.clock.now()).await;
    assert_eq!(balance().await, "15");
    let ledger = table.ledger(TEST, ("a", None), None, 100, None).await.unwrap().items;
    let line = ledger.iter().find(|line| line.rule == Rule::Rebuild).unwrap();
    assert_eq!(
        (line.change.received.to_string(), line.transaction.as_ref().unwrap().uid.as_str()),
        ("7.2".into(), "misread")
    );
    assert_eq!(line.transaction.as_ref().unwrap().entity_type, EntityType::Transaction);
    assert!(damaged.check().await.is_clean());

    consumer::ends_with(table, Outcome::of(table).await.balances()).await;
    let correction = consumer::notifications(table).await.into_iter().find(|one| one.event == "correction");
    let correction = correction.unwrap();
    assert_eq!((correction.family, correction.kind), (Family::Deposits, Some(Kind::Deposit)));
    assert_eq!(correction.entity.unwrap().uid, "misread");
    assert_eq!((correction.counted[0].change.to_string(), correction.counts.version), ("7.2".to_owned(), 2));
    let actions = table.actions(TEST, 10, None).await.unwrap().items;
    let [action] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((action.action, action.who.as_str()), (Action::Rebuild, "the test"));
    assert_eq!(action.notification.as_ref().unwrap().people, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_of_what_a_uid_counts_never_falls_though_its_state_was_gone() {
    let damaged = Damaged::new().await;
    let table = damaged.world.table();
    let correct = async |amount: &str, day: u8| {
        let data = json!({ "uid": "one", "amount": amount, "assetType": "BTC", "accountId": "a",
            "updatedAt": format!("2026-01-0{day}T00:00:00Z") });
        damaged.world.deliver("transaction.deposit.success", data).await;
    };
    correct("5", 1).await;
    for (amount, day) in [("6", 2), ("7", 3)] {
        damaged.delete("test#transaction#one", "state").await;
        rebuild(table, WRITE, damaged.world.clock.now()).await;
        correct(amount, day).await;
    }
    consumer::ends_with(table, Outcome::of(table).await.balances()).await;
}

/// An earlier version, which understood nothing of a family.
pub(crate) struct Blind<F>(PhantomData<F>);

impl<F: FamilyRules> FamilyRules for Blind<F> {
    const FAMILY: Family = F::FAMILY;
    type Data = F::Data;

    fn meaning(_: &EventName, _: &F::Data, _: Moment) -> Option<Meaning> {
        None
    }

    fn audience(event: &EventName) -> Audience {
        F::audience(event)
    }

    fn words(notice: &Notice<'_>) -> Words {
        F::words(notice)
    }
}

/// Applies a webhook as an earlier version, which understood nothing of it.
pub(crate) async fn apply_blindly(world: &World, event: &str, data: &Value, delivery_id: &str) -> Applied {
    let raw = json!({ "event": event, "data": data }).to_string();
    let delivery = Delivery {
        environment: TEST,
        body: Body::parse(raw.as_bytes(), TEST).unwrap(),
        raw: raw.into_bytes(),
        received_at: world.clock.now(),
        delivery_id: delivery_id.into(),
    };
    with_family!(delivery.body.event.family(), F => {
        apply::<Blind<F>>(world.table(), &*world.clock, &delivery).await.unwrap()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_kept_about_nothing_is_taken_up_under_its_id() {
    let damaged = Damaged::new().await;
    let (world, table) = (&damaged.world, damaged.world.table());
    let data = json!({ "uid": "credit", "type": "CREDIT", "amount": "8", "assetType": "BTC", "accountId": "a",
        "hash": "f00d", "tos": [{ "address": "t1" }, { "address": "t2" }] });
    let kept = apply_blindly(world, "transaction.success", &data, "first").await;
    assert_eq!((kept.effect, &kept.entity), (Effect::None, &None));
    let record = table.event(TEST, &kept.id).await.unwrap().unwrap();
    let raw = record.raw.clone();
    let mandate =
        Mandate { id: "again".to_owned(), who: "w".to_owned(), why: "x".to_owned(), at: world.clock.now() };
    table.resend(&record, None, &mandate).await.unwrap().unwrap();

    let report = damaged.check().await;
    let [TakenUp { event, entity, kind, written: false }] = &report.taken_up[..] else {
        panic!("{report:#?}")
    };
    assert_eq!((event, entity.uid.as_str(), *kind), (&kept.id.to_string(), "credit", Some(Kind::Deposit)));
    rebuild(table, WRITE, world.clock.now()).await;
    let report = damaged.check().await;
    assert!(report.is_clean(), "{report:#?}");

    // It is in the history, and found by all that it says, under its id; it counts.
    let credit = Entity::transaction(Kind::Deposit, "credit");
    let history = table.history(TEST, &[credit], 10, None).await.unwrap().items;
    let [event] = &history[..] else { panic!("{history:#?}") };
    assert_eq!((&event.id, event.effect, event.status.as_str()), (&kept.id, Effect::Applied, "success"));
    for (facet, value) in [(Facet::Hash, "f00d"), (Facet::Address, "t2"), (Facet::Effect, "applied")] {
        let filter = LogFilter {
            entity: Some("credit".to_owned()),
            facets: vec![(facet, value.to_owned())],
            ..LogFilter::default()
        };
        assert_eq!(table.log(TEST, &filter, 10, None).await.unwrap().items.len(), 1, "{facet}");
        let filter = LogFilter { entity: None, ..filter };
        let found = table.log(TEST, &filter, 100, None).await.unwrap().items;
        assert_eq!(found.iter().filter(|event| event.id == kept.id).count(), 1, "{facet}");
    }
    let filter = LogFilter { facets: vec![(Facet::Effect, "none".to_owned())], ..LogFilter::default() };
    assert!(table.log(TEST, &filter, 10, None).await.unwrap().items.is_empty());
    let record = table.event(TEST, &kept.id).await.unwrap().unwrap();
    assert_eq!((record.raw, record.actions.len(), record.notification.is_some()), (raw, 1, true));
    let outcome = Outcome::of(table).await;
    assert_eq!(outcome.balances()[&("a".into(), "BTC".into())][0].to_string(), "15");
    consumer::ends_with(table, outcome.balances()).await;

    // A further delivery is one of the same event.
    let again = world.deliver("transaction.success", data).await;
    assert_eq!((again.new, &again.id), (false, &kept.id));
    let record = table.event(TEST, &kept.id).await.unwrap().unwrap();
    assert_eq!((record.event.deliveries, record.delivery_ids.len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_shards_of_one_balance_may_begin_in_one_transaction() {
    // Of some uid the deposit and the transfer have two shards.
    for number in 0..8 {
        let world = World::new().await;
        let data =
            json!({ "uid": format!("u{number}"), "amount": "1", "assetType": "BTC", "accountId": "a" });
        for kind in ["DEPOSIT", "TRANSFER"] {
            let mut data = data.clone();
            data["type"] = json!(kind);
            apply_blindly(&world, "transaction.success", &data, kind).await;
        }
        rebuild(world.table(), WRITE, world.clock.now()).await;
        let outcome = Outcome::of(world.table()).await;
        let amounts: Vec<_> = outcome.balances().values().flatten().map(ToString::to_string).collect();
        assert_eq!(amounts, ["1", "1", "0", "0"]);
        consumer::ends_with(world.table(), outcome.balances()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_may_arrive_meanwhile() {
    let damaged = Damaged::new().await;
    let (world, done) = (&damaged.world, AtomicBool::new(false));
    let deliver = async || {
        join_all((0..5).map(async |worker| {
            for number in 0..20 {
                let data = json!({
                    "uid": format!("{worker}-{}", number / 2), "amount": "1", "assetType": "BTC", "accountId": "a"
                });
                let event = ["transaction.deposit.created", "transaction.deposit.success"][number % 2];
                world.deliver(event, data).await;
            }
        }))
        .await;
        done.store(true, Ordering::SeqCst);
    };
    let rebuild_meanwhile = async || {
        let mut rounds = 0;
        while !done.load(Ordering::SeqCst) {
            let report = rebuild(world.table(), WRITE, world.clock.now()).await;
            assert!(report.is_clean(), "{report:#?}");
            rounds += 1;
        }
        rounds
    };
    let ((), rounds) = futures::join!(deliver(), rebuild_meanwhile());
    assert!(rounds > 0);
    let report = damaged.check().await;
    assert!(report.is_clean() && report.busy == 0, "{report:#?}");
    let balances = world.table().balances(TEST, Some("a"), None, 10, None).await.unwrap().items;
    assert_eq!(balances[0].amounts.received.to_string(), "57");
}

/// An index that does not know yet what is about one entity.
#[derive(Debug)]
struct Lagging {
    inner: SharedHttpConnector,
    uid: &'static str,
}

impl HttpConnector for Lagging {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asks_index = request.body().bytes().is_some_and(|body| {
            serde_json::from_slice::<Value>(body).is_ok_and(|body| body["IndexName"].is_string())
        });
        let (answer, uid) = (self.inner.call(request), self.uid);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            if asks_index {
                let mut body: Value = serde_json::from_slice(answer.body().bytes().unwrap()).unwrap();
                if let Some(items) = body["Items"].as_array_mut() {
                    items.retain(|item| item["entity"]["M"]["uid"]["S"] != uid);
                }
                *answer.body_mut() = SdkBody::from(body.to_string());
            }
            Ok(answer)
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_money_is_taken_away_for_an_event_that_the_index_does_not_know_yet() {
    let damaged = Damaged::new().await;
    let before = Outcome::of(damaged.world.table()).await;
    let sound = damaged.engine.http_client();
    let lagging = http_client_fn(move |settings: &HttpConnectorSettings, components| {
        let inner = sound.http_connector(settings, components);
        SharedHttpConnector::new(Lagging { inner, uid: "two" })
    });
    let config = damaged.client.config().to_builder().http_client(lagging).build();
    let table = Table::new(Client::from_conf(config), TABLE);
    for mode in [Mode::Check, WRITE] {
        let report = rebuild(&table, mode, damaged.world.clock.now()).await;
        assert!(report.is_clean(), "{report:#?}");
        // It is found in the ledger.
        assert_eq!((report.events, report.entities), (5, 4));
    }
    assert_eq!(Outcome::of(damaged.world.table()).await, before);
    // What is not searched for in an index is there.
    let entity = Entity::transaction(Kind::Deposit, "two");
    assert!(table.state(TEST, &entity).await.unwrap().is_some());
    assert_eq!(table.history(TEST, std::slice::from_ref(&entity), 10, None).await.unwrap().items.len(), 2);
}
