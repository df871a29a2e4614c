//! Starts the function.

use aws_lambda_events::dynamodb::Event;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use notify::Notify;
use shared::clock::SystemClock;
use shared::publish::Sns;
use shared::runtime;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = runtime::start().await;
    let client = aws_sdk_sns::Client::new(&config);
    let (people, programs) = (runtime::setting("TOPIC_PEOPLE")?, runtime::setting("TOPIC_PROGRAMS")?);
    let notify = Notify { publish: Sns::new(client, people, programs), clock: SystemClock };
    let notify = &notify;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Event>| {
        Ok::<_, Error>(notify.batch(event.payload).await?)
    }))
    .await
}
