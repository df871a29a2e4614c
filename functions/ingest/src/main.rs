//! Starts the function.

use ingest::Ingest;
use lambda_runtime::Error;
use shared::clock::SystemClock;
use shared::environment::Environments;
use shared::queue::Sqs;
use shared::runtime;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = runtime::start().await;
    let queue = Sqs::new(aws_sdk_sqs::Client::new(&config), runtime::queue_urls("QUEUE", runtime::setting)?);
    let (secrets, keys, ()) =
        tokio::join!(runtime::webhook_secrets(&config)?, runtime::sealing_keys(&config)?, queue.warm());
    let ingest = Ingest {
        secrets,
        keys,
        environments: Environments::only(runtime::environment()?),
        queue,
        clock: SystemClock,
    };
    runtime::http(|request| ingest.handle(request)).await
}
