//! Starts the function.

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use ingest::Ingest;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use shared::clock::SystemClock;
use shared::{http, runtime};

#[tokio::main]
async fn main() -> Result<(), Error> {
    runtime::telemetry();
    let config = runtime::aws().await;
    let (secrets, keys) =
        tokio::try_join!(runtime::webhook_secrets(&config), runtime::sealing_keys(&config))?;
    let ingest = Ingest {
        secrets,
        keys,
        environments: runtime::environments()?,
        queue: runtime::queues(&config)?,
        clock: SystemClock,
    };
    let ingest = &ingest;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<ApiGatewayV2httpRequest>| {
        http::answer(event.payload, event.context, |request| ingest.handle(request)).await
    }))
    .await
}
