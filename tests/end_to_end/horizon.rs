//! Identity over time, with a clock that is set: equal content is one event for 73 hours.

use jiff::SignedDuration;
use serde_json::json;
use shared::clock::Clock;
use shared::decide::Delivery;
use shared::environment::Environment;
use shared::fold::Effect;
use shared::model::EventId;
use shared::model::{Body, Entity, EntityType, EventName};
use shared::pipeline::apply;
use shared::store::{MAX_DELIVERIES, Mandate};

use crate::world::World;

async fn history(world: &World, uid: &str) -> Vec<(EventId, u64)> {
    let entity = Entity::new(EntityType::Account, uid);
    let page =
        world.table().history(Environment::Test, std::slice::from_ref(&entity), 100, None).await.unwrap();
    page.items.into_iter().map(|event| (event.id, event.deliveries)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_content_is_one_event_for_73_hours_and_a_new_one_after() {
    let world = World::new().await;
    let account = json!({ "uid": "a", "name": "Treasury" });
    let first = world.deliver("accounts.frozen", account.clone()).await;
    world.clock.advance(SignedDuration::from_hours(73) - SignedDuration::from_secs(1));
    let repeated = world.deliver("accounts.frozen", account.clone()).await;
    assert_eq!((&repeated.id, repeated.new), (&first.id, false));
    world.clock.advance(SignedDuration::from_secs(1));
    let second = world.deliver("accounts.frozen", account.clone()).await;
    assert_eq!((&second.id, second.new), (&format!("{}-2", first.id).into(), true));
    // From here on the horizon counts from the second occurrence.
    world.clock.advance(SignedDuration::from_hours(72));
    assert_eq!(world.deliver("accounts.frozen", account).await.id, second.id);
    assert_eq!(history(&world, "a").await, [(first.id, 2), (second.id, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_its_queue_delivers_twice_is_one_delivery() {
    let world = World::new().await;
    let message = world.message("accounts.created", &json!({ "uid": "a" }), "one");
    for _ in 0..3 {
        world.hand_over("accounts.created", &message).await.unwrap();
    }
    assert_eq!(history(&world, "a").await.len(), 1);
    assert_eq!(history(&world, "a").await[0].1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_deliveries_than_are_counted_change_nothing() {
    let world = World::new().await;
    for _ in 0..MAX_DELIVERIES + 3 {
        world.deliver("accounts.created", json!({ "uid": "a" })).await;
    }
    let history = history(&world, "a").await;
    assert_eq!((history.len(), history[0].1), (1, MAX_DELIVERIES));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_becomes_ambiguous_by_a_delivery_that_is_counted_no_more() {
    let world = World::new().await;
    let named = |name: &str| json!({ "uid": "a", "name": name });
    for _ in 0..MAX_DELIVERIES {
        world.deliver("accounts.updated", named("first")).await;
    }
    world.clock.advance(SignedDuration::from_hours(1));
    world.deliver("accounts.updated", named("second")).await;
    world.clock.advance(SignedDuration::from_hours(1));
    let again = world.deliver("accounts.updated", named("first")).await;
    assert_eq!(again.effect, Effect::Ambiguous);
    let kept = world.table().event(Environment::Test, &again.id).await.unwrap().unwrap().event;
    assert_eq!((kept.effect, kept.deliveries), (Effect::Ambiguous, MAX_DELIVERIES));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_delivery_that_comes_late_is_not_covered_by_what_was_acknowledged_before() {
    let world = World::new().await;
    let named = |name: &str| json!({ "uid": "a", "name": name });
    let late = world.message("accounts.updated", &named("first"), "late");
    world.clock.advance(SignedDuration::from_hours(1));
    let applied = world.deliver("accounts.updated", named("first")).await;
    let record = async || world.table().event(Environment::Test, &applied.id).await.unwrap().unwrap();
    let mandate = Mandate {
        id: "m".to_owned(),
        who: "ada".to_owned(),
        why: "looked".to_owned(),
        at: world.clock.now(),
    };
    world.table().acknowledge(&record().await, &mandate).await.unwrap();
    assert!(record().await.event.acknowledged);
    world.hand_over("accounts.updated", &late).await.unwrap();
    let record = record().await;
    assert_eq!((record.event.acknowledged, record.event.deliveries, record.actions.len()), (false, 2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn money_never_happens_again() {
    let world = World::new().await;
    let deposit = json!({ "uid": "d", "amount": "1", "assetType": "BTC", "accountId": "a" });
    world.deliver("transaction.deposit.success", deposit.clone()).await;
    world.clock.advance(SignedDuration::from_hours(1000));
    let late = world.deliver("transaction.deposit.success", deposit).await;
    assert_eq!((late.new, late.effect), (true, Effect::Repeat));
    let balances = world.table().balances(Environment::Test, None, None, 10, None).await.unwrap().items;
    assert_eq!(balances[0].amounts.received.to_string(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_sealed_for_another_family_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let message = world.message("accounts.created", &json!({ "uid": "a" }), "one");
    let refused = world.pipeline.delivery::<deposits::Deposits>(&message).await.unwrap_err();
    assert_eq!(refused.to_string(), "the seal was refused: wrong_family");
    let altered = message.replace("\"delivery_id\":\"one\"", "\"delivery_id\":\"two\"");
    let refused = world.pipeline.delivery::<accounts::Accounts>(&altered).await.unwrap_err();
    assert_eq!(refused.to_string(), "the seal was refused: altered");
    assert!(history(&world, "a").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_across_days_without_events() {
    let world = World::new().await;
    for day in 0..5 {
        world.deliver("accounts.created", json!({ "uid": format!("a{day}") })).await;
        world.clock.advance(SignedDuration::from_hours(24 * 40));
    }
    let table = world.table();
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = table
            .log(Environment::Test, &shared::store::LogFilter::default(), 2, cursor.as_ref())
            .await
            .unwrap();
        found.extend(page.items.into_iter().filter_map(|event| Some(event.entity?.uid)));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, ["a4", "a3", "a2", "a1", "a0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_nobody_knew_is_applied_once_it_is_known() {
    let world = World::new().await;
    let table = world.table();
    let data = json!({ "uid": "a", "name": "Treasury" });
    let delivery = |delivery_id: &str| Delivery {
        environment: Environment::Test,
        body: Body { event: EventName::new("accounts.created"), data: data.as_object().unwrap().clone() },
        raw: b"{}".to_vec(),
        received_at: world.clock.now(),
        delivery_id: delivery_id.into(),
    };
    let clock = &*world.clock;
    let unknown = apply::<unrecognised::Unrecognised>(table, clock, &delivery("one")).await.unwrap();
    let known = apply::<accounts::Accounts>(table, clock, &delivery("two")).await.unwrap();
    assert_eq!((unknown.effect, known.effect, known.new), (Effect::None, Effect::Applied, true));
    assert_ne!(unknown.id, known.id);
}

/// The messages of deliveries of undated account objects, in the order in which they were received.
fn received(world: &World) -> [String; 3] {
    ["First", "Second", "First"].map(|name| {
        world.clock.advance(SignedDuration::from_secs(10));
        let id = format!("received {}", world.clock.now());
        world.message("accounts.updated", &json!({ "uid": "a", "name": name }), &id)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_that_overtakes_the_first_delivery_leaves_the_same_last_word() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let world = World::new().await;
        let messages = received(&world);
        for position in order {
            world.hand_over("accounts.updated", &messages[position]).await.unwrap();
        }
        let entity = Entity::new(EntityType::Account, "a");
        let state = world.table().state(Environment::Test, &entity).await.unwrap().unwrap();
        assert_eq!(state.known.facts.get(shared::model::Fact::Name), Some("Second"), "{order:?}");
        let events = world
            .table()
            .history(Environment::Test, std::slice::from_ref(&entity), 10, None)
            .await
            .unwrap()
            .items;
        let mut received: Vec<_> =
            events.iter().map(|event| (event.received_at.to_string(), event.deliveries)).collect();
        received.sort();
        let [first, second] = &received[..] else { panic!("{received:?}") };
        assert_eq!((first.0.as_str(), first.1), ("2026-11-01T00:00:10.000Z", 2), "{order:?}");
        assert_eq!((second.0.as_str(), second.1), ("2026-11-01T00:00:20.000Z", 1), "{order:?}");
    }
}
