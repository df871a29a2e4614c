//! `log`: events, newest first; and as they come.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;
use futures::TryStreamExt as _;
use jiff::SignedDuration;
use shared::answers::Event;
use shared::clock::{Clock as _, Moment, SystemClock};
use shared::model::Oddity;

use super::failure::Failure;
use super::filter::Filter;
use super::place::{Opened, Place};
use super::{say, say_json, say_table};

/// What comes late into the index is looked for again for so long.
const OVERLAP: SignedDuration = SignedDuration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Log {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    filter: Filter,
    /// The maximum number of events.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Keep printing new events, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    /// Print JSON, one event per line.
    #[arg(long)]
    json: bool,
}

impl Log {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let query = self.filter.query();
        if self.follow {
            return self.follow(&opened, query).await;
        }
        let (events, hint) = newest(&opened, &query, self.limit).await?;
        if events.is_empty() && !self.json {
            say("No events match.");
            hint.iter().for_each(|hint| say(hint));
        }
        self.print(&events);
        Ok(())
    }

    fn print(&self, events: &[Event]) {
        if self.json {
            events.iter().for_each(say_json);
        } else if !events.is_empty() {
            say_table(&COLUMNS, events.iter().map(row));
        }
    }

    /// Prints the newest, and then what comes, oldest first, each event once.
    async fn follow(&self, opened: &Opened, query: Vec<(String, String)>) -> Result<(), Failure> {
        let from = |moment: Moment| {
            let mut recent = query.clone();
            recent.retain(|(name, _)| name != "from");
            recent.push(("from".to_owned(), moment.before(OVERLAP).to_string()));
            recent
        };
        let begun = SystemClock.now();
        // What came just before is not news, even where it is one too many to be shown. Asked first: what comes
        // between the two questions is in the second, or is found later.
        let (before, _) = newest(opened, &from(begun), usize::MAX).await?;
        let (mut shown, _) = newest(opened, &query, self.limit).await?;
        shown.reverse();
        self.print(&shown);
        let known = shown.iter().chain(&before);
        let mut seen: HashMap<String, Moment> =
            known.map(|event| (event.id.clone(), event.recorded_at)).collect();
        let mut latest = begun;
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let since = latest.before(OVERLAP);
            let (mut events, _) = newest(opened, &from(latest), usize::MAX).await?;
            events.retain(|event| !seen.contains_key(&event.id));
            events.reverse();
            for event in &events {
                latest = latest.max(event.recorded_at);
                seen.insert(event.id.clone(), event.recorded_at);
                if self.json {
                    say_json(event);
                } else {
                    say(&row(event).join("  "));
                }
            }
            // What is older than the look back does not come again.
            seen.retain(|_, moment| *moment >= since);
        }
    }
}

/// The newest events that fit, at most so many; and where there is none what may have been meant.
async fn newest(
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

/// What a list of events shows.
pub(super) const COLUMNS: [&str; 9] =
    ["recorded", "event", "entity", "status", "amount", "asset", "effect", "marks", "id"];

/// An event as a row of it.
pub(super) fn row(event: &Event) -> Vec<String> {
    let uid = event.entity.as_ref().map(|entity| entity.uid.clone());
    vec![
        event.recorded_at.to_string(),
        event.event.clone(),
        uid.unwrap_or_default(),
        event.status.clone(),
        event.amount.clone().unwrap_or_default(),
        event.asset.clone().unwrap_or_default(),
        event.effect.to_string(),
        marks(event),
        event.id.clone(),
    ]
}

/// What is wrong with the money of an event: that its transaction is contradicted, and why it is not counted.
fn marks(event: &Event) -> String {
    let conflict = event.conflict.then_some("conflict");
    let marks = conflict.into_iter().chain(event.oddity.map(Oddity::as_str));
    marks.collect::<Vec<_>>().join(" ")
}
