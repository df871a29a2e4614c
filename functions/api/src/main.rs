//! Starts the function.

use api::{Api, Watched};
use lambda_runtime::Error;
use shared::clock::SystemClock;
use shared::environment::Environments;
use shared::runtime;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = runtime::start().await;
    let queues = runtime::queues(&config, runtime::setting)?;
    let api = Api {
        table: runtime::table(&config)?,
        queues: Watched::new(queues, aws_sdk_cloudwatch::Client::new(&config), SystemClock),
        environments: Environments::only(runtime::environment()?),
        access: runtime::access(),
        clock: SystemClock,
    };
    runtime::http(|request| api.handle(request)).await
}
