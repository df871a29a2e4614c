//! Starting a deployed function: settings from its environment, secrets from AWS Secrets Manager, clients.

use std::collections::HashMap;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_lambda_events::sqs::SqsEvent;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use std::time::Duration;
use tracing_subscriber::EnvFilter;

use crate::clock::SystemClock;
use crate::environment::Environments;
use crate::model;
use crate::pipeline::{Family, Pipeline};
use crate::queue::Sqs;
use crate::store::Table;
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
    /// A secret could not be fetched.
    #[error("the secret {0} cannot be fetched: {1}")]
    Secret(String, String),
    /// A secret is too short to be one.
    #[error("the secret {0} is too short")]
    Weak(String),
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
pub fn environments() -> Result<Environments, StartError> {
    let name = "BITPOWR_ENVIRONMENT";
    let environment = setting(name)?.parse().map_err(|_| StartError::Invalid(name))?;
    Ok(Environments::only(environment))
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

/// Logs as JSON lines, for CloudWatch.
pub fn telemetry() {
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_current_span(false)
        .flatten_event(true)
        .init();
}

/// A secret's value in one stage, with its version.
async fn secret(
    client: &aws_sdk_secretsmanager::Client,
    id: &str,
    stage: &str,
) -> Result<Option<(String, String)>, StartError> {
    match client.get_secret_value().secret_id(id).version_stage(stage).send().await {
        Ok(value) => Ok(value.version_id.zip(value.secret_string)),
        Err(error)
            if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) =>
        {
            Ok(None)
        }
        Err(error) => Err(StartError::Secret(id.to_owned(), DisplayErrorContext(error).to_string())),
    }
}

/// The current and the previous value of the secret that `variable` names, each with its version.
async fn versions(config: &SdkConfig, variable: &str) -> Result<Vec<(String, String)>, StartError> {
    let id = setting(variable)?;
    let client = aws_sdk_secretsmanager::Client::new(config);
    let (current, previous) =
        futures::try_join!(secret(&client, &id, "AWSCURRENT"), secret(&client, &id, "AWSPREVIOUS"))?;
    if current.is_none() {
        return Err(StartError::Secret(id, "it has no value".to_owned()));
    }
    Ok(current.into_iter().chain(previous).collect())
}

/// The webhook secrets, from the secret that `WEBHOOK_SECRET_ID` names.
///
/// # Errors
/// [`StartError`] where there is none.
pub async fn webhook_secrets(config: &SdkConfig) -> Result<Secrets, StartError> {
    let weak = |_| StartError::Weak("WEBHOOK_SECRET_ID".to_owned());
    let mut values = Vec::new();
    for (_, value) in versions(config, "WEBHOOK_SECRET_ID").await? {
        values.push(Secret::new(value).map_err(weak)?);
    }
    let mut values = values.into_iter();
    let current = values.next().ok_or_else(|| StartError::Weak("WEBHOOK_SECRET_ID".to_owned()))?;
    Ok(Secrets::new(current, values))
}

/// The sealing keys, from the secret that `SEALING_KEY_ID` names. A key's id is the version of its value.
///
/// # Errors
/// [`StartError`] where there is none.
pub async fn sealing_keys(config: &SdkConfig) -> Result<SealingKeys, StartError> {
    let weak = || StartError::Weak("SEALING_KEY_ID".to_owned());
    let mut keys = Vec::new();
    for (version, value) in versions(config, "SEALING_KEY_ID").await? {
        keys.push(SealingKey::new(version, value).map_err(|_| weak())?);
    }
    let mut keys = keys.into_iter();
    let current = keys.next().ok_or_else(weak)?;
    Ok(SealingKeys::new(current, keys))
}

/// The queues, from `QUEUE_ACCOUNTS`, `QUEUE_ASSETS` …: a URL for each family.
///
/// # Errors
/// [`StartError::Missing`] for the first that is not set.
pub fn queues(config: &SdkConfig) -> Result<Sqs, StartError> {
    let mut urls = HashMap::new();
    for family in model::Family::ALL {
        urls.insert(*family, setting(&format!("QUEUE_{}", family.as_str().to_ascii_uppercase()))?);
    }
    Ok(Sqs::new(aws_sdk_sqs::Client::new(config), urls))
}

/// The table that `TABLE_NAME` names.
///
/// # Errors
/// [`StartError::Missing`] where it is not set.
pub fn table(config: &SdkConfig) -> Result<Table, StartError> {
    Ok(Table::new(aws_sdk_dynamodb::Client::new(config), &setting("TABLE_NAME")?))
}

/// Runs a family function until its execution environment ends.
///
/// # Errors
/// Where it cannot start.
pub async fn family<F: Family>() -> Result<(), Error> {
    telemetry();
    let config = aws().await;
    let pipeline = Pipeline {
        keys: sealing_keys(&config).await?,
        environments: environments()?,
        table: table(&config)?,
        clock: Arc::new(SystemClock),
    };
    let pipeline = &pipeline;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        Ok::<_, Error>(pipeline.batch::<F>(event.payload).await)
    }))
    .await
}
