//! What people do: resend an event, retry a body of the quarantine, redrive dead letters.
//!
//! | `POST` under `/api/{environment}` | what it does |
//! | --- | --- |
//! | `events/{id}/resend` | sends the notification of the event again, marked as resent |
//! | `events/{id}/acknowledge` | records that somebody has looked at what is wrong with the event, as it stands |
//! | `quarantine/{id}/retry` | reads the body once more, and hands it to its family if it can be read now |
//! | `dead-letters/{family}/redrive` | puts dead letters back into their queue, at most 100 at a time |
//!
//! | `endpoints` | adds an endpoint: `{"url": "…", "description": "…", "filter": {…}, "why": "…"}` |
//! | `endpoints/{id}/{test,rotate,enable,disable}` | sends a test event; makes a new signing secret; lets it get events, or not |
//!
//! `DELETE endpoints/{id}` removes one. Managing endpoints needs a role of its own.
//!
//! The body is `{"why": "…"}`. Each action is recorded with who did it, when and why. A header `Idempotency-Key`
//! names it: the same key for the same target is the same action, done once.

mod endpoints;

use lambda_http::http::{Method, StatusCode, header};
use lambda_http::{Body as HttpBody, Request, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use shared::access::{Access, Role};
use shared::answers::{Done, Redriven};
use shared::clock::Clock;
use shared::endpoints::Reach;
use shared::endpoints::signing::DeliveryKeys;
use shared::environment::{Environment, Environments};
use shared::hash::hex;
use shared::http::{json, method_not_allowed, no_content, ok, segments};
use shared::model::{self, Body, Family};
use shared::queue::{DeliveryQueue, Redrive};
use shared::refusal::Refusal;
use shared::rotating::Rotating;
use shared::store::{ActionItem, EventRecord, Mandate, Record, Table};
use shared::verify::{Envelope, SealingKeys};
use tracing::{info, warn};
use uuid::Uuid;

/// How many dead letters one request puts back.
const REDRIVEN: usize = 100;

/// The most characters of a reason, and of an idempotency key.
const MOST_CHARACTERS: usize = 500;

/// Does what people want done.
#[derive(Debug)]
pub struct Actions<Q, C> {
    /// Where everything is.
    pub table: Table,
    /// Where deliveries go.
    pub queues: Q,
    /// What deliveries are sealed with.
    pub keys: Rotating<SealingKeys>,
    /// What endpoints' signing secrets are derived from.
    pub delivery_keys: DeliveryKeys,
    /// Which URLs endpoints may have.
    pub reach: Reach,
    /// Which environments are served.
    pub environments: Environments,
    /// Who may act.
    pub access: Access,
    /// Tells the time.
    pub clock: C,
}

/// What is to be done, and to what.
#[derive(Clone, Copy, Debug)]
enum Action<'a> {
    Resend(&'a str),
    Acknowledge(&'a str),
    Retry(&'a str),
    Redrive(&'a str),
    Add,
    Test(&'a str),
    Rotate(&'a str),
    Enable(&'a str),
    Disable(&'a str),
    Remove(&'a str),
}

impl<'a> Action<'a> {
    /// What a path under an environment asks for; else the methods that it has.
    fn of(path: &[&'a str], method: &Method) -> Result<Self, &'static str> {
        let post = |action| if *method == Method::POST { Ok(action) } else { Err("POST") };
        match *path {
            ["events", id, "resend"] => post(Self::Resend(id)),
            ["events", id, "acknowledge"] => post(Self::Acknowledge(id)),
            ["quarantine", id, "retry"] => post(Self::Retry(id)),
            ["dead-letters", family, "redrive"] => post(Self::Redrive(family)),
            ["endpoints"] if *method == Method::POST => Ok(Self::Add),
            ["endpoints"] => Err("GET, HEAD, POST"),
            ["endpoints", id] if *method == Method::DELETE => Ok(Self::Remove(id)),
            ["endpoints", _] => Err("GET, HEAD, DELETE"),
            ["endpoints", id, "test"] => post(Self::Test(id)),
            ["endpoints", id, "rotate"] => post(Self::Rotate(id)),
            ["endpoints", id, "enable"] => post(Self::Enable(id)),
            ["endpoints", id, "disable"] => post(Self::Disable(id)),
            // What can only be looked at.
            _ => Err("GET, HEAD"),
        }
    }

    /// The role that it needs.
    fn role(self) -> Role {
        match self {
            Self::Resend(_) | Self::Acknowledge(_) | Self::Retry(_) | Self::Redrive(_) => Role::Act,
            Self::Add
            | Self::Test(_)
            | Self::Rotate(_)
            | Self::Enable(_)
            | Self::Disable(_)
            | Self::Remove(_) => Role::Configure,
        }
    }
}

/// What a request carries.
trait Order: DeserializeOwned {
    /// What it is, for whoever sent something else.
    const FORM: &str;

    /// Why it shall be done.
    fn why(&self) -> &str;
}

/// A reason, and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    why: String,
}

impl Order for Reason {
    const FORM: &str = "an object with the text `why`";

    fn why(&self) -> &str {
        &self.why
    }
}

/// What is resent to whom.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resend {
    why: String,
    /// The only endpoint that gets it; everybody, where there is none.
    #[serde(default)]
    endpoint: Option<String>,
}

impl Order for Resend {
    const FORM: &str = "an object with the text `why`, and perhaps the text `endpoint`";

    fn why(&self) -> &str {
        &self.why
    }
}

/// A page elsewhere cannot send JSON without asking (Fetch Standard, "CORS-safelisted request-header").
fn is_json(request: &Request) -> Result<(), Refusal> {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    if media_type.trim().eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Refusal::MediaType) }
}

impl<Q: DeliveryQueue + Redrive, C: Clock> Actions<Q, C> {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response<HttpBody> {
        match self.act(&request).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn act(&self, request: &Request) -> Result<Response<HttpBody>, Refusal> {
        // Whoever may not even look learns nothing.
        self.access.caller(request, Role::Read).map_err(Refusal::Denied)?;
        let path = segments(request);
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        if path == ["api", "openapi.json"] {
            return Ok(method_not_allowed("GET, HEAD"));
        }
        let ["api", environment, ref rest @ ..] = path[..] else {
            return Err(Refusal::NotFound("Not found: nothing is served at this path."));
        };
        let environment = self.environments.served(environment);
        let environment =
            environment.ok_or(Refusal::NotFound("Not found: this environment is not served here."))?;
        let action = match Action::of(rest, request.method()) {
            Ok(action) => action,
            Err(methods) => return Ok(method_not_allowed(methods)),
        };
        let who = self.access.caller(request, action.role()).map_err(Refusal::Denied)?;
        let done = self.perform(environment, action, request, &who).await;
        let done = done.map_err(Refusal::of_action)?;
        info!(%environment, ?action, who, "action performed");
        Ok(done)
    }

    async fn perform(
        &self,
        environment: Environment,
        action: Action<'_>,
        request: &Request,
        who: &str,
    ) -> Result<Response<HttpBody>, Refusal> {
        let reason = || self.order::<Reason>(request, who).map(|(_, mandate)| mandate);
        match action {
            Action::Resend(id) => {
                let (Resend { endpoint, .. }, mandate) = self.order(request, who)?;
                self.resend(environment, id, endpoint, &mandate).await.map(ok)
            }
            Action::Acknowledge(id) => self.acknowledge(environment, id, &reason()?).await.map(ok),
            Action::Retry(id) => self.retry(environment, id, &reason()?).await.map(ok),
            Action::Redrive(family) => self.redrive(environment, family, &reason()?).await.map(ok),
            Action::Add => {
                let (new, mandate) = self.order(request, who)?;
                let added = self.add(environment, new, &mandate).await?;
                Ok(json(StatusCode::CREATED, &added))
            }
            Action::Test(id) => {
                let tested = self.test(environment, id, &reason()?).await?;
                Ok(json(StatusCode::ACCEPTED, &tested))
            }
            Action::Rotate(id) => self.rotate(environment, id, &reason()?).await.map(ok),
            Action::Enable(id) => self.enable(environment, id, &reason()?).await.map(ok),
            Action::Disable(id) => self.disable(environment, id, &reason()?).await.map(ok),
            Action::Remove(id) => {
                // A request to remove something need not have a body.
                let mandate = if request.body().is_empty() {
                    self.mandate(request, who, "no reason was given")?
                } else {
                    reason()?
                };
                self.remove(environment, id, &mandate).await.map(|()| no_content())
            }
        }
    }

    /// What a request carries, and who wants it, and why.
    fn order<T: Order>(&self, request: &Request, who: &str) -> Result<(T, Mandate), Refusal> {
        is_json(request)?;
        let order: T = serde_json::from_slice(request.body().as_ref()).map_err(|error| {
            let cause = error.to_string();
            let cause = cause.split(" at line ").next().unwrap_or_default();
            Refusal::Order(format!("The body is {}: {cause}.", T::FORM))
        })?;
        let mandate = self.mandate(request, who, order.why())?;
        Ok((order, mandate))
    }

    /// Who wants what is asked for, and why.
    fn mandate(&self, request: &Request, who: &str, why: &str) -> Result<Mandate, Refusal> {
        let why = why.trim();
        if why.is_empty() || why.chars().count() > MOST_CHARACTERS {
            return Err(Refusal::Order(format!("`why` has 1 to {MOST_CHARACTERS} characters.")));
        }
        let id = match request.headers().get("idempotency-key") {
            Some(key) if key.is_empty() || key.len() > MOST_CHARACTERS => {
                let detail = format!("`Idempotency-Key` has 1 to {MOST_CHARACTERS} characters.");
                return Err(Refusal::Order(detail));
            }
            Some(key) => hex(&Sha256::digest(key.as_bytes())).chars().take(32).collect(),
            None => Uuid::new_v4().simple().to_string(),
        };
        Ok(Mandate { id, who: who.to_owned(), why: why.to_owned(), at: self.clock.now() })
    }

    async fn resend(
        &self,
        environment: Environment,
        id: &str,
        endpoint: Option<String>,
        mandate: &Mandate,
    ) -> Result<Done, Refusal> {
        if let Some(endpoint) = &endpoint
            && self.table.endpoint(environment, endpoint).await?.is_none()
        {
            return Err(Refusal::NotFound("Not found: no endpoint has this id."));
        }
        let record = self.event(environment, id).await?;
        match self.table.resend(&record, endpoint, mandate).await? {
            Some(action) => Ok(Done { action: action.into() }),
            None => Err(Refusal::NoNotification(record.event.why)),
        }
    }

    async fn acknowledge(
        &self,
        environment: Environment,
        id: &str,
        mandate: &Mandate,
    ) -> Result<Done, Refusal> {
        let record = self.event(environment, id).await?;
        Ok(Done { action: self.table.acknowledge(&record, mandate).await?.into() })
    }

    async fn event(&self, environment: Environment, id: &str) -> Result<EventRecord, Refusal> {
        let record = self.table.event(environment, id).await?;
        record.ok_or(Refusal::NotFound("Not found: no event has this id."))
    }

    async fn retry(&self, environment: Environment, id: &str, mandate: &Mandate) -> Result<Done, Refusal> {
        let record = self.table.quarantined_body(environment, id).await?;
        let record = record.ok_or(Refusal::NotFound("Not found: no body in quarantine has this id."))?;
        if record.item.reason == model::Reason::TooLarge {
            return Err(Refusal::NotWhole);
        }
        let body = Body::parse(&record.raw, environment).map_err(Refusal::StillUnreadable)?;
        let envelope = Envelope {
            environment,
            family: body.event.family(),
            event: body.event.plain().unwrap_or_default().to_owned(),
            received_at: record.item.received_at,
            // One of the requests that brought it: handed over twice, it is still one delivery.
            delivery_id: record.delivery_ids.first().cloned().unwrap_or_default(),
            refused: None,
            body: record.raw,
        };
        let keys = self.keys.current().await;
        let keys = keys.ok_or_else(|| Refusal::Undone("the sealing key cannot be had".into()))?;
        let sealed = envelope.seal(&keys).map_err(|error| Refusal::Undone(error.into()))?;
        self.queues.send(&sealed).await?;
        let action = self.table.retried(environment, id, mandate).await?;
        Ok(Done { action: action.into() })
    }

    async fn redrive(
        &self,
        environment: Environment,
        family: &str,
        mandate: &Mandate,
    ) -> Result<Redriven, Refusal> {
        let family: Family =
            family.parse().map_err(|_| Refusal::NotFound("Not found: no family has this name."))?;
        let action = match self.table.begin_redrive(environment, family, mandate).await? {
            Record::New(action) => self.put_back(family, action).await?,
            Record::Known(done) => done,
        };
        let moved = action.moved.unwrap_or_default();
        let more = action.more;
        Ok(Redriven { action: action.into(), moved, more })
    }

    /// Puts dead letters back, step by step, and notes each step: what was moved is known, wherever it ends.
    async fn put_back(&self, family: Family, mut action: ActionItem) -> Result<ActionItem, Refusal> {
        let mut moved = 0;
        while action.more && moved < REDRIVEN {
            let step = self.queues.redrive(family, REDRIVEN - moved).await;
            moved += step.moved;
            action.moved = Some(moved);
            action.more = step.moved > 0 || step.failed.is_some();
            self.table.note_redrive(family, &action).await?;
            match step.failed {
                Some(error) if moved == 0 => return Err(Refusal::NonePutBack(error)),
                Some(error) => {
                    warn!(%family, %error, moved, "a redrive ended early");
                    break;
                }
                None => {}
            }
        }
        Ok(action)
    }
}
