//! How the real AWS SDK reaches the engine: through an HTTP client that opens no connection, or one of a Unix
//! socket. Nothing listens on a TCP port, where any web page and any user of the machine could come.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::dispatch::MEDIA_TYPE;
use super::{Answer, Engine, TARGET};

/// A DynamoDB client whose requests go this way. Its credentials are no secret: nobody looks at them.
pub(super) fn client(way: SharedHttpClient) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("local"))
        .endpoint_url("http://localhost")
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .http_client(way)
        .build();
    Client::from_conf(config)
}

/// Where requests go.
#[derive(Clone, Debug)]
pub(super) enum Connector {
    /// To the engine in this process.
    Here(Engine),
    /// To that of the product that is running, through its socket.
    There(reqwest::Client),
}

impl Connector {
    async fn answer(self, request: HttpRequest) -> Result<Answer, ConnectorError> {
        let target = request.headers().get(TARGET).unwrap_or_default().to_owned();
        let body = request.body().bytes();
        let body = body.ok_or_else(|| ConnectorError::user("the request is a stream".into()))?.to_vec();
        match self {
            Self::Here(engine) => Ok(engine.answer(target, body).await),
            Self::There(socket) => {
                let failed = |error: reqwest::Error| ConnectorError::io(error.into());
                let request = socket.post("http://localhost/").header(TARGET, target).body(body);
                let answer = request.send().await.map_err(failed)?;
                let status = answer.status().as_u16();
                Ok(Answer { status, body: answer.text().await.map_err(failed)? })
            }
        }
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.clone().answer(request);
        HttpConnectorFuture::new(async move {
            let Answer { status, body } = answer.await?;
            let status = status.try_into().map_err(|error| ConnectorError::other(Box::new(error), None))?;
            let mut response = HttpResponse::new(status, SdkBody::from(body));
            response.headers_mut().insert("content-type", MEDIA_TYPE);
            Ok(response)
        })
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
