//! Rebuilding: everything that was derived, derived again from the bodies that were kept.
//!
//! States are folded anew from the bodies of their events, contributions follow from the states, balances from
//! the contributions. What differs is reported or, on demand, written, with a ledger line for every balance that
//! moves. Events may arrive meanwhile: a state is only judged if it did not change while its events were read
//! (each event changes its version), a balance only if nobody posted to it since the first state was read.
//!
//! Which entities there are is found in an index, which may be behind, and in the ledgers, which are not: what a
//! balance counts is never taken away for not being in the index yet.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::clock::{Clock, Moment};
use crate::decide::post;
use crate::environment::Environment;
use crate::fold::Known;
use crate::model::ledger::{self, BalanceItem, BrokenChain, Cause, LedgerLine};
use crate::model::transaction::{self, Amounts};
use crate::model::{
    Body, Entity, EntityRef, EntityType, Facts, Kind, Meaning, Posting, Unreadable, lifecycle,
};
use crate::store::keys::{self, BUCKETS, List};
use crate::store::{Backoff, Plan, Recalled, StateItem, StoreError, Table, balance_key};

/// What the families make of a body that was received at a time. Reading the same body again must say the same.
pub type Interpreter<'a> =
    dyn Fn(&Body, Moment) -> Result<Option<Meaning>, serde_json::Error> + Send + Sync + 'a;

/// Why an entity cannot be folded anew.
#[derive(Debug, thiserror::Error)]
pub enum RefoldError {
    /// The table cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A body is gone.
    #[error("the body of event {0} is missing")]
    Missing(String),
    /// A body cannot be read any more.
    #[error("the body of event {0} cannot be read")]
    Unreadable(String, #[source] Unreadable),
    /// Its family cannot read it any more.
    #[error("the body of event {0} is not understood")]
    NotUnderstood(String, #[source] serde_json::Error),
}

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
    /// Lines of ledgers that do not follow the one before them, or are missing.
    pub broken: Vec<Broken>,
    /// Entities that could not be folded anew, and why.
    pub unread: Vec<Unread>,
}

impl Report {
    /// Whether everything is as the log says.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
            && self.imbalances.is_empty()
            && self.broken.is_empty()
            && self.unread.is_empty()
    }
}

/// A line of a ledger that does not follow the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Which, and what is wrong with it.
    #[serde(flatten)]
    pub line: BrokenChain,
    /// Whether a line that closes the gap was written.
    pub written: bool,
}

/// An entity whose events could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The entity.
    pub entity: EntityRef,
    /// Why, with the event's id.
    pub why: String,
}

/// What the events of an entity say together.
#[derive(Debug, Default)]
pub struct Refolded {
    /// The facts of all of them.
    pub facts: Facts,
    /// The last event, if there is any.
    last_event: Option<String>,
}

/// Reads the bodies of an entity's events again, and joins what they say. `antedated`: an event that is to count
/// as received at another time than it is written.
///
/// # Errors
/// [`RefoldError`], with the event's id.
pub async fn refold(
    table: &Table,
    environment: Environment,
    pk: &str,
    interpret: &Interpreter<'_>,
    antedated: Option<(String, Moment)>,
) -> Result<Refolded, RefoldError> {
    let mut refolded = Refolded::default();
    let mut start = None;
    loop {
        let (events, reached) = table.bodies(environment, pk, start).await?;
        for (event, raw) in events {
            let raw = raw.ok_or_else(|| RefoldError::Missing(event.id.clone()))?;
            let body = Body::parse(&raw, environment)
                .map_err(|unreadable| RefoldError::Unreadable(event.id.clone(), unreadable))?;
            let received_at = match &antedated {
                Some((id, moment)) if *id == event.id => *moment,
                _ => event.received_at,
            };
            let meaning = interpret(&body, received_at)
                .map_err(|error| RefoldError::NotUnderstood(event.id.clone(), error))?;
            if let Some(meaning) = meaning {
                refolded.facts = refolded.facts.join(meaning.facts);
            }
            refolded.last_event = Some(event.id);
        }
        start = reached;
        if start.is_none() {
            return Ok(refolded);
        }
    }
}

/// Folds anew what is derived from the log: everything, or (balances left aside) some entities.
///
/// # Errors
/// [`StoreError`]; what was written until then is complete in itself.
pub async fn rebuild(
    table: &Table,
    environment: Environment,
    only: Option<&[Entity]>,
    interpret: &Interpreter<'_>,
    mode: Mode,
    clock: &impl Clock,
    progress: impl Fn(&Report),
) -> Result<Report, StoreError> {
    let mut run = Run {
        table,
        environment,
        interpret,
        mode,
        clock,
        progress,
        report: Report::default(),
        known: HashSet::new(),
        shards: BTreeMap::new(),
    };
    if let Some(entities) = only {
        run.entities(entities.to_vec()).await?;
        return Ok(run.report);
    }
    run.remember_balances().await?;
    run.logged_entities().await?;
    let partitions = Vec::from_iter(run.shards.keys().cloned());
    let mut ledgers = BTreeMap::new();
    for partition in partitions {
        ledgers.insert(partition.clone(), run.walk(&partition).await?);
    }
    let shards = std::mem::take(&mut run.shards);
    for (partition, shard) in shards {
        // A balance that a rebuilt entity began has no ledger from before.
        let ledger = ledgers.remove(&partition).unwrap_or_default();
        run.balance_up(&partition, shard, ledger).await?;
    }
    Ok(run.report)
}

/// A shard of a balance: as it was at the start, and as the transactions say.
#[derive(Clone, Debug)]
struct Shard {
    account: String,
    asset: String,
    shard: u8,
    /// Before the first state was read, and with what was written here since.
    version: u64,
    contributions: Amounts,
}

/// A rebuild on its way.
struct Run<'a, C, P> {
    table: &'a Table,
    environment: Environment,
    interpret: &'a Interpreter<'a>,
    mode: Mode,
    clock: &'a C,
    progress: P,
    report: Report,
    /// The entities that were folded anew.
    known: HashSet<Entity>,
    shards: BTreeMap<String, Shard>,
}

impl<C: Clock, P: Fn(&Report)> Run<'_, C, P> {
    /// Every shard of every balance, as it is before the first state is read.
    async fn remember_balances(&mut self) -> Result<(), StoreError> {
        let mut cursor = None;
        loop {
            let page = self.table.shards(self.environment, cursor.as_ref()).await?;
            for found in page.items {
                let shard = Shard {
                    account: found.account,
                    asset: found.asset,
                    shard: found.shard,
                    version: found.balance.map_or(0, |balance| balance.version),
                    contributions: Amounts::default(),
                };
                self.shards.insert(found.partition, shard);
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Folds anew what the events of the log are about, as far as the index knows them.
    async fn logged_entities(&mut self) -> Result<(), StoreError> {
        for day in self.table.days(self.environment, List::Log).await? {
            for bucket in 0..BUCKETS {
                let mut start = None;
                loop {
                    let (events, reached) =
                        self.table.logged(self.environment, (&day, bucket), start).await?;
                    self.report.events += events.len() as u64;
                    self.entities(events.into_iter().flatten().collect()).await?;
                    start = reached;
                    if start.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Folds anew those of these entities that were not yet.
    async fn entities(&mut self, entities: Vec<Entity>) -> Result<(), StoreError> {
        let new: Vec<Entity> =
            entities.into_iter().filter(|entity| self.known.insert(entity.clone())).collect();
        let rebuilt: Vec<_> = stream::iter(&new)
            .map(|entity| self.entity(entity))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        for Rebuilt { shard, posted, entered, difference, unread } in rebuilt {
            self.report.entities += 1;
            self.report.differences.extend(difference);
            self.report.unread.extend(unread);
            if let Some(posting) = posted {
                self.contribute(shard, posting);
            }
            for partition in entered {
                if let Some(shard) = self.shards.get_mut(&partition) {
                    shard.version += 1;
                }
            }
        }
        (self.progress)(&self.report);
        Ok(())
    }

    /// Adds a transaction's contribution to its shard.
    fn contribute(&mut self, shard: u8, posting: Posting) {
        let Posting { account, asset, amounts } = posting;
        let partition = keys::balance_partition(self.environment, &account, &asset, shard);
        let contributions = Amounts::default();
        let new = || Shard { account, asset, shard, version: 0, contributions };
        let shard = self.shards.entry(partition).or_insert_with(new);
        shard.contributions = &shard.contributions + &amounts;
    }

    /// Folds one entity anew.
    async fn entity(&self, entity: &Entity) -> Result<Rebuilt, StoreError> {
        let (table, environment) = (self.table, self.environment);
        let pk = keys::entity(environment, entity);
        let shard = keys::shard(&pk);
        let state_key = keys::state(&pk);
        let nothing = Rebuilt { shard, posted: None, entered: Vec::new(), difference: None, unread: None };
        let mut backoff = Backoff::default();
        loop {
            let state: Option<StateItem> = table.recall([state_key.clone()]).await?.item(&state_key)?;
            let before = state.as_ref().map(StateItem::known);
            let posted_before = before.as_ref().and_then(|before| before.posted.clone());
            let refolded = match refold(table, environment, &pk, self.interpret, None).await {
                Ok(refolded) => refolded,
                Err(RefoldError::Store(error)) => return Err(error),
                // What it counts stays as it is.
                Err(error) => {
                    let unread = Unread { entity: entity.into(), why: chain(&error) };
                    return Ok(Rebuilt { posted: posted_before, unread: Some(unread), ..nothing });
                }
            };
            let facts = refolded.facts;
            let posted = entity.kind.and_then(|kind| transaction::contribution(kind, &facts));
            let known = Known { facts, posted: posted.clone() };
            if before.as_ref().map_or_else(|| known == Known::default(), |before| *before == known) {
                return Ok(Rebuilt { posted, ..nothing });
            }
            let read = state.as_ref().map(|state| state.version);
            // An event may have come between the two reads; then its state has another version.
            let again: Option<StateItem> = table.recall([state_key.clone()]).await?.item(&state_key)?;
            if again.map(|state| state.version) != read {
                backoff.wait().await?;
                continue;
            }
            let difference = difference(entity, before.as_ref(), &known);
            if self.mode == Mode::Check {
                // Its money counts as it was posted; that it should be otherwise is reported here.
                return Ok(Rebuilt { posted: posted_before, difference: Some(difference), ..nothing });
            }
            let changes = ledger::changes(posted_before, posted.clone());
            let keys: Vec<_> = changes.iter().map(|posting| balance_key(environment, posting, &pk)).collect();
            let recalled = table.recall(keys.clone()).await?;
            let event_id = refolded.last_event.as_deref();
            let plan = self.state_plan(entity, &pk, (read, known), &recalled, changes, event_id)?;
            if table.commit(plan).await? {
                let entered = keys.into_iter().map(|key| key.pk).collect();
                let difference = Some(Difference { written: true, ..difference });
                return Ok(Rebuilt { posted, entered, difference, ..nothing });
            }
            backoff.wait().await?;
        }
    }

    /// The state as the events say, and what follows for balances.
    fn state_plan(
        &self,
        entity: &Entity,
        pk: &str,
        (read, known): (Option<u64>, Known),
        recalled: &Recalled,
        changes: Vec<Posting>,
        event_id: Option<&str>,
    ) -> Result<Plan, StoreError> {
        let now = self.clock.now();
        let mut plan = Plan::default();
        let cause = Cause { entity: Some(entity), event_id, rule: RULE, at: now };
        post(&mut plan, self.environment, pk, recalled, changes, &cause)?;
        plan.state(keys::state(pk), StateItem::after(read, known, now), read);
        Ok(plan)
    }

    /// Follows a ledger from line to line, closes its gaps, and folds anew the transactions that it names and the
    /// index did not.
    async fn walk(&mut self, partition: &str) -> Result<Ledger, StoreError> {
        let Some(shard) = self.shards.get(partition).cloned() else { return Ok(Ledger::default()) };
        let read = self.table.balance(partition).await?;
        let up_to = read.as_ref().map_or(u64::MAX, |balance| balance.version);
        let mut tip = BalanceItem::default();
        let (mut lines, mut start) = (Vec::new(), None);
        loop {
            let (found, reached) = self.table.lines(partition, up_to, start).await?;
            let named = found.iter().filter_map(|line| {
                let EntityRef { entity_type, uid } = line.transaction.clone()?;
                Some(Entity { entity_type, kind: line.kind, uid })
            });
            let named: Vec<_> =
                named.filter(|entity| entity.entity_type == EntityType::Transaction).collect();
            lines.extend(found);
            // One line is kept back: what does not fit is mended with the help of the next.
            let whole = if reached.is_some() { lines.len().saturating_sub(1) } else { lines.len() };
            let rest = lines.split_off(whole);
            tip = self.follow(&shard, tip, &lines, rest.first(), read.as_ref()).await?;
            lines = rest;
            self.entities(named).await?;
            start = reached;
            if start.is_none() {
                return Ok(Ledger { tip });
            }
        }
    }

    /// Follows some lines of a ledger from its tip; `next` and `balance` are what comes after them. Where a line does
    /// not fit, one takes its place that goes from the line before it to the line after it.
    async fn follow(
        &mut self,
        shard: &Shard,
        mut tip: BalanceItem,
        lines: &[LedgerLine],
        next: Option<&LedgerLine>,
        balance: Option<&BalanceItem>,
    ) -> Result<BalanceItem, StoreError> {
        let mut rest = lines.iter().peekable();
        // Where the last lines are gone, the balance tells how many there were.
        let end = next.map_or_else(
            || balance.map_or(0, |balance| balance.version),
            |next| next.number.saturating_sub(1),
        );
        let last = lines.last().map_or(tip.version, |line| line.number).max(end);
        while tip.version < last {
            let number = tip.version + 1;
            let line = rest.next_if(|line| line.number <= number);
            if let Some(line) = line
                && line.check(&tip).is_ok()
            {
                tip = line.balance();
                continue;
            }
            let after = rest.peek().copied().or(next);
            let amounts = match after {
                Some(after) => after.before.clone(),
                None => balance.map_or_else(|| tip.amounts.clone(), |balance| balance.amounts.clone()),
            };
            tip = self.mend_line(shard, &tip, line, amounts).await?;
        }
        Ok(tip)
    }

    /// Puts a line in the place of one that is missing or does not fit.
    async fn mend_line(
        &mut self,
        Shard { account, asset, shard, .. }: &Shard,
        tip: &BalanceItem,
        line: Option<&LedgerLine>,
        after: Amounts,
    ) -> Result<BalanceItem, StoreError> {
        let cause = Cause { entity: None, event_id: None, rule: RULE, at: self.clock.now() };
        let change = &after - &tip.amounts;
        let mut mended = LedgerLine::following(tip, (account, asset, *shard), change, &cause);
        // It stands between lines of their time.
        mended.recorded_at = tip.recorded_at.unwrap_or(mended.recorded_at);
        if let Some(line) = line {
            mended.event_id.clone_from(&line.event_id);
            mended.transaction.clone_from(&line.transaction);
            mended.kind = line.kind;
        }
        let broken = match line.map(|line| line.check(tip)) {
            Some(Err(broken)) => broken,
            _ => mended.broken("is missing"),
        };
        let written = self.mode == Mode::Write;
        if written {
            let mut plan = Plan::default();
            plan.mended_line(self.environment, mended.clone());
            self.table.commit(plan).await?;
        }
        self.report.broken.push(Broken { line: broken, written });
        Ok(mended.balance())
    }

    /// Compares a balance to its ledger and, unless somebody posted meanwhile, to its transactions.
    async fn balance_up(&mut self, partition: &str, shard: Shard, ledger: Ledger) -> Result<(), StoreError> {
        let read = self.table.balance(partition).await?;
        let is_busy = read.as_ref().map_or(0, |balance| balance.version) != shard.version;
        self.report.balances += 1;
        self.report.busy += u64::from(is_busy);
        let tip = match &read {
            // What came since the ledger was followed is not in its tip.
            Some(balance) if balance.version != ledger.tip.version => {
                let last = self.table.line(partition, balance.version).await?;
                last.as_ref().map_or(ledger.tip, LedgerLine::balance)
            }
            _ => ledger.tip,
        };
        let balance = read.clone().unwrap_or_default();
        let contributions = (!is_busy).then_some(shard.contributions);
        let expected = contributions.as_ref().unwrap_or(&tip.amounts);
        if balance.amounts == tip.amounts && tip.amounts == *expected {
            (self.progress)(&self.report);
            return Ok(());
        }
        let mut imbalance = Imbalance {
            account: shard.account,
            asset: shard.asset,
            shard: shard.shard,
            balance: balance.amounts,
            ledger: tip.amounts.clone(),
            contributions: contributions.clone(),
            written: false,
        };
        if let Some(after) = contributions.filter(|_| self.mode == Mode::Write) {
            let cause = Cause { entity: None, event_id: None, rule: RULE, at: self.clock.now() };
            let place = (imbalance.account.as_str(), imbalance.asset.as_str(), imbalance.shard);
            let line = LedgerLine::following(&tip, place, &after - &tip.amounts, &cause);
            let mut plan = Plan::default();
            plan.posting(self.environment, line, read.as_ref());
            imbalance.written = self.table.commit(plan).await?;
        }
        self.report.imbalances.push(imbalance);
        (self.progress)(&self.report);
        Ok(())
    }
}

/// A ledger that was followed.
#[derive(Debug, Default)]
struct Ledger {
    /// What its last line makes of the balance.
    tip: BalanceItem,
}

/// An error and its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
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
    /// Why its events could not be read.
    unread: Option<Unread>,
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
