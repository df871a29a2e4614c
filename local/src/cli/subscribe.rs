//! `subscribe`: who is told.

use std::collections::BTreeMap;

use aws_sdk_sns::error::DisplayErrorContext;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::model::amount::Decimal;
use url::Url;
use uuid::Uuid;

use super::place::Place;
use super::{say, say_json, say_table};
use crate::product::attached::Attached;
use crate::product::stack::Stack;
use crate::standins::subscriptions::{FilterPolicy, Protocol, Subscription};

#[derive(Debug, Args)]
pub(super) struct Subscribe {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// E-mails to a person, of the events that people want to hear of. Locally: files in the folder `told`.
    Email(Endpoint),
    /// Short messages to a person: +4912345678. Each costs money. Locally: files in the folder `told`.
    Sms(Endpoint),
    /// POSTs to a program, of every event. It has to confirm; locally it need not.
    Https(Endpoint),
    /// Lists who is told.
    List {
        #[command(flatten)]
        place: Place,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tells somebody no longer.
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
    /// Where.
    endpoint: String,
    #[command(flatten)]
    wanted: Wanted,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is wanted: of each option one of the values; of all options all.
#[derive(Debug, Args)]
struct Wanted {
    /// Only of these families.
    #[arg(long)]
    family: Vec<String>,
    /// Only of these types.
    #[arg(long)]
    event: Vec<String>,
    /// Only with these effects.
    #[arg(long)]
    effect: Vec<String>,
    /// Only with these statuses.
    #[arg(long)]
    status: Vec<String>,
    /// Only about these assets.
    #[arg(long)]
    asset: Vec<String>,
    /// Only on these chains.
    #[arg(long)]
    chain: Vec<String>,
    /// Only from this amount in US dollars on, where the webhook says one.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    least: Option<Decimal>,
}

fn dollars(text: &str) -> Result<Decimal, String> {
    Decimal::read(text).map_err(|oddity| oddity.to_string())
}

/// The most attributes of a filter policy (Amazon SNS, developer guide, "Filter policy constraints").
const MOST_ATTRIBUTES: usize = 5;

impl Wanted {
    fn policy(self) -> Result<FilterPolicy, String> {
        let given = [
            ("family", self.family),
            ("event", self.event),
            ("effect", self.effect),
            ("status", self.status),
            ("asset", self.asset),
            ("chain", self.chain),
        ];
        let one_of: BTreeMap<_, _> = given
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(name, values)| (name.to_owned(), values))
            .collect();
        if one_of.len() + usize::from(self.least.is_some()) > MOST_ATTRIBUTES {
            return Err(format!("a subscription filters by {MOST_ATTRIBUTES} options at most"));
        }
        Ok(FilterPolicy { one_of, least_fiat: self.least })
    }
}

impl Subscribe {
    pub(super) async fn run(self) -> Result<(), String> {
        match self.command {
            Command::Email(endpoint) => subscribe(Protocol::Email, endpoint).await,
            Command::Sms(endpoint) => subscribe(Protocol::Sms, endpoint).await,
            Command::Https(endpoint) => subscribe(Protocol::Https, endpoint).await,
            Command::List { place, json } => list(&place, json).await,
            Command::Remove { place, id, json } => remove(&place, id, json).await,
        }
    }
}

/// Looks at an endpoint before it is told anything.
fn check(protocol: Protocol, endpoint: &str, is_local: bool) -> Result<(), String> {
    match protocol {
        Protocol::Email => match endpoint.split_once('@') {
            Some((name, domain)) if !name.is_empty() && !domain.is_empty() => Ok(()),
            _ => Err(format!("{endpoint} is no e-mail address")),
        },
        Protocol::Sms => {
            let digits = endpoint.strip_prefix('+').unwrap_or_default();
            let is_number =
                (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            // ITU-T E.164.
            if is_number {
                Ok(())
            } else {
                Err(format!("{endpoint} is no telephone number like +4912345678"))
            }
        }
        Protocol::Https => match endpoint.parse::<Url>() {
            Ok(url) if url.scheme() == "https" || (is_local && url.scheme() == "http") => Ok(()),
            _ => Err(format!("{endpoint} is no https:// URL")),
        },
    }
}

async fn subscribe(protocol: Protocol, endpoint: Endpoint) -> Result<(), String> {
    let Endpoint { place, endpoint, wanted, json } = endpoint;
    check(protocol, &endpoint, place.stack.is_none())?;
    let filter = wanted.policy()?;
    let (id, note) = match &place.stack {
        None => {
            let attached = Attached::to(&place.data).map_err(|error| error.to_string())?;
            let id = Uuid::new_v4().simple().to_string();
            let subscription = Subscription { id: id.clone(), protocol, endpoint: endpoint.clone(), filter };
            attached.subscriptions.add(subscription).await.map_err(|error| error.to_string())?;
            let folder = place.data.join("told");
            let note = match protocol {
                Protocol::Https => "it is told from now on".to_owned(),
                _ => format!("what it would get is put into {}", folder.display()),
            };
            (id, note)
        }
        Some(name) => subscribe_in(&Stack::find(name).await?, protocol, &endpoint, &filter).await?,
    };
    if json {
        say_json(&json!({ "id": id, "protocol": protocol, "endpoint": endpoint, "note": note }));
    } else {
        say(&format!("{endpoint} is subscribed ({id}): {note}"));
    }
    Ok(())
}

/// Subscribes in a deployed stack: the subscription, and what has to be done yet.
async fn subscribe_in(
    stack: &Stack,
    protocol: Protocol,
    endpoint: &str,
    filter: &FilterPolicy,
) -> Result<(String, String), String> {
    let topic = match protocol {
        Protocol::Email | Protocol::Sms => "TOPIC_PEOPLE",
        Protocol::Https => "TOPIC_PROGRAMS",
    };
    let mut request = aws_sdk_sns::Client::new(&stack.config)
        .subscribe()
        .topic_arn(stack.variable(topic)?)
        .protocol(protocol.as_str())
        .endpoint(endpoint)
        .return_subscription_arn(true);
    if *filter != FilterPolicy::default() {
        request = request.attributes("FilterPolicy", filter.to_json().to_string());
    }
    let done = request.send().await.map_err(|error| DisplayErrorContext(error).to_string())?;
    let note = match protocol {
        Protocol::Email => "AWS sends an e-mail with a link that confirms it",
        Protocol::Https => "the endpoint gets a message with a URL that confirms it",
        Protocol::Sms => "it is told from now on",
    };
    Ok((done.subscription_arn.unwrap_or_default(), note.to_owned()))
}

async fn list(place: &Place, as_json: bool) -> Result<(), String> {
    let found = match &place.stack {
        None => {
            let attached = Attached::to(&place.data).map_err(|error| error.to_string())?;
            let found = attached.subscriptions.list().await.map_err(|error| error.to_string())?;
            let shown = |one: Subscription| {
                json!({ "id": one.id, "protocol": one.protocol, "endpoint": one.endpoint,
                        "filter": one.filter.to_json(), "confirmed": true })
            };
            found.into_iter().map(shown).collect()
        }
        Some(name) => Stack::find(name).await?.subscriptions().await?,
    };
    if as_json {
        say_json(&found);
        return Ok(());
    }
    if found.is_empty() {
        say("nobody is subscribed");
        return Ok(());
    }
    let columns = ["protocol", "endpoint", "confirmed", "filter", "id"];
    let row = |one: &Value| {
        let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        columns.map(|column| one.get(column).map(cell).unwrap_or_default()).to_vec()
    };
    say_table(&columns, found.iter().map(row));
    Ok(())
}

async fn remove(place: &Place, id: String, as_json: bool) -> Result<(), String> {
    match &place.stack {
        None => {
            let attached = Attached::to(&place.data).map_err(|error| error.to_string())?;
            let gone = attached.subscriptions.remove(id.clone()).await.map_err(|error| error.to_string())?;
            if !gone {
                return Err(format!("there is no subscription {id}"));
            }
        }
        Some(name) => {
            let stack = Stack::find(name).await?;
            let request = aws_sdk_sns::Client::new(&stack.config).unsubscribe().subscription_arn(&id);
            request.send().await.map_err(|error| DisplayErrorContext(error).to_string())?;
        }
    }
    if as_json {
        say_json(&json!({ "removed": id }));
    } else {
        say(&format!("{id} is told no longer"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_fits_its_protocol() {
        for (protocol, endpoint, is_local, fits) in [
            (Protocol::Email, "a@example.com", false, true),
            (Protocol::Email, "example.com", false, false),
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
