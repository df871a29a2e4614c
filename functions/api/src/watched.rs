//! For how long the oldest delivery of a queue has been waiting: only Amazon CloudWatch knows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use shared::aws_error::AwsError;
use shared::model::Family;
use shared::queue::{Depth, Depths, QueueError, Sqs};
use tokio::sync::Mutex;
use tracing::warn;

/// Metrics of SQS come every minute, and some minutes late (Amazon SQS, developer guide, "CloudWatch metrics").
const LOOK_BACK: Duration = Duration::from_secs(600);

/// For so long an answer is good: no newer one would come, and each is paid for (Amazon CloudWatch, pricing).
const FRESH: Duration = Duration::from_secs(60);

type Ages = HashMap<Family, u64>;

/// Queues whose metrics are known.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The queues.
    pub queues: Sqs,
    metrics: Client,
    last: Arc<Mutex<Option<(Instant, Ages)>>>,
}

impl Watched {
    /// These queues.
    pub fn new(queues: Sqs, metrics: Client) -> Self {
        Self { queues, metrics, last: Arc::default() }
    }

    /// For each family the age of its oldest delivery, in seconds, as far as it is known.
    async fn ages(&self) -> Ages {
        let mut last = self.last.lock().await;
        match &*last {
            Some((asked, ages)) if asked.elapsed() < FRESH => ages.clone(),
            _ => last.insert((Instant::now(), self.ask().await)).1.clone(),
        }
    }

    async fn ask(&self) -> Ages {
        let query = |family: &Family| {
            let name = Dimension::builder().name("QueueName").value(self.queues.name(*family)?).build();
            let metric = Metric::builder()
                .namespace("AWS/SQS")
                .metric_name("ApproximateAgeOfOldestMessage")
                .dimensions(name)
                .build();
            let stat = MetricStat::builder().metric(metric).period(60).stat("Maximum").build();
            Some(MetricDataQuery::builder().id(family.as_str()).metric_stat(stat).build())
        };
        let now = SystemTime::now();
        let asked = self
            .metrics
            .get_metric_data()
            .set_metric_data_queries(Some(Family::ALL.iter().filter_map(query).collect()))
            .start_time((now - LOOK_BACK).into())
            .end_time(now.into())
            .send()
            .await;
        let answer = match asked {
            Ok(answer) => answer,
            Err(error) => {
                // What waits can be seen without.
                warn!(error = %AwsError::from(error), "CloudWatch does not answer");
                return Ages::new();
            }
        };
        let results = answer.metric_data_results.unwrap_or_default().into_iter();
        // The newest comes first; all are whole seconds.
        let age = |values: Vec<_>| format!("{:.0}", values.first()?).parse().ok();
        results.filter_map(|result| Some((result.id?.parse().ok()?, age(result.values?)?))).collect()
    }
}

impl Depths for Watched {
    async fn depths(&self) -> Result<Vec<(Family, Depth)>, QueueError> {
        let (depths, ages) = tokio::join!(self.queues.depths(), self.ages());
        let aged = |(family, depth): (Family, Depth)| {
            let waits = depth.waiting + depth.in_flight > 0;
            (family, Depth { oldest_seconds: ages.get(&family).copied().filter(|_| waits), ..depth })
        };
        Ok(depths?.into_iter().map(aged).collect())
    }
}
