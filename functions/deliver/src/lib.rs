//! POSTs every event, signed, to the endpoints that want it, and keeps what came of each attempt.
//!
//! ```text
//! a message ─▶ recall endpoint, notification, attempts ─▶ decide ─▶ sign ─▶ POST ─▶ note ─▶ done, again later, or waiting
//! ```
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`mod@decide`] | what is to be done, and what follows from an attempt |
//! | [`post`] | the HTTP client |
//! | [`parcel`] | what is sent |
//!
//! What fails is tried again by the queue's delay for some minutes, then waits in the table, in the endpoint's own
//! partition; [`Deliver::due`] takes up what is due. While an endpoint is failing, all that it has not got waits there, and
//! one of it is tried now and then.

pub mod decide;
pub mod parcel;
pub mod post;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use jiff::SignedDuration;
use shared::clock::{Clock, Moment};
use shared::endpoints::signing::{self, DeliveryKeys, NoKey, SigningSecret};
use shared::endpoints::{
    Attempt, Endpoint, EndpointState, EndpointUrl, Failure, Lane, MOST_DELAY, Outbound, Outgoing,
};
use shared::environment::Environment;
use shared::queue::QueueError;
use shared::store::{EndpointChange, Mandate, StoreError, Table, Waiting};
use shared::telemetry;
use tracing::{error, info, warn};

use decide::{SLOW, SLOW_FOR, Task, Verdict};
use parcel::Parcel;
use post::{Answer, Post, PostError};

/// How many requests one endpoint gets at once from one batch.
const AT_ONCE: usize = 3;

/// How many of those that wait are taken up together; so many in a second at most.
const PAGE: usize = 100;

/// How often it is noted that an endpoint takes what it gets.
const NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// The deliverer.
#[derive(Debug)]
pub struct Deliver<P, O, C> {
    /// Where everything is.
    pub table: Table,
    /// What sends the requests.
    pub post: P,
    /// Where what is to be tried again goes.
    pub outbound: O,
    /// What signing secrets are derived from.
    pub keys: DeliveryKeys,
    /// For how long attempts are kept, and what waits.
    pub kept_for: SignedDuration,
    /// Tells the time.
    pub clock: C,
}

/// Something could not be delivered for a fault of ours. It comes again.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The message is none of ours.
    #[error("the message cannot be read: {0}")]
    Message(#[from] serde_json::Error),
    /// The table could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue did not take it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// It cannot be signed.
    #[error(transparent)]
    Key(#[from] NoKey),
}

/// What is to be delivered to one endpoint, with what was recalled for it.
struct Job<'a> {
    outgoing: &'a Outgoing,
    endpoint: &'a Endpoint,
    parcel: Parcel,
    /// The attempts of its series, oldest first.
    earlier: Vec<Attempt>,
}

/// What is known of some messages.
struct Recalled {
    endpoints: HashMap<(Environment, String), Endpoint>,
    parcels: HashMap<shared::store::Key, Parcel>,
    attempts: HashMap<String, Vec<Attempt>>,
}

impl Recalled {
    /// What is to be delivered; none where the endpoint or the event is gone.
    fn job<'a>(&'a self, outgoing: &'a Outgoing) -> Option<Job<'a>> {
        let endpoint = self.endpoints.get(&(outgoing.environment, outgoing.endpoint.clone()))?;
        let parcel = self.parcels.get(&outgoing.key)?.clone();
        let of_series =
            |attempt: &&Attempt| attempt.endpoint == endpoint.id && attempt.resend == parcel.resend;
        let earlier =
            self.attempts.get(&parcel.id).into_iter().flatten().filter(of_series).cloned().collect();
        Some(Job { outgoing, endpoint, parcel, earlier })
    }
}

impl<P: Post, O: Outbound, C: Clock> Deliver<P, O, C> {
    /// Delivers a batch of a queue: the requests side by side, at most three to one endpoint. What failed for a fault of
    /// ours is named, so that only that comes again.
    pub async fn batch(&self, lane: Lane, event: SqsEvent) -> SqsBatchResponse {
        let mut messages: Vec<(String, Result<Outgoing, DeliverError>)> = Vec::new();
        for record in event.records {
            let outgoing = serde_json::from_str(record.body.as_deref().unwrap_or_default());
            messages.push((record.message_id.unwrap_or_default(), outgoing.map_err(DeliverError::from)));
        }
        let readable = messages.iter().filter_map(|(_, outgoing)| outgoing.as_ref().ok()).collect::<Vec<_>>();
        let recalled = self.recall(&readable).await;
        let mut by_endpoint: HashMap<&str, Vec<(&str, &Outgoing)>> = HashMap::new();
        let mut failed: Vec<(&str, String)> = Vec::new();
        for (id, outgoing) in &messages {
            match (outgoing, &recalled) {
                (Ok(outgoing), Ok(_)) => {
                    by_endpoint.entry(&outgoing.endpoint).or_default().push((id, outgoing));
                }
                (Ok(_), Err(error)) => failed.push((id, error.to_string())),
                (Err(error), _) => failed.push((id, error.to_string())),
            }
        }
        if let Ok(recalled) = &recalled {
            let groups = by_endpoint.into_values().map(|group| self.group(lane, group, recalled));
            failed.extend(join_all(groups).await.into_iter().flatten());
        }
        let mut response = SqsBatchResponse::default();
        for (id, cause) in failed {
            warn!(message_id = id, cause, "not delivered, for a fault of ours");
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id.to_owned();
            response.batch_item_failures.push(failure);
        }
        response
    }

    /// What is for one endpoint: the messages that failed, and why. Once it turns out to be slow, the rest goes to the slow
    /// queue.
    async fn group<'a>(
        &self,
        lane: Lane,
        group: Vec<(&'a str, &Outgoing)>,
        recalled: &Recalled,
    ) -> Vec<(&'a str, String)> {
        let is_slow = AtomicBool::new(false);
        let jobs = group.into_iter().filter_map(|(id, outgoing)| match recalled.job(outgoing) {
            Some(job) => Some((id, job)),
            None => {
                info!(id, "its endpoint, or its event, is gone");
                None
            }
        });
        let delivered = jobs.map(|(id, job)| {
            let delivered = self.message_unless_slow(lane, job, &is_slow);
            async move { Some((id, delivered.await.err()?.to_string())) }
        });
        let results: Vec<_> =
            stream::iter(Vec::from_iter(delivered)).buffer_unordered(AT_ONCE).collect().await;
        results.into_iter().flatten().collect()
    }

    /// One message of a group; `is_slow` is set where the request took too long, and looked at before.
    async fn message_unless_slow(
        &self,
        lane: Lane,
        job: Job<'_>,
        is_slow: &AtomicBool,
    ) -> Result<(), DeliverError> {
        let lane = if is_slow.load(Ordering::Relaxed) { None } else { Some(lane) };
        if self.message(lane, &job).await? >= SLOW && lane == Some(Lane::Fast) {
            is_slow.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// One message: how long its request took. No lane: it came out of the fast one, and its endpoint is slow.
    async fn message(&self, lane: Option<Lane>, job: &Job<'_>) -> Result<Duration, DeliverError> {
        let now = self.clock.now();
        let task = match lane {
            Some(lane) => decide::task(job.endpoint, &job.earlier, lane, now),
            None => Task::Move,
        };
        let again = async |lane, delay| self.outbound.send(lane, vec![job.outgoing.clone()], delay).await;
        match task {
            Task::Nothing => {}
            Task::Move => again(Lane::Slow, Duration::ZERO).await?,
            Task::Later(delay) => again(lane_of(job.endpoint, now), delay).await?,
            Task::WaitUntil(next) => self.wait(job, next).await?,
            Task::Wait => {
                let next_at = job.endpoint.probe_at.unwrap_or(now);
                self.wait(job, now).await?;
                self.note(job, "the endpoint is failing: it waits", Some(next_at)).await?;
            }
            Task::Disabled => self.note(job, "the endpoint is disabled", None).await?,
            Task::Attempt(number) => {
                let (attempt, took) = self.attempt(job, number).await?;
                match attempt.next_at {
                    Some(next) if !attempt.is_success() => {
                        let pause = Duration::try_from(next.since(self.clock.now())).unwrap_or_default();
                        if pause <= MOST_DELAY {
                            again(lane_of(job.endpoint, now), pause).await?;
                        } else {
                            self.wait(job, next).await?;
                        }
                    }
                    _ => {}
                }
                return Ok(took);
            }
        }
        Ok(Duration::ZERO)
    }

    /// Takes up what is due, of all endpoints of an environment side by side, until then.
    ///
    /// # Errors
    /// [`StoreError`] where the endpoints cannot be read.
    pub async fn due(&self, environment: Environment, until: Moment) -> Result<(), StoreError> {
        let endpoints = self.table.endpoints(environment).await?;
        let enabled = endpoints.into_iter().filter(|endpoint| endpoint.state != EndpointState::Disabled);
        join_all(enabled.map(async |endpoint| {
            if let Err(error) = self.drain(&endpoint, until).await {
                error!(endpoint = endpoint.id, %error, "what waits for an endpoint could not be taken up");
            }
        }))
        .await;
        Ok(())
    }

    /// Takes up what waits for one endpoint, in the order of the log. Of a failing one, one thing: if that is taken, the
    /// others follow.
    async fn drain(&self, endpoint: &Endpoint, until: Moment) -> Result<(), DeliverError> {
        let (environment, id) = (endpoint.environment, endpoint.id.as_str());
        if endpoint.state == EndpointState::Failing {
            if endpoint.probe_at.is_some_and(|at| self.clock.now() < at) {
                return Ok(());
            }
            let (oldest, _) = self.table.waiting(environment, id, PAGE, None).await?;
            // One that was tried in vain is the last to be tried again: it may be the event, and not the endpoint.
            let Some(probe) = oldest.into_iter().min_by_key(|waiting| waiting.due_at) else {
                // Whatever comes next shows how it is.
                self.table
                    .note_success(endpoint, endpoint.last_success_at.unwrap_or(endpoint.created_at))
                    .await?;
                return Ok(());
            };
            self.take_up(std::slice::from_ref(&probe)).await?;
        }
        let mut start = None;
        loop {
            let state = self.table.endpoint(environment, id).await?.map(|endpoint| endpoint.state);
            if state != Some(EndpointState::Active) || self.clock.now() >= until {
                return Ok(());
            }
            let began = tokio::time::Instant::now();
            let (waiting, reached) = self.table.waiting(environment, id, PAGE, start).await?;
            let now = self.clock.now();
            let due: Vec<_> = waiting.into_iter().filter(|waiting| waiting.due_at <= now).collect();
            self.take_up(&due).await?;
            let Some(reached) = reached else { return Ok(()) };
            if !due.is_empty() {
                tokio::time::sleep_until(began + Duration::from_secs(1)).await;
            }
            start = Some(reached);
        }
    }

    /// Tries what waited, in its order, at most three at once; it ends early where the endpoint fails.
    async fn take_up(&self, waiting: &[Waiting]) -> Result<(), DeliverError> {
        let outgoing: Vec<_> = waiting.iter().map(|waiting| &waiting.outgoing).collect();
        let recalled = self.recall(&outgoing).await?;
        let failures = AtomicUsize::new(0);
        let taken = waiting.iter().map(|waiting| self.take_up_unless_ill(waiting, &recalled, &failures));
        let taken: Vec<_> = stream::iter(Vec::from_iter(taken)).buffered(AT_ONCE).collect().await;
        taken.into_iter().collect()
    }

    /// Tries one thing that waited, unless as many failed as go out at once: then it is not for one event.
    async fn take_up_unless_ill(
        &self,
        waiting: &Waiting,
        recalled: &Recalled,
        failures: &AtomicUsize,
    ) -> Result<(), DeliverError> {
        if failures.load(Ordering::Relaxed) >= AT_ONCE {
            return Ok(());
        }
        let taken = self.take_up_one(waiting, recalled).await;
        if !matches!(taken, Ok(true)) {
            failures.fetch_add(1, Ordering::Relaxed);
        }
        taken.map(|_| ())
    }

    /// Tries one thing that waited: whether it waits no longer.
    async fn take_up_one(&self, waiting: &Waiting, recalled: &Recalled) -> Result<bool, DeliverError> {
        let Waiting { outgoing, position, .. } = waiting;
        let next = match recalled.job(outgoing) {
            Some(job) if !job.earlier.iter().any(Attempt::is_success) => {
                let (attempt, _) = self.attempt(&job, decide::number(&job.earlier)).await?;
                // A failing endpoint's failure says nothing about the event: it is due once the endpoint has recovered.
                let is_failing = job.endpoint.state == EndpointState::Failing;
                attempt.next_at.map(|next| if is_failing { self.clock.now() } else { next })
            }
            _ => None,
        };
        match next {
            Some(due_at) => {
                let still = Waiting { due_at, ..waiting.clone() };
                self.table.wait(outgoing.environment, &still).await?;
            }
            None => self.table.waits_no_longer(outgoing.environment, &outgoing.endpoint, position).await?,
        }
        Ok(next.is_none())
    }

    /// Reads what is known of some messages: three requests, however many they are.
    async fn recall(&self, outgoing: &[&Outgoing]) -> Result<Recalled, StoreError> {
        let keys: Vec<_> = outgoing.iter().map(|one| one.key.clone()).collect();
        let wanted = outgoing.iter().map(|one| (one.environment, one.endpoint.as_str()));
        let (endpoints, carriers) =
            futures::try_join!(self.table.endpoints_of(wanted), self.table.carriers(&keys))?;
        let mut parcels = HashMap::new();
        for (key, carrier) in carriers {
            if let Some(parcel) = Parcel::of(&self.table, carrier).await? {
                parcels.insert(key, parcel);
            }
        }
        let now = self.clock.now();
        let mut attempts = HashMap::new();
        for environment in Environment::ALL {
            let of_it = parcels.values().filter(|parcel| parcel.environment == environment);
            attempts
                .extend(self.table.attempts(environment, of_it.map(|parcel| parcel.id.as_str()), now).await?);
        }
        Ok(Recalled { endpoints, parcels, attempts })
    }

    /// One request, and all that follows from it but what becomes of the message: the attempt with its next one, and how
    /// long it took.
    async fn attempt(&self, job: &Job<'_>, number: u32) -> Result<(Attempt, Duration), DeliverError> {
        let Job { endpoint, parcel, .. } = job;
        let at = self.clock.now();
        let secrets = self.keys.secrets(&endpoint.id, endpoint.secrets.in_use(at)).await?;
        let (answer, took) = send(&self.post, &endpoint.url, &secrets, parcel, at).await;
        let mut attempt = Attempt {
            endpoint: endpoint.id.clone(),
            number,
            at,
            status: None,
            error: None,
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            answer: None,
            next_at: None,
            resend: parcel.resend.clone(),
        };
        let mut retry_after = None;
        match answer {
            Ok(answer) => {
                attempt.status = Some(answer.status);
                attempt.answer = Some(answer.text).filter(|text| !text.is_empty());
                retry_after = answer.retry_after;
            }
            Err(error) => attempt.error = Some(error.to_string()),
        }
        attempt.next_at = decide::next_at(&attempt, retry_after, fastrand::u8(..));
        let expires_at = self.expires_at(at);
        self.table.note_attempt(parcel.environment, &parcel.id, &attempt, expires_at).await?;
        if took >= SLOW {
            self.table.note_slow(endpoint, self.clock.now().after(SLOW_FOR)).await?;
        }
        if attempt.is_success() {
            let is_news = endpoint.failures > 0
                || endpoint.last_success_at.is_none_or(|noted| at.since(noted) >= NOTED_EVERY);
            if is_news {
                self.table.note_success(endpoint, at).await?;
            }
        } else {
            self.failed(endpoint, &attempt).await?;
        }
        Ok((attempt, took))
    }

    /// Counts a failure of an endpoint, and what it makes of it.
    async fn failed(&self, endpoint: &Endpoint, attempt: &Attempt) -> Result<(), DeliverError> {
        let error = match (&attempt.error, attempt.status) {
            (Some(error), _) => error.clone(),
            (None, status) => format!("it answered {}", status.unwrap_or_default()),
        };
        let now = self.clock.now();
        telemetry::count(&self.clock, None, "attempt_failed");
        info!(endpoint = endpoint.id, number = attempt.number, error, "an attempt failed");
        let failure = Failure { at: now, error: error.clone() };
        let Some(after) = self.table.note_failure(endpoint, &failure).await? else { return Ok(()) };
        match decide::verdict(endpoint.state, &after, attempt.status, now) {
            Verdict::Same => {}
            Verdict::Failing(probes) => {
                if after.state == EndpointState::Active {
                    warn!(endpoint = endpoint.id, error, "an endpoint is failing");
                    telemetry::count(&self.clock, None, "endpoint_failing");
                }
                self.table.note_failing(endpoint, probes, decide::probe_at(probes, now)).await?;
            }
            Verdict::Disabled => {
                warn!(endpoint = endpoint.id, error, "an endpoint was disabled");
                telemetry::count(&self.clock, None, "endpoint_disabled");
                let mandate = Mandate {
                    // Several that come to this do it once.
                    id: format!("disabled-{}", after.failing_since.unwrap_or(now).as_millis()),
                    who: "deliver".to_owned(),
                    why: format!("{error}, and nothing succeeded for days"),
                    at: now,
                };
                let mandate = match attempt.status {
                    Some(410) => Mandate { why: "it answered 410 Gone".to_owned(), ..mandate },
                    _ => mandate,
                };
                self.table.change_endpoint(&after, &EndpointChange::Disable, &mandate).await?;
            }
        }
        Ok(())
    }

    /// Has something wait in the table.
    async fn wait(&self, job: &Job<'_>, due_at: Moment) -> Result<(), StoreError> {
        let waiting = Waiting {
            outgoing: job.outgoing.clone(),
            position: job.parcel.position.clone(),
            due_at,
            expires_at: self.expires_at(self.clock.now()),
        };
        self.table.wait(job.outgoing.environment, &waiting).await
    }

    /// Notes why there was no attempt, unless that is what was noted last.
    async fn note(&self, job: &Job<'_>, why: &str, next_at: Option<Moment>) -> Result<(), StoreError> {
        if job.earlier.last().is_some_and(|last| last.error.as_deref() == Some(why)) {
            return Ok(());
        }
        let now = self.clock.now();
        let attempt = Attempt {
            endpoint: job.endpoint.id.clone(),
            number: 0,
            at: now,
            status: None,
            error: Some(why.to_owned()),
            milliseconds: 0,
            answer: None,
            next_at,
            resend: job.parcel.resend.clone(),
        };
        let Parcel { environment, id, .. } = &job.parcel;
        self.table.note_attempt(*environment, id, &attempt, self.expires_at(now)).await
    }

    fn expires_at(&self, now: Moment) -> i64 {
        now.after(self.kept_for).as_millis().div_euclid(1000)
    }
}

/// POSTs a parcel, signed with these secrets: what was answered, and after how long.
pub async fn send(
    post: &impl Post,
    url: &EndpointUrl,
    secrets: &[SigningSecret],
    parcel: &Parcel,
    at: Moment,
) -> (Result<Answer, PostError>, Duration) {
    let headers = signing::headers(secrets, &parcel.id, at, &parcel.body);
    let began = tokio::time::Instant::now();
    let answer = post.post(url, headers.into(), parcel.body.clone()).await;
    (answer, began.elapsed())
}

/// The queue for what is for an endpoint.
fn lane_of(endpoint: &Endpoint, now: Moment) -> Lane {
    if endpoint.is_slow(now) { Lane::Slow } else { Lane::Fast }
}
