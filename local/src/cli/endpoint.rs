//! `endpoint`: the user's own services, which get events by a signed POST.

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use lambda_http::http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::answers::{Action, Endpoint, EndpointRecord, Switched, Test, Tested, WithSecret};
use shared::endpoints::Attempt;
use tokio::time::Instant;
use uuid::Uuid;

use super::failure::Failure;
use super::place::{Opened, Place};
use super::show::{encoded, outcome};
use super::wanted::Wanted;
use super::{say, say_json, say_table, short_id};

/// For how long the outcome of a test is waited for: an endpoint may take 15 seconds for its answer.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct EndpointCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add an endpoint, and print its signing secret: it is shown once.
    Add(Box<Add>),
    /// List the endpoints.
    List {
        #[command(flatten)]
        place: Place,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show an endpoint: its state, what waits for it, its last test, and what was done to it.
    Show {
        #[command(flatten)]
        place: Place,
        /// The id that `endpoint list` shows, or its beginning.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send a test event, and print what the endpoint answers.
    Test(Change),
    /// Make a new signing secret, and print it. The previous one signs, too, for 24 hours.
    Rotate(Change),
    /// Send events to the endpoint again, and print how to resend what it missed.
    Enable(Change),
    /// Send no events to the endpoint until it is enabled.
    Disable(Change),
    /// Remove the endpoint.
    Remove(Change),
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    place: Place,
    /// The URL to POST to. Locally it may be http.
    url: String,
    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    #[command(flatten)]
    wanted: Wanted,
    /// The reason, recorded with your name.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    why: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Change {
    #[command(flatten)]
    place: Place,
    /// The id that `endpoint list` shows, or its beginning.
    id: String,
    /// The reason, recorded with your name.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    why: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl EndpointCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Add(add) => add.run().await,
            Command::List { place, json } => list(&place, json).await,
            Command::Show { place, id, json } => show(&place, &id, json).await,
            Command::Test(change) => change.test().await,
            Command::Rotate(change) => change.rotate().await,
            Command::Enable(change) => change.enable().await,
            Command::Disable(change) => change.disable().await,
            Command::Remove(change) => change.remove().await,
        }
    }
}

impl Add {
    async fn run(self) -> Result<(), Failure> {
        let filter = self.wanted.filter()?;
        let opened = self.place.open().await?;
        let order = json!({
            "url": self.url, "description": self.description, "filter": filter,
            "unlisted": self.wanted.unlisted, "why": self.why,
        });
        let added: WithSecret = opened.order(&Method::POST, "endpoints", &order, &key()).await?;
        if self.json {
            say_json(&added);
            return Ok(());
        }
        let WithSecret { endpoint: Endpoint { id, url, .. }, secret } = &added;
        let environment = opened.environment;
        say(&format!("{id} was added: from now on, events of the {environment} environment go to {url}"));
        say(&format!("  signing secret: {secret}"));
        say(
            "The secret is not shown again: keep it where your service reads its secrets, and have a library of",
        );
        say("Standard Webhooks verify each request with it. Then send a test event:");
        say(&format!("  endpoint test {id}{} --why 'a first test'", self.place.options()));
        Ok(())
    }
}

async fn list(place: &Place, json: bool) -> Result<(), Failure> {
    let found = place.open().await?.endpoints().await?;
    if json {
        say_json(&found);
        return Ok(());
    }
    if found.is_empty() {
        say("No endpoints.");
        return Ok(());
    }
    let row = |endpoint: &Endpoint| {
        let last = endpoint.last_success_at.map(|at| at.to_string());
        vec![
            endpoint.state.to_string(),
            endpoint.url.clone(),
            filter(endpoint),
            last.unwrap_or_default(),
            endpoint.description.clone(),
            endpoint.id.clone(),
        ]
    };
    say_table(&["state", "url", "filter", "last success", "description", "id"], found.iter().map(row));
    Ok(())
}

/// The filter as JSON; nothing where there is none.
fn filter(endpoint: &Endpoint) -> String {
    match serde_json::to_value(&endpoint.filter) {
        Ok(Value::Object(words)) if !words.is_empty() => Value::Object(words).to_string(),
        _ => String::new(),
    }
}

async fn show(place: &Place, given: &str, json: bool) -> Result<(), Failure> {
    let opened = place.open().await?;
    let id = short_id::endpoint(&opened, given).await?.id;
    let record: EndpointRecord = opened.get(&format!("endpoints/{}", encoded(&id)), &[]).await?;
    if json {
        say_json(&record);
        return Ok(());
    }
    let EndpointRecord { endpoint, waiting, test, actions } = record;
    let line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            say(&format!("{name:<17}{value}"));
        }
    };
    line("id", Some(endpoint.id.clone()));
    line("url", Some(endpoint.url.clone()));
    line("description", Some(endpoint.description.clone()));
    line("filter", Some(filter(&endpoint)));
    line("state", Some(endpoint.state.to_string()));
    line("created_at", Some(endpoint.created_at.to_string()));
    line("last_success_at", endpoint.last_success_at.map(|at| at.to_string()));
    line("failing_since", endpoint.failing_since.map(|at| at.to_string()));
    line("last_failure", endpoint.last_failure.map(|failure| format!("{} {}", failure.at, failure.error)));
    line("disabled_at", endpoint.disabled_at.map(|at| at.to_string()));
    let more = if waiting.more { " or more" } else { "" };
    line("waiting", Some(format!("{}{more}", waiting.count)));
    if let Some(test) = test {
        let came = test.attempts.last().map_or("no attempt yet".to_owned(), outcome);
        line("last test", Some(format!("{} {came}", test.at)));
    }
    for Action { action, at, who, why, .. } in actions {
        line(action.as_str(), Some(format!("{at} by {who}: {why}")));
    }
    Ok(())
}

impl Change {
    /// The place, open, and the whole id.
    async fn open(&self) -> Result<(Opened, String), Failure> {
        let opened = self.place.open().await?;
        let id = short_id::endpoint(&opened, &self.id).await?.id;
        Ok((opened, id))
    }

    /// Has one of the things done that a path names.
    async fn done<T: DeserializeOwned>(&self, opened: &Opened, id: &str, what: &str) -> Result<T, Failure> {
        Ok(opened.act(&format!("endpoints/{}/{what}", encoded(id)), &self.why, &key()).await?)
    }

    /// Sends a test event, and waits for what comes of it.
    async fn test(self) -> Result<(), Failure> {
        let (opened, id) = self.open().await?;
        let sent: Tested = self.done(&opened, &id, "test").await?;
        let until = Instant::now() + PATIENCE;
        let (test, attempt) = loop {
            let record: EndpointRecord = opened.get(&format!("endpoints/{}", encoded(&id)), &[]).await?;
            let attempted = record.test.filter(|test| test.id == sent.id).and_then(attempted);
            match attempted {
                Some(attempted) => break attempted,
                None if Instant::now() >= until => {
                    let seconds = PATIENCE.as_secs();
                    let running = if opened.stack.is_none() { ": is the receiver running?" } else { "" };
                    return Err(Failure::new(format!("the test was not sent within {seconds} s{running}")));
                }
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        if self.json {
            say_json(&test);
        } else {
            say(&format!("{id}: {}", outcome(&attempt)));
        }
        if attempt.is_success() {
            Ok(())
        } else {
            Err(Failure::new(format!("the endpoint {id} did not accept the test")))
        }
    }

    async fn rotate(self) -> Result<(), Failure> {
        let (opened, id) = self.open().await?;
        let rotated: WithSecret = self.done(&opened, &id, "rotate").await?;
        if self.json {
            say_json(&rotated);
            return Ok(());
        }
        say(&format!("{id} has a new signing secret. It is not shown again:"));
        say(&format!("  signing secret: {}", rotated.secret));
        say("For 24 hours, requests are signed with the previous secret, too: replace it within them.");
        Ok(())
    }

    async fn enable(self) -> Result<(), Failure> {
        let (opened, id) = self.open().await?;
        let enabled: Switched = self.done(&opened, &id, "enable").await?;
        if self.json {
            say_json(&enabled);
            return Ok(());
        }
        say(&format!("{id} is enabled: from now on, events go to {}", enabled.endpoint.url));
        if let Some(missed) = enabled.missed {
            let (from, to, options) = (missed.from, missed.to, self.place.options());
            say("What was recorded while it was disabled was not sent to it. To send that:");
            say(&format!(
                "  resend --from {from} --to {to} --endpoint {id}{options} --why 'it was disabled'"
            ));
        }
        Ok(())
    }

    async fn disable(self) -> Result<(), Failure> {
        let (opened, id) = self.open().await?;
        let disabled: Switched = self.done(&opened, &id, "disable").await?;
        if self.json {
            say_json(&disabled);
        } else {
            say(&format!("{id} is disabled: no events go to it until endpoint enable {id}"));
        }
        Ok(())
    }

    async fn remove(self) -> Result<(), Failure> {
        let (opened, id) = self.open().await?;
        let path = format!("endpoints/{}", encoded(&id));
        let () = opened.order(&Method::DELETE, &path, &json!({ "why": self.why }), &key()).await?;
        if self.json {
            say_json(&json!({ "removed": id }));
        } else {
            say(&format!("{id} was removed"));
        }
        Ok(())
    }
}

/// A test with its last attempt, if there is one.
fn attempted(test: Test) -> Option<(Test, Attempt)> {
    let last = test.attempts.last()?.clone();
    Some((test, last))
}

/// Each command is another action.
fn key() -> String {
    Uuid::new_v4().to_string()
}
