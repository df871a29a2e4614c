//! Starts the function.

use aws_lambda_events::dynamodb::Event;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use notify::Notify;
use shared::clock::SystemClock;
use shared::endpoints::SqsOutbound;
use shared::publish::Sns;
use shared::runtime;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = runtime::start().await;
    let client = aws_sdk_sns::Client::new(&config);
    let (people, programs) = (runtime::setting("TOPIC_PEOPLE")?, runtime::setting("TOPIC_PROGRAMS")?);
    let (fast, slow) = (runtime::setting("QUEUE_ENDPOINTS")?, runtime::setting("QUEUE_ENDPOINTS_SLOW")?);
    let notify = Notify {
        publish: Sns::new(client, people, programs),
        endpoints: runtime::table(&config)?,
        outbound: SqsOutbound::new(aws_sdk_sqs::Client::new(&config), fast, slow),
        clock: SystemClock,
    };
    let notify = &notify;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Event>| {
        Ok::<_, Error>(notify.batch(event.payload).await?)
    }))
    .await
}
