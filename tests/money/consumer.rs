//! A program that keeps books of its own from notifications alone: of each uid it keeps the counts of the highest version,
//! and books the difference to what it had. Whatever is lost on the way, repeated, out of order or filtered away, it ends
//! with the product's books.

use std::collections::{BTreeMap, HashMap};

use shared::environment::Environment;
use shared::model::notification::{Counts, ForPrograms};
use shared::model::{Account, Asset, Decimal, EntityType};
use shared::store::{LogFilter, Table};

const TEST: Environment = Environment::Test;

/// The columns of each balance that is not nothing.
pub(crate) type Books = BTreeMap<(Account, Asset), Vec<Decimal>>;

/// What a notification is about: an account may have the uid of a transaction.
type Uid<'a> = (EntityType, &'a str);

fn uid(notification: &ForPrograms) -> Option<Uid<'_>> {
    notification.entity.as_ref().map(|entity| (entity.entity_type, entity.uid.as_str()))
}

/// Every notification that was rendered: of events, and of corrections.
pub(crate) async fn notifications(table: &Table) -> Vec<ForPrograms> {
    let mut rendered = Vec::new();
    let mut cursor = None;
    loop {
        let page = table.log(TEST, &LogFilter::default(), 100, cursor.as_ref()).await.unwrap();
        for listed in page.items {
            rendered.extend(table.event(TEST, &listed.id).await.unwrap().unwrap().notification);
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    loop {
        let page = table.actions(TEST, 100, cursor.as_ref()).await.unwrap();
        rendered.extend(page.items.into_iter().filter_map(|action| action.notification));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    rendered.iter().map(|one| serde_json::from_str(one.programs.as_deref().unwrap()).unwrap()).collect()
}

/// What reaches a consumer: of each uid the last notification that passes its filter, and some of the others, some of
/// them again and again, in any order. The filter lets through what moved money.
pub(crate) fn reaching(
    sent: &[ForPrograms],
    only_counted: bool,
    rng: &mut fastrand::Rng,
) -> Vec<ForPrograms> {
    let passing = sent.iter().filter(|one| !only_counted || !one.counted.is_empty());
    let mut last: HashMap<Uid<'_>, u64> = HashMap::new();
    for one in passing.clone() {
        let Some(uid) = uid(one) else { continue };
        let version = last.entry(uid).or_default();
        *version = one.counts.version.max(*version);
    }
    let mut reaching = Vec::new();
    for one in passing {
        let is_last = uid(one).is_some_and(|uid| last.get(&uid) == Some(&one.counts.version));
        let times = if is_last { rng.usize(1..3) } else { rng.usize(0..3) };
        reaching.extend(std::iter::repeat_n(one.clone(), times));
    }
    rng.shuffle(&mut reaching);
    reaching
}

/// The books of a consumer that got these notifications, in this order.
pub(crate) fn books(received: &[ForPrograms]) -> Books {
    let mut kept: HashMap<Uid<'_>, &Counts> = HashMap::new();
    let mut books = Books::new();
    for one in received {
        let Some(uid) = uid(one) else { continue };
        if kept.get(&uid).is_some_and(|kept| kept.version >= one.counts.version) {
            continue;
        }
        let before = kept.insert(uid, &one.counts);
        book(&mut books, &one.counts, |booked, amount| booked + amount);
        if let Some(before) = before {
            book(&mut books, before, |booked, amount| booked - amount);
        }
    }
    without_nothing(books)
}

/// Asserts that a consumer that got everything ends with these books.
pub(crate) async fn ends_with(table: &Table, expected: &Books) {
    let sent = notifications(table).await;
    assert_eq!(books(&sent), *expected, "{sent:#?}");
    assert_eq!(moved(&sent), *expected, "{sent:#?}");
}

fn book(books: &mut Books, counts: &Counts, with: impl Fn(&Decimal, &Decimal) -> Decimal) {
    for line in &counts.lines {
        let place = (line.account.clone(), line.asset.clone());
        let columns = [&line.received, &line.sent, &line.fees, &line.pending];
        let booked = books.entry(place).or_insert_with(|| vec![Decimal::zero(); 4]);
        *booked = booked.iter().zip(columns).map(|(booked, amount)| with(booked, amount)).collect();
    }
}

/// What all notifications together say that they moved.
pub(crate) fn moved(sent: &[ForPrograms]) -> Books {
    const FIELDS: [&str; 4] = ["received", "sent", "fees", "pending"];
    let mut books = Books::new();
    for counted in sent.iter().flat_map(|one| &one.counted) {
        let place = (counted.account.clone(), counted.asset.clone());
        let column = FIELDS.iter().position(|field| *field == counted.field).unwrap();
        let booked = books.entry(place).or_insert_with(|| vec![Decimal::zero(); 4]);
        booked[column] = &booked[column] + &counted.change;
    }
    without_nothing(books)
}

fn without_nothing(mut books: Books) -> Books {
    books.retain(|_, columns| columns.iter().any(|amount| !amount.is_zero()));
    books
}
