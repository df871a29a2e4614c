//! `dead-letters`: deliveries that their family gave up, and once more.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::json;
use shared::answers::{Health, Queue, Redriven};
use shared::model::Family;
use uuid::Uuid;

use super::failure::Failure;
use super::place::{Opened, Place};
use super::{say, say_json, say_table};

#[derive(Debug, Args)]
pub(super) struct DeadLetters {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how many each family has.
    List {
        #[command(flatten)]
        place: Place,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Move them back to their queue.
    Redrive {
        #[command(flatten)]
        place: Place,
        /// Only this family; all families if omitted.
        family: Option<Family>,
        /// The reason, recorded with your name.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        why: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl DeadLetters {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::List { place, json } => list(&place.open().await?, json).await,
            Command::Redrive { place, family, why, json } => {
                redrive(&place.open().await?, family, &why, json).await
            }
        }
    }
}

async fn queues(opened: &Opened) -> Result<Vec<Queue>, Failure> {
    let health: Health = opened.get("health", &[]).await?;
    Ok(health.queues)
}

async fn list(opened: &Opened, json: bool) -> Result<(), Failure> {
    let queues = queues(opened).await?;
    if json {
        say_json(&queues);
        return Ok(());
    }
    let row = |Queue { family, dead_letters, waiting, in_flight, oldest_seconds }: &Queue| {
        let oldest = oldest_seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
        let counts = [dead_letters, waiting, in_flight].map(u64::to_string);
        [family.to_string()].into_iter().chain(counts).chain([oldest]).collect()
    };
    say_table(&["family", "dead letters", "waiting", "in flight", "oldest, s"], queues.iter().map(row));
    Ok(())
}

async fn redrive(opened: &Opened, only: Option<Family>, why: &str, json: bool) -> Result<(), Failure> {
    let mut moved = serde_json::Map::new();
    for Queue { family, dead_letters, .. } in queues(opened).await? {
        if dead_letters == 0 || only.is_some_and(|only| only != family) {
            continue;
        }
        let mut count = 0;
        let ended = put_back(opened, family, why, &mut count).await;
        if !json {
            say(&format!("{family}: {count} moved back to the queue"));
        }
        ended?;
        moved.insert(family.to_string(), json!(count));
    }
    if json {
        say_json(&json!({ "moved": moved }));
    } else if moved.is_empty() {
        say("No dead letters.");
    }
    Ok(())
}

/// Puts a family's dead letters back until none are left, and counts them.
async fn put_back(opened: &Opened, family: Family, why: &str, count: &mut usize) -> Result<(), Failure> {
    loop {
        let key = Uuid::new_v4().to_string();
        let done: Redriven = opened.act(&format!("dead-letters/{family}/redrive"), why, &key).await?;
        *count += done.moved;
        if !done.more {
            return Ok(());
        }
    }
}
