//! `POST /webhooks/{environment}`: the only public function. Authenticate, bound, classify, seal, queue.
//!
//! It never touches the table: it answers 200 once the family's queue has the delivery durably, so that a slow
//! table or a fault in one family can neither lose nor delay an acknowledgement.
//!
//! | answer | when |
//! | --- | --- |
//! | 200 | accepted, also a duplicate |
//! | 400 | authenticated, but unreadable: kept in quarantine |
//! | 401 | not authenticated: nothing is kept, and the answer does not say why |
//! | 404, 405 | no such environment or path here, which is counted; another method |
//! | 413 | larger than 128 KiB: hash, size and first 4 KiB are kept in quarantine |
//! | 503 | not accepted: send it again |

use lambda_http::http::{HeaderValue, Method, StatusCode, header};
use lambda_http::request::RequestContext;
use lambda_http::{Body as HttpBody, Request, RequestExt as _, Response};
use sha2::{Digest as _, Sha256};
use shared::clock::Clock;
use shared::environment::{Environment, Environments};
use shared::hash::hex;
use shared::http::{Problem, json, method_not_allowed, segments};
use shared::model::{Body, DeliveryId, EventName, Family, MAX_BODY, Reason, Unreadable};
use shared::queue::DeliveryQueue;
use shared::rotating::Rotating;
use shared::telemetry;
use shared::verify::{Authentic, Envelope, SealingKeys, SecretRefusal, Secrets, Unverified, secret};
use tracing::{error, info, warn};
use uuid::Uuid;

/// How much of a body that is too large is kept, in bytes.
const HEAD: usize = 4 * 1024;

/// How much of a path that is not served is logged, in characters.
const LONGEST_PATH: usize = 200;

/// The receiver.
#[derive(Debug)]
pub struct Ingest<Q, C> {
    /// Who is let in.
    pub secrets: Rotating<Secrets>,
    /// What deliveries are sealed with.
    pub keys: Rotating<SealingKeys>,
    /// Which environments are served.
    pub environments: Environments,
    /// Where deliveries go.
    pub queue: Q,
    /// Tells the time.
    pub clock: C,
}

impl<Q: DeliveryQueue, C: Clock> Ingest<Q, C> {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response<HttpBody> {
        let path = segments(&request);
        let environment = match path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            // A slash at the end is easily pasted.
            ["webhooks", name] | ["webhooks", name, ""] => self.environments.served(name),
            _ => None,
        };
        let Some(environment) = environment else {
            // A mistyped URL at Bitpowr loses every event in silence, if nobody hears of it.
            let path: String = path.join("/").chars().take(LONGEST_PATH).collect();
            warn!(method = %request.method(), path, "not found");
            telemetry::count(&self.clock, None, "not_found");
            let detail = "Not found: this environment is not served here. Send webhooks to /webhooks/test or /webhooks/live.";
            return Problem::new(StatusCode::NOT_FOUND, "not_found", detail).into_response();
        };
        if request.method() != Method::POST {
            return method_not_allowed("POST");
        }
        match self.authenticate(&request).await {
            Some(Ok(authentic)) => self.accept(&authentic, environment, delivery_id(&request).into()).await,
            Some(Err(refusal)) => {
                warn!(%environment, reason = %refusal, "not authenticated");
                telemetry::count(&self.clock, None, "unauthenticated");
                let detail = "The request is not authenticated. It needs the header x-webhook-secret once, with the \
                              webhook secret in Base64.";
                let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail);
                let mut response = problem.into_response();
                // RFC 9110, section 11.6.1: a 401 names the scheme. Bitpowr's is the header itself.
                let scheme = HeaderValue::from_static(secret::HEADER);
                response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
                response
            }
            None => not_accepted(&self.clock, environment, "the webhook secret is not available"),
        }
    }

    /// Checks the secret; one that was replaced a moment ago is fetched before the request is refused. None
    /// where there is no secret to compare with.
    async fn authenticate<'a>(&self, request: &'a Request) -> Option<Result<Authentic<'a>, SecretRefusal>> {
        let headers = || request.headers().get_all(secret::HEADER).iter().map(|value| value.as_bytes());
        let secrets = self.secrets.current().await?;
        let verdict = Unverified::new(headers(), request.body()).verify(&secrets);
        if verdict.as_ref().err() != Some(&SecretRefusal::Wrong) {
            return Some(verdict);
        }
        match self.secrets.refreshed(&secrets).await {
            Some(secrets) => Some(Unverified::new(headers(), request.body()).verify(&secrets)),
            None => Some(verdict),
        }
    }

    /// Keeps an authenticated delivery, readable or not, and says so.
    async fn accept(
        &self,
        body: &Authentic<'_>,
        environment: Environment,
        delivery_id: DeliveryId,
    ) -> Response<HttpBody> {
        let body = body.body();
        let classified = classify(body, environment);
        let (family, event, refused) = match &classified {
            Ok(event) => (event.family(), event.plain().unwrap_or_default(), None),
            Err(unreadable) => {
                (Family::Unrecognised, "", Some((unreadable.reason, unreadable.detail.clone())))
            }
        };
        let kept = if body.len() > MAX_BODY { body.get(..HEAD).unwrap_or(body) } else { body };
        let envelope = Envelope {
            environment,
            family,
            event: event.to_owned(),
            received_at: self.clock.now(),
            delivery_id: delivery_id.clone(),
            refused,
            body: kept.to_vec(),
        };
        let Some(keys) = self.keys.current().await else {
            return not_accepted(&self.clock, environment, "the sealing key is not available");
        };
        let sealed = match envelope.seal(&keys) {
            Ok(sealed) => sealed,
            Err(cause) => return not_accepted(&self.clock, environment, &cause.to_string()),
        };
        if let Err(cause) = self.queue.send(&sealed).await {
            return not_accepted(&self.clock, environment, &cause.to_string());
        }
        match classified {
            Ok(_) => {
                info!(%environment, %family, event, %delivery_id, bytes = body.len(), "accepted");
                telemetry::count(&self.clock, Some(family), "accepted");
                json(StatusCode::OK, &Accepted { delivery_id: &delivery_id })
            }
            Err(Unreadable { reason, detail }) => {
                warn!(%environment, %reason, %delivery_id, bytes = body.len(), "quarantined");
                telemetry::count(&self.clock, Some(family), "quarantined");
                let status = match reason {
                    Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                    _ => StatusCode::BAD_REQUEST,
                };
                Problem::new(status, reason.as_str(), reason.explain(&detail)).into_response()
            }
        }
    }
}

/// The answer to what could not be kept: the sender sends it again.
fn not_accepted(clock: &impl Clock, environment: Environment, cause: &str) -> Response<HttpBody> {
    error!(%environment, cause, "not accepted");
    telemetry::count(clock, None, "not_accepted");
    let detail = "The delivery could not be stored. Send it again.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_accepted", detail).into_response()
}

/// The body of a 200. Bitpowr ignores it; people who try with curl do not.
#[derive(serde::Serialize)]
struct Accepted<'a> {
    delivery_id: &'a DeliveryId,
}

/// The event's name, or why there is none.
fn classify(body: &[u8], environment: Environment) -> Result<EventName, Unreadable> {
    if body.len() > MAX_BODY {
        let hash = hex(&Sha256::digest(body));
        let detail = format!(
            "{} It has {} bytes; the SHA-256 of all of them is {hash}.",
            Reason::TooLarge.describe(),
            body.len()
        );
        return Err(Unreadable { reason: Reason::TooLarge, detail });
    }
    Body::parse(body, environment).map(|body| body.event)
}

/// Names this one HTTP request: API Gateway's request id, which no other request shares.
fn delivery_id(request: &Request) -> String {
    let context = request.request_context_ref();
    let given = context.and_then(|context| match context {
        RequestContext::ApiGatewayV2(context) => context.request_id.clone(),
        _ => None,
    });
    given.filter(|id| !id.is_empty()).unwrap_or_else(|| Uuid::new_v4().to_string())
}
