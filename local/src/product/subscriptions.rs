//! Who is notified, here or in a stack.

use std::collections::HashMap;
use std::future::Future;

use aws_sdk_sns::Client;
use serde::Serialize;
use serde_json::{Value, json};
use shared::aws_error::AwsError;
use uuid::Uuid;

use super::attached::Attached;
use super::stack::{Stack, StackError};
use crate::standins::database::DatabaseError;
use crate::standins::subscriptions::{FilterPolicy, Protocol, Subscription};

/// Those who are notified, to be looked at and changed.
pub trait Subscriptions {
    /// Adds an endpoint, of what its filter lets through.
    fn add(
        &self,
        protocol: Protocol,
        endpoint: &str,
        filter: FilterPolicy,
    ) -> impl Future<Output = Result<Added, SubscriptionError>> + Send;

    /// All of them.
    fn list(&self) -> impl Future<Output = Result<Vec<Listed>, SubscriptionError>> + Send;

    /// Removes one, by the id that the list shows.
    fn remove(&self, id: &str) -> impl Future<Output = Result<(), SubscriptionError>> + Send;
}

/// A subscription that was added.
#[derive(Debug)]
pub struct Added {
    /// Its id.
    pub id: String,
    /// What follows, or has to be done yet.
    pub note: String,
}

/// A subscription, as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
    /// Its id. In a stack what is not confirmed has none of its own.
    pub id: String,
    /// How: a stack has more ways than [`Protocol`].
    pub protocol: Option<String>,
    /// Where.
    pub endpoint: Option<String>,
    /// Its filter policy, if it is known to have one.
    pub filter: Option<Value>,
    /// Whether it is in force.
    pub confirmed: bool,
}

/// Subscriptions cannot be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// The data folder's cannot be read or written.
    #[error("the subscriptions cannot be read or written")]
    Here(#[from] DatabaseError),
    /// There is no such.
    #[error("not found: no subscription has the id {0}")]
    Unknown(String),
    /// The stack is not as it should be.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// SNS refused, or did not answer.
    #[error("{what}")]
    Sns {
        /// What could not be done.
        what: &'static str,
        /// Why.
        source: AwsError,
    },
}

impl SubscriptionError {
    fn sns<E: Into<AwsError>>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::Sns { what, source: error.into() }
    }
}

impl Subscriptions for Attached {
    async fn add(
        &self,
        protocol: Protocol,
        endpoint: &str,
        filter: FilterPolicy,
    ) -> Result<Added, SubscriptionError> {
        let id = Uuid::new_v4().simple().to_string();
        let subscription = Subscription { id: id.clone(), protocol, endpoint: endpoint.to_owned(), filter };
        self.subscriptions.add(subscription).await?;
        let note = match protocol {
            Protocol::Https => "notifications start now".to_owned(),
            _ => format!("its messages are written to {}", self.messages.display()),
        };
        Ok(Added { id, note })
    }

    async fn list(&self) -> Result<Vec<Listed>, SubscriptionError> {
        let found = self.subscriptions.list().await?;
        let listed = |one: Subscription| Listed {
            id: one.id,
            protocol: Some(one.protocol.as_str().to_owned()),
            endpoint: Some(one.endpoint),
            filter: Some(one.filter.to_json()),
            // Nobody has to confirm here.
            confirmed: true,
        };
        Ok(found.into_iter().map(listed).collect())
    }

    async fn remove(&self, id: &str) -> Result<(), SubscriptionError> {
        if self.subscriptions.remove(id.to_owned()).await? {
            Ok(())
        } else {
            Err(SubscriptionError::Unknown(id.to_owned()))
        }
    }
}

impl Subscriptions for Stack {
    async fn add(
        &self,
        protocol: Protocol,
        endpoint: &str,
        filter: FilterPolicy,
    ) -> Result<Added, SubscriptionError> {
        let topic = match protocol {
            Protocol::Email | Protocol::Sms => "TOPIC_PEOPLE",
            Protocol::Https => "TOPIC_PROGRAMS",
        };
        let request = Client::new(&self.config)
            .subscribe()
            .topic_arn(self.variable(topic)?)
            .protocol(protocol.as_str())
            .endpoint(endpoint)
            .return_subscription_arn(true)
            .set_attributes(Some(attributes_of(
                protocol,
                &filter,
                self.variable("SUBSCRIBER_DEAD_LETTERS")?,
            )));
        let added =
            request.send().await.map_err(SubscriptionError::sns("the endpoint cannot be subscribed"))?;
        let note = match protocol {
            Protocol::Email => "AWS sends an e-mail with a link that confirms it",
            Protocol::Https => "AWS sends a message with a URL that confirms it",
            Protocol::Sms => "notifications start now",
        };
        Ok(Added { id: added.subscription_arn.unwrap_or_default(), note: note.to_owned() })
    }

    async fn list(&self) -> Result<Vec<Listed>, SubscriptionError> {
        let mut all = subscribed(self, "TOPIC_PEOPLE").await?;
        all.extend(subscribed(self, "TOPIC_PROGRAMS").await?);
        Ok(all)
    }

    async fn remove(&self, id: &str) -> Result<(), SubscriptionError> {
        let request = Client::new(&self.config).unsubscribe().subscription_arn(id);
        request.send().await.map_err(SubscriptionError::sns("the subscription cannot be removed"))?;
        Ok(())
    }
}

/// How SNS tries a program again: each minute for an hour, which is the most that it allows. `template.yaml` has the same.
const DELIVERY_POLICY: &str =
    r#"{"healthyRetryPolicy":{"minDelayTarget":60,"maxDelayTarget":60,"numRetries":59}}"#;

/// What a new subscription in a stack is made with: its filter, if it has one, and where its messages go that it is not
/// sent in the end.
fn attributes_of(protocol: Protocol, filter: &FilterPolicy, dead_letters: &str) -> HashMap<String, String> {
    let redrive = json!({ "deadLetterTargetArn": dead_letters }).to_string();
    let mut attributes = HashMap::from([("RedrivePolicy".to_owned(), redrive)]);
    if protocol == Protocol::Https {
        attributes.insert("DeliveryPolicy".to_owned(), DELIVERY_POLICY.to_owned());
    }
    if *filter != FilterPolicy::default() {
        attributes.insert("FilterPolicy".to_owned(), filter.to_json().to_string());
    }
    attributes
}

/// Who is sent a stack's alarms.
///
/// # Errors
/// Where SNS does not say.
pub async fn alarm_recipients(stack: &Stack) -> Result<Vec<Listed>, SubscriptionError> {
    subscribed(stack, "TOPIC_ALARMS").await
}

/// The subscriptions of the topic that a variable names.
async fn subscribed(stack: &Stack, variable: &str) -> Result<Vec<Listed>, SubscriptionError> {
    let client = Client::new(&stack.config);
    let topic = stack.variable(variable)?;
    let mut pages = client.list_subscriptions_by_topic().topic_arn(topic).into_paginator().send();
    let mut all = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(SubscriptionError::sns("the subscriptions cannot be listed"))?;
        for one in page.subscriptions.unwrap_or_default() {
            all.push(listed(&client, one).await);
        }
    }
    Ok(all)
}

/// A subscription of SNS, with what SNS says of it beside.
async fn listed(client: &Client, one: aws_sdk_sns::types::Subscription) -> Listed {
    let id = one.subscription_arn.unwrap_or_default();
    let known = attributes(client, &id).await;
    // What is not confirmed has no ARN, but the text `PendingConfirmation`, or says so itself.
    let pending = known.get("PendingConfirmation").is_some_and(|pending| pending == "true");
    let confirmed = id.starts_with("arn:") && !pending;
    let filter = known.get("FilterPolicy").and_then(|policy| serde_json::from_str(policy).ok());
    Listed { id, protocol: one.protocol, endpoint: one.endpoint, filter, confirmed }
}

/// What SNS says of a subscription; nothing where it does not.
async fn attributes(client: &Client, id: &str) -> HashMap<String, String> {
    let asked = client.get_subscription_attributes().subscription_arn(id).send().await;
    asked.ok().and_then(|answer| answer.attributes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_made_by_command_loses_nothing_in_silence() {
        let made =
            |protocol| attributes_of(protocol, &FilterPolicy::default(), "arn:aws:sqs:eu-west-1:1:letters");
        let redrive = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:1:letters"}"#;
        for protocol in [Protocol::Email, Protocol::Sms, Protocol::Https] {
            assert_eq!(made(protocol)["RedrivePolicy"], redrive);
            // SNS refuses an empty one.
            assert_eq!(made(protocol).get("FilterPolicy"), None);
        }
        // SNS takes a delivery policy for HTTPS only.
        assert_eq!(made(Protocol::Email).len() + made(Protocol::Sms).len(), 2);
        let policy: Value = serde_json::from_str(&made(Protocol::Https)["DeliveryPolicy"]).unwrap();
        assert_eq!(policy["healthyRetryPolicy"]["numRetries"], 59);
    }

    #[test]
    fn a_listed_subscription_has_the_fields_that_programs_know() {
        let pending = Listed {
            id: "PendingConfirmation".to_owned(),
            protocol: Some("email".to_owned()),
            endpoint: Some("a@example.com".to_owned()),
            filter: None,
            confirmed: false,
        };
        assert_eq!(
            serde_json::to_string(&pending).unwrap(),
            r#"{"id":"PendingConfirmation","protocol":"email","endpoint":"a@example.com","filter":null,"confirmed":false}"#
        );
    }
}
