//! What DynamoDB and the network do on a bad day, between the SDK and the table. The embedded engine does none of
//! it by itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::http::{
    HttpClient as _, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use local::standins::engine::Engine;
use serde_json::{Value, json};

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Another transaction is at the same items.
    TransactionConflict,
    /// Too much at once.
    Throttled,
    /// The request never arrived.
    TimeoutBefore,
    /// The request was carried out, its answer never arrived.
    TimeoutAfter,
    /// The service failed.
    ServerError,
    /// A batch was not read (completely).
    Unprocessed,
}

const FAULTS: [Fault; 6] = [
    Fault::TransactionConflict,
    Fault::Throttled,
    Fault::TimeoutBefore,
    Fault::TimeoutAfter,
    Fault::ServerError,
    Fault::Unprocessed,
];

/// Injects faults by chance.
#[derive(Debug)]
pub(crate) struct Faults {
    rng: Mutex<fastrand::Rng>,
    /// Of a hundred requests, so many fail in some way.
    percent: u8,
    injected: Mutex<BTreeMap<Fault, u64>>,
    requests: Mutex<BTreeMap<String, u64>>,
    transactions: Mutex<Vec<Value>>,
}

impl Faults {
    pub(crate) fn new(seed: u64, percent: u8) -> Arc<Self> {
        Arc::new(Self {
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            percent,
            injected: Mutex::default(),
            requests: Mutex::default(),
            transactions: Mutex::default(),
        })
    }

    /// How often what was injected.
    pub(crate) fn injected(&self) -> BTreeMap<Fault, u64> {
        self.injected.lock().unwrap().clone()
    }

    /// How often which operation was asked for since the last question.
    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// The transactions that were asked for since the last question.
    pub(crate) fn transactions(&self) -> Vec<Value> {
        std::mem::take(&mut self.transactions.lock().unwrap())
    }

    fn draw(&self, operation: &str) -> Option<Fault> {
        *self.requests.lock().unwrap().entry(operation.to_owned()).or_default() += 1;
        let mut rng = self.rng.lock().unwrap();
        let fault = (rng.u8(0..100) < self.percent).then(|| FAULTS[rng.usize(0..FAULTS.len())])?;
        let applies = match fault {
            Fault::TransactionConflict => matches!(operation, "TransactWriteItems" | "UpdateItem"),
            Fault::Unprocessed => operation == "BatchGetItem",
            _ => true,
        };
        if applies {
            *self.injected.lock().unwrap().entry(fault).or_default() += 1;
        }
        applies.then_some(fault)
    }

    /// A client of the engine that meets these faults. It gives up soon, so that workers, too, see them.
    pub(crate) fn client(self: &Arc<Self>, engine: &Engine) -> aws_sdk_dynamodb::Client {
        let faults = Arc::clone(self);
        let sound = engine.http_client();
        let client = http_client_fn(move |settings: &HttpConnectorSettings, components| {
            let inner = sound.http_connector(settings, components);
            SharedHttpConnector::new(Faulty { inner, faults: Arc::clone(&faults) })
        });
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version_latest()
            .region(aws_sdk_dynamodb::config::Region::new("local"))
            .endpoint_url("http://localhost")
            .credentials_provider(aws_credential_types::Credentials::new(
                "local", "local", None, None, "local",
            ))
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(3)
                    .with_initial_backoff(std::time::Duration::from_millis(1)),
            )
            .http_client(client);
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }
}

struct Faulty {
    inner: SharedHttpConnector,
    faults: Arc<Faults>,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl HttpConnector for Faulty {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body: Value =
            serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        if operation == "TransactWriteItems" {
            self.faults.transactions.lock().unwrap().push(body.clone());
        }
        match self.faults.draw(&operation) {
            None => self.inner.call(request),
            Some(Fault::TransactionConflict) if operation == "UpdateItem" => answer(
                400,
                &json!({ "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException" }),
            ),
            Some(Fault::TransactionConflict) => {
                let items = body["TransactItems"].as_array().map_or(0, Vec::len);
                let mut reasons = vec![json!({ "Code": "None" }); items];
                reasons[items / 2] = json!({ "Code": "TransactionConflict", "Message": "ongoing" });
                answer(
                    400,
                    &json!({
                        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                        "message": "Transaction cancelled",
                        "CancellationReasons": reasons,
                    }),
                )
            }
            Some(Fault::Throttled) => answer(
                400,
                &json!({ "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException" }),
            ),
            Some(Fault::ServerError) => {
                answer(500, &json!({ "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError" }))
            }
            Some(Fault::Unprocessed) => {
                answer(200, &json!({ "Responses": {}, "UnprocessedKeys": body["RequestItems"] }))
            }
            Some(Fault::TimeoutBefore) => HttpConnectorFuture::ready(Err(timeout())),
            Some(Fault::TimeoutAfter) => {
                let inner = self.inner.clone();
                HttpConnectorFuture::new(async move {
                    inner.call(request).await?;
                    Err(timeout())
                })
            }
        }
    }
}

fn answer(status: u16, body: &Value) -> HttpConnectorFuture {
    let mut response =
        HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body.to_string()));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    HttpConnectorFuture::ready(Ok(response))
}

fn timeout() -> ConnectorError {
    ConnectorError::timeout("injected".into())
}
