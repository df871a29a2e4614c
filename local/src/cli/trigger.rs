//! `trigger`: sends samples.

use clap::Args;
use serde_json::{Value, json};
use shared::environment::Environment;
use shared::model::{EventType, Family, words};
use shared::names::{in_any_case, nearest};
use shared::verify::secret::HEADER;
use url::Url;

use super::failure::Failure;
use super::samples;
use super::{SecretArgument, say, say_json};

#[derive(Debug, Args)]
pub(super) struct Trigger {
    /// An event, a family, or `all`.
    what: String,
    /// The environment to send to: test or live.
    #[arg(long, value_name = "ENVIRONMENT", default_value = "test")]
    env: Environment,
    /// The receiver's URL.
    #[arg(long, default_value = "http://127.0.0.1:8787")]
    url: Url,
    #[command(flatten)]
    secret: SecretArgument,
    /// Change a field of `data`; may be repeated: uid=42, amount='"0.5"', balance.received=1.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print JSON, one answer per line.
    #[arg(long)]
    json: bool,
}

impl Trigger {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let events = select(&self.what)?;
        let secret = self.secret.read()?.header_value();
        let url = self
            .url
            .join(&format!("/webhooks/{}", self.env))
            .map_err(Failure::of(format!("{} cannot be the URL of a receiver", self.url)))?;
        let client = reqwest::Client::builder().build()?;
        let count = events.len();
        let mut accepted = 0;
        for event in events {
            let sample = samples::sample(event, self.env, &self.set)?;
            let request = client
                .post(url.clone())
                .header(HEADER, &secret)
                .header("content-type", "application/json")
                .body(sample);
            let silence = format!("no answer from {url} (is the receiver running? Start it with: cargo run)");
            let response = request.send().await;
            // The URL is named already.
            let response = response.map_err(|error| Failure::of(silence)(error.without_url()))?;
            let status = response.status();
            accepted += usize::from(status.is_success());
            let body = response.text().await.unwrap_or_default();
            if self.json {
                let answer: Value = serde_json::from_str(&body).unwrap_or(Value::String(body));
                say_json(&json!({ "event": event.as_str(), "status": status.as_u16(), "answer": answer }));
            } else {
                say(&format!("{} {:<48} {body}", status.as_u16(), event.as_str()));
            }
        }
        if !self.json {
            say(&format!("{accepted} of {count} accepted"));
        }
        if accepted == count {
            Ok(())
        } else {
            Err(Failure::new(format!("{} were not accepted", count - accepted)))
        }
    }
}

/// The events that an argument names, in the order of their lives.
fn select(what: &str) -> Result<Vec<EventType>, Failure> {
    if what == "all" {
        return Ok(EventType::ALL.to_vec());
    }
    let unknown = match words::event(what) {
        Ok(event) => return Ok(vec![event]),
        Err(unknown) => unknown,
    };
    let family: Option<Family> = in_any_case(what).ok();
    let events: Vec<_> =
        EventType::ALL.iter().copied().filter(|event| Some(event.family()) == family).collect();
    if events.is_empty() {
        let families = Family::ALL.into_iter().map(Family::as_str);
        let meant = match unknown.nearest.or_else(|| nearest(what, families)) {
            Some(nearest) => format!(": did you mean {nearest}?"),
            None => ". `trigger --help` lists them".to_owned(),
        };
        return Err(Failure::usage(format!("`{what}` is neither an event nor a family{meant}")));
    }
    Ok(events)
}

/// For `--help`: the families and their events.
pub(super) fn list_of_events() -> String {
    let mut list = "Families and their events:\n".to_owned();
    for family in Family::ALL {
        let events: Vec<_> = EventType::ALL.iter().filter(|event| event.family() == family).collect();
        if !events.is_empty() {
            list.push_str(&format!("\n  {family}\n"));
        }
        for event in events {
            list.push_str(&format!("    {}\n", event.as_str()));
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_a_family_or_all_is_selected() {
        assert_eq!(select("all").unwrap().len(), 43);
        assert_eq!(select("deposits").unwrap().len(), 5);
        assert_eq!(select("Accounts.Frozen").unwrap(), [EventType::AccountsFrozen]);
        assert!(select("unrecognised").is_err());
        for (what, says) in [
            ("nonsense", ". `trigger --help` lists them"),
            ("deposit.success", ": did you mean transaction.deposit.success?"),
            ("depsits", ": did you mean deposits?"),
        ] {
            let failure = select(what).unwrap_err();
            assert_eq!(failure.line(), format!("`{what}` is neither an event nor a family{says}"));
            assert_eq!(failure.code, 2);
        }
    }
}
