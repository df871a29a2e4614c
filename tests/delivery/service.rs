//! The user's services, and everything up to them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use deliver::Deliver;
use deliver::post::{Answer, Post, PostError};
use jiff::SignedDuration;
use local::standins::database::Database;
use local::standins::engine::{Engine, TABLE};
use local::standins::queues::{Queues, RedrivePolicy};
use notify::Notify;
use serde_json::{Value, json};
use shared::clock::{Clock as _, ManualClock};
use shared::decide::Applied;
use shared::endpoints::signing::{DeliveryKey, DeliveryKeys};
use shared::endpoints::{Attempt, Endpoint, EndpointFilter, EndpointUrl, Lane, Reach};
use shared::environment::Environment;
use shared::publish::{Message, Publish, Published};
use shared::store::{EndpointChange, Mandate, Table, schema};

use crate::world::World;

pub(crate) const TEST: Environment = Environment::Test;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) headers: HashMap<&'static str, String>,
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn uid(&self) -> &str {
        self.body["entity"]["uid"].as_str().unwrap_or_default()
    }
}

type Answers = dyn Fn(&Request) -> Result<Answer, PostError> + Send + Sync;

/// Services at hosts, each with what it answers, and what came to it.
#[derive(Clone, Default)]
pub(crate) struct Services {
    answers: Arc<Mutex<HashMap<String, Arc<Answers>>>>,
    requests: Arc<Mutex<HashMap<String, Vec<Request>>>>,
}

pub(crate) fn answer(status: u16) -> Result<Answer, PostError> {
    Ok(Answer { status, text: format!("status {status}"), retry_after: None })
}

impl Services {
    /// Has the service of an endpoint answer so.
    pub(crate) fn answer(
        &self,
        id: &str,
        answers: impl Fn(&Request) -> Result<Answer, PostError> + Send + Sync + 'static,
    ) {
        self.answers.lock().unwrap().insert(id.to_owned(), Arc::new(answers));
    }

    /// What came to it, oldest first.
    pub(crate) fn requests(&self, id: &str) -> Vec<Request> {
        self.requests.lock().unwrap().get(id).cloned().unwrap_or_default()
    }
}

impl Post for Services {
    async fn post(
        &self,
        url: &EndpointUrl,
        headers: Vec<(&'static str, String)>,
        body: String,
    ) -> Result<Answer, PostError> {
        let host = url.reveal().host_str().unwrap().split('.').next().unwrap().to_owned();
        let request =
            Request { headers: headers.into_iter().collect(), body: serde_json::from_str(&body).unwrap() };
        self.requests.lock().unwrap().entry(host.clone()).or_default().push(request.clone());
        let answers = self.answers.lock().unwrap().get(&host).cloned();
        answers.map_or_else(|| answer(200), |answers| answers(&request))
    }
}

/// Nobody has subscribed to a topic.
pub(crate) struct NoTopics;

impl Publish for NoTopics {
    async fn publish(&self, messages: Vec<Message>) -> Published {
        Published { settled: messages.len(), ..Published::default() }
    }
}

/// Everything from the family functions to the services.
pub(crate) struct Path {
    pub(crate) world: World,
    pub(crate) queues: Queues,
    pub(crate) services: Services,
    pub(crate) deliver: Arc<Deliver<Services, Queues, Arc<ManualClock>>>,
    pub(crate) notify: Notify<NoTopics, Table, Queues, Arc<ManualClock>>,
    pub(crate) engine: Engine,
    pub(crate) read: Mutex<Option<String>>,
}

impl Path {
    pub(crate) async fn new() -> Self {
        Self::over(Engine::open(None).unwrap()).await
    }

    /// Over a table that is kept somewhere.
    pub(crate) async fn over(engine: Engine) -> Self {
        let world = World::over(schema::create(&engine.client(), TABLE).await.unwrap());
        let (clock, table) = (Arc::clone(&world.clock), world.table().clone());
        let queues = Queues::open(Database::open(None).unwrap(), Arc::clone(&clock)).unwrap();
        let services = Services::default();
        let deliver = Deliver {
            table: table.clone(),
            post: services.clone(),
            outbound: queues.clone(),
            keys: keys(),
            kept_for: SignedDuration::from_hours(30 * 24),
            clock: Arc::clone(&clock),
        };
        let notify = Notify { publish: NoTopics, endpoints: table, outbound: queues.clone(), clock };
        Self { world, queues, services, deliver: Arc::new(deliver), notify, engine, read: Mutex::default() }
    }

    pub(crate) fn table(&self) -> &Table {
        self.world.table()
    }

    /// Adds an endpoint, whose service answers 200.
    pub(crate) async fn endpoint(&self, id: &str, filter: Value) -> Endpoint {
        let endpoint = Endpoint {
            filter: EndpointFilter::read(filter.as_object().unwrap(), false).unwrap(),
            ..Endpoint::new(
                id,
                TEST,
                EndpointUrl::read(&format!("https://{id}.example/hook?token=t"), Reach::Public).unwrap(),
                "k",
                self.world.clock.now(),
            )
        };
        self.change(&endpoint, EndpointChange::Add).await;
        endpoint
    }

    pub(crate) async fn change(&self, endpoint: &Endpoint, change: EndpointChange) {
        let id = fastrand::u64(..).to_string();
        let mandate = self.mandate(&id);
        self.table().change_endpoint(endpoint, &change, &mandate).await.unwrap();
    }

    pub(crate) fn mandate(&self, id: &str) -> Mandate {
        let (who, why) = ("somebody".to_owned(), "a test".to_owned());
        Mandate { id: id.to_owned(), who, why, at: self.world.clock.now() }
    }

    pub(crate) async fn known(&self, id: &str) -> Endpoint {
        self.table().endpoint(TEST, id).await.unwrap().unwrap()
    }

    /// A deposit of one BTC arrives.
    pub(crate) async fn deposit(&self, uid: &str) -> Applied {
        let data = json!({ "uid": uid, "amount": "1", "assetType": "BTC", "accountId": "a" });
        self.world.deliver("transaction.deposit.success", data).await
    }

    /// Has `notify` read what the stream has.
    pub(crate) async fn notify(&self) {
        loop {
            let after = self.read.lock().unwrap().clone();
            let page = self.engine.stream(after.as_deref(), 100).unwrap();
            let Some(last) = page.last else { return };
            let event = serde_json::from_value(page.event).unwrap();
            assert!(self.notify.batch(event).await.unwrap().batch_item_failures.is_empty());
            *self.read.lock().unwrap() = Some(last);
        }
    }

    /// Has `deliver` work on one batch of a queue: how many messages it had.
    pub(crate) async fn batch(&self, lane: Lane) -> usize {
        let redrive = RedrivePolicy { visibility: Duration::from_secs(540), max_receives: 10 };
        let received = self.queues.receive(lane.as_str(), 10, redrive).await.unwrap();
        let mut event = SqsEvent::default();
        let record = |message: &local::standins::queues::Received| {
            let mut record = SqsMessage::default();
            record.message_id = Some(message.id.to_string());
            record.body = Some(message.body.clone());
            record
        };
        event.records = received.iter().map(record).collect();
        let response = self.deliver.batch(lane, event).await;
        assert!(response.batch_item_failures.is_empty(), "{response:?}");
        self.queues.delete(received.iter().map(|message| message.id).collect()).await.unwrap();
        received.len()
    }

    /// Notifies and delivers until nothing is due.
    pub(crate) async fn work(&self) {
        self.notify().await;
        while self.batch(Lane::Fast).await + self.batch(Lane::Slow).await > 0 {}
    }

    /// Takes up what waits, as the schedule does.
    pub(crate) async fn due(&self) {
        let now = self.world.clock.now();
        self.deliver.due(TEST, now.after(SignedDuration::from_hours(1))).await.unwrap();
    }

    /// The uids that came to an endpoint, oldest first.
    pub(crate) fn uids(&self, id: &str) -> Vec<String> {
        self.services.requests(id).iter().map(|request| request.uid().to_owned()).collect()
    }

    pub(crate) fn later(&self, by: SignedDuration) {
        self.world.clock.advance(by);
    }

    pub(crate) async fn attempts(&self, id: &str) -> Vec<Attempt> {
        let found = self.table().attempts(TEST, [id], self.world.clock.now()).await.unwrap();
        found.into_values().next().unwrap_or_default()
    }

    /// How many events wait for an endpoint.
    pub(crate) async fn waiting(&self, id: &str) -> usize {
        self.table().waiting(TEST, id, 1000, None).await.unwrap().0.len()
    }
}

pub(crate) fn keys() -> DeliveryKeys {
    DeliveryKeys::Fixed(DeliveryKey::new("k", [3; 32]).unwrap())
}

/// A filter that lets everything through.
pub(crate) fn all() -> Value {
    json!({})
}

pub(crate) const fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}
