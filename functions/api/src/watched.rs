//! For how long the oldest delivery of a queue has been waiting: only Amazon CloudWatch knows.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use jiff::SignedDuration;
use shared::aws_error::AwsError;
use shared::clock::{Clock, Moment};
use shared::model::Family;
use shared::queue::{Depth, Depths, QueueError, Sqs};
use tokio::sync::Mutex;
use tracing::warn;

/// Metrics of SQS come every minute, and some minutes late (Amazon SQS, developer guide, "CloudWatch metrics").
const LOOK_BACK: SignedDuration = SignedDuration::from_secs(600);

/// For so long an answer is good: no newer one would come, and each is paid for (Amazon CloudWatch, pricing).
const FRESH: SignedDuration = SignedDuration::from_secs(60);

type Ages = HashMap<Family, u64>;

/// What was answered, and when it was asked.
#[derive(Debug)]
struct Answer {
    asked_at: Moment,
    ages: Ages,
}

impl Answer {
    /// Whether no newer one would come. A clock that was set back makes none fresh.
    fn is_fresh(&self, now: Moment) -> bool {
        (SignedDuration::ZERO..FRESH).contains(&now.since(self.asked_at))
    }
}

/// Queues whose metrics are known.
#[derive(Clone, Debug)]
pub struct Watched<C> {
    /// The queues.
    pub queues: Sqs,
    metrics: Client,
    clock: C,
    last: Arc<Mutex<Option<Answer>>>,
}

impl<C: Clock> Watched<C> {
    /// These queues.
    pub fn new(queues: Sqs, metrics: Client, clock: C) -> Self {
        Self { queues, metrics, clock, last: Arc::default() }
    }

    /// For each family the age of its oldest delivery, in seconds, as far as it is known.
    async fn ages(&self) -> Ages {
        let mut last = self.last.lock().await;
        let now = self.clock.now();
        match &*last {
            Some(answer) if answer.is_fresh(now) => answer.ages.clone(),
            _ => last.insert(Answer { asked_at: now, ages: self.ask(now).await }).ages.clone(),
        }
    }

    async fn ask(&self, now: Moment) -> Ages {
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
        let asked = self
            .metrics
            .get_metric_data()
            .set_metric_data_queries(Some(Family::ALL.iter().filter_map(query).collect()))
            .start_time(DateTime::from_millis(now.before(LOOK_BACK).as_millis()))
            .end_time(DateTime::from_millis(now.as_millis()))
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

impl<C: Clock> Depths for Watched<C> {
    async fn depths(&self) -> Result<Vec<(Family, Depth)>, QueueError> {
        let (depths, ages) = tokio::join!(self.queues.depths(), self.ages());
        let aged = |(family, depth): (Family, Depth)| {
            let waits = depth.waiting + depth.in_flight > 0;
            (family, Depth { oldest_seconds: ages.get(&family).copied().filter(|_| waits), ..depth })
        };
        Ok(depths?.into_iter().map(aged).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::clock::ManualClock;

    #[test]
    fn an_answer_is_good_for_a_minute_and_not_before_it_was_given() {
        let clock = ManualClock::at(Moment::from_millis(1_795_411_744_000));
        let answer = Answer { asked_at: clock.now(), ages: Ages::new() };
        assert!(answer.is_fresh(clock.now()));
        clock.advance(FRESH - SignedDuration::from_millis(1));
        assert!(answer.is_fresh(clock.now()));
        clock.advance(SignedDuration::from_millis(1));
        assert!(!answer.is_fresh(clock.now()));
        clock.set(answer.asked_at.before(SignedDuration::from_secs(1)));
        assert!(!answer.is_fresh(clock.now()));
    }
}
