//! The local stand-in for API Gateway: real HTTP in, events of payload format 2.0 to the handlers.

use std::net::SocketAddr;
use std::sync::Arc;

use actions::Actions;
use api::Api;
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use ingest::Ingest;
use lambda_http::Body as LambdaBody;
use page::Page;
use serde_json::{Value, json};
use shared::clock::{Clock, Moment};
use shared::http::{Problem, answer, method_not_allowed};
use shared::queue::{DeliveryQueue, Depths, Redrive};
use tracing::error;
use uuid::Uuid;

use super::guard::{from_no_page, from_own_page, named_as_here};
use super::queues::Queues;

/// The largest request that API Gateway takes, in bytes (Amazon API Gateway, developer guide, quotas of HTTP
/// APIs).
const MAX_REQUEST: usize = 10 * 1024 * 1024;

/// The HTTP functions.
#[derive(Debug)]
pub struct Functions<Q, C> {
    /// `/webhooks/…`; nothing where only another place's data is shown.
    pub ingest: Option<Ingest<Queues, C>>,
    /// Whether everybody knows the webhook secret.
    pub is_secret_public: bool,
    /// `GET /api/…`
    pub api: Api<Q, C>,
    /// `POST` and `DELETE /api/…`
    pub actions: Actions<Q, C>,
    /// Everything else.
    pub page: Page,
    /// Tells when a request came.
    pub clock: C,
}

impl<Q, C> Functions<Q, C> {
    /// No page sends webhooks. They carry the secret and may come through a tunnel, under any name, unless
    /// everybody knows it: then a page under a name that was bent to this address could forge them.
    fn admit_webhook(&self, headers: &HeaderMap) -> Result<(), Problem> {
        from_no_page(headers)?;
        match named_as_here(headers, &[]) {
            Err(_) if self.is_secret_public => {
                let detail = "With the default secret, webhooks are taken from this machine only, as 127.0.0.1 or \
                              localhost. Start the product with a secret of your own to receive them through a tunnel.";
                Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail))
            }
            _ => Ok(()),
        }
    }
}

/// Everything that is served.
pub fn router<Q: Depths + DeliveryQueue + Redrive, C: Clock>(functions: Functions<Q, C>) -> Router {
    Router::new().fallback(serve::<Q, C>).with_state(Arc::new(functions))
}

async fn serve<Q: Depths + DeliveryQueue + Redrive, C: Clock>(
    State(functions): State<Arc<Functions<Q, C>>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response<Body> {
    let first = request.uri().path().split('/').nth(1).unwrap_or_default().to_owned();
    let acts = matches!(*request.method(), Method::POST | Method::DELETE);
    let admitted = match first.as_str() {
        "webhooks" => functions.admit_webhook(request.headers()),
        _ => named_as_here(request.headers(), &[]).and_then(|()| from_own_page(request.headers())),
    };
    if let Err(problem) = admitted {
        return respond(problem.into_response());
    }
    if request.uri().path() == "/healthz" {
        return match *request.method() {
            Method::GET | Method::HEAD => ([(header::CONTENT_TYPE, "text/plain")], "ok\n").into_response(),
            _ => respond(method_not_allowed("GET, HEAD")),
        };
    }
    let event = match event(request, client, functions.clock.now()).await {
        Ok(event) => event,
        Err(problem) => return respond(problem.into_response()),
    };
    let context = lambda_http::Context::default();
    let answered = match (first.as_str(), &functions.ingest) {
        ("webhooks", Some(ingest)) => answer(event, context, |request| ingest.handle(request)).await,
        ("api", _) if acts => answer(event, context, |request| functions.actions.handle(request)).await,
        ("api", _) => answer(event, context, |request| functions.api.handle(request)).await,
        _ => answer(event, context, |request| functions.page.handle(request)).await,
    };
    answered.map_err(|error| error.to_string()).and_then(from_lambda).unwrap_or_else(|error| {
        error!(error, "a handler failed");
        let detail = "The request could not be handled. Send it again.";
        respond(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response())
    })
}

/// The event that API Gateway would make of a request that came at this time.
async fn event(
    request: Request<Body>,
    client: SocketAddr,
    now: Moment,
) -> Result<ApiGatewayV2httpRequest, Problem> {
    let (parts, body) = request.into_parts();
    let too_large = |_| {
        let detail = "The request is larger than 10 MiB.";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    };
    let body = to_bytes(body, MAX_REQUEST).await.map_err(too_large)?;
    let is_text = std::str::from_utf8(&body).is_ok() && is_text(&parts.headers);
    let body = match (body.is_empty(), is_text) {
        (true, _) => Value::Null,
        (false, true) => Value::from(String::from_utf8_lossy(&body).into_owned()),
        (false, false) => serde_json::to_value(LambdaBody::Binary(body.to_vec())).unwrap_or_default(),
    };
    let event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8_lossy(),
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers(&parts.headers),
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "localhost",
            "domainPrefix": "local",
            "http": {
                "method": parts.method.as_str(),
                "path": parts.uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": client.ip().to_string(),
                "userAgent": "",
            },
            "requestId": Uuid::new_v4().to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.to_string(),
            "timeEpoch": now.as_millis(),
        },
        "isBase64Encoded": body.is_string() && !is_text,
        "body": body,
    });
    serde_json::from_value(event).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", format!("The request cannot be read: {error}"))
    })
}

/// API Gateway passes these as text, and everything else, also what has no type, as Base64.
fn is_text(headers: &HeaderMap) -> bool {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type.starts_with("text/")
        || matches!(media_type.as_str(), "application/json" | "application/xml" | "application/javascript")
}

/// Headers as API Gateway passes them: repeated ones joined by commas, what is not UTF-8 replaced.
fn headers(headers: &HeaderMap) -> serde_json::Map<String, Value> {
    let joined = |name| {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        Value::from(values.join(","))
    };
    headers.keys().map(|name| (name.as_str().to_owned(), joined(name))).collect()
}

/// What API Gateway would answer.
fn from_lambda(response: Value) -> Result<Response<Body>, String> {
    let response: ApiGatewayV2httpResponse =
        serde_json::from_value(response).map_err(|error| error.to_string())?;
    let status =
        u16::try_from(response.status_code).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let body = response.body.unwrap_or(LambdaBody::Empty);
    let mut answer = Response::new(Body::from(body.as_ref().to_vec()));
    *answer.status_mut() = status.ok_or("a handler answered with no status")?;
    *answer.headers_mut() = response.headers;
    Ok(answer)
}

fn respond(response: Response<LambdaBody>) -> Response<Body> {
    response.map(|body| Body::from(body.as_ref().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_event_has_the_time_that_the_clock_tells() {
        let now = Moment::from_millis(1_795_411_744_123);
        let request = Request::get("/api/test/events").body(Body::empty()).unwrap();
        let event = event(request, (std::net::Ipv4Addr::LOCALHOST, 1).into(), now).await.ok().unwrap();
        assert_eq!(event.request_context.time_epoch, now.as_millis());
        assert_eq!(event.request_context.time.as_deref(), Some("2026-11-23T05:29:04.123Z"));
    }
}
