//! The table: what is applied is applied once, all of it or nothing, whoever else writes.

use aws_sdk_dynamodb::Client;
use futures::future::join_all;
use jiff::SignedDuration;
use local::product::families;
use serde_json::json;
use shared::clock::Clock as _;
use shared::environment::Environment;
use shared::erase::{Subject, erase};
use shared::fold::Effect;
use shared::model::{Decimal, Entity, EntityType, Family, Kind, Reason};
use shared::store::{ActionItem, Facet, LogFilter, Mandate, Table, schema};
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
    an_event_is_found_by_everything_it_says(&world).await;
    an_event_that_became_ambiguous_is_found_as_such(&world).await;
    events_are_counted_by_interval_family_and_effect(&world).await;
    an_action_is_done_once_and_recorded(&world).await;
    what_was_retried_is_listed_no_longer_until_it_is_back(&world).await;
    what_is_erased_of_a_customer_is_found_and_read_nowhere(&world).await;
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
    let record = world.table().event(TEST, &first.id).await.unwrap().unwrap();
    assert_eq!((record.event.deliveries, record.event.effect), (3, Effect::Applied));
    assert_eq!(record.delivery_ids.len(), 3);
    assert_eq!(
        record.raw,
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
    let record = world.table().event(TEST, &applied[0].id).await.unwrap().unwrap();
    assert_eq!(record.event.deliveries, 8);
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
    let state = world.table().state(TEST, &entity).await.unwrap().unwrap();
    assert_eq!(state.version, 2);
    assert_eq!(
        world.table().history(TEST, std::slice::from_ref(&entity), 10, None).await.unwrap().items.len(),
        2
    );
}

async fn the_log_is_read_in_pages(world: &World) {
    for number in 0..25 {
        world.clock.advance(SignedDuration::from_hours(7));
        world.deliver("customer.created", json!({ "uid": format!("page-{number:02}") })).await;
    }
    let filter = by(&[(Facet::Family, "customers")]);
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

/// What is searched for.
type Search<'a> = &'a [(Facet, &'a str)];

fn by(facets: Search) -> LogFilter {
    let facets = facets.iter().map(|(facet, value)| (*facet, (*value).to_owned())).collect();
    LogFilter { facets, ..LogFilter::default() }
}

async fn an_event_is_found_by_everything_it_says(world: &World) {
    let uid = |number: usize| format!("found-{number}");
    for number in 0..6 {
        world.clock.advance(SignedDuration::from_hours(30));
        let data = json!({
            "uid": uid(number), "amount": "1", "assetType": if number < 3 { "F1" } else { "F2" },
            "hash": format!("0xfound{number}"), "transactionRef": "f#1$", "customerId": "f-customer",
            // The last one is sent to where it comes from.
            "address": "f-to", "fromAddress": if number == 5 { "f-to" } else { "f-from" },
        });
        let event =
            if number % 2 == 0 { "transaction.deposit.pending" } else { "transaction.transfer.failed" };
        world.deliver(event, data).await;
    }
    let searches: [(Search, &[usize]); 12] = [
        (&[(Facet::Hash, "0xfound3")], &[3]),
        (&[(Facet::Reference, "f#1$")], &[5, 4, 3, 2, 1, 0]),
        (&[(Facet::Address, "f-to")], &[5, 4, 3, 2, 1, 0]),
        (&[(Facet::Address, "f-from")], &[4, 3, 2, 1, 0]),
        (&[(Facet::Customer, "f-customer"), (Facet::Family, "deposits")], &[4, 2, 0]),
        (&[(Facet::Asset, "F1")], &[2, 1, 0]),
        (&[(Facet::Asset, "F1"), (Facet::Status, "failed")], &[1]),
        (&[(Facet::Asset, "F2"), (Facet::Event, "transaction.deposit.pending")], &[4]),
        (&[(Facet::Effect, "applied"), (Facet::Asset, "F2")], &[5, 4, 3]),
        (&[(Facet::Effect, "conflict"), (Facet::Asset, "F2")], &[]),
        (&[(Facet::Hash, "0xfound3"), (Facet::Asset, "F1")], &[]),
        (&[(Facet::Address, "f-from"), (Facet::Asset, "F2"), (Facet::Status, "failed")], &[3]),
    ];
    for (facets, expected) in searches {
        // An index may be behind for a moment.
        let expected: Vec<_> = expected.iter().map(|number| uid(*number)).collect();
        let mut found = Vec::new();
        for limit in [2, 10] {
            found.clear();
            let mut cursor = None;
            loop {
                let page = world.table().log(TEST, &by(facets), limit, cursor.as_ref()).await.unwrap();
                assert!(page.items.len() <= limit);
                found.extend(page.items.into_iter().map(|event| event.entity.unwrap().uid));
                cursor = page.cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{facets:?}, {limit} at a time");
        }
    }
    let entity = LogFilter { entity: Some(uid(3)), ..by(&[(Facet::Status, "failed")]) };
    assert_eq!(world.table().log(TEST, &entity, 10, None).await.unwrap().items.len(), 1);
    let entity = LogFilter { entity: Some(uid(3)), ..by(&[(Facet::Status, "pending")]) };
    assert_eq!(world.table().log(TEST, &entity, 10, None).await.unwrap().items.len(), 0);
}

/// A name, another one, and the first again: whether it was given again nobody knows.
async fn an_event_that_became_ambiguous_is_found_as_such(world: &World) {
    let named = |name: &str| json!({ "uid": "ambiguous", "name": name });
    for name in ["First", "Second"] {
        world.deliver("accounts.updated", named(name)).await;
        world.clock.advance(SignedDuration::from_hours(1));
    }
    let effects = async |effect: &str| {
        let of_entity = LogFilter { entity: Some("ambiguous".to_owned()), ..LogFilter::default() };
        let of_entity = world.table().log(TEST, &of_entity, 10, None).await.unwrap().items;
        let found = world.table().log(TEST, &by(&[(Facet::Effect, effect)]), 100, None).await.unwrap().items;
        found.into_iter().filter(|event| of_entity.iter().any(|other| other.id == event.id)).count()
    };
    assert_eq!((effects("applied").await, effects("ambiguous").await), (2, 0));
    let again = world.deliver("accounts.updated", named("First")).await;
    assert_eq!(again.effect, Effect::Ambiguous);
    assert_eq!((effects("applied").await, effects("ambiguous").await), (1, 1));
}

async fn events_are_counted_by_interval_family_and_effect(world: &World) {
    let from = world.clock.now();
    for number in 0..7 {
        world.deliver("assets.created", json!({ "uid": format!("counted-{number}") })).await;
        world.clock.advance(SignedDuration::from_hours(10));
    }
    let range = (from, world.clock.now());
    let found = world.table().counts(TEST, range, 24 * 3600 * 1000, 200).await.unwrap();
    assert!(found.complete);
    let counts: Vec<_> =
        found.counts.into_iter().map(|((_, family, effect), count)| (family, effect, count)).collect();
    let expected = |count| ("assets".to_owned(), "applied".to_owned(), count);
    assert_eq!(counts, [expected(3), expected(2), expected(2)]);

    // As many queries as the newest day takes: what is counted is counted to its end, and it is said from when on.
    let found = world.table().counts(TEST, range, 3600 * 1000, 4).await.unwrap();
    assert!(!found.complete && found.counted_from > from, "{found:?}");
    let newest = world.table().log(TEST, &by(&[(Facet::Family, "assets")]), 10, None).await.unwrap().items;
    let since = newest.iter().filter(|event| event.recorded_at >= found.counted_from).count() as u64;
    assert!((1..7).contains(&since));
    assert_eq!(found.counts.values().sum::<u64>(), since);
}

fn mandate(world: &World, id: &str) -> Mandate {
    Mandate {
        id: id.to_owned(),
        who: "somebody".to_owned(),
        why: "because".to_owned(),
        at: world.clock.now(),
    }
}

async fn an_action_is_done_once_and_recorded(world: &World) {
    let applied =
        world.deliver("transaction.deposit.success", json!({ "uid": "again", "amount": "1" })).await;
    let record = world.table().event(TEST, &applied.id).await.unwrap().unwrap();
    for (id, minutes) in [("one", 1), ("two", 2), ("one", 3)] {
        world.clock.advance(SignedDuration::from_mins(minutes));
        let action = world.table().resend(&record, None, &mandate(world, id)).await.unwrap().unwrap();
        assert_eq!((action.id.as_str(), action.who.as_str()), (id, "somebody"));
    }
    let resend = |action: &ActionItem| {
        let programs = &action.notification.as_ref().unwrap().programs;
        serde_json::from_str::<serde_json::Value>(programs.as_deref().unwrap()).unwrap()["resend"]["id"]
            .clone()
    };
    let actions = world.table().event(TEST, &applied.id).await.unwrap().unwrap().actions;
    assert_eq!(actions.iter().map(resend).collect::<Vec<_>>(), ["one", "two"]);
    let listed = world.table().actions(TEST, 10, None).await.unwrap().items;
    let ids: Vec<_> = listed.iter().map(|action| action.id.as_str()).collect();
    assert_eq!(ids, ["two", "one"]);

    let stale = world.deliver("transaction.deposit.created", json!({ "uid": "again", "amount": "1" })).await;
    let record = world.table().event(TEST, &stale.id).await.unwrap().unwrap();
    assert_eq!(record.event.effect, Effect::Stale);
    assert_eq!(world.table().resend(&record, None, &mandate(world, "one")).await.unwrap(), None);
}

async fn what_was_retried_is_listed_no_longer_until_it_is_back(world: &World) {
    let envelope = |delivery_id: &str| Envelope {
        environment: TEST,
        family: Family::Unrecognised,
        event: String::new(),
        received_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        delivery_id: delivery_id.into(),
        refused: None,
        body: b"retried".to_vec(),
    };
    let now = world.clock.now();
    let kept = world.table().quarantine(&envelope("one"), (Reason::NotApplied, "why"), now).await.unwrap();
    let listed = async || {
        let page = world.table().quarantined(TEST, 100, None).await.unwrap();
        page.items.into_iter().filter(|(item, _)| item.id == kept.id).count()
    };
    assert_eq!(listed().await, 1);
    for _ in 0..2 {
        world.table().retried(TEST, &kept.id, &mandate(world, "one")).await.unwrap();
    }
    assert_eq!(listed().await, 0);
    let record = world.table().quarantined_body(TEST, &kept.id).await.unwrap().unwrap();
    assert_eq!((record.raw.as_slice(), record.delivery_ids.len()), (&b"retried"[..], 1));
    world.table().quarantine(&envelope("one"), (Reason::NotApplied, "why"), now).await.unwrap();
    assert_eq!(listed().await, 1);
}

async fn what_cannot_be_read_is_kept_once(world: &World) {
    let envelope = |delivery_id: &str| Envelope {
        environment: TEST,
        family: Family::Unrecognised,
        event: String::new(),
        received_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        delivery_id: delivery_id.into(),
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

async fn what_is_erased_of_a_customer_is_found_and_read_nowhere(world: &World) {
    let data = json!({
        "uid": "person", "name": "Ada", "customerRef": "Ada 1", "externalId": "Ada 2", "updatedAt": "2026-01-01T00:00:00Z",
    });
    let applied = world.deliver("customer.created", data.clone()).await;
    let table = world.table();
    let found = async |value: &str| {
        let filter = LogFilter { facets: vec![(Facet::Reference, value.to_owned())], ..LogFilter::default() };
        table.log(TEST, &filter, 10, None).await.unwrap().items.len()
    };
    // One is on the event's own item, the other on one that points to it.
    assert_eq!((found("Ada 1").await, found("Ada 2").await), (1, 1));
    let mandate =
        Mandate { id: "erase".into(), who: "somebody".into(), why: "asked to".into(), at: world.clock.now() };
    let subject = Subject::Customer("person".to_owned());
    for places in [1, 0] {
        let erased = erase(table, TEST, &subject, &families::meaning, &mandate, &*world.clock).await;
        assert_eq!(erased.unwrap().unwrap().holdings.len(), places);
    }
    assert_eq!((found("Ada 1").await, found("Ada 2").await), (0, 0));
    let again = world.deliver("customer.created", data).await;
    assert_eq!((&again.id, again.new), (&applied.id, false));
    let record = table.event(TEST, &applied.id).await.unwrap().unwrap();
    let said = format!("{:?} {}", record.event, String::from_utf8(record.raw).unwrap());
    assert!(said.contains("erased") && !said.contains("Ada"), "{said}");
}

async fn the_largest_body_with_the_longest_names_is_kept(world: &World) {
    let uid = "u".repeat(500);
    let data = json!({ "uid": uid, "name": "ü".repeat(60_000) });
    let applied = world.deliver("accounts.updated", data.clone()).await;
    let record = world.table().event(TEST, &applied.id).await.unwrap().unwrap();
    assert_eq!(record.raw, json!({ "event": "accounts.updated", "data": data }).to_string().as_bytes());
    let entity = Entity::new(EntityType::Account, uid);
    assert!(world.table().state(TEST, &entity).await.unwrap().is_some());
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
