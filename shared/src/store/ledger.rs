//! Money: balances, and the ledger line that each of their changes leaves.

use super::items::{BalanceEntry, BalanceItem, EntityRef, LedgerLine};
use super::keys;
use super::writes::{Found, Writes, version};
use super::{Key, StoreError, Table, to_item};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::model::Entity;
use crate::model::transaction::{Amounts, Posting};

/// Why balances change.
pub(super) struct Cause<'a> {
    pub(super) environment: Environment,
    /// The transaction …
    pub(super) entity: &'a Entity,
    /// … and its partition, which decides the shard.
    pub(super) pk: &'a str,
    /// The event that says so, if there is one.
    pub(super) event_id: Option<&'a str>,
    /// By which rule.
    pub(super) rule: String,
    /// When.
    pub(super) at: Moment,
}

impl Table {
    /// Moves a transaction's contribution from what it was to what it is, with a ledger line for each balance
    /// that changes: the partitions of those.
    pub(super) async fn post(
        &self,
        writes: &mut Writes<'_>,
        found: &mut Found,
        cause: &Cause<'_>,
        before: Option<Posting>,
        after: Option<Posting>,
    ) -> Result<Vec<String>, StoreError> {
        let changes = changes(before, after);
        let keys = changes.iter().map(|posting| balance_key(cause.environment, posting, cause.pk));
        found.read(self, keys).await?;
        let shard = keys::shard(cause.pk);
        let mut partitions = Vec::new();
        for Posting { account, asset, amounts: change } in changes {
            let partition = keys::balance_partition(cause.environment, &account, &asset, shard);
            let read: Option<BalanceItem> = found.item(&keys::balance(&partition))?;
            let before = read.clone().unwrap_or_default();
            let line = LedgerLine {
                account: account.clone(),
                asset: asset.clone(),
                shard,
                number: before.version + 1,
                event_id: cause.event_id.map(str::to_owned),
                transaction: Some(EntityRef::from(cause.entity)),
                kind: cause.entity.kind,
                rule: cause.rule.clone(),
                after: &before.amounts + &change,
                change,
                // The lines of a shard are in the order of time, whatever the clocks of its writers say.
                recorded_at: before.recorded_at.map_or(cause.at, |last| last.max(cause.at)),
                before: before.amounts,
            };
            writes.enter(&partition, &line, read.map(|balance| balance.version))?;
            if line.number == 1 {
                let entry = keys::balance_entry(cause.environment, &account, &asset);
                writes.restate(to_item(&entry, &BalanceEntry { account, asset })?)?;
            }
            partitions.push(partition);
        }
        Ok(partitions)
    }
}

impl Writes<'_> {
    /// Enters a line into the ledger of a balance that had this version, and makes the balance what it says.
    pub(super) fn enter(
        &mut self,
        partition: &str,
        line: &LedgerLine,
        read: Option<u64>,
    ) -> Result<(), StoreError> {
        let balance = BalanceItem {
            version: line.number,
            amounts: line.after.clone(),
            recorded_at: Some(line.recorded_at),
        };
        self.create(to_item(&keys::line(partition, line.number), line)?)?;
        self.replace(to_item(&keys::balance(partition), &balance)?, "version", read.map(version))
    }
}

/// Where a transaction posts.
pub(super) fn balance_key(environment: Environment, posting: &Posting, entity_pk: &str) -> Key {
    let shard = keys::shard(entity_pk);
    keys::balance(&keys::balance_partition(environment, &posting.account, &posting.asset, shard))
}

/// What changes on which balance: the new contribution minus the old one.
fn changes(before: Option<Posting>, after: Option<Posting>) -> Vec<Posting> {
    let minus = |posting: Posting| Posting { amounts: &Amounts::default() - &posting.amounts, ..posting };
    let changes = match (before, after) {
        (Some(before), Some(after)) if (&before.account, &before.asset) == (&after.account, &after.asset) => {
            vec![Posting { amounts: &after.amounts - &before.amounts, ..after }]
        }
        (before, after) => before.map(minus).into_iter().chain(after).collect(),
    };
    changes.into_iter().filter(|posting| !posting.amounts.is_zero()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posting(account: &str, received: &str) -> Posting {
        let amounts = Amounts { received: received.parse().unwrap(), ..Amounts::default() };
        Posting { account: account.to_owned(), asset: "BTC".to_owned(), amounts }
    }

    #[test]
    fn a_contribution_moves_by_its_difference() {
        assert_eq!(changes(None, Some(posting("a", "2"))), [posting("a", "2")]);
        assert_eq!(changes(Some(posting("a", "2")), Some(posting("a", "5"))), [posting("a", "3")]);
        assert_eq!(changes(Some(posting("a", "2")), Some(posting("a", "2"))), []);
        assert_eq!(changes(Some(posting("a", "2")), None), [posting("a", "-2")]);
        assert_eq!(
            changes(Some(posting("a", "2")), Some(posting("b", "3"))),
            [posting("a", "-2"), posting("b", "3")]
        );
    }
}
