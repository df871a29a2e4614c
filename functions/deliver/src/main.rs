//! Starts the function.

use deliver::Deliver;
use deliver::post::Poster;
use jiff::SignedDuration;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::clock::{Clock as _, SystemClock};
use shared::endpoints::{Lane, SqsOutbound};
use shared::runtime;

/// For how long one run of the schedule takes up what is due; the next one comes after a minute.
const RUN: SignedDuration = SignedDuration::from_secs(45);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = runtime::start().await;
    let days: i64 = runtime::setting("ATTEMPT_DAYS")?.parse()?;
    let (fast, slow) = (runtime::setting("QUEUE_ENDPOINTS")?, runtime::setting("QUEUE_ENDPOINTS_SLOW")?);
    let environment = runtime::environment()?;
    let deliver = Deliver {
        table: runtime::table(&config)?,
        post: Poster::new(runtime::reach()?)?,
        outbound: SqsOutbound::new(aws_sdk_sqs::Client::new(&config), fast, slow),
        keys: runtime::delivery_keys(&config)?,
        kept_for: SignedDuration::from_hours(24 * days),
        clock: SystemClock,
    };
    let deliver = &deliver;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        // A batch of a queue has records; what the schedule sends has none.
        if event.payload.get("Records").is_none() {
            deliver.due(environment, deliver.clock.now().after(RUN)).await?;
            return Ok(Value::Null);
        }
        let from = event.payload.pointer("/Records/0/eventSourceARN").and_then(Value::as_str);
        let is_slow = from.is_some_and(|arn| arn.ends_with(Lane::Slow.as_str()));
        let lane = if is_slow { Lane::Slow } else { Lane::Fast };
        let response = deliver.batch(lane, serde_json::from_value(event.payload)?).await;
        Ok::<_, Error>(serde_json::to_value(response)?)
    }))
    .await
}
