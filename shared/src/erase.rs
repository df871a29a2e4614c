//! Erasing personal data on request: of a customer, of an event, or of a body in quarantine.
//!
//! What is erased of bodies and of what was sent, [`model::erased`](crate::model::erased) says; which items have it,
//! [`store`](crate::store) knows. Here is whose data it is, and that states are folded anew. Money and ledger stay.

use std::collections::BTreeSet;

use crate::clock::Clock;
use crate::environment::Environment;
use crate::model::{Entity, EntityRef, EntityType, Kind};
use crate::rebuild::{self, Interpreter, Mode, Unread};
use crate::store::{Facet, Holding, LogFilter, Mandate, Partition, StoreError, Table, keys};

/// Whose personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// All of a customer: the customer's events, the transactions that name the customer, and bodies in quarantine.
    Customer(String),
    /// What one event says.
    Event(String),
    /// What one body in quarantine says.
    Quarantined(String),
}

/// What was erased.
#[derive(Debug, Default)]
pub struct Erased {
    /// What held it.
    pub holdings: Vec<Holding>,
    /// What could not be folded anew, and why: its state may still hold some of it.
    pub unread: Vec<Unread>,
    /// Whether others wrote so often that some may be left.
    pub is_unfinished: bool,
}

/// What is erased of a subject.
#[derive(Debug, Default)]
pub struct Found {
    /// What holds personal data.
    pub holdings: Vec<Holding>,
    /// What the events are about: their states follow from them.
    entities: Vec<Entity>,
}

/// What holds personal data of a subject; none where there is no such event or body.
///
/// # Errors
/// [`StoreError`] where the table cannot be read.
pub async fn find(
    table: &Table,
    environment: Environment,
    subject: &Subject,
) -> Result<Option<Found>, StoreError> {
    match subject {
        Subject::Customer(uid) => of_customer(table, environment, uid).await.map(Some),
        Subject::Event(id) => of_event(table, environment, id).await,
        Subject::Quarantined(id) => {
            let holdings = table.personal_data_in_quarantine(environment, id).await?;
            Ok(holdings.map(|holdings| Found { holdings, entities: Vec::new() }))
        }
    }
}

/// All that is known of a customer, and of the transactions that name the customer in any of their events.
async fn of_customer(table: &Table, environment: Environment, uid: &str) -> Result<Found, StoreError> {
    let mut entities = BTreeSet::from([Entity::new(EntityType::Customer, uid)]);
    let mut found = Found::default();
    let filter = LogFilter { facets: vec![(Facet::Customer, uid.to_owned())], ..LogFilter::default() };
    let mut cursor = None;
    loop {
        let page = table.log(environment, &filter, 100, cursor.as_ref()).await?;
        for event in page.items {
            match event.entity {
                Some(EntityRef { entity_type, uid }) => {
                    entities.insert(Entity::new(entity_type, uid));
                }
                None => {
                    let of_event = table.personal_data_of(environment, &event.id).await?;
                    found.holdings.extend(of_event.unwrap_or_default());
                }
            }
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    for entity in &entities {
        for pk in partitions(environment, entity) {
            found.holdings.extend(table.personal_data(environment, &pk, None).await?);
        }
    }
    found.holdings.extend(table.personal_data_quarantined_about(environment, uid).await?);
    found.entities = entities.into_iter().collect();
    Ok(found)
}

async fn of_event(table: &Table, environment: Environment, id: &str) -> Result<Option<Found>, StoreError> {
    let Some(mut holdings) = table.personal_data_of(environment, id).await? else { return Ok(None) };
    let record = table.event(environment, id).await?;
    let entity = record.and_then(|record| record.event.entity);
    let entity = entity.map(|EntityRef { entity_type, uid }| Entity::new(entity_type, uid));
    if let Some(transaction) = entity.as_ref().filter(|entity| entity.entity_type == EntityType::Transaction)
    {
        // Corrections say what all events of a transaction say together.
        let state = keys::state(environment, transaction);
        holdings.extend(table.personal_data(environment, &state.pk, Some(&transaction.uid)).await?);
    }
    Ok(Some(Found { holdings, entities: entity.into_iter().collect() }))
}

/// Where the events of an entity are, and, of a transaction, the corrections.
fn partitions(environment: Environment, entity: &Entity) -> Vec<Partition> {
    let mut partitions = vec![keys::state(environment, entity).pk];
    if entity.entity_type == EntityType::Transaction {
        let of = |kind| keys::entity(environment, &Entity::transaction(kind, &*entity.uid));
        partitions.extend(Kind::ALL.map(of));
    }
    partitions
}

/// Erases the personal data of a subject, with a record of each event; none where there is no such event or body.
/// Erasing it again erases what came since, and else nothing.
///
/// # Errors
/// [`StoreError`]; erasing it again goes on where this ended.
pub async fn erase(
    table: &Table,
    environment: Environment,
    subject: &Subject,
    interpret: &Interpreter<'_>,
    mandate: &Mandate,
    clock: &impl Clock,
) -> Result<Option<Erased>, StoreError> {
    /// An event that came while the states still held the data may have copied it: then there is something left. More
    /// often than that it is others' doing.
    const ROUNDS: usize = 5;
    let mut erased = Erased { is_unfinished: true, ..Erased::default() };
    for round in 1..=ROUNDS {
        let Some(found) = find(table, environment, subject).await? else { return Ok(None) };
        // Whatever was erased when this was interrupted, the states are to follow.
        let is_last = found.holdings.is_empty();
        let mandate = Mandate { id: format!("{}-{round}", mandate.id), ..mandate.clone() };
        for holding in found.holdings {
            if table.erase(&holding, &mandate).await? {
                erased.holdings.push(holding);
            }
        }
        let mode = Mode::Write { who: &mandate.who };
        let entities = Some(&*found.entities);
        let report = rebuild::rebuild(table, environment, entities, interpret, mode, clock, |_| {}).await?;
        erased.unread = report.unread;
        if is_last {
            erased.is_unfinished = false;
            break;
        }
    }
    Ok(Some(erased))
}
