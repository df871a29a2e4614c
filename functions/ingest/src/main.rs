//! Starts the function.

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use ingest::Ingest;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::clock::SystemClock;
use shared::environment::Environments;
use shared::queue::Sqs;
use shared::{http, runtime, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::deployed();
    let config = runtime::aws().await;
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
    let ingest = &ingest;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<ApiGatewayV2httpRequest>| {
        http::answer(event.payload, event.context, |request| ingest.handle(request)).await
    }))
    .await
}
