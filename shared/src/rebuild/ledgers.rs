//! The ledgers: each followed from line to line, and its gaps closed.

use super::Run;
use super::balances::Shard;
use super::report::{Broken, Report};
use crate::clock::Clock;
use crate::model::ledger::{BalanceItem, Cause, LedgerLine, Rule};
use crate::model::money::Amounts;
use crate::model::{Entity, EntityRef, EntityType};
use crate::store::{Partition, Plan, StoreError};

/// A ledger that was followed.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What its last line makes of the balance.
    pub(super) tip: BalanceItem,
}

impl<C: Clock, P: Fn(&Report)> Run<'_, C, P> {
    /// Follows a ledger from line to line, closes its gaps, and folds anew the transactions that it names and the
    /// index did not.
    pub(super) async fn walk(&mut self, partition: &Partition) -> Result<Ledger, StoreError> {
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
        let cause = Cause { entity: None, event_id: None, rule: Rule::Rebuild, at: self.clock.now() };
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
        let written = self.mode.writes();
        if written {
            let mut plan = Plan::default();
            plan.mended_line(self.environment, mended.clone());
            self.table.commit(plan).await?;
        }
        self.report.broken.push(Broken { line: broken, written });
        Ok(mended.balance())
    }
}
