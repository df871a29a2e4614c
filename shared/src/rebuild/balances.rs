//! The balances: remembered before the first state is read, and compared after the last one.

use super::Run;
use super::ledgers::Ledger;
use super::report::{Imbalance, Report};
use crate::clock::Clock;
use crate::decide::posted_to;
use crate::model::ledger::{Cause, LedgerLine, Rule};
use crate::model::money::Amounts;
use crate::model::{Account, Asset, Entity, Kind, Posting};
use crate::store::{Partition, Plan, StoreError, keys};

/// A shard of a balance: as it was at the start, and as the transactions say.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    pub(super) account: Account,
    pub(super) asset: Asset,
    pub(super) shard: u8,
    /// Before the first state was read, and with what was written here since.
    pub(super) version: u64,
    pub(super) contributions: Amounts,
}

impl<C: Clock, P: Fn(&Report)> Run<'_, C, P> {
    /// Every shard of every balance, as it is before the first state is read.
    pub(super) async fn remember_balances(&mut self) -> Result<(), StoreError> {
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

    /// Adds a transaction's contribution to its shard.
    pub(super) fn contribute(&mut self, uid: &str, kind: Kind, posting: Posting) {
        let partition = posted_to(self.environment, uid, kind, &posting).pk;
        let shard = keys::shard(&keys::entity(self.environment, &Entity::transaction(kind, uid)));
        let Posting { account, asset, amounts } = posting;
        let contributions = Amounts::default();
        let new = || Shard { account, asset, shard, version: 0, contributions };
        let shard = self.shards.entry(partition).or_insert_with(new);
        shard.contributions = &shard.contributions + &amounts;
    }

    /// Compares a balance to its ledger and, unless somebody posted meanwhile, to its transactions.
    pub(super) async fn balance_up(
        &mut self,
        partition: &Partition,
        shard: Shard,
        ledger: Ledger,
    ) -> Result<(), StoreError> {
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
        if let Some(after) = contributions.filter(|_| self.mode.writes()) {
            let cause = Cause { entity: None, event_id: None, rule: Rule::Rebuild, at: self.clock.now() };
            let place = (&imbalance.account, &imbalance.asset, imbalance.shard);
            let line = LedgerLine::following(&tip, place, &after - &tip.amounts, &cause);
            let mut plan = Plan::default();
            let (account, asset) = (imbalance.account.clone(), imbalance.asset.clone());
            let change = Posting { account, asset, amounts: line.change.clone() };
            self.correct_balance(&mut plan, partition, line.number, change)?;
            plan.lines(self.environment, vec![line], read.as_ref());
            imbalance.written = self.table.commit(plan).await?;
        }
        self.report.imbalances.push(imbalance);
        (self.progress)(&self.report);
        Ok(())
    }
}
