//! Counting: how many events there were, by intervals of time, family and effect.

use std::collections::BTreeMap;

use futures::future::try_join_all;

use super::facets::{self, Facet};
use super::keys::{BUCKETS, List};
use super::log::{Bounds, Timeline, moment_of, of_day};
use super::table::{Item, StoreError, Table};
use crate::clock::Moment;
use crate::environment::Environment;

/// What is counted together: the start of an interval, a family, an effect.
pub type Counted = (Moment, String, String);

/// How many events there were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// How many of each.
    pub counts: BTreeMap<Counted, u64>,
    /// From when on all were counted: later than asked where there are too many for one answer.
    pub counted_from: Moment,
    /// Whether all were.
    pub complete: bool,
}

impl Table {
    /// Counts the events of a range by intervals of `step` milliseconds, family and effect; the newest first,
    /// where they take more than so many queries, of at most 1 MB each.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn counts(
        &self,
        environment: Environment,
        (from, to): (Moment, Moment),
        step: i64,
        mut queries: usize,
    ) -> Result<Counts, StoreError> {
        let bounds = Bounds::new((Some(from), Some(to)), None)?;
        let step = step.max(1);
        let start = |moment: Moment| {
            let steps = (moment.as_millis() - from.as_millis()).div_euclid(step);
            Moment::from_millis(from.as_millis() + steps * step)
        };
        let mut counts = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let (days, next) = self.days_back(environment, List::Log, &bounds, after.as_deref()).await?;
            for day in days {
                let share = (queries / usize::from(BUCKETS)).max(1);
                let timelines = of_day(environment, List::Log, &day);
                let counted =
                    timelines.iter().map(|timeline| self.count_back(timeline, &bounds, &start, share));
                let mut floor: Option<String> = None;
                for (of_timeline, reached, used) in try_join_all(counted).await? {
                    queries = queries.saturating_sub(used);
                    floor = floor.max(reached);
                    for (key, count) in of_timeline {
                        *counts.entry(key).or_insert(0) += count;
                    }
                }
                let floor = floor.or_else(|| (queries == 0).then(|| format!("{day}T00:00:00.000Z#")));
                if let Some(floor) = floor.as_deref().and_then(moment_of) {
                    // The interval that it lies in is not counted to its end.
                    let counted_from = Moment::from_millis(start(floor).as_millis() + step);
                    counts.retain(|(at, _, _), _| *at >= counted_from);
                    return Ok(Counts { counts, counted_from, complete: false });
                }
            }
            after = next;
            if after.is_none() {
                return Ok(Counts { counts, counted_from: from, complete: true });
            }
        }
    }

    /// Counts a timeline back from the newest event, and keeps none of them; where it had to stop before the
    /// end for having used its queries, the position it reached; and how many queries it took.
    async fn count_back(
        &self,
        timeline: &Timeline,
        bounds: &Bounds,
        start: impl Fn(Moment) -> Moment,
        queries: usize,
    ) -> Result<(BTreeMap<Counted, u64>, Option<String>, usize), StoreError> {
        let query = timeline.query(bounds);
        let mut counts = BTreeMap::new();
        let mut next: Option<Item> = None;
        for used in 1..=queries {
            let (found, reached) = self.query_once(&query, &[], usize::MAX, next).await?;
            for entry in &found {
                let position = timeline.position(entry);
                let Some(moment) = moment_of(&position).filter(|_| position < bounds.below) else { continue };
                let effect = entry.get("effect").and_then(|effect| effect.as_s().ok());
                let family = facets::word(entry, Facet::Family).unwrap_or_default();
                let key = (start(moment), family.to_owned(), effect.cloned().unwrap_or_default());
                *counts.entry(key).or_insert(0) += 1;
            }
            next = reached;
            if next.is_none() {
                return Ok((counts, None, used));
            }
        }
        Ok((counts, next.map(|key| timeline.position(&key)), queries))
    }
}
