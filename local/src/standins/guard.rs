//! Who may ask at an address of this machine.
//!
//! A browser asks in the name of whoever uses it. A page from anywhere can make it send a request to this machine:
//! across origins, where some requests are sent unasked; or to a name that its owner has bent to this address (DNS
//! rebinding), where the page is of the same origin and may read the answer. The first carries the page's `Origin`,
//! the second that name as its `Host`; a page can change neither (Fetch Standard, "forbidden request-header").

use axum::http::{HeaderMap, StatusCode, header};
use shared::http::Problem;
use url::{Host, Url};

/// The name by which a container reaches its host (Docker, "host.docker.internal").
pub const CONTAINER_HOST: &str = "host.docker.internal";

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// The `Host` is a name of this machine's loopback, or one of `others`.
///
/// # Errors
/// 421 `foreign_host`.
pub fn named_as_here(headers: &HeaderMap, others: &[Host]) -> Result<(), Problem> {
    let host = text(headers, header::HOST).unwrap_or_default();
    let url = Url::parse(&format!("http://{host}/")).ok();
    let is_own = url.as_ref().and_then(Url::host).is_some_and(|host| match host {
        Host::Domain("localhost") => true,
        Host::Ipv4(address) if address.is_loopback() => true,
        Host::Ipv6(address) if address.is_loopback() => true,
        other => others.contains(&other.to_owned()),
    });
    if is_own {
        return Ok(());
    }
    let detail = "Only this machine is served, as 127.0.0.1 or localhost.";
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail))
}

/// The request comes from a page of this very server, or from no page.
///
/// # Errors
/// 403 `foreign_origin`.
pub fn from_own_page(headers: &HeaderMap) -> Result<(), Problem> {
    let host = text(headers, header::HOST).unwrap_or_default();
    match text(headers, header::ORIGIN) {
        Some(origin) if origin != format!("http://{host}") => Err(foreign_origin()),
        _ => Ok(()),
    }
}

/// The request comes from no page at all.
///
/// # Errors
/// 403 `foreign_origin`.
pub fn from_no_page(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::ORIGIN) {
        Some(_) => Err(foreign_origin()),
        None => Ok(()),
    }
}

fn foreign_origin() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "foreign_origin",
        "Web pages of other origins may not send this request.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    fn status(verdict: Result<(), Problem>) -> Option<u16> {
        verdict.err().map(|problem| problem.into_response().status().as_u16())
    }

    #[test]
    fn only_this_machine_under_its_own_names_is_served() {
        for host in ["127.0.0.1:8787", "localhost:8787", "LOCALHOST", "[::1]:9", "127.0.0.1"] {
            assert_eq!(status(named_as_here(&headers(host, None), &[])), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8787",
            "localhost.evil.example",
            "0.0.0.0",
            "192.168.0.1",
            "host.docker.internal",
            "",
        ] {
            assert_eq!(status(named_as_here(&headers(host, None), &[])), Some(421), "{host}");
        }
        assert_eq!(status(named_as_here(&HeaderMap::new(), &[])), Some(421));
    }

    #[test]
    fn other_names_are_served_where_they_are_given() {
        let others = [Host::Domain(CONTAINER_HOST.to_owned()), Host::Ipv4([172, 17, 0, 1].into())];
        for host in ["host.docker.internal:8788", "172.17.0.1:8788", "127.0.0.1"] {
            assert_eq!(status(named_as_here(&headers(host, None), &others)), None, "{host}");
        }
        for host in ["evil.example", "172.17.0.2", "host.docker.internal.evil.example"] {
            assert_eq!(status(named_as_here(&headers(host, None), &others)), Some(421), "{host}");
        }
    }

    #[test]
    fn other_origins_are_refused_even_on_this_machine() {
        let own = headers("localhost:8787", Some("http://localhost:8787"));
        assert_eq!(status(from_own_page(&own)), None);
        assert_eq!(status(from_no_page(&own)), Some(403));
        for origin in ["http://evil.example", "http://localhost:3000", "https://localhost:8787", "null"] {
            let headers = headers("localhost:8787", Some(origin));
            assert_eq!(status(from_own_page(&headers)), Some(403), "{origin}");
            assert_eq!(status(from_no_page(&headers)), Some(403), "{origin}");
        }
        assert_eq!(status(from_no_page(&headers("localhost", None))), None);
    }
}
