//! `acknowledge`: records that somebody has looked at what is wrong with an event.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use shared::answers::Done;
use uuid::Uuid;

use super::failure::Failure;
use super::place::Place;
use super::show::encoded;
use super::{say, say_json};

#[derive(Debug, Args)]
pub(super) struct Acknowledge {
    #[command(flatten)]
    place: Place,
    /// The event's id.
    id: String,
    /// Why nothing more has to be done: it is recorded, with your name.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    why: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Acknowledge {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let path = format!("events/{}/acknowledge", encoded(&self.id));
        let done: Done = opened.act(&path, &self.why, &Uuid::new_v4().to_string()).await?;
        if self.json {
            say_json(&done);
        } else {
            say(&format!("acknowledged {}: doctor no longer counts it, and its marks stay", self.id));
        }
        Ok(())
    }
}
