//! Starts the function.

use actions::Actions;
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::clock::SystemClock;
use shared::environment::Environments;
use shared::{http, runtime, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::deployed();
    let config = runtime::aws().await;
    let actions = Actions {
        table: runtime::table(&config)?,
        queues: runtime::queues(&config, runtime::setting)?,
        keys: runtime::sealing_keys(&config)?.await,
        environments: Environments::only(runtime::environment()?),
        access: runtime::access(),
        clock: SystemClock,
    };
    let actions = &actions;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<ApiGatewayV2httpRequest>| {
        http::answer(event.payload, event.context, |request| actions.handle(request)).await
    }))
    .await
}
