//! A deployed stack, seen from this machine with its user's own credentials.

use std::collections::HashMap;

use api::Watched;
use aws_config::SdkConfig;
use aws_sdk_lambda::error::DisplayErrorContext;
use serde_json::{Value, json};
use shared::clock::SystemClock;
use shared::environment::Environment;
use shared::model::Family;
use shared::queue::{DeliveryQueue, Depth, Depths, QueueError, Redrive};
use shared::rotating::Rotating;
use shared::runtime;
use shared::store::Table;
use shared::verify::{Sealed, SealingKeys};

/// A stack: where its parts are, as its functions know them.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Which of Bitpowr's environments it serves.
    pub environment: Environment,
    /// How its account is reached.
    pub config: SdkConfig,
    /// The variables of its functions.
    variables: HashMap<String, String>,
}

impl Stack {
    /// Looks a stack up by the functions that it has.
    ///
    /// # Errors
    /// One line that says what is missing.
    pub async fn find(name: &str) -> Result<Self, String> {
        let config = runtime::aws().await;
        let lambda = aws_sdk_lambda::Client::new(&config);
        let mut variables = HashMap::new();
        for function in ["actions", "notify", "ingest"] {
            let function = format!("{name}-{function}");
            let found = lambda.get_function_configuration().function_name(&function).send().await;
            let found = found.map_err(|error| match error.as_service_error() {
                Some(error) if error.is_resource_not_found_exception() => {
                    format!("there is no function {function} in this account and region: is {name} the stack's name?")
                }
                _ => format!("the function {function}: {}", DisplayErrorContext(error)),
            })?;
            variables
                .extend(found.environment.and_then(|environment| environment.variables).unwrap_or_default());
        }
        let environment = variables.get("BITPOWR_ENVIRONMENT").and_then(|name| name.parse().ok());
        let environment =
            environment.ok_or_else(|| format!("the functions of {name} name no environment"))?;
        Ok(Self { name: name.to_owned(), environment, config, variables })
    }

    /// A variable of its functions.
    ///
    /// # Errors
    /// Where none has it.
    pub fn variable(&self, name: &str) -> Result<&str, String> {
        let value = self.variables.get(name).map(String::as_str);
        value.ok_or_else(|| {
            format!("no function of {} has the variable {name}: deploy this version", self.name)
        })
    }

    /// Its table.
    ///
    /// # Errors
    /// Where no function names it.
    pub fn table(&self) -> Result<Table, String> {
        Ok(Table::new(aws_sdk_dynamodb::Client::new(&self.config), self.variable("TABLE_NAME")?))
    }

    /// Its queues.
    ///
    /// # Errors
    /// Where no function names one of them.
    pub fn queues(&self) -> Result<Queues, String> {
        let queues = runtime::queues(&self.config, |name| self.variable(name).map(str::to_owned))?;
        let watched = Watched::new(queues, aws_sdk_cloudwatch::Client::new(&self.config), SystemClock);
        Ok(Queues::Stack(Box::new(watched)))
    }

    /// What its deliveries are sealed with, if the caller may know it.
    ///
    /// # Errors
    /// Where no function names the secret.
    pub async fn sealing_keys(&self) -> Result<Rotating<SealingKeys>, String> {
        Ok(runtime::sealing_keys_of(&self.config, self.variable("SEALING_KEY_ID")?.to_owned()).await)
    }

    /// Who is told: `id`, `protocol`, `endpoint`, `filter`, `confirmed`.
    ///
    /// # Errors
    /// Where SNS does not say.
    pub async fn subscriptions(&self) -> Result<Vec<Value>, String> {
        let client = aws_sdk_sns::Client::new(&self.config);
        let mut all = Vec::new();
        for topic in ["TOPIC_PEOPLE", "TOPIC_PROGRAMS"] {
            let topic = self.variable(topic)?;
            let mut pages = client.list_subscriptions_by_topic().topic_arn(topic).into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| DisplayErrorContext(error).to_string())?;
                for one in page.subscriptions.unwrap_or_default() {
                    let id = one.subscription_arn.unwrap_or_default();
                    let known = attributes(&client, &id).await;
                    // What is not confirmed has no ARN, but the text `PendingConfirmation`, or says so itself.
                    let pending = known.get("PendingConfirmation").is_some_and(|pending| pending == "true");
                    let confirmed = id.starts_with("arn:") && !pending;
                    let policy = known.get("FilterPolicy").map(|policy| serde_json::from_str(policy));
                    let policy: Option<Value> = policy.and_then(Result::ok);
                    all.push(json!({
                        "id": id,
                        "protocol": one.protocol,
                        "endpoint": one.endpoint,
                        "filter": policy,
                        "confirmed": confirmed,
                    }));
                }
            }
        }
        Ok(all)
    }

    /// Whose credentials these are.
    ///
    /// # Errors
    /// Where they are none.
    pub async fn caller(&self) -> Result<String, String> {
        let found = aws_sdk_sts::Client::new(&self.config).get_caller_identity().send().await;
        let found = found.map_err(|error| format!("your credentials: {}", DisplayErrorContext(error)))?;
        found.arn.ok_or_else(|| "your credentials have no name".to_owned())
    }
}

/// What SNS says of a subscription; nothing where it does not.
async fn attributes(client: &aws_sdk_sns::Client, id: &str) -> HashMap<String, String> {
    let asked = client.get_subscription_attributes().subscription_arn(id).send().await;
    asked.ok().and_then(|answer| answer.attributes).unwrap_or_default()
}

/// Queues, here or there.
#[derive(Clone, Debug)]
pub enum Queues {
    /// Of this machine.
    Here(crate::standins::queues::Queues),
    /// Of a stack.
    Stack(Box<Watched<SystemClock>>),
}

impl Depths for Queues {
    async fn depths(&self) -> Result<Vec<(Family, Depth)>, QueueError> {
        match self {
            Self::Here(queues) => queues.depths().await,
            Self::Stack(queues) => queues.depths().await,
        }
    }
}

impl DeliveryQueue for Queues {
    async fn send(&self, delivery: &Sealed) -> Result<(), QueueError> {
        match self {
            Self::Here(queues) => DeliveryQueue::send(queues, delivery).await,
            Self::Stack(watched) => watched.queues.send(delivery).await,
        }
    }
}

impl Redrive for Queues {
    async fn redrive(&self, family: Family, most: usize) -> Result<usize, QueueError> {
        match self {
            Self::Here(queues) => queues.redrive(family, most).await,
            Self::Stack(watched) => watched.queues.redrive(family, most).await,
        }
    }
}
