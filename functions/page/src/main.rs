//! Starts the function.

use lambda_runtime::Error;
use page::{Page, SignIn};
use shared::environment::Environments;
use shared::{runtime, telemetry};

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::deployed();
    let sign_in = SignIn {
        issuer: runtime::setting("OIDC_ISSUER")?,
        client_id: runtime::setting("OIDC_CLIENT_ID")?,
        scope: runtime::setting("OIDC_SCOPE")?,
        token_origin: runtime::setting("OIDC_TOKEN_ORIGIN").ok().filter(|origin| !origin.is_empty()),
    };
    let environments = Environments::only(runtime::environment()?);
    let page = Page { environments, stack: None, sign_in: Some(sign_in) };
    runtime::http(|request| page.handle(request)).await
}
