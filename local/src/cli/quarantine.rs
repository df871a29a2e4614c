//! `quarantine`: what could not be read, and once more.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::json;
use shared::answers::{Done, Quarantined};
use shared::causes::with_causes;
use uuid::Uuid;

use super::failure::Failure;
use super::place::Place;
use super::show::encoded;
use super::{deliveries, say, say_json, say_table};

#[derive(Debug, Args)]
pub(super) struct Quarantine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the bodies and why they could not be read.
    List {
        #[command(flatten)]
        place: Place,
        /// Print JSON, with the bodies.
        #[arg(long)]
        json: bool,
    },
    /// Read bodies again, and send those that can be read now to their families.
    Retry {
        #[command(flatten)]
        place: Place,
        /// The ids of the bodies; all bodies if omitted.
        ids: Vec<String>,
        /// The reason, recorded with your name.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        why: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Quarantine {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::List { place, json } => list(&place, json).await,
            Command::Retry { place, ids, why, json } => retry(&place, ids, &why, json).await,
        }
    }
}

async fn list(place: &Place, json: bool) -> Result<(), Failure> {
    let found: Vec<Quarantined> = place.open().await?.all(&[]).await?;
    if json {
        say_json(&found);
        return Ok(());
    }
    if found.is_empty() {
        say("The quarantine is empty.");
        return Ok(());
    }
    let row = |Quarantined { recorded_at, reason, detail, deliveries: count, id, .. }: &Quarantined| {
        vec![recorded_at.to_string(), reason.to_string(), detail.clone(), deliveries(*count), id.clone()]
    };
    say_table(&["recorded", "reason", "detail", "deliveries", "id"], found.iter().map(row));
    Ok(())
}

async fn retry(place: &Place, ids: Vec<String>, why: &str, json: bool) -> Result<(), Failure> {
    let opened = place.open().await?;
    let ids = if ids.is_empty() {
        let all: Vec<Quarantined> = opened.all(&[]).await?;
        all.into_iter().map(|item| item.id).collect()
    } else {
        ids
    };
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for id in ids {
        let key = Uuid::new_v4().to_string();
        match opened.act::<Done>(&format!("quarantine/{}/retry", encoded(&id)), why, &key).await {
            Ok(_) => done.push(id),
            Err(error) => refused.push((id, with_causes(&error))),
        }
    }
    if json {
        let refused: Vec<_> = refused.iter().map(|(id, why)| json!({ "id": id, "why": why })).collect();
        say_json(&json!({ "handed_over": done, "refused": refused }));
    } else {
        done.iter().for_each(|id| say(&format!("{id}: sent to its family")));
        refused.iter().for_each(|(id, why)| say(&format!("{id}: {why}")));
    }
    if refused.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("{} still in quarantine", refused.len())))
    }
}
