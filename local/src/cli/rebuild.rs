//! `rebuild`: everything that was derived, derived again from the webhooks that were kept.

use clap::Args;
use shared::clock::SystemClock;
use shared::model::ledger::BrokenChain;
use shared::model::money::Amounts;
use shared::model::{Entity, EntityType, Kind};
use shared::rebuild::{self, Broken, Difference, Imbalance, Mode, Report, TakenUp, Unread};

use super::failure::Failure;
use super::place::Place;
use super::{say, say_json, spinner};
use crate::product::families;

#[derive(Debug, Args)]
pub(super) struct Rebuild {
    #[command(flatten)]
    place: Place,
    /// Only this entity's state: `transaction:UID`, `account:UID` … Balances are not checked.
    #[arg(long, value_name = "TYPE:UID", value_parser = entities)]
    entity: Option<Entities>,
    /// Report differences without writing; exit with 1 if there are any.
    #[arg(long)]
    check: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// The entities that an argument names: a uid may be that of a deposit, a transfer and a contract.
#[derive(Clone, Debug)]
struct Entities(Vec<Entity>);

/// An argument that names no entity.
#[derive(Debug, thiserror::Error)]
#[error("write it as transaction:UID, account:UID, asset:UID, address:UID or customer:UID")]
struct NoEntity;

fn entities(text: &str) -> Result<Entities, NoEntity> {
    let (name, uid) = text.split_once(':').ok_or(NoEntity)?;
    match name.parse().map_err(|_| NoEntity)? {
        EntityType::Transaction => {
            Ok(Entities(Kind::ALL.map(|kind| Entity::transaction(kind, uid)).to_vec()))
        }
        other => Ok(Entities(vec![Entity::new(other, uid)])),
    }
}

impl Rebuild {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let mode = if self.check { Mode::Check } else { Mode::Write { who: &opened.who } };
        let bar = spinner();
        let progress = |Report { events, entities, balances, .. }: &Report| {
            bar.set_message(format!("{events} events, {entities} entities, {balances} balance shards"));
            bar.tick();
        };
        let only = self.entity.as_ref().map(|entities| entities.0.as_slice());
        let (table, clock) = (&opened.table, &SystemClock);
        let rebuilt =
            rebuild::rebuild(table, opened.environment, only, &families::meaning, mode, clock, progress);
        let report = rebuilt.await.map_err(Failure::of("the rebuild stopped"))?;
        bar.finish_and_clear();
        if self.json {
            say_json(&report);
        } else {
            show(&report);
        }
        let left = report.taken_up.iter().filter(|taken_up| !taken_up.written).count()
            + report.differences.iter().filter(|difference| !difference.written).count()
            + report.imbalances.iter().filter(|imbalance| !imbalance.written).count()
            + report.broken.iter().filter(|broken| !broken.written).count()
            + report.unread.len();
        if left == 0 {
            Ok(())
        } else {
            Err(Failure::new(format!("{left} differences found and not repaired")))
        }
    }
}

fn show(report: &Report) {
    for TakenUp { event, entity, kind, written } in &report.taken_up {
        let what = kind.map_or(entity.entity_type.as_str(), Kind::as_str);
        say(&format!(
            "{} event {event} was kept about nothing: it is about {what} {}",
            verb(*written),
            entity.uid
        ));
    }
    for Difference { entity, kind, differs, before, after, written } in &report.differences {
        let what = kind.map_or(entity.entity_type.as_str(), Kind::as_str);
        let before = before.as_deref().unwrap_or("nothing");
        let fields = differs.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        say(&format!("{} {what} {}: {before} → {after}; {fields}", verb(*written), entity.uid));
    }
    for Imbalance { account, asset, balance, ledger, contributions, written, .. } in &report.imbalances {
        let columns = |amounts: &Amounts| {
            let Amounts { received, sent, fees, pending } = amounts;
            format!("{received} received, {sent} sent, {fees} fees, {pending} pending")
        };
        let transactions = contributions.as_ref();
        let transactions = transactions.map(|sum| format!("; its transactions add up to {}", columns(sum)));
        say(&format!(
            "{} balance {account} {asset}: it says {}; its ledger adds up to {}{}",
            verb(*written),
            columns(balance),
            columns(ledger),
            transactions.unwrap_or_default(),
        ));
    }
    for Broken { line, written } in &report.broken {
        let BrokenChain { account, asset, shard, number, why } = line;
        say(&format!(
            "{} line {number} of the ledger {account} {asset}, shard {shard}: {why}",
            verb(*written)
        ));
    }
    for Unread { entity, why } in &report.unread {
        say(&format!("differs: {} {}: {why}", entity.entity_type, entity.uid));
    }
    say(&format!(
        "{} events, {} entities, {} balance shards: {}",
        report.events,
        report.entities,
        report.balances,
        if report.is_clean() { "everything matches the webhooks" } else { "see above" },
    ));
    if report.busy > 0 {
        say(&format!(
            "{} balance shards changed while this ran. Their ledgers add up; run it again to compare them with their transactions",
            report.busy
        ));
    }
}

fn verb(written: bool) -> &'static str {
    if written { "repaired:" } else { "differs:" }
}
