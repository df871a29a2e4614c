//! Rebuilding: everything that was derived, derived again from the bodies that were kept.
//!
//! States are folded anew from the bodies of their events, contributions follow from the states, balances from
//! the contributions. What differs is reported or, on demand, written, with a ledger line for every balance that
//! moves. Events may arrive meanwhile: a state is only judged if it did not change while its events were read
//! (each event changes its version), a balance only if nobody posted to it since the first state was read.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use super::items::{BalanceEntry, BalanceItem, EntityRef, EventItem, LedgerLine, RawItem, StateItem};
use super::keys::{self, BUCKETS, EVENT_PREFIX, LINE_PREFIX, LOG_INDEX, List};
use super::ledger::Cause;
use super::read::RangeQuery;
use super::writes::{Backoff, Found, Writes, version};
use super::{Means, StoreError, Table};
use crate::clock::{Clock, Moment};
use crate::environment::Environment;
use crate::fold::Known;
use crate::model::transaction::{self, Amounts, Posting};
use crate::model::{Body, Entity, Facts, Kind, lifecycle};

/// By this rule a ledger line moves money without any new event.
const RULE: &str = "rebuild";

/// How many entities are read at the same time.
const AT_ONCE: usize = 8;

/// Whether differences are only reported, or also written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Only reported.
    Check,
    /// Also written.
    Write,
}

/// An entity whose state is not what its events say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The entity.
    pub entity: EntityRef,
    /// For a transaction its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// What differs: names of facts, `contribution`.
    pub differs: BTreeSet<String>,
    /// The status before …
    pub before: Option<String>,
    /// … and as the events say.
    pub after: String,
    /// Whether it was written.
    pub written: bool,
}

/// A shard of a balance that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imbalance {
    /// The account.
    pub account: String,
    /// The asset.
    pub asset: String,
    /// The shard.
    pub shard: u8,
    /// What the balance says.
    pub balance: Amounts,
    /// What its ledger adds up to.
    pub ledger: Amounts,
    /// What the transactions add up to; none where somebody posted meanwhile, so that it cannot be said.
    pub contributions: Option<Amounts>,
    /// Whether it was written.
    pub written: bool,
}

/// What a rebuild found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Events of the log.
    pub events: u64,
    /// Entities that were folded anew.
    pub entities: u64,
    /// Shards of balances that were added up.
    pub balances: u64,
    /// Shards that somebody posted to meanwhile: their ledger was added up, but not compared to the transactions.
    pub busy: u64,
    /// States that differ.
    pub differences: Vec<Difference>,
    /// Balances that differ.
    pub imbalances: Vec<Imbalance>,
}

impl Report {
    /// Whether everything is as the log says.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty() && self.imbalances.is_empty()
    }
}

/// What the events of an entity say together.
pub(super) struct Refolded {
    pub(super) joined: Facts,
    /// The last event, if there is any.
    last_event: Option<String>,
}

/// A shard of a balance, as it was at the start and as the transactions say.
#[derive(Clone, Debug)]
struct Shard {
    account: String,
    asset: String,
    shard: u8,
    /// Before the first state was read, and with what was written here since.
    version: u64,
    contributions: Amounts,
}

impl Table {
    /// Folds anew what is derived from the log: everything, or (balances left aside) some entities.
    ///
    /// # Errors
    /// [`StoreError`]; what was written until then is complete in itself.
    pub async fn rebuild(
        &self,
        environment: Environment,
        only: Option<&[Entity]>,
        means: &Means<'_>,
        mode: Mode,
        clock: &impl Clock,
        progress: impl Fn(&Report),
    ) -> Result<Report, StoreError> {
        let mut report = Report::default();
        if let Some(entities) = only {
            for entity in entities {
                let rebuilt = self.rebuild_entity(environment, entity, means, mode, clock).await?;
                report.entities += 1;
                report.differences.extend(rebuilt.difference);
                progress(&report);
            }
            return Ok(report);
        }

        let mut shards = self.shards(environment).await?;
        let mut known: HashSet<Entity> = HashSet::new();
        for day in self.days(environment, List::Log).await? {
            for bucket in 0..BUCKETS {
                let partition = keys::log_partition(environment, List::Log, &day, bucket);
                let mut start = None;
                loop {
                    let (events, reached) = self.log_entities(&partition, start).await?;
                    report.events += events.len() as u64;
                    let new: Vec<Entity> =
                        events.into_iter().flatten().filter(|entity| known.insert(entity.clone())).collect();
                    let rebuilt: Vec<_> = stream::iter(&new)
                        .map(|entity| self.rebuild_entity(environment, entity, means, mode, clock))
                        .buffer_unordered(AT_ONCE)
                        .try_collect()
                        .await?;
                    for entity in rebuilt {
                        report.entities += 1;
                        report.differences.extend(entity.difference);
                        if let Some(posting) = entity.posted {
                            contribute(&mut shards, environment, entity.shard, posting);
                        }
                        for partition in entity.entered {
                            if let Some(shard) = shards.get_mut(&partition) {
                                shard.version += 1;
                            }
                        }
                    }
                    progress(&report);
                    start = reached;
                    if start.is_none() {
                        break;
                    }
                }
            }
        }

        for (partition, shard) in shards {
            let (imbalance, was_busy) = self.balance_up(&partition, shard, mode, clock.now()).await?;
            report.balances += 1;
            report.busy += u64::from(was_busy);
            report.imbalances.extend(imbalance);
            progress(&report);
        }
        Ok(report)
    }

    /// Reads the bodies of an entity's events again, and joins what they say. `antedated`: an event that is to
    /// count as received at another moment than it is written.
    pub(super) async fn refold(
        &self,
        environment: Environment,
        pk: &str,
        means: &Means<'_>,
        antedated: Option<(&str, Moment)>,
    ) -> Result<Refolded, StoreError> {
        let query = RangeQuery {
            index: None,
            partition: pk.to_owned(),
            low: EVENT_PREFIX.to_owned(),
            high: format!("{EVENT_PREFIX}~"),
            newest_first: false,
        };
        let mut refolded = Refolded { joined: Facts::default(), last_event: None };
        let mut start = None;
        loop {
            let (items, reached) = self.query_once(&query, &[], 100, start).await?;
            let events: Vec<EventItem> =
                items.into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
            let keys: Vec<_> = events.iter().map(|event| keys::raw(environment, &event.id)).collect();
            let mut bodies = self.batch_get(&keys).await?;
            for (event, key) in events.into_iter().zip(keys) {
                let raw = bodies.remove(&key).ok_or_else(|| StoreError::BodyMissing(event.id.clone()))?;
                let raw: RawItem = serde_dynamo::from_item(raw)?;
                let body = Body::parse(&raw.into_bytes(), environment)
                    .map_err(|_| StoreError::BodyMissing(event.id.clone()))?;
                let received_at = match antedated {
                    Some((id, moment)) if id == event.id => moment,
                    _ => event.received_at,
                };
                if let Some(meaning) = means(&body, received_at)? {
                    refolded.joined = refolded.joined.join(meaning.facts);
                }
                refolded.last_event = Some(event.id);
            }
            start = reached;
            if start.is_none() {
                return Ok(refolded);
            }
        }
    }

    /// Folds one entity anew.
    async fn rebuild_entity(
        &self,
        environment: Environment,
        entity: &Entity,
        means: &Means<'_>,
        mode: Mode,
        clock: &impl Clock,
    ) -> Result<Rebuilt, StoreError> {
        let pk = keys::entity(environment, entity);
        let shard = keys::shard(&pk);
        let state_key = keys::state(&pk);
        let mut backoff = Backoff::default();
        loop {
            let state: Option<StateItem> = self.get(&state_key).await?;
            let refolded = self.refold(environment, &pk, means, None).await?;
            let facts = refolded.joined;
            let posted = entity.kind.and_then(|kind| transaction::contribution(kind, &facts));
            let known = Known { facts, posted };
            let is_same =
                state.as_ref().map_or_else(|| known == Known::default(), |state| state.known() == known);
            if is_same {
                return Ok(Rebuilt { shard, posted: known.posted, entered: Vec::new(), difference: None });
            }
            let read = state.as_ref().map(|state| state.version);
            // An event may have come between the two reads; then its state has another version.
            let again: Option<StateItem> = self.get(&state_key).await?;
            if again.map(|state| state.version) != read {
                backoff.wait().await?;
                continue;
            }
            let before = state.as_ref().map(StateItem::known);
            let mut difference = difference(entity, before.as_ref(), &known);
            let before = before.and_then(|before| before.posted);
            if mode == Mode::Check {
                // Its money counts as it was posted; that it should be otherwise is reported here.
                let difference = Some(difference);
                return Ok(Rebuilt { shard, posted: before, entered: Vec::new(), difference });
            }
            let mut writes = Writes::new(self);
            let event_id = refolded.last_event.as_deref();
            let now = clock.now();
            let cause = Cause { environment, entity, pk: &pk, event_id, rule: RULE.to_owned(), at: now };
            let posted = known.posted.clone();
            let entered =
                self.post(&mut writes, &mut Found::default(), &cause, before, posted.clone()).await?;
            let next = StateItem::after(read, known, now);
            writes.replace(super::to_item(&state_key, &next)?, "version", read.map(version))?;
            if writes.commit().await? {
                difference.written = true;
                return Ok(Rebuilt { shard, posted, entered, difference: Some(difference) });
            }
            backoff.wait().await?;
        }
    }

    /// The days on which a list has entries, oldest first.
    async fn days(&self, environment: Environment, list: List) -> Result<Vec<String>, StoreError> {
        let query = RangeQuery {
            index: None,
            partition: keys::days(environment, list),
            low: " ".to_owned(),
            high: "~".to_owned(),
            newest_first: false,
        };
        let days = self.query(&query, usize::MAX).await?;
        Ok(days.iter().filter_map(super::Key::of).map(|key| key.sk).collect())
    }

    /// What some events of the log are about, and where the next ones start.
    async fn log_entities(
        &self,
        partition: &str,
        start: Option<super::Item>,
    ) -> Result<(Vec<Option<Entity>>, Option<super::Item>), StoreError> {
        #[derive(serde::Deserialize)]
        struct About {
            entity: Option<EntityRef>,
            #[serde(default)]
            kind: Option<Kind>,
        }
        let query = RangeQuery {
            index: Some(LOG_INDEX),
            partition: partition.to_owned(),
            low: " ".to_owned(),
            high: "~".to_owned(),
            newest_first: false,
        };
        let (events, reached) = self.query_once(&query, &[], 1000, start).await?;
        let about = |item| {
            let About { entity, kind } = serde_dynamo::from_item(item)?;
            Ok(entity.map(|entity| Entity { entity_type: entity.entity_type, kind, uid: entity.uid }))
        };
        Ok((events.into_iter().map(about).collect::<Result<_, StoreError>>()?, reached))
    }

    /// Every shard of every balance, as it is.
    async fn shards(&self, environment: Environment) -> Result<BTreeMap<String, Shard>, StoreError> {
        let mut shards = BTreeMap::new();
        let mut cursor = None;
        loop {
            let page = self.balance_entries(environment, None, 100, cursor.as_ref()).await?;
            let partitions =
                |entry: &BalanceEntry| keys::balance_partitions(environment, &entry.account, &entry.asset);
            let keys = page.items.iter().flat_map(partitions).map(|partition| keys::balance(&partition));
            let mut found = Found::default();
            found.read(self, keys).await?;
            for entry in page.items {
                for (shard, partition) in (0_u8..).zip(partitions(&entry)) {
                    let balance: Option<BalanceItem> = found.item(&keys::balance(&partition))?;
                    let (account, asset) = (entry.account.clone(), entry.asset.clone());
                    let version = balance.map_or(0, |balance| balance.version);
                    let contributions = Amounts::default();
                    shards.insert(partition, Shard { account, asset, shard, version, contributions });
                }
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(shards);
            }
        }
    }

    /// Adds up the ledger of a shard and compares it to its balance and, unless somebody posted meanwhile, to
    /// its transactions; the second is whether somebody did.
    async fn balance_up(
        &self,
        partition: &str,
        shard: Shard,
        mode: Mode,
        now: Moment,
    ) -> Result<(Option<Imbalance>, bool), StoreError> {
        let key = keys::balance(partition);
        let read: Option<BalanceItem> = self.get(&key).await?;
        let is_busy = read.as_ref().map_or(0, |balance| balance.version) != shard.version;
        // Of a balance that is gone its ledger is left.
        let (ledger, last) = self.ledger_sum(partition, read.as_ref().map(|balance| balance.version)).await?;
        let balance = read.clone().unwrap_or_default();
        let contributions = (!is_busy).then_some(shard.contributions);
        let expected = contributions.as_ref().unwrap_or(&ledger);
        if balance.amounts == ledger && ledger == *expected {
            return Ok((None, is_busy));
        }
        let mut imbalance = Imbalance {
            account: shard.account,
            asset: shard.asset,
            shard: shard.shard,
            balance: balance.amounts,
            ledger: ledger.clone(),
            contributions: contributions.clone(),
            written: false,
        };
        if let Some(after) = contributions.filter(|_| mode == Mode::Write) {
            let line = LedgerLine {
                account: imbalance.account.clone(),
                asset: imbalance.asset.clone(),
                shard: imbalance.shard,
                number: last + 1,
                event_id: None,
                transaction: None,
                kind: None,
                rule: RULE.to_owned(),
                change: &after - &ledger,
                before: ledger,
                after,
                recorded_at: balance.recorded_at.map_or(now, |last| last.max(now)),
            };
            let mut writes = Writes::new(self);
            writes.enter(partition, &line, read.map(|balance| balance.version))?;
            imbalance.written = writes.commit().await?;
        }
        Ok((Some(imbalance), is_busy))
    }

    /// What the lines of a ledger up to this one add up to, all of them if none is named; and the number of the
    /// last.
    async fn ledger_sum(&self, partition: &str, last: Option<u64>) -> Result<(Amounts, u64), StoreError> {
        let query = RangeQuery {
            index: None,
            partition: partition.to_owned(),
            low: LINE_PREFIX.to_owned(),
            high: keys::line(partition, last.unwrap_or(u64::MAX)).sk,
            newest_first: false,
        };
        let (mut sum, mut found) = (Amounts::default(), 0);
        let mut start = None;
        loop {
            let (items, reached) = self.query_once(&query, &[], 1000, start).await?;
            for item in items {
                let line: LedgerLine = serde_dynamo::from_item(item)?;
                sum = &sum + &line.change;
                found = line.number;
            }
            start = reached;
            if start.is_none() {
                // Where the last lines themselves are gone, the balance tells how many there were.
                return Ok((sum, last.unwrap_or(found)));
            }
        }
    }
}

/// An entity that was folded anew.
struct Rebuilt {
    /// The shard that it posts to.
    shard: u8,
    /// What is posted for it now.
    posted: Option<Posting>,
    /// The partitions of the balances whose ledgers got a line.
    entered: Vec<String>,
    difference: Option<Difference>,
}

/// Adds a transaction's contribution to its shard.
fn contribute(shards: &mut BTreeMap<String, Shard>, environment: Environment, shard: u8, posting: Posting) {
    let Posting { account, asset, amounts } = posting;
    let partition = keys::balance_partition(environment, &account, &asset, shard);
    let shard = shards.entry(partition).or_insert_with(|| Shard {
        account,
        asset,
        shard,
        version: 0,
        contributions: Amounts::default(),
    });
    shard.contributions = &shard.contributions + &amounts;
}

/// What differs between what is known of an entity and what its events say.
fn difference(entity: &Entity, before: Option<&Known>, after: &Known) -> Difference {
    let nothing = Known::default();
    let known = before.unwrap_or(&nothing);
    let mut differs = BTreeSet::new();
    fn keys_that_differ<V: PartialEq>(
        a: &BTreeMap<String, V>,
        b: &BTreeMap<String, V>,
        differs: &mut BTreeSet<String>,
    ) {
        differs.extend(a.keys().chain(b.keys()).filter(|key| a.get(*key) != b.get(*key)).cloned());
    }
    keys_that_differ(&known.facts.fields, &after.facts.fields, &mut differs);
    keys_that_differ(&known.facts.counts, &after.facts.counts, &mut differs);
    keys_that_differ(&known.facts.members, &after.facts.members, &mut differs);
    for (name, is_different) in [
        ("steps", known.facts.steps != after.facts.steps),
        ("updated_at", known.facts.updated_at != after.facts.updated_at),
        ("contribution", known.posted != after.posted),
    ] {
        if is_different {
            differs.insert(name.to_owned());
        }
    }
    let status = |known: &Known| lifecycle::status(entity.entity_type, &known.facts).to_owned();
    Difference {
        entity: EntityRef::from(entity),
        kind: entity.kind,
        differs,
        before: before.map(status),
        after: status(after),
        written: false,
    }
}
