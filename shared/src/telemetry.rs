//! What is seen from outside: logs as JSON lines, and metrics within them.
//!
//! Metrics are written into the log in CloudWatch's embedded metric format (Amazon CloudWatch, user guide,
//! "Embedding metrics within logs"): no call on the hot path. Their dimension is the outcome, no more: each value is
//! paid for. The family stands in the line, for CloudWatch Logs Insights. Nothing here takes a body, a secret or a person's data.

use std::io::Write as _;
use std::sync::OnceLock;

use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::clock::Clock;
use crate::model::Family;

static NAMESPACE: OnceLock<String> = OnceLock::new();

/// Starts logs and metrics of a deployed function. Metrics go to the namespace that `METRICS_NAMESPACE` names;
/// to none, if it is not set.
pub fn deployed() {
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_current_span(false)
        .flatten_event(true)
        .init();
    if let Ok(namespace) = std::env::var("METRICS_NAMESPACE") {
        // Set once at the start; a second start keeps the first.
        let _ = NAMESPACE.set(namespace);
    }
}

/// Counts a delivery of a family by what became of it.
pub fn count(clock: &impl Clock, family: Option<Family>, outcome: &str) {
    let Some(namespace) = NAMESPACE.get() else { return };
    let _ = writeln!(std::io::stdout(), "{}", line(namespace, family, outcome, clock.now().as_millis()));
}

fn line(namespace: &str, family: Option<Family>, outcome: &str, timestamp: i64) -> serde_json::Value {
    json!({
        "_aws": {
            "Timestamp": timestamp,
            "CloudWatchMetrics": [{
                "Namespace": namespace,
                // Alarms and the dashboard look at an outcome only.
                "Dimensions": [["outcome"]],
                "Metrics": [{ "Name": "Deliveries", "Unit": "Count" }],
            }],
        },
        "family": family.map_or("none", Family::as_str),
        "outcome": outcome,
        "Deliveries": 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_names_only_what_it_contains() {
        let line = line("ns", Some(Family::Deposits), "applied", 7);
        let metric = &line["_aws"]["CloudWatchMetrics"][0];
        for dimension in
            metric["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap())
        {
            assert!(line[dimension.as_str().unwrap()].is_string());
        }
        assert!(line[metric["Metrics"][0]["Name"].as_str().unwrap()].is_number());
    }
}
