//! A POST to somebody else's server, which may be slow, lie, or be one of ours that nobody should reach through us.

use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::rfc2822;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use shared::clock::Moment;
use shared::endpoints::{ANSWER, EndpointUrl, NotRoutable, Reach};

/// How long an endpoint may take for its answer.
const TIME_OUT: Duration = Duration::from_secs(15);

/// How long it may take to be reached.
const CONNECT_TIME_OUT: Duration = Duration::from_secs(5);

/// What an endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The first bytes of the body, as text.
    pub text: String,
    /// After how long it wants to be tried again.
    pub retry_after: Option<SignedDuration>,
}

/// An endpoint did not answer.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// It took too long.
    #[error("no answer within {} s", TIME_OUT.as_secs())]
    TimeOut,
    /// Its address is none that requests may go to.
    #[error(transparent)]
    Address(#[from] NotRoutable),
    /// It was not reached, or broke off.
    #[error("{0}")]
    Broken(String),
}

/// Sends requests.
pub trait Post: Send + Sync + 'static {
    /// POSTs JSON.
    fn post(
        &self,
        url: &EndpointUrl,
        headers: Vec<(&'static str, String)>,
        body: String,
    ) -> impl Future<Output = Result<Answer, PostError>> + Send;
}

/// The client: HTTP/1.1, connections kept, no redirects, no proxies, only addresses within its reach.
#[derive(Clone, Debug)]
pub struct Poster {
    client: reqwest::Client,
    reach: Reach,
}

impl Poster {
    /// A client with this reach.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(reach: Reach) -> Result<Self, reqwest::Error> {
        Self::resolving(reach, Arc::new(System))
    }

    /// The same, with another way to look names up.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn resolving(reach: Reach, names: Arc<dyn Resolve>) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .http1_only()
            .no_proxy()
            .timeout(TIME_OUT)
            .connect_timeout(CONNECT_TIME_OUT)
            .pool_idle_timeout(Duration::from_secs(60))
            // A POST that is redirected arrives as a GET without its body, or somewhere else than was checked.
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Within { reach, names })
            .user_agent(concat!("bitpowr-webhooks/", env!("CARGO_PKG_VERSION")));
        Ok(Self { client: client.build()?, reach })
    }
}

impl Post for Poster {
    async fn post(
        &self,
        url: &EndpointUrl,
        headers: Vec<(&'static str, String)>,
        body: String,
    ) -> Result<Answer, PostError> {
        // An address in the URL is not looked up.
        url.check(self.reach)?;
        let mut request = self.client.post(url.reveal().clone()).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.body(body).send().await.map_err(broken)?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let mut text = Vec::new();
        // The status counts, also where the body breaks off.
        while text.len() < ANSWER
            && let Ok(Some(chunk)) = response.chunk().await
        {
            text.extend_from_slice(&chunk);
        }
        text.truncate(ANSWER);
        Ok(Answer { status, text: String::from_utf8_lossy(&text).into_owned(), retry_after })
    }
}

/// What went wrong, without the URL: it may hold a token.
fn broken(error: reqwest::Error) -> PostError {
    if error.is_timeout() {
        return PostError::TimeOut;
    }
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        if let Some(address) = deeper.downcast_ref::<NotRoutable>() {
            return PostError::Address(*address);
        }
        cause = deeper;
    }
    PostError::Broken(cause.to_string())
}

/// The seconds, or the date, of `Retry-After` (RFC 9110, section 10.2.3); a date counts from the answer's own.
fn retry_after(headers: &HeaderMap) -> Option<SignedDuration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(SignedDuration::from_secs(i64::from(seconds)));
    }
    let date = |text: &str| {
        let zoned = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Moment::from_millis(zoned.as_millisecond()))
    };
    let now = date(headers.get(reqwest::header::DATE)?.to_str().ok()?)?;
    Some(date(text)?.since(now))
}

/// Looks names up as the system does.
struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is the URL's; this one is replaced.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(Vec::from_iter(found).into_iter()) as Addrs)
        })
    }
}

/// Of what a name is, only the addresses within reach: the client dials those, and no others, without looking again.
struct Within {
    reach: Reach,
    names: Arc<dyn Resolve>,
}

impl Resolve for Within {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, found) = (self.reach, self.names.resolve(name));
        Box::pin(async move { within(reach, found.await?.collect()) })
    }
}

/// The addresses within reach.
fn within(reach: Reach, found: Vec<SocketAddr>) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
    let refused = found.first().copied();
    let allowed: Vec<_> = found.into_iter().filter(|address| reach.includes(address.ip())).collect();
    match (allowed.is_empty(), refused) {
        (true, Some(address)) => Err(NotRoutable(address.ip()).into()),
        (true, None) => Err("the name has no address".into()),
        _ => Ok(Box::new(allowed.into_iter())),
    }
}
