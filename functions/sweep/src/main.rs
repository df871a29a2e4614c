//! Starts the function.

use std::collections::HashMap;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::clock::SystemClock;
use shared::environment::Environments;
use shared::queue::Sqs;
use shared::runtime;
use sweep::Sweep;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = runtime::start().await;
    let sweep = Sweep {
        letters: Sqs::new(aws_sdk_sqs::Client::new(&config), HashMap::new())
            .with_dead_letters(runtime::queue_urls("DEAD_LETTERS", runtime::setting)?),
        keys: runtime::sealing_keys(&config)?.await,
        environments: Environments::only(runtime::environment()?),
        table: runtime::table(&config)?,
        clock: SystemClock,
    };
    let sweep = &sweep;
    lambda_runtime::run(service_fn(async |_: LambdaEvent<serde_json::Value>| {
        Ok::<_, Error>(serde_json::json!({ "moved": sweep.run().await? }))
    }))
    .await
}
