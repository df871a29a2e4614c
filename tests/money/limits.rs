//! No limit decides in silence: what is beyond one is marked, found and notified.

use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::clock::Clock as _;
use shared::environment::Environment;
use shared::fold::Effect;
use shared::model::EventId;
use shared::model::{Entity, EntityType, Kind};
use shared::store::{EventRecord, Facet, LogFilter, MAX_DELIVERIES};

use crate::world::World;

const TEST: Environment = Environment::Test;

async fn event(world: &World, id: &str) -> EventRecord {
    world.table().event(TEST, id).await.unwrap().unwrap()
}

async fn found_by(world: &World, facet: Facet, value: &str) -> usize {
    let filter = LogFilter { facets: vec![(facet, value.to_owned())], ..LogFilter::default() };
    world.table().log(TEST, &filter, 100, None).await.unwrap().items.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_has_no_more_delivery_ids_than_are_counted_also_where_an_earlier_one_comes_last() {
    let world = World::new().await;
    let data = json!({ "uid": "a", "name": "one" });
    let start = world.clock.now();
    let mut id = EventId::default();
    for _ in 0..=MAX_DELIVERIES {
        world.clock.advance(SignedDuration::from_secs(1));
        id = world.deliver("accounts.updated", data.clone()).await.id;
    }
    world.clock.set(start);
    world.deliver("accounts.updated", data.clone()).await;
    let record = event(&world, &id).await;
    assert_eq!((record.event.deliveries, record.delivery_ids.len()), (MAX_DELIVERIES, 256));
    assert_eq!(record.event.received_at, start);
    // What is counted no more may still say that something happened again.
    world.clock.advance(SignedDuration::from_secs(300));
    world.deliver("accounts.updated", json!({ "uid": "a", "name": "two" })).await;
    assert_eq!(world.deliver("accounts.updated", data).await.effect, Effect::Ambiguous);
    let record = event(&world, &id).await;
    assert_eq!((record.event.effect, record.delivery_ids.len()), (Effect::Ambiguous, 256));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undated_stale_event_that_comes_again_is_ambiguous_only_where_anybody_was_notified() {
    for is_notified in [true, false] {
        let world = World::new().await;
        let start = world.clock.now();
        let (one, two) = (json!({ "uid": "a", "name": "one" }), json!({ "uid": "a", "name": "two" }));
        // Received first; applied first or last.
        let first = world.message("accounts.updated", &one, "first");
        if is_notified {
            world.hand_over("accounts.updated", &first).await.unwrap();
        }
        world.clock.advance(SignedDuration::from_secs(10));
        world.deliver("accounts.updated", two).await;
        let first = world.hand_over("accounts.updated", &first).await.unwrap();
        world.clock.advance(SignedDuration::from_secs(10));
        let again = world.deliver("accounts.updated", one.clone()).await;
        let record = event(&world, &first.id).await;
        let (effect, said) = match is_notified {
            true => (Effect::Ambiguous, Effect::Ambiguous),
            false => (Effect::Stale, Effect::Repeat),
        };
        assert_eq!((record.event.effect, again.effect), (effect, said));
        assert_eq!(record.notification.is_some(), is_notified);
        assert_eq!(record.event.deliveries, 2);
        // Nor where an earlier delivery of it comes last.
        world.clock.set(start);
        world.clock.advance(SignedDuration::from_secs(-5));
        world.deliver("accounts.updated", one).await;
        assert_eq!(event(&world, &first.id).await.event.effect, effect);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_that_share_1024_bytes_are_two_balances() {
    let world = World::new().await;
    let account = |end: &str| format!("{}{end}", "a".repeat(1024));
    for (uid, end) in [("one", "1"), ("two", "2")] {
        let data = json!({ "uid": uid, "amount": "1", "assetType": "BTC", "accountId": account(end) });
        world.deliver("transaction.deposit.success", data).await;
        assert_eq!(found_by(&world, Facet::Account, &account(end)).await, 1);
    }
    let balances = world.table().balances(TEST, None, None, 10, None).await.unwrap().items;
    let received: Vec<_> = balances.iter().map(|balance| balance.amounts.received.to_string()).collect();
    assert_eq!(received, ["1", "1"]);
    // Of one transaction they are two values.
    let again = json!({ "uid": "one", "amount": "1", "assetType": "BTC", "accountId": account("2") });
    assert_eq!(world.deliver("transaction.deposit.success", again).await.effect, Effect::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_of_more_than_512_bytes_is_none_and_the_event_is_found_by_the_rest() {
    let world = World::new().await;
    for (length, is_known) in [(512, true), (513, false)] {
        let data = json!({ "uid": "u".repeat(length), "hash": format!("h{length}"), "amount": "1" });
        let applied = world.deliver("transaction.deposit.success", data).await;
        assert_eq!(applied.entity.is_some(), is_known);
        assert_eq!(found_by(&world, Facet::Hash, &format!("h{length}")).await, 1);
        let notification = event(&world, &applied.id).await.notification.unwrap();
        assert!(notification.people.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_a_customers_set_has_no_room_for_is_news_and_is_found() {
    let world = World::new().await;
    let attach = async |number: u32| {
        let data = json!({ "uid": "c", "address": format!("addr-{number:03}"), "updatedAt": "2026-01-01T00:00:00Z" });
        world.deliver("customer.attached_to_address", data).await
    };
    for number in 1..=128 {
        assert_eq!(attach(number).await.effect, Effect::Applied, "{number}");
    }
    // It is the first in their order, and the set has the last.
    let applied = attach(0).await;
    assert_eq!(applied.effect, Effect::Applied);
    assert!(event(&world, &applied.id).await.notification.is_some());
    assert_eq!(found_by(&world, Facet::Address, "addr-000").await, 1);
    let entity = Entity::new(EntityType::Customer, "c");
    let state = world.table().state(TEST, &entity).await.unwrap().unwrap();
    assert_eq!(state.known.facts.members.values().map(|members| members.len()).max(), Some(128));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_more_recipients_than_are_kept_counts_as_any_other() {
    let world = World::new().await;
    let tos: Vec<Value> = (0..200).map(|number| json!({ "address": format!("to-{number:03}") })).collect();
    let data = json!({ "uid": "b", "amount": "1", "assetType": "BTC", "accountId": "a", "tos": tos });
    world.deliver("transaction.transfer.success", data).await;
    let state = world.table().state(TEST, &Entity::transaction(Kind::Transfer, "b")).await.unwrap().unwrap();
    assert_eq!(state.known.posted[&Kind::Transfer].amounts.sent.to_string(), "1");
    assert_eq!(found_by(&world, Facet::Address, "to-000").await, 1);
    assert_eq!(found_by(&world, Facet::Address, "to-199").await, 0);
}
