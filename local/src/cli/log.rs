//! `log`: events, newest first; and as they come.

use std::time::Duration;

use clap::Args;
use shared::answers::Event;
use shared::clock::{Clock as _, SystemClock};
use shared::model::Oddity;

use super::failure::Failure;
use super::filter::Filter;
use super::place::{Opened, Place};
use super::tail::{Tail, newest};
use super::{say, say_json, say_table};

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
        // What came just before is not news, even where it is one too many to be shown. Asked first: what comes
        // between the two questions is in the second, or is found later.
        let mut tail = Tail::after(opened, query.clone(), SystemClock.now()).await?;
        let (mut shown, _) = newest(opened, &query, self.limit).await?;
        shown.reverse();
        self.print(&shown);
        tail.note(&shown);
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            for event in tail.news(opened).await? {
                if self.json {
                    say_json(&event);
                } else {
                    say(&row(&event).join("  "));
                }
            }
        }
    }
}

/// What a list of events shows.
pub(super) const COLUMNS: [&str; 10] =
    ["recorded", "event", "entity", "status", "amount", "asset", "effect", "marks", "endpoints", "id"];

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
        // Whether those have it that want it.
        event.endpoints.map_or("-".to_owned(), |progress| progress.to_string()),
        event.id.to_string(),
    ]
}

/// What is wrong with the money of an event: that its transaction is contradicted, and why it is not counted.
fn marks(event: &Event) -> String {
    let conflict = event.conflict.then_some("conflict");
    let marks = conflict.into_iter().chain(event.oddity.map(Oddity::as_str));
    marks.collect::<Vec<_>>().join(" ")
}
