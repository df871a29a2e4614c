//! The table: what is applied is applied once, all of it or nothing, whoever else writes.

use aws_sdk_dynamodb::Client;
use futures::future::join_all;
use jiff::SignedDuration;
use serde_json::json;
use shared::environment::Environment;
use shared::fold::Effect;
use shared::model::{Decimal, Entity, EntityType, Family, Kind, Reason};
use shared::store::{LogFilter, Table, schema};
use shared::verify::Envelope;

use crate::account::{Account, unique};
use crate::world::World;

const TEST: Environment = Environment::Test;

/// A world over a new table.
async fn world(client: Client) -> World {
    let name = unique("contract");
    let table = schema::create(&client, &name).await.unwrap();
    // Creating it again finds it.
    schema::create(&client, &name).await.unwrap();
    World::over(table)
}

async fn contract(world: World) {
    an_event_is_applied_once_and_its_deliveries_are_counted(&world).await;
    parallel_deposits_to_one_account_add_up_exactly(&world).await;
    one_event_delivered_by_many_at_once_counts_once(&world).await;
    a_correction_moves_money_to_another_account(&world).await;
    the_log_is_read_in_pages(&world).await;
    what_cannot_be_read_is_kept_once(&world).await;
    the_largest_body_with_the_longest_names_is_kept(&world).await;
}

async fn received(table: &Table, account: &str) -> (Decimal, Decimal) {
    let balance = table.balances(TEST, Some(account), None, 10, None).await.unwrap().items;
    let balance = balance.into_iter().map(|balance| balance.amounts.received);
    let (mut ledger, mut cursor) = (Decimal::zero(), None);
    loop {
        let page = table.ledger(TEST, (account, None), None, 7, cursor.as_ref()).await.unwrap();
        ledger = page.items.iter().fold(ledger, |sum, line| &sum + &line.change.received);
        cursor = page.cursor;
        if cursor.is_none() {
            return (balance.fold(Decimal::zero(), |sum, amount| &sum + &amount), ledger);
        }
    }
}

async fn an_event_is_applied_once_and_its_deliveries_are_counted(world: &World) {
    let deposit = json!({ "uid": "once", "amount": "0.1", "assetType": "BTC", "accountId": "once" });
    let first = world.deliver("transaction.deposit.success", deposit.clone()).await;
    let again = world.deliver("transaction.deposit.success", deposit.clone()).await;
    assert_eq!((first.new, again.new, &first.id), (true, false, &again.id));
    let message = world.message("transaction.deposit.success", &deposit, "the same delivery");
    for _ in 0..3 {
        world.hand_over("transaction.deposit.success", &message).await.unwrap();
    }
    let (event, raw) = world.table().event(TEST, &first.id).await.unwrap().unwrap();
    assert_eq!((event.deliveries, event.effect), (3, Effect::Applied));
    assert_eq!(
        raw,
        json!({ "event": "transaction.deposit.success", "data": deposit }).to_string().as_bytes()
    );
    assert_eq!(received(world.table(), "once").await, ("0.1".parse().unwrap(), "0.1".parse().unwrap()));
}

async fn parallel_deposits_to_one_account_add_up_exactly(world: &World) {
    join_all((0..30).map(|number| {
        let data =
            json!({ "uid": format!("p{number}"), "amount": "0.1", "assetType": "BTC", "accountId": "hot" });
        world.deliver("transaction.deposit.success", data)
    }))
    .await;
    assert_eq!(received(world.table(), "hot").await, ("3".parse().unwrap(), "3".parse().unwrap()));
}

async fn one_event_delivered_by_many_at_once_counts_once(world: &World) {
    let deposit = json!({ "uid": "many", "amount": "7", "assetType": "BTC", "accountId": "many" });
    let applied =
        join_all((0..8).map(|_| world.deliver("transaction.deposit.success", deposit.clone()))).await;
    assert_eq!(applied.iter().filter(|applied| applied.new).count(), 1);
    let (event, _) = world.table().event(TEST, &applied[0].id).await.unwrap().unwrap();
    assert_eq!(event.deliveries, 8);
    assert_eq!(received(world.table(), "many").await, ("7".parse().unwrap(), "7".parse().unwrap()));
}

async fn a_correction_moves_money_to_another_account(world: &World) {
    for (account, at) in [("from", "2026-01-01T00:00:00Z"), ("to", "2026-01-02T00:00:00Z")] {
        let data = json!({
            "uid": "moved", "amount": "5", "assetType": "ETH", "accountId": account, "updatedAt": at
        });
        world.deliver("transaction.deposit.success", data).await;
    }
    assert_eq!(received(world.table(), "from").await.0, Decimal::zero());
    assert_eq!(received(world.table(), "to").await.0, "5".parse().unwrap());
    let entity = Entity::transaction(Kind::Deposit, "moved");
    let states = world.table().states(TEST, std::slice::from_ref(&entity)).await.unwrap();
    assert_eq!(states[0].1.version, 2);
    assert_eq!(world.table().history(TEST, &entity, 10, None).await.unwrap().items.len(), 2);
}

async fn the_log_is_read_in_pages(world: &World) {
    for number in 0..25 {
        world.clock.advance(SignedDuration::from_hours(7));
        world.deliver("customer.created", json!({ "uid": format!("page-{number:02}") })).await;
    }
    let filter = LogFilter { family: Some("customers".to_owned()), ..LogFilter::default() };
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = world.table().log(TEST, &filter, 10, cursor.as_ref()).await.unwrap();
        found.extend(page.items.into_iter().map(|event| event.entity.unwrap().uid));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, (0..25).rev().map(|number| format!("page-{number:02}")).collect::<Vec<_>>());
}

async fn what_cannot_be_read_is_kept_once(world: &World) {
    let envelope = |delivery_id: &str| Envelope {
        environment: TEST,
        family: Family::Unrecognised,
        event: String::new(),
        received_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        delivery_id: delivery_id.to_owned(),
        refused: None,
        body: b"\xff\x00\x01".to_vec(),
    };
    for delivery_id in ["one", "two", "two"] {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        world.table().quarantine(&envelope(delivery_id), (Reason::NotUtf8, "why"), now).await.unwrap();
    }
    let page = world.table().quarantined(TEST, 10, None).await.unwrap();
    let [(item, raw)] = &page.items[..] else { panic!("{page:?}") };
    assert_eq!((item.deliveries, raw.as_slice()), (2, &b"\xff\x00\x01"[..]));
}

async fn the_largest_body_with_the_longest_names_is_kept(world: &World) {
    let uid = "u".repeat(500);
    let data = json!({ "uid": uid, "name": "ü".repeat(60_000) });
    let applied = world.deliver("accounts.updated", data.clone()).await;
    let (_, raw) = world.table().event(TEST, &applied.id).await.unwrap().unwrap();
    assert_eq!(raw, json!({ "event": "accounts.updated", "data": data }).to_string().as_bytes());
    let entity = Entity::new(EntityType::Account, uid);
    assert_eq!(world.table().states(TEST, &[entity]).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn dynoxide_keeps_it() {
    contract(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_aws_endpoint_keeps_it() {
    let account = Account::local(|_| {}).await;
    contract(world(account.dynamodb()).await).await;
    account.product.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an emulated AWS account"]
async fn an_emulated_account_keeps_it() {
    contract(world(Account::emulated().dynamodb()).await).await;
}
