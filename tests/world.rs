//! The pipeline over a table, with a clock that is set: deliveries in, what was kept out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use local::standins::engine::{Engine, TABLE};
use local::with_family;
use serde_json::{Value, json};
use shared::clock::{Clock as _, ManualClock, Moment};
use shared::decide::Applied;
use shared::environment::{Environment, Environments};
use shared::model::EventName;
use shared::pipeline::{DeliveryError, Pipeline};
use shared::rotating::Rotating;
use shared::store::{Table, schema};
use shared::verify::{Envelope, SealingKey, SealingKeys};

/// A pipeline, and whoever seals its deliveries.
pub(crate) struct World {
    pub(crate) pipeline: Pipeline<ManualClock>,
    pub(crate) clock: Arc<ManualClock>,
    keys: SealingKeys,
    deliveries: AtomicU32,
    _engine: Option<Engine>,
}

impl World {
    /// Over an embedded DynamoDB in memory.
    pub(crate) async fn new() -> Self {
        let engine = Engine::open(None).unwrap();
        let table = schema::create(&engine.client(), TABLE).await.unwrap();
        Self { _engine: Some(engine), ..Self::over(table) }
    }

    /// Over a table that exists.
    pub(crate) fn over(table: Table) -> Self {
        let clock = Arc::new(ManualClock::at("2026-11-01T00:00:00Z".parse::<Moment>().unwrap()));
        let keys = SealingKeys::new(SealingKey::new("k", [1; 32]).unwrap(), []);
        let pipeline = Pipeline {
            keys: Rotating::fixed(keys.clone()),
            environments: Environments::both(),
            table,
            clock: Arc::clone(&clock),
        };
        Self { pipeline, clock, keys, deliveries: AtomicU32::new(0), _engine: None }
    }

    pub(crate) fn table(&self) -> &Table {
        &self.pipeline.table
    }

    /// Delivers an event, as a delivery of its own.
    pub(crate) async fn deliver(&self, event: &str, data: Value) -> Applied {
        let id = format!("delivery-{}", self.deliveries.fetch_add(1, Ordering::SeqCst));
        self.hand_over(event, &self.message(event, &data, &id)).await.unwrap()
    }

    /// Hands a message to the family of its event.
    pub(crate) async fn hand_over(&self, event: &str, message: &str) -> Result<Applied, DeliveryError> {
        with_family!(EventName::new(event).family(), F => self.pipeline.delivery::<F>(message).await)
    }

    /// The message that `ingest` would have queued now.
    pub(crate) fn message(&self, event: &str, data: &Value, delivery_id: &str) -> String {
        let envelope = Envelope {
            environment: Environment::Test,
            family: EventName::new(event).family(),
            event: event.to_owned(),
            received_at: self.clock.now(),
            delivery_id: delivery_id.into(),
            refused: None,
            body: json!({ "event": event, "data": data }).to_string().into_bytes(),
        };
        envelope.seal(&self.keys).unwrap().message().to_owned()
    }
}
