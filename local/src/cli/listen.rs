//! `listen`: POSTs what happens to a service on this machine, as an endpoint would get it.

use std::time::Duration;

use clap::Args;
use shared::answers::Event;
use shared::clock::{Clock as _, Moment, SystemClock};
use shared::endpoints::{EndpointFilter, EndpointUrl, Reach};

use super::failure::Failure;
use super::forward::{self, Forward};
use super::place::{Opened, Place};
use super::tail::Tail;
use super::time::time;
use super::wanted::Wanted;
use super::{say, say_json};

#[derive(Debug, Args)]
pub(super) struct Listen {
    #[command(flatten)]
    place: Place,
    /// Where to POST the events: http://localhost:3000/hook.
    #[arg(long, value_name = "URL", value_parser = |text: &str| EndpointUrl::read(text, Reach::Local))]
    forward_to: EndpointUrl,
    /// Begin with what was recorded since this time: 2h, 3d, 2026-11-23, 2026-11-23T05:29:04Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Moment>,
    #[command(flatten)]
    wanted: Wanted,
    /// Print JSON, one object per line.
    #[arg(long)]
    json: bool,
}

impl Listen {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let filter = self.wanted.filter()?;
        let start = self.since.unwrap_or_else(|| SystemClock.now());
        let opened = self.place.open().await?;
        let forward = Forward::new(self.forward_to.clone())?;
        if !self.json {
            let from = self.place.stack.as_deref().map(|stack| format!(" of {stack}")).unwrap_or_default();
            say(&format!("Events{from} ({}) go to {}", opened.environment, self.forward_to));
            say(&format!("  signing secret: {}", forward.secret()));
            say("Nothing of this is recorded, or tried again. Press Ctrl-C to stop.");
        }
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => Ok(stopped?),
            failed = self.forward(&opened, &forward, &filter, start) => failed,
        }
    }

    /// Sends what was recorded since then, oldest first, and then what comes.
    async fn forward(
        &self,
        opened: &Opened,
        forward: &Forward,
        filter: &EndpointFilter,
        start: Moment,
    ) -> Result<(), Failure> {
        let mut tail = Tail::from(Vec::new(), start);
        loop {
            for event in tail.news(opened).await? {
                let Some((parcel, attributes)) = forward::parcel(opened, &event.id).await? else { continue };
                if !filter.accepts(&attributes) {
                    continue;
                }
                if !self.json {
                    say(&sent(&event));
                }
                let attempt = forward.send(&parcel).await;
                if self.json {
                    say_json(
                        &serde_json::json!({ "id": event.id, "event": event.event, "attempt": attempt }),
                    );
                } else {
                    say(&forward::answered(&attempt));
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// What is sent, in a line.
fn sent(event: &Event) -> String {
    let parts =
        [Some(event.event.as_str()), event.amount.as_deref(), event.asset.as_deref(), Some(&*event.id)];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    format!("--> {}", parts.join(" "))
}
