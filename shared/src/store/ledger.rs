//! Money: balances, and the ledger line that each of their changes leaves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::facets::Facet;
use super::keys::{self, Key, LINE_PREFIX, Partition, SHARDS};
use super::query::{Cursor, Page, RangeQuery, Start};
use super::states::StateItem;
use super::table::{StoreError, Table};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::model::ledger::{BalanceItem, BrokenChain, LedgerLine};
use crate::model::money::Amounts;
use crate::model::{Account, Asset, Entity, EntityRef, EntityType, Fact, Kind, Posting};

/// How many ledgers are read at the same time: an account may have many assets.
const AT_ONCE: usize = 16;

/// An entry in the list of balances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BalanceEntry {
    pub(super) account: Account,
    pub(super) asset: Asset,
}

/// A balance: the sum of its shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The account.
    pub account: Account,
    /// The asset.
    pub asset: Asset,
    /// The amounts.
    pub amounts: Amounts,
}

/// A shard of a balance, and where its ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The partition of its ledger.
    pub partition: Partition,
    /// The account.
    pub account: Account,
    /// The asset.
    pub asset: Asset,
    /// Its number.
    pub shard: u8,
    /// What it says; none where there is nothing.
    pub balance: Option<BalanceItem>,
}

/// A page without the balances in which there is nothing: whether one has an entry depends on the order of arrival.
fn of_something(balances: Vec<Balance>, cursor: Option<Cursor>) -> Page<Balance> {
    let items = balances.into_iter().filter(|balance| !balance.amounts.is_zero()).collect();
    Page { items, cursor }
}

impl Table {
    /// Balances, by account and asset; of one account, if it is given; as they were at a moment, if one is given.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] for a cursor that is none.
    pub async fn balances(
        &self,
        environment: Environment,
        account: Option<&str>,
        at: Option<Moment>,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Balance>, StoreError> {
        let page = self.balance_entries(environment, account, limit, cursor).await?;
        let partitions =
            |entry: &BalanceEntry| keys::balance_partitions(environment, &entry.account, &entry.asset);
        let mut balances = Vec::new();
        if let Some(at) = at {
            for entry in page.items {
                let lines = partitions(&entry);
                let lines = try_join_all(lines.iter().map(|partition| self.line_at(partition, at))).await?;
                let amounts = lines.iter().flatten().fold(Amounts::default(), |sum, line| &sum + &line.after);
                balances.push(Balance { account: entry.account, asset: entry.asset, amounts });
            }
            return Ok(of_something(balances, page.cursor));
        }
        let keys: Vec<Key> =
            page.items.iter().flat_map(partitions).map(|partition| keys::balance(&partition)).collect();
        let mut found = self.batch_get(&keys).await?;
        for entry in page.items {
            let mut amounts = Amounts::default();
            for partition in partitions(&entry) {
                if let Some(item) = found.remove(&keys::balance(&partition)) {
                    amounts = &amounts + &serde_dynamo::from_item::<_, BalanceItem>(item)?.amounts;
                }
            }
            balances.push(Balance { account: entry.account, asset: entry.asset, amounts });
        }
        Ok(of_something(balances, page.cursor))
    }

    /// The balances of a sub-account: what its transactions count, by account and asset. They are found in an index, which
    /// may be a moment behind.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] where it has more than 50,000 events.
    pub async fn balances_of_sub_account(
        &self,
        environment: Environment,
        sub_account: &str,
    ) -> Result<Vec<Balance>, StoreError> {
        /// More than that is for an export.
        const EVENTS: usize = 50_000;
        #[derive(Deserialize)]
        struct About {
            entity: Option<EntityRef>,
        }
        let query = RangeQuery {
            index: Facet::SubAccount.indexes(sub_account).first().copied(),
            partition: Facet::SubAccount.partition(environment, sub_account),
            low: " ".to_owned(),
            high: "~".to_owned(),
            newest_first: false,
        };
        let found = self.query(&query, EVENTS + 1).await?;
        if found.len() > EVENTS {
            return Err(StoreError::TooMany);
        }
        let mut uids = BTreeSet::new();
        for item in found {
            let About { entity } = serde_dynamo::from_item(item)?;
            let transaction = entity.filter(|entity| entity.entity_type == EntityType::Transaction);
            uids.extend(transaction.map(|entity| entity.uid));
        }
        let keys: Vec<_> = uids
            .iter()
            .map(|uid| keys::state(environment, &Entity::transaction(Kind::Unknown, uid)))
            .collect();
        let mut sums: BTreeMap<(Account, Asset), Amounts> = BTreeMap::new();
        for item in self.batch_get(&keys).await?.into_values() {
            let StateItem { known, .. } = serde_dynamo::from_item(item)?;
            for (kind, posting) in &known.posted {
                if known.of(Some(*kind)).get(Fact::SubAccountId) == Some(sub_account) {
                    let sum = sums.entry((posting.account.clone(), posting.asset.clone())).or_default();
                    *sum = &*sum + &posting.amounts;
                }
            }
        }
        Ok(sums.into_iter().map(|((account, asset), amounts)| Balance { account, asset, amounts }).collect())
    }

    /// The last line that was entered into a ledger by a moment. Lines are numbered without gaps, in the order of
    /// time.
    async fn line_at(&self, partition: &Partition, at: Moment) -> Result<Option<LedgerLine>, StoreError> {
        let query = RangeQuery {
            index: None,
            partition: partition.clone(),
            low: LINE_PREFIX.to_owned(),
            high: keys::line(partition, u64::MAX).sk,
            newest_first: true,
        };
        let newest = self.query(&query, 1).await?.pop().map(serde_dynamo::from_item).transpose()?;
        let Some(newest): Option<LedgerLine> = newest else { return Ok(None) };
        newest.check_alone()?;
        if newest.recorded_at <= at {
            return Ok(Some(newest));
        }
        // Halves what lies between a line that was entered by then (0: none) and one that was not.
        let (mut entered, mut later, mut found) = (0, newest.number, None);
        while later - entered > 1 {
            let middle = entered + (later - entered) / 2;
            let line = self.line(partition, middle).await?;
            let missing = || BrokenChain { number: middle, why: "is missing", ..newest.broken("") };
            let line = line.ok_or_else(missing)?;
            line.check_alone()?;
            if line.recorded_at <= at {
                (entered, found) = (middle, Some(line));
            } else {
                later = middle;
            }
        }
        Ok(found)
    }

    pub(super) async fn balance_entries(
        &self,
        environment: Environment,
        account: Option<&str>,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<BalanceEntry>, StoreError> {
        let prefix = account.map_or_else(String::new, |account| keys::balance_prefix(&account.into()));
        let after = cursor.map(Cursor::position).transpose()?;
        let query = RangeQuery {
            index: None,
            partition: keys::balances(environment),
            // After the cursor, but not before the account: a cursor may come from another question.
            low: after
                .map_or_else(String::new, |after| format!("{after}!"))
                .max(prefix.clone())
                .max(" ".to_owned()),
            // Encoded text is ASCII up to '~'.
            high: format!("{prefix}\u{7f}"),
            newest_first: false,
        };
        let mut items = self.query(&query, limit + 1).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more).and_then(Key::of);
        let cursor = last.map(|key| Cursor::at(&key.sk));
        let items = items.into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
        Ok(Page { items, cursor })
    }

    /// The ledger of an account, or of one of its assets, newest first; as it was at a moment, if one is given.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] for a cursor that is none.
    pub async fn ledger(
        &self,
        environment: Environment,
        (account, asset): (&str, Option<&str>),
        at: Option<Moment>,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<LedgerLine>, StoreError> {
        // The cursor says for each shard below which number the next page goes on.
        let below: BTreeMap<String, u64> = match cursor {
            Some(cursor) => serde_json::from_str(&cursor.decode()?).map_err(|_| StoreError::Cursor)?,
            None => BTreeMap::new(),
        };
        let assets = match asset {
            Some(asset) => vec![Asset::from(asset)],
            None => self.assets(environment, account).await?,
        };
        let account = &Account::from(account);
        let shards =
            assets.into_iter().flat_map(|asset| (0..SHARDS).map(move |shard| (asset.clone(), shard)));
        let below_of = &below;
        let read = async |(asset, shard): (Asset, u8)| {
            let partition = keys::balance_partition(environment, account, &asset, shard);
            let below = match (below_of.get(&place(&asset, shard)), at) {
                (Some(below), _) => *below,
                (None, Some(at)) => {
                    self.line_at(&partition, at).await?.map_or(0, |line| line.number).saturating_add(1)
                }
                (None, None) => u64::MAX,
            };
            let query = RangeQuery {
                index: None,
                low: LINE_PREFIX.to_owned(),
                high: keys::line(&partition, below.saturating_sub(1)).sk,
                partition,
                newest_first: true,
            };
            let items = self.query(&query, limit + 1).await?;
            let lines = items.into_iter().map(serde_dynamo::from_item);
            let lines = lines.collect::<Result<VecDeque<LedgerLine>, _>>()?;
            for (newer, older) in lines.iter().zip(lines.iter().skip(1)) {
                newer.check(&older.balance())?;
            }
            Ok::<_, StoreError>(lines)
        };
        let mut found: Vec<VecDeque<LedgerLine>> =
            stream::iter(shards).map(read).buffered(AT_ONCE).try_collect().await?;
        // Within a shard the number orders, between shards the time: a line may bear an earlier time than the
        // one before it, but it is never shown before, and so never skipped.
        let mut lines = Vec::new();
        let newest = |found: &mut Vec<VecDeque<LedgerLine>>| {
            let shard = found.iter_mut().max_by_key(|shard| shard.front().map(|line| line.recorded_at))?;
            shard.pop_front()
        };
        while lines.len() < limit
            && let Some(line) = newest(&mut found)
        {
            lines.push(line);
        }
        let more = found.iter().any(|shard| !shard.is_empty());
        let mut next = below;
        for line in &lines {
            next.insert(place(&line.asset, line.shard), line.number);
        }
        let cursor = more.then(|| serde_json::to_string(&next)).transpose()?;
        Ok(Page { items: lines, cursor: cursor.as_deref().map(Cursor::at) })
    }

    /// Some lines of a ledger, oldest first, up to a number; and where the next ones start.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn lines(
        &self,
        partition: &Partition,
        up_to: u64,
        start: Option<Start>,
    ) -> Result<(Vec<LedgerLine>, Option<Start>), StoreError> {
        let query = RangeQuery {
            index: None,
            partition: partition.clone(),
            low: LINE_PREFIX.to_owned(),
            high: keys::line(partition, up_to).sk,
            newest_first: false,
        };
        let (items, reached) = self.query_once(&query, &[], 1000, start.map(Start::into_key)).await?;
        let lines = items.into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
        Ok((lines, reached.map(Start::at)))
    }

    /// The balances of an environment, each with its shards as they are, a page at a time.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn shards(
        &self,
        environment: Environment,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Shard>, StoreError> {
        let page = self.balance_entries(environment, None, 100, cursor).await?;
        let partitions =
            |entry: &BalanceEntry| keys::balance_partitions(environment, &entry.account, &entry.asset);
        let keys = page.items.iter().flat_map(partitions).map(|partition| keys::balance(&partition));
        let recalled = self.recall(keys).await?;
        let mut items = Vec::new();
        for entry in page.items {
            for (shard, partition) in (0_u8..).zip(partitions(&entry)) {
                let balance = recalled.item(&keys::balance(&partition))?;
                let (account, asset) = (entry.account.clone(), entry.asset.clone());
                items.push(Shard { partition, account, asset, shard, balance });
            }
        }
        Ok(Page { items, cursor: page.cursor })
    }

    /// One line of a ledger; none where there is none of this number.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn line(&self, partition: &Partition, number: u64) -> Result<Option<LedgerLine>, StoreError> {
        self.get(&keys::line(partition, number)).await
    }

    /// A shard's balance; none where there is none.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn balance(&self, partition: &Partition) -> Result<Option<BalanceItem>, StoreError> {
        self.get(&keys::balance(partition)).await
    }

    /// The assets of an account that have balances.
    async fn assets(&self, environment: Environment, account: &str) -> Result<Vec<Asset>, StoreError> {
        /// Entries are looked up in portions of this size.
        const ENTRIES: usize = 100;
        let mut assets = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.balance_entries(environment, Some(account), ENTRIES, cursor.as_ref()).await?;
            assets.extend(page.items.into_iter().map(|entry| entry.asset));
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(assets);
            }
        }
    }
}

fn place(asset: &Asset, shard: u8) -> String {
    format!("{asset}#{shard}")
}

/// Where a transaction posts.
pub fn balance_key(environment: Environment, posting: &Posting, entity: &Partition) -> Key {
    let shard = keys::shard(entity);
    keys::balance(&keys::balance_partition(environment, &posting.account, &posting.asset, shard))
}
