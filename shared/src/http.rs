//! Before the HTTP functions: API Gateway events in and out, and problems.

use std::borrow::Cow;
use std::future::Future;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use base64::Engine as _;
use lambda_http::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use lambda_http::request::LambdaRequest;
use lambda_http::{
    Adapter, Body, Context, Error, LambdaEvent, Request, RequestExt as _, Service as _, service_fn,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Answers one API Gateway event (payload 2.0) with `handler`, which speaks plain HTTP.
///
/// What the conversion of `lambda_http` would panic at is mended before: a body that says it is Base64 and is
/// not is passed on as the text it is; a host that is none, and a scheme from outside, are dropped. API Gateway
/// decodes the path (an HTTP API's `rawPath` is not raw); it is encoded again, so that no part of an identifier
/// is taken for a query or a fragment.
///
/// # Errors
/// What `handler` fails with.
pub async fn answer<H, F>(
    event: ApiGatewayV2httpRequest,
    context: Context,
    handler: H,
) -> Result<Value, Error>
where
    H: Fn(Request) -> F + Send,
    F: Future<Output = Response<Body>> + Send,
{
    let (event, fits) = mend(event);
    let request = LambdaRequest::ApiGatewayV2(event);
    let handler = &handler;
    let mut adapter = Adapter::from(service_fn(move |request: Request| {
        let answer = fits.then(|| handler(request));
        async move {
            Ok::<_, Error>(match answer {
                Some(answer) => answer.await,
                None => too_long(),
            })
        }
    }));
    let response = adapter.call(LambdaEvent::new(request, context)).await?;
    Ok(serde_json::to_value(response)?)
}

/// The most bytes of a path and its query: no question is that long, and `http::Uri` takes 64 KiB at most.
const MAX_URI: usize = 16 * 1024;

fn too_long() -> Response<Body> {
    let detail = "The path and query are longer than 16 KiB.";
    Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail).into_response()
}

/// The event, mended, and whether its path and query are short enough to be understood.
fn mend(mut event: ApiGatewayV2httpRequest) -> (ApiGatewayV2httpRequest, bool) {
    let decodes = |body: &str| base64::engine::general_purpose::STANDARD.decode(body).is_ok();
    event.is_base64_encoded &= event.body.as_deref().is_some_and(decodes);
    let host = event.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_host = |host: &str| url::Url::parse(&format!("https://{host}/")).is_ok();
    if !host.is_some_and(is_host) {
        event.headers.remove(header::HOST);
        event.request_context.domain_name = None;
    }
    event.headers.remove("x-forwarded-proto");
    let path = event.raw_path.take().unwrap_or_default();
    let path = utf8_percent_encode(path.trim_start_matches('/'), PATH).to_string();
    let query = event.raw_query_string.as_deref().unwrap_or_default();
    let fits = path.len() + query.len() < MAX_URI;
    event.raw_path = Some(format!("/{}", if fits { path } else { String::new() }));
    event.raw_query_string = event.raw_query_string.filter(|_| fits);
    (event, fits)
}

/// What stands for itself in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// A problem, as RFC 9457 describes them. `type` is `about:blank`: the status says what kind it is; `code` is
/// stable and for programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    #[serde(rename = "type")]
    problem_type: Cow<'static, str>,
    title: Cow<'static, str>,
    status: u16,
    /// What it is, for programs.
    pub code: String,
    /// What it is, for people.
    pub detail: String,
}

impl Problem {
    /// A problem of this status.
    pub fn new(status: StatusCode, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            problem_type: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            code: code.into(),
            detail: detail.into(),
        }
    }

    /// Its status, and what it says in words.
    pub fn into_parts(self) -> (StatusCode, String) {
        (StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), self.detail)
    }

    /// The answer that carries it.
    pub fn into_response(self) -> Response<Body> {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, &self);
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        response
    }
}

/// An answer of this status in JSON.
pub fn json<T: Serialize>(status: StatusCode, body: &T) -> Response<Body> {
    let (status, text) = match serde_json::to_string(body) {
        Ok(text) => (status, text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    };
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for_nobody_else(headers);
    response
}

/// What every answer says of itself.
fn for_nobody_else(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // No page elsewhere may take an answer in, not even as an image (Fetch Standard, "CORP check").
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
}

/// An answer that is as asked for.
pub fn ok<T: Serialize>(body: T) -> Response<Body> {
    json(StatusCode::OK, &body)
}

/// The answer where there is nothing to say: 204.
pub fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    for_nobody_else(response.headers_mut());
    response
}

/// The answer to a method that is not served: 405 with the methods that are.
pub fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let detail = format!("Only {allowed} is allowed here.");
    let mut response =
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The parts of a request's path, percent-decoded. A part of dots is a part like others: the URI of a request has
/// resolved them, what came with the event has not.
pub fn segments(request: &Request) -> Vec<String> {
    let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    let path = match request.raw_http_path() {
        "" => request.uri().path(),
        raw => raw,
    };
    path.strip_prefix('/').unwrap_or(path).split('/').map(decode).collect()
}
