//! The page on which people look at the log: static files, and how to sign in. It knows no data and has no rights;
//! what the page shows it asks of the read side, with the rights of whoever looks at it.
//!
//! | path | answer |
//! | --- | --- |
//! | `/` | the page |
//! | `/assets/{file}` | its parts |
//! | `/config.json` | which environments there are, and who signs people in |

use lambda_http::http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, Response};
use serde::Serialize;
use shared::environment::{Environment, Environments};
use shared::http::{Problem, json, method_not_allowed, segments};
use url::Url;

/// Who signs people in: any provider of OpenID Connect (OpenID Connect Core 1.0) whose tokens the API's authorizer
/// takes.
#[derive(Clone, Debug, Serialize)]
pub struct SignIn {
    /// The issuer; its discovery document is below it.
    pub issuer: String,
    /// What the page is called there.
    pub client_id: String,
    /// What is asked for.
    pub scope: String,
    /// Where else than at the issuer's own origin tokens are got, if elsewhere.
    #[serde(skip)]
    pub token_origin: Option<String>,
}

/// The page.
#[derive(Debug)]
pub struct Page {
    /// Which environments there are.
    pub environments: Environments,
    /// The stack whose data is shown, where it is not this one's own.
    pub stack: Option<String>,
    /// Who signs people in; nobody where only this machine can see it.
    pub sign_in: Option<SignIn>,
}

/// What the page has to know before it asks for anything.
#[derive(Serialize)]
struct Config<'a> {
    environments: Vec<Environment>,
    stack: Option<&'a str>,
    version: &'static str,
    auth: Option<&'a SignIn>,
}

/// The files of the folder `assets`, by name.
macro_rules! files {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("../assets/", $name)))),*] };
}

const FILES: &[(&str, &str)] = files! {
    "actions.js" "api.js" "app.css" "app.js" "auth.js" "balances.js" "chart.js" "dom.js" "endpoints.js" "entity.js"
    "event.js" "favicon.svg" "filters.js" "format.js" "health.js" "index.html" "json.js" "keys.js" "log.js" "quarantine.js"
    "route.js" "search.js" "text.js" "theme.js" "timeline.js" "ui.js" "words.js"
};

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

impl Page {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return method_not_allowed("GET, HEAD");
        }
        let path = segments(&request);
        let file = match path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [""] => "index.html",
            ["config.json"] => return self.config(),
            ["assets", file] => file,
            _ => "",
        };
        match FILES.iter().find(|(name, _)| *name == file) {
            Some((name, contents)) => self.file(media_type(name), contents),
            None => {
                Problem::new(StatusCode::NOT_FOUND, "not_found", "Not found: nothing is served at this path.")
                    .into_response()
            }
        }
    }

    fn config(&self) -> Response<Body> {
        json(
            StatusCode::OK,
            &Config {
                environments: self.environments.iter().collect(),
                stack: self.stack.as_deref(),
                version: env!("CARGO_PKG_VERSION"),
                auth: self.sign_in.as_ref(),
            },
        )
    }

    fn file(&self, media_type: &'static str, contents: &str) -> Response<Body> {
        let mut response = Response::new(Body::from(contents));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        // The next version has the same names.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
        // Deployed, it is there over TLS only, and for good (RFC 6797).
        if self.sign_in.is_some() {
            let always = HeaderValue::from_static("max-age=63072000");
            headers.insert(header::STRICT_TRANSPORT_SECURITY, always);
        }
        if let Ok(policy) = HeaderValue::from_str(&self.content_security_policy()) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    /// Nothing but what comes from here, and whoever signs people in (Content Security Policy Level 3).
    fn content_security_policy(&self) -> String {
        let elsewhere = self
            .sign_in
            .iter()
            .flat_map(|sign_in| [Some(&sign_in.issuer), sign_in.token_origin.as_ref()].into_iter().flatten());
        let origins =
            elsewhere.filter_map(|url| Some(url.parse::<Url>().ok()?.origin().ascii_serialization()));
        let asked: Vec<String> = std::iter::once("'self'".to_owned()).chain(origins).collect();
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             connect-src {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            asked.join(" "),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(sign_in: Option<SignIn>) -> Page {
        Page { environments: Environments::both(), stack: None, sign_in }
    }

    async fn get(page: &Page, path: &str) -> Response<Body> {
        page.handle(lambda_http::http::Request::get(path).body(Body::Empty).unwrap()).await
    }

    #[tokio::test]
    async fn every_file_is_served_with_its_type() {
        let page = page(None);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let answer = get(&page, &format!("/assets/{name}")).await;
            assert_eq!(answer.status(), 200, "{name}");
            assert!(answer.body().as_ref() == std::fs::read(entry.path()).unwrap(), "{name}");
            assert_ne!(answer.headers()[header::CONTENT_TYPE], "application/octet-stream", "{name}");
        }
        for path in ["/", "/config.json"] {
            assert_eq!(get(&page, path).await.status(), 200, "{path}");
        }
        for path in ["/assets/", "/assets/../Cargo.toml", "/elsewhere"] {
            assert_eq!(get(&page, path).await.status(), 404, "{path}");
        }
    }

    #[tokio::test]
    async fn only_the_issuer_may_be_asked_beside_us() {
        let own = get(&page(None), "/").await;
        let policy = |answer: &Response<Body>| {
            answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
        };
        assert!(policy(&own).contains("connect-src 'self';"));
        let sign_in = SignIn {
            issuer: "https://id.example/tenant".to_owned(),
            client_id: "c".to_owned(),
            scope: "openid".to_owned(),
            token_origin: Some("https://tokens.example/oauth2/token".to_owned()),
        };
        let signed_in = get(&page(Some(sign_in)), "/").await;
        assert_eq!(signed_in.headers()[header::STRICT_TRANSPORT_SECURITY], "max-age=63072000");
        assert!(!own.headers().contains_key(header::STRICT_TRANSPORT_SECURITY));
        assert!(policy(&signed_in).contains("connect-src 'self' https://id.example https://tokens.example;"));
    }
}
