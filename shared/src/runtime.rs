//! Starting a deployed function: settings from its environment, secrets from AWS Secrets Manager, clients.

use std::collections::HashMap;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::sqs::SqsEvent;
use aws_sdk_secretsmanager::Client;
use lambda_http::{Body, Request, Response};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use std::time::Duration;

use crate::access::Access;
use crate::aws_error::AwsError;
use crate::clock::SystemClock;
use crate::endpoints::Reach;
use crate::endpoints::signing::{DeliveryKey, DeliveryKeys};
use crate::environment::{Environment, Environments};
use crate::family::FamilyRules;
use crate::http;
use crate::model;
use crate::pipeline::Pipeline;
use crate::queue::Sqs;
use crate::rotating::{Cause, Rotating};
use crate::store::Table;
use crate::telemetry;
use crate::verify::{SealingKey, SealingKeys, Secret, Secrets};

/// A function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A variable of the function's environment is missing.
    #[error("the environment variable {0} is not set")]
    Missing(String),
    /// A variable has a value that is none.
    #[error("the environment variable {0} has a value that is not understood")]
    Invalid(&'static str),
}

/// A secret of AWS Secrets Manager cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager refused or did not answer.
    #[error("the secret {id} cannot be fetched: {source}")]
    Aws {
        /// The secret.
        id: String,
        /// Why.
        source: AwsError,
    },
    /// It has no value.
    #[error("the secret {0} has no value")]
    Empty(String),
}

impl SecretError {
    fn aws(id: &str, error: impl Into<AwsError>) -> Self {
        Self::Aws { id: id.to_owned(), source: error.into() }
    }
}

/// A setting of the function.
///
/// # Errors
/// [`StartError::Missing`] where it is not set.
pub fn setting(name: &str) -> Result<String, StartError> {
    std::env::var(name).map_err(|_| StartError::Missing(name.to_owned()))
}

/// The environment that this stack serves, from `BITPOWR_ENVIRONMENT`.
///
/// # Errors
/// [`StartError`] where it is not set, or neither `test` nor `live`.
pub fn environment() -> Result<Environment, StartError> {
    let name = "BITPOWR_ENVIRONMENT";
    setting(name)?.parse().map_err(|_| StartError::Invalid(name))
}

/// The configuration of the AWS clients. A 5xx to Bitpowr costs an hour, so that calls are tried again for up
/// to 20 seconds before one is given.
pub async fn aws() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(20))
        .build();
    aws_config::from_env()
        .retry_config(RetryConfig::standard().with_max_attempts(8).with_max_backoff(Duration::from_secs(3)))
        .timeout_config(timeouts)
        .load()
        .await
}

/// A secret's value in one stage, with its version; none where there is none in that stage.
async fn staged(client: &Client, id: &str, stage: &str) -> Result<Option<(String, String)>, SecretError> {
    match client.get_secret_value().secret_id(id).version_stage(stage).send().await {
        Ok(value) => Ok(value.version_id.zip(value.secret_string)),
        Err(error)
            if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) =>
        {
            Ok(None)
        }
        Err(error) => Err(SecretError::aws(id, error)),
    }
}

/// The current value of a secret and, while it is being replaced, the previous one, each with its version.
async fn versions(
    client: &Client,
    id: &str,
) -> Result<((String, String), Option<(String, String)>), SecretError> {
    let (current, previous) =
        futures::try_join!(staged(client, id, "AWSCURRENT"), staged(client, id, "AWSPREVIOUS"))?;
    Ok((current.ok_or_else(|| SecretError::Empty(id.to_owned()))?, previous))
}

/// The webhook secrets, from the secret that `WEBHOOK_SECRET_ID` names: the current one and the previous one.
///
/// # Errors
/// [`StartError::Missing`] where it names none. That the secret cannot be fetched now is no error.
pub fn webhook_secrets(
    config: &SdkConfig,
) -> Result<impl Future<Output = Rotating<Secrets>> + use<>, StartError> {
    let (client, id) = (Client::new(config), setting("WEBHOOK_SECRET_ID")?);
    Ok(Rotating::fetched(move || {
        let (client, id) = (client.clone(), id.clone());
        async move {
            let ((_, current), previous) = versions(&client, &id).await?;
            let secret = |value: String| Secret::new(value).map_err(Cause::from);
            let previous = previous.map(|(_, value)| secret(value)).transpose()?;
            Ok(Secrets::new(secret(current)?, previous))
        }
    }))
}

/// The sealing keys, from the secret that `SEALING_KEY_ID` names.
///
/// # Errors
/// [`StartError::Missing`] where it names none. That the secret cannot be fetched now is no error.
pub fn sealing_keys(
    config: &SdkConfig,
) -> Result<impl Future<Output = Rotating<SealingKeys>> + use<>, StartError> {
    let keys = sealing_keys_of(config, setting("SEALING_KEY_ID")?);
    Ok(async {
        keys.current().await;
        keys
    })
}

/// The sealing keys of a secret, not fetched before their first use: the current one seals, the previous one opens. A
/// key's id is the version of its value.
pub fn sealing_keys_of(config: &SdkConfig, id: String) -> Rotating<SealingKeys> {
    let client = Client::new(config);
    Rotating::fetched_when_used(move || {
        let (client, id) = (client.clone(), id.clone());
        async move {
            let (current, previous) = versions(&client, &id).await?;
            let key =
                |(version, value): (String, String)| SealingKey::new(version, value).map_err(Cause::from);
            let previous = previous.map(key).transpose()?;
            Ok(SealingKeys::new(key(current)?, previous))
        }
    })
}

/// How far requests to endpoints may reach, from `PRIVATE_ENDPOINTS`: `allow` or `refuse` what is not public.
///
/// # Errors
/// [`StartError`] where it is neither.
pub fn reach() -> Result<Reach, StartError> {
    let name = "PRIVATE_ENDPOINTS";
    match setting(name)?.as_str() {
        "allow" => Ok(Reach::Local),
        "refuse" => Ok(Reach::Public),
        _ => Err(StartError::Invalid(name)),
    }
}

/// The delivery keys, from the secret that `DELIVERY_KEY_ID` names. A key's id is the version of its value.
///
/// # Errors
/// [`StartError::Missing`] where it names none.
pub fn delivery_keys(config: &SdkConfig) -> Result<DeliveryKeys, StartError> {
    Ok(delivery_keys_of(config, setting("DELIVERY_KEY_ID")?))
}

/// The delivery keys of a secret.
pub fn delivery_keys_of(config: &SdkConfig, id: String) -> DeliveryKeys {
    let client = Client::new(config);
    DeliveryKeys::fetched(move |version| {
        let (client, id) = (client.clone(), id.clone());
        async move {
            let value = client.get_secret_value().secret_id(&id).set_version_id(version).send().await;
            let value = value.map_err(|error| SecretError::aws(&id, error))?;
            let empty = || SecretError::Empty(id.clone());
            let (version, text) = value.version_id.zip(value.secret_string).ok_or_else(empty)?;
            DeliveryKey::new(version, text).map_err(Cause::from)
        }
    })
}

/// The URLs of the families' queues, from `QUEUE_ACCOUNTS`, `QUEUE_ASSETS` … or, with another prefix, from
/// `DEAD_LETTERS_ACCOUNTS` …; `variable` looks one up.
///
/// # Errors
/// That of the first that is not there.
pub fn queue_urls<E>(
    prefix: &str,
    variable: impl Fn(&str) -> Result<String, E>,
) -> Result<HashMap<model::Family, String>, E> {
    let name = |family: &model::Family| format!("{prefix}_{}", family.as_str().to_ascii_uppercase());
    model::Family::ALL.iter().map(|family| Ok((*family, variable(&name(family))?))).collect()
}

/// The families' queues and their dead letters.
///
/// # Errors
/// That of the first whose variable is not there.
pub fn queues<E>(config: &SdkConfig, variable: impl Fn(&str) -> Result<String, E>) -> Result<Sqs, E> {
    let queues = queue_urls("QUEUE", &variable)?;
    let dead_letters = queue_urls("DEAD_LETTERS", &variable)?;
    Ok(Sqs::new(aws_sdk_sqs::Client::new(config), queues).with_dead_letters(dead_letters))
}

/// Who may do what: by a token's roles where `JWT_ROLES_CLAIM` says which claim has them, else by IAM. In a
/// container of the SAM CLI, which authorizes nobody, it is whoever runs that.
pub fn access() -> Access {
    access_by(|name| std::env::var(name).ok())
}

fn access_by(variable: impl Fn(&str) -> Option<String>) -> Access {
    // Only where the data is an emulator's: a variable alone opens nothing of AWS's.
    let is_emulated = variable("AWS_ENDPOINT_URL").is_some_and(|url| url.starts_with("http://"));
    if is_emulated && variable("AWS_SAM_LOCAL").as_deref() == Some("true") {
        return Access::Own("sam local".to_owned());
    }
    variable("JWT_ROLES_CLAIM").map_or(Access::Iam, |roles| Access::Token { roles })
}

/// The table that `TABLE_NAME` names.
///
/// # Errors
/// [`StartError::Missing`] where it is not set.
pub fn table(config: &SdkConfig) -> Result<Table, StartError> {
    Ok(Table::new(aws_sdk_dynamodb::Client::new(config), &setting("TABLE_NAME")?))
}

/// Runs an HTTP function until its execution environment ends: `handle` answers each request.
///
/// # Errors
/// Where the runtime cannot be reached.
pub async fn http<H, F>(handle: H) -> Result<(), Error>
where
    H: Fn(Request) -> F + Send + Sync,
    F: Future<Output = Response<Body>> + Send,
{
    let handle = &handle;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<ApiGatewayV2httpRequest>| {
        http::answer(event.payload, event.context, handle).await
    }))
    .await
}

/// Starts what is seen of a deployed function, and gives the configuration of its clients.
pub async fn start() -> SdkConfig {
    telemetry::deployed();
    aws().await
}

/// Runs a family function until its execution environment ends.
///
/// # Errors
/// Where it cannot start.
pub async fn family<F: FamilyRules>() -> Result<(), Error> {
    let config = start().await;
    let (table, environment) = (table(&config)?, environment()?);
    let (keys, ()) = tokio::join!(sealing_keys(&config)?, table.warm(environment));
    let pipeline =
        Pipeline { keys, environments: Environments::only(environment), table, clock: Arc::new(SystemClock) };
    let pipeline = &pipeline;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        Ok::<_, Error>(pipeline.batch::<F>(event.payload).await)
    }))
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_alone_opens_a_deployed_function_to_nobody() {
        let access = |variables: &[(&str, &str)]| {
            access_by(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let local = ("AWS_SAM_LOCAL", "true");
        assert!(matches!(access(&[local]), Access::Iam));
        assert!(matches!(access(&[local, ("JWT_ROLES_CLAIM", "groups")]), Access::Token { .. }));
        assert!(matches!(access(&[local, ("AWS_ENDPOINT_URL", "https://aws.example")]), Access::Iam));
        let emulated = ("AWS_ENDPOINT_URL", "http://host.docker.internal:8788");
        assert!(matches!(access(&[local, emulated]), Access::Own(_)));
        assert!(matches!(access(&[emulated]), Access::Iam));
    }
}
