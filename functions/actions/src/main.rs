//! Starts the function.

use actions::Actions;
use lambda_runtime::Error;
use shared::clock::SystemClock;
use shared::environment::Environments;
use shared::runtime;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = runtime::start().await;
    let actions = Actions {
        table: runtime::table(&config)?,
        queues: runtime::queues(&config, runtime::setting)?,
        keys: runtime::sealing_keys(&config)?.await,
        delivery_keys: runtime::delivery_keys(&config)?,
        reach: runtime::reach()?,
        environments: Environments::only(runtime::environment()?),
        access: runtime::access(),
        clock: SystemClock,
    };
    runtime::http(|request| actions.handle(request)).await
}
