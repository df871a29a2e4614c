//! The log as it grows.

use std::collections::HashMap;

use futures::TryStreamExt as _;
use jiff::SignedDuration;
use shared::answers::Event;
use shared::clock::Moment;
use shared::model::EventId;

use super::failure::Failure;
use super::place::Opened;

/// What comes late into the index is looked for again for so long.
const OVERLAP: SignedDuration = SignedDuration::from_secs(5);

/// The place in the log up to which events are known.
pub(super) struct Tail {
    query: Vec<(String, String)>,
    /// Nothing older is looked for.
    start: Moment,
    latest: Moment,
    seen: HashMap<EventId, Moment>,
}

impl Tail {
    /// What matches a query from a time on.
    pub(super) fn from(mut query: Vec<(String, String)>, start: Moment) -> Self {
        query.retain(|(name, _)| name != "from");
        Self { query, start, latest: start, seen: HashMap::new() }
    }

    /// What matches a query and comes after a time, or comes late. What is known is no news.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub(super) async fn after(
        opened: &Opened,
        query: Vec<(String, String)>,
        begun: Moment,
    ) -> Result<Self, Failure> {
        let mut tail = Self::from(query, begun.before(OVERLAP));
        tail.latest = begun;
        tail.news(opened).await?;
        Ok(tail)
    }

    /// Notes that some events are known.
    pub(super) fn note(&mut self, events: &[Event]) {
        self.seen.extend(events.iter().map(|event| (event.id.clone(), event.recorded_at)));
    }

    /// What came since it was last asked, oldest first, each event once.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub(super) async fn news(&mut self, opened: &Opened) -> Result<Vec<Event>, Failure> {
        let since = self.start.max(self.latest.before(OVERLAP));
        let mut query = self.query.clone();
        query.push(("from".to_owned(), since.to_string()));
        let (mut events, _) = newest(opened, &query, usize::MAX).await?;
        events.retain(|event| !self.seen.contains_key(&event.id));
        events.reverse();
        self.note(&events);
        self.latest = events.iter().map(|event| event.recorded_at).fold(self.latest, Moment::max);
        // What is older than the look back does not come again.
        self.seen.retain(|_, recorded_at| *recorded_at >= since);
        Ok(events)
    }
}

/// The newest events that fit, at most so many; and where there is none what may have been meant.
pub(super) async fn newest(
    opened: &Opened,
    query: &[(String, String)],
    limit: usize,
) -> Result<(Vec<Event>, Option<String>), Failure> {
    let (mut events, mut hint) = (Vec::new(), None);
    let mut pages = std::pin::pin!(opened.pages(query, None));
    while let Some(page) = pages.try_next().await? {
        events.extend(page.entries);
        hint = page.hint;
        if events.len() >= limit {
            events.truncate(limit);
            break;
        }
    }
    Ok((events, hint))
}
