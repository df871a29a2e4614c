//! Starts the function.

use api::{Api, Watched};
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::clock::SystemClock;
use shared::environment::Environments;
use shared::{http, runtime, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::deployed();
    let config = runtime::aws().await;
    let queues = runtime::queues(&config, runtime::setting)?;
    let api = Api {
        table: runtime::table(&config)?,
        queues: Watched::new(queues, aws_sdk_cloudwatch::Client::new(&config), SystemClock),
        environments: Environments::only(runtime::environment()?),
        access: runtime::access(),
        clock: SystemClock,
    };
    let api = &api;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<ApiGatewayV2httpRequest>| {
        http::answer(event.payload, event.context, |request| api.handle(request)).await
    }))
    .await
}
