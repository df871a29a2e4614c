//! Balances and ledger as of a past moment.

use jiff::SignedDuration;
use serde_json::json;
use shared::clock::{Clock as _, Moment};
use shared::environment::Environment;
use shared::model::Decimal;
use shared::model::ledger::LedgerLine;
use shared::store::Table;

use crate::world::World;

const TEST: Environment = Environment::Test;

async fn received(table: &Table, at: Moment) -> Decimal {
    let balances = table.balances(TEST, Some("a"), Some(at), 10, None).await.unwrap().items;
    balances.iter().fold(Decimal::zero(), |sum, balance| &sum + &balance.amounts.received)
}

async fn ledger(table: &Table, at: Option<Moment>) -> Vec<LedgerLine> {
    let (mut lines, mut cursor) = (Vec::new(), None);
    loop {
        let page = table.ledger(TEST, ("a", Some("BTC")), at, 3, cursor.as_ref()).await.unwrap();
        lines.extend(page.items);
        cursor = page.cursor;
        if cursor.is_none() {
            return lines;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_can_be_asked_for_as_it_was_and_drilled_down_to_its_webhooks() {
    let world = World::new().await;
    let mut moments = vec![(world.clock.now(), 0)];
    for number in 1..=20 {
        world.clock.advance(SignedDuration::from_secs(60));
        let data =
            json!({ "uid": format!("d{number}"), "amount": "1", "assetType": "BTC", "accountId": "a" });
        world.deliver("transaction.deposit.success", data).await;
        moments.push((world.clock.now(), number));
    }
    for (moment, count) in moments {
        let expected: Decimal = count.to_string().parse().unwrap();
        assert_eq!(received(world.table(), moment).await, expected, "{moment}");
        let lines = ledger(world.table(), Some(moment)).await;
        assert_eq!(lines.len(), count, "{moment}");
        assert!(lines.iter().all(|line| line.recorded_at <= moment));
        // Down to the webhook.
        for line in lines {
            let raw = world.table().event(TEST, &line.event_id.unwrap()).await.unwrap().unwrap().raw;
            assert!(String::from_utf8(raw).unwrap().contains(&line.transaction.unwrap().uid));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_ledger_are_in_the_order_of_time_though_clocks_are_not() {
    let world = World::new().await;
    let start = world.clock.now();
    for (number, seconds) in [10, 5, 20, 0, 30].into_iter().enumerate() {
        world.clock.set(start);
        world.clock.advance(SignedDuration::from_secs(seconds));
        // One transaction, and so one shard.
        let data = json!({
            "uid": "d", "amount": number.to_string(), "assetType": "BTC", "accountId": "a",
            "updatedAt": format!("2026-01-01T00:00:0{number}Z"),
        });
        world.deliver("transaction.deposit.success", data).await;
    }
    let lines = ledger(world.table(), None).await;
    assert_eq!(lines.len(), 4);
    assert!(lines.is_sorted_by_key(|line| std::cmp::Reverse((line.recorded_at, line.number))));
    world.clock.set(start);
    world.clock.advance(SignedDuration::from_secs(20));
    assert_eq!(received(world.table(), world.clock.now()).await, "3".parse().unwrap());
}
