//! `subscribe`: who is notified.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::endpoints::EndpointFilter;
use shared::fold::Effect;
use shared::model::Family;
use shared::model::notification::COUNTED;
use url::Url;

use super::failure::Failure;
use super::place::Place;
use super::wanted::Wanted;
use super::{say, say_json, say_table};
use crate::product::attached::Attached;
use crate::product::stack::Stack;
use crate::product::subscriptions::{Added, Listed, Subscriptions};
use crate::standins::subscriptions::{FilterPolicy, Protocol};

#[derive(Debug, Args)]
pub(super) struct Subscribe {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send e-mails about the events that concern people. Locally: files in the folder `told`.
    Email(Endpoint),
    /// Send text messages, to +4912345678 for example. Each costs money. Locally: files in the folder `told`.
    Sms(Endpoint),
    /// POST every event to a program. The program must confirm the subscription; locally it need not.
    Https(Endpoint),
    /// List the subscriptions.
    List {
        #[command(flatten)]
        place: Place,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove a subscription.
    Remove {
        #[command(flatten)]
        place: Place,
        /// The id that `subscribe list` shows.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Endpoint {
    #[command(flatten)]
    place: Place,
    /// The e-mail address, phone number or URL.
    endpoint: String,
    #[command(flatten)]
    wanted: Wanted,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The most attributes of a filter policy (Amazon SNS, developer guide, "Filter policy constraints").
const MOST_ATTRIBUTES: usize = 5;

/// What a filter is for a topic.
fn policy(filter: EndpointFilter) -> Result<FilterPolicy, Failure> {
    let EndpointFilter { family, event, effect, status, asset, chain, counted, least } = filter;
    let given = [
        ("family", family.iter().map(Family::to_string).collect()),
        ("event", event),
        ("effect", effect.iter().map(Effect::to_string).collect()),
        ("status", status),
        ("asset", asset),
        ("chain", chain),
        (COUNTED, counted.then(|| "true".to_owned()).into_iter().collect()),
    ];
    let one_of: BTreeMap<String, Vec<String>> = given
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| (name.to_owned(), values))
        .collect();
    if one_of.len() + usize::from(least.is_some()) > MOST_ATTRIBUTES {
        let many = format!("a subscription can filter by at most {MOST_ATTRIBUTES} options");
        return Err(Failure::new(many));
    }
    Ok(FilterPolicy { one_of, least_fiat: least })
}

/// What is to be done, wherever it is.
enum Work {
    Add(Protocol, String, FilterPolicy),
    List,
    Remove(String),
}

impl Endpoint {
    /// Whether it can be subscribed is seen before anything is opened.
    fn work(self, protocol: Protocol) -> Result<(Place, bool, Work), Failure> {
        check(protocol, &self.endpoint, self.place.stack.is_none())?;
        Ok((self.place, self.json, Work::Add(protocol, self.endpoint, policy(self.wanted.filter()?)?)))
    }
}

impl Subscribe {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (place, json, work) = match self.command {
            Command::Email(endpoint) => endpoint.work(Protocol::Email)?,
            Command::Sms(endpoint) => endpoint.work(Protocol::Sms)?,
            Command::Https(endpoint) => endpoint.work(Protocol::Https)?,
            Command::List { place, json } => (place, json, Work::List),
            Command::Remove { place, id, json } => (place, json, Work::Remove(id)),
        };
        match &place.stack {
            None => work.run(&Attached::to(&place.data)?, json).await,
            Some(name) => work.run(&Stack::find(name).await?, json).await,
        }
    }
}

impl Work {
    async fn run(self, subscriptions: &impl Subscriptions, json: bool) -> Result<(), Failure> {
        match self {
            Self::Add(protocol, endpoint, filter) => {
                let Added { id, note } = subscriptions.add(protocol, &endpoint, filter).await?;
                if json {
                    say_json(&json!({ "id": id, "protocol": protocol, "endpoint": endpoint, "note": note }));
                } else {
                    say(&format!("{endpoint} is subscribed ({id}): {note}"));
                }
            }
            Self::List => {
                let all = subscriptions.list().await?;
                if json { say_json(&all) } else { show(&all) }
            }
            Self::Remove(id) => {
                subscriptions.remove(&id).await?;
                if json {
                    say_json(&json!({ "removed": id }));
                } else {
                    say(&format!("{id} was removed"));
                }
            }
        }
        Ok(())
    }
}

/// Shows subscriptions to people.
fn show(all: &[Listed]) {
    if all.is_empty() {
        say("No subscriptions.");
        return;
    }
    let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "null".to_owned());
    let row = |one: &Listed| {
        let filter = one.filter.as_ref().map_or_else(|| "null".to_owned(), Value::to_string);
        vec![text(&one.protocol), text(&one.endpoint), one.confirmed.to_string(), filter, one.id.clone()]
    };
    say_table(&["protocol", "endpoint", "confirmed", "filter", "id"], all.iter().map(row));
}

/// Looks at an endpoint before anything is sent to it.
fn check(protocol: Protocol, endpoint: &str, is_local: bool) -> Result<(), Failure> {
    let no = |what: &str| Err(Failure::usage(format!("{endpoint} is not {what}")));
    match protocol {
        Protocol::Email => match endpoint.rsplit_once('@') {
            Some((name, domain)) if is_local_part(name) && is_domain(domain) => Ok(()),
            _ => no("an e-mail address like name@example.com"),
        },
        Protocol::Sms => {
            let digits = endpoint.strip_prefix('+').unwrap_or_default();
            let is_number =
                (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            // ITU-T E.164.
            if is_number { Ok(()) } else { no("a phone number like +4912345678") }
        }
        Protocol::Https => match endpoint.parse::<Url>() {
            Ok(url) if url.scheme() == "https" || (is_local && url.scheme() == "http") => Ok(()),
            _ => no("an https:// URL"),
        },
    }
}

/// Whether a text may stand before the `@` of an e-mail address, without quotes (RFC 5322, section 3.2.3).
fn is_local_part(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "@,;:<>()[]\\\"".contains(c))
}

/// Whether a text is a domain that mail from outside can reach: it has a dot.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-') && !label.starts_with('-')
    };
    text.contains('.') && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_fits_its_protocol() {
        for (protocol, endpoint, is_local, fits) in [
            (Protocol::Email, "a@example.com", false, true),
            (Protocol::Email, "example.com", false, false),
            (Protocol::Email, "a@b", false, false),
            (Protocol::Email, "a@b.", false, false),
            (Protocol::Email, "a b@example.com", false, false),
            (Protocol::Email, "a@b@example.com", false, false),
            (Protocol::Email, "first.last+tag@mail.example.com", false, true),
            (Protocol::Sms, "+4912345678", false, true),
            (Protocol::Sms, "012345678", false, false),
            (Protocol::Https, "https://example.com/x", false, true),
            (Protocol::Https, "http://127.0.0.1:9/x", true, true),
            (Protocol::Https, "http://example.com/x", false, false),
            (Protocol::Https, "example.com", true, false),
        ] {
            assert_eq!(check(protocol, endpoint, is_local).is_ok(), fits, "{endpoint}");
        }
    }
}
