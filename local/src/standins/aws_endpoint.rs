//! The AWS services at one address, for functions that run elsewhere on this machine: `sam local` runs each in
//! a container that knows AWS by a single URL (`AWS_ENDPOINT_URL`).
//!
//! | service | what answers |
//! | --- | --- |
//! | DynamoDB | the embedded engine, whatever is asked |
//! | Secrets Manager | `GetSecretValue`: the webhook secret and the development keys |
//! | SQS | `SendMessage`, `SendMessageBatch`, `ReceiveMessage`, `DeleteMessage`, `GetQueueAttributes` of the local queues |
//! | SNS | `PublishBatch` to the local topics |
//!
//! Requests and answers have the form that the AWS SDK speaks: JSON (`x-amz-target` names the operation), and
//! for SNS form fields and XML (AWS, Smithy, "AWS protocols"). Whoever asks has to name the
//! access key; signatures are not verified.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared::http::Problem;
use shared::model::Words;
use shared::model::notification::Attribute;
use shared::publish::{Message, Publish as _};
use shared::verify::Secret;
use url::Host;

use super::development::{ACCESS_KEY, DELIVERY_KEY, KEY, KEY_ID, SAM_ACCESS_KEY};
use super::engine::{Engine, MAX_REQUEST, TARGET};
use super::guard::{CONTAINER_HOST, from_no_page, named_as_here};
use super::queues::{Queues, RedrivePolicy};
use super::topics::Topics;

/// What the functions of a deployed stack find in AWS.
#[derive(Debug)]
pub struct Services {
    /// The embedded DynamoDB.
    pub engine: Engine,
    /// The webhook secret.
    pub secret: Secret,
    /// Queues and dead letters: the last part of a queue's URL is its name.
    pub queues: Queues,
    /// The topics: the last part of a topic's ARN is its name.
    pub topics: Arc<Topics>,
}

/// An answer that is an error of AWS's.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "ValidationException", message: message.into() }
    }

    fn denied(problem: Problem) -> Self {
        let (status, message) = problem.into_parts();
        Self { status, code: "AccessDeniedException", message }
    }
}

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "InternalFailure",
            message: error.to_string(),
        }
    }
}

/// The services, to be served at an address.
pub fn router(services: Services, address: SocketAddr) -> Router {
    let address = match address.ip() {
        IpAddr::V4(address) => Host::Ipv4(address),
        IpAddr::V6(address) => Host::Ipv6(address),
    };
    let names = vec![Host::Domain(CONTAINER_HOST.to_owned()), address];
    let known = [ACCESS_KEY, SAM_ACCESS_KEY].map(str::to_owned);
    let keys = known.into_iter().chain(std::env::var("AWS_ACCESS_KEY_ID")).collect();
    let door = Door { names, keys };
    Router::new().fallback(serve).with_state(Arc::new((door, services)))
}

/// Who is let in: the functions in containers, and no page in this machine's browser. A page elsewhere cannot send
/// an `Authorization` without asking first, and is not answered when it asks.
struct Door {
    /// The names under which containers reach this address.
    names: Vec<Host>,
    /// The access keys that requests may be signed with.
    keys: Vec<String>,
}

impl Door {
    fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        named_as_here(headers, &self.names).and_then(|()| from_no_page(headers)).map_err(Refusal::denied)?;
        let signed = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        // AWS Signature Version 4: `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …`.
        let credential = signed.and_then(|signed| signed.strip_prefix("AWS4-HMAC-SHA256 Credential="));
        let key = credential.and_then(|credential| credential.split('/').next()).unwrap_or_default();
        if self.keys.iter().any(|known| known == key) {
            return Ok(());
        }
        let message = format!(
            "The request has to name the access key `{ACCESS_KEY}`, or the one that AWS_ACCESS_KEY_ID named when the \
             product was started."
        );
        Err(Refusal { status: StatusCode::FORBIDDEN, code: "AccessDeniedException", message })
    }
}

async fn serve(State(served): State<Arc<(Door, Services)>>, request: Request) -> Response {
    let (door, services) = &*served;
    let target = request.headers().get(TARGET).and_then(|target| target.to_str().ok());
    let target = target.map(str::to_owned);
    let answered = match door.admit(request.headers()) {
        Ok(()) => services.answer(target.as_deref(), request).await,
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| match target {
        Some(_) => {
            let body = json!({ "__type": refusal.code, "message": refusal.message });
            respond(refusal.status, JSON, body.to_string())
        }
        None => {
            let message = xml_text(&refusal.message);
            let error = format!("<Code>{}</Code><Message>{message}</Message>", refusal.code);
            respond(refusal.status, XML, format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"))
        }
    })
}

const JSON: &str = "application/x-amz-json-1.1";
const XML: &str = "text/xml";

fn respond(status: StatusCode, media_type: &'static str, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, media_type)], body).into_response()
}

fn object(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::invalid(error.to_string()))
}

fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// The last part of a queue's URL or a topic's ARN.
fn last_part(name: &str) -> &str {
    name.rsplit(['/', ':']).next().unwrap_or(name)
}

impl Services {
    /// Answers a request by the operation that its `x-amz-target` names; SNS has none.
    async fn answer(&self, target: Option<&str>, request: Request) -> Result<Response, Refusal> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MAX_REQUEST).await?;
        let Some(target) = target else { return self.sns(&body).await };
        let answer = match target.split_once('.') {
            Some((service, _)) if service.starts_with("DynamoDB") => {
                return Ok(self.engine.serve(&parts.headers, body).await);
            }
            Some(("secretsmanager", "GetSecretValue")) => self.secret(&object(&body)?)?,
            Some(("AmazonSQS", operation)) => self.sqs(operation, &object(&body)?).await?,
            _ => return Err(Refusal::invalid(format!("{target} is not served here"))),
        };
        Ok(respond(StatusCode::OK, JSON, answer.to_string()))
    }

    /// Three secrets, each with a current version and no previous one.
    fn secret(&self, asked: &Value) -> Result<Value, Refusal> {
        let text = |field: &str| asked.get(field).and_then(Value::as_str).unwrap_or_default();
        let id = text("SecretId");
        let not_found = |message: String| Refusal {
            status: StatusCode::BAD_REQUEST,
            code: "ResourceNotFoundException",
            message,
        };
        if !matches!(text("VersionStage"), "" | "AWSCURRENT") {
            return Err(not_found(format!("{id} has no version in this stage")));
        }
        let (version, value) = match id {
            "webhook-secret" => {
                ("development", STANDARD.decode(self.secret.header_value()).unwrap_or_default())
            }
            "sealing-key" => (KEY_ID, KEY.to_vec()),
            "delivery-key" => (KEY_ID, DELIVERY_KEY.to_vec()),
            _ => {
                let known = "there are webhook-secret, sealing-key and delivery-key";
                return Err(not_found(format!("no secret {id}: {known}")));
            }
        };
        Ok(json!({
            "ARN": id,
            "Name": id,
            "VersionId": version,
            "SecretString": String::from_utf8_lossy(&value),
            "VersionStages": ["AWSCURRENT"],
        }))
    }

    async fn sqs(&self, operation: &str, asked: &Value) -> Result<Value, Refusal> {
        let text = |field: &str| asked.get(field).and_then(Value::as_str).unwrap_or_default();
        let queue = last_part(text("QueueUrl"));
        match operation {
            "SendMessage" => {
                let bodies = vec![text("MessageBody").to_owned()];
                self.queues.send(queue, bodies).await?;
                Ok(json!({ "MessageId": uuid::Uuid::new_v4().to_string() }))
            }
            "SendMessageBatch" => {
                let entries = asked.get("Entries").and_then(Value::as_array).map(Vec::as_slice);
                let mut sent = Vec::new();
                for entry in entries.unwrap_or_default() {
                    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
                    let delay = entry.get("DelaySeconds").and_then(Value::as_u64).unwrap_or_default();
                    let body = vec![text("MessageBody").to_owned()];
                    self.queues.send_later(queue, body, Duration::from_secs(delay)).await?;
                    let id = uuid::Uuid::new_v4().to_string();
                    sent.push(json!({ "Id": text("Id"), "MessageId": id, "MD5OfMessageBody": "" }));
                }
                Ok(json!({ "Successful": sent, "Failed": [] }))
            }
            "ReceiveMessage" => {
                let number = |field: &str| asked.get(field).and_then(Value::as_u64);
                let visibility = Duration::from_secs(number("VisibilityTimeout").unwrap_or(30));
                let most = usize::try_from(number("MaxNumberOfMessages").unwrap_or(1)).unwrap_or(1);
                let redrive = RedrivePolicy { visibility, max_receives: u32::MAX };
                let received = self.queues.receive(queue, most, redrive).await?;
                let message = |message: super::queues::Received| {
                    json!({
                        "MessageId": message.id.to_string(),
                        "ReceiptHandle": message.id.to_string(),
                        "Body": message.body,
                        "Attributes": {
                            "SentTimestamp": message.sent_at.as_millis().to_string(),
                            "ApproximateReceiveCount": message.receive_count.to_string(),
                        },
                    })
                };
                Ok(json!({ "Messages": received.into_iter().map(message).collect::<Vec<_>>() }))
            }
            "DeleteMessage" => {
                let receipt = text("ReceiptHandle").parse();
                let id = receipt.map_err(|_| Refusal::invalid("the receipt handle is not valid"))?;
                self.queues.delete(vec![id]).await?;
                Ok(json!({}))
            }
            "GetQueueAttributes" => {
                let (visible, hidden) = self.queues.messages(queue).await?;
                Ok(json!({ "Attributes": {
                    "QueueArn": format!("arn:aws:sqs:local::{queue}"),
                    "ApproximateNumberOfMessages": visible.to_string(),
                    "ApproximateNumberOfMessagesNotVisible": hidden.to_string(),
                } }))
            }
            _ => Err(Refusal::invalid(format!("AmazonSQS.{operation} is not served here"))),
        }
    }

    /// `PublishBatch`, in the query protocol.
    async fn sns(&self, body: &[u8]) -> Result<Response, Refusal> {
        let fields: HashMap<_, _> = url::form_urlencoded::parse(body).into_owned().collect();
        let field = |name: &str| fields.get(name).map(String::as_str);
        if field("Action") != Some("PublishBatch") {
            return Err(Refusal::invalid("only PublishBatch of SNS is served here"));
        }
        let (mut successful, mut failed) = (String::new(), String::new());
        for number in 1.. {
            let entry = format!("PublishBatchRequestEntries.member.{number}");
            let Some(id) = field(&format!("{entry}.Id")) else { break };
            let message = message(last_part(field("TopicArn").unwrap_or_default()), &entry, field)?;
            if let Some(error) = self.topics.publish(vec![message]).await.failed {
                let cause = xml_text(&error.cause.to_string());
                let _ = write!(
                    failed,
                    "<member><Id>{id}</Id><Code>InternalError</Code><Message>{cause}</Message>\
                     <SenderFault>false</SenderFault></member>"
                );
                continue;
            }
            let _ = write!(
                successful,
                "<member><Id>{id}</Id><MessageId>{}</MessageId></member>",
                uuid::Uuid::new_v4()
            );
        }
        Ok(respond(
            StatusCode::OK,
            XML,
            format!(
                "<PublishBatchResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishBatchResult>\
                 <Failed>{failed}</Failed><Successful>{successful}</Successful></PublishBatchResult></PublishBatchResponse>"
            ),
        ))
    }
}

/// One message of a `PublishBatch`.
fn message<'a>(
    topic: &str,
    entry: &str,
    field: impl Fn(&str) -> Option<&'a str>,
) -> Result<Message, Refusal> {
    let text = field(&format!("{entry}.Message")).unwrap_or_default();
    let attributes = attributes(entry, &field);
    match topic {
        "people" => {
            let texts = object(text.as_bytes())?;
            let of = |protocol: &str| texts.get(protocol).and_then(Value::as_str).unwrap_or_default();
            let subject = field(&format!("{entry}.Subject")).unwrap_or_default();
            Ok(Message::People { words: Words::new(subject, of("email"), of("sms")), attributes })
        }
        "programs" => Ok(Message::Programs { json: text.to_owned(), attributes }),
        other => Err(Refusal::invalid(format!("no topic {other}: there are people and programs"))),
    }
}

/// The attributes of a message.
fn attributes<'a>(entry: &str, field: impl Fn(&str) -> Option<&'a str>) -> BTreeMap<String, Attribute> {
    let mut attributes = BTreeMap::new();
    for number in 1.. {
        let attribute = format!("{entry}.MessageAttributes.entry.{number}");
        let Some(name) = field(&format!("{attribute}.Name")) else { break };
        let value = field(&format!("{attribute}.Value.StringValue")).unwrap_or_default().to_owned();
        let value = match field(&format!("{attribute}.Value.DataType")) {
            Some("Number") => Attribute::Number(value),
            Some("String.Array") => Attribute::Strings(serde_json::from_str(&value).unwrap_or_default()),
            _ => Attribute::String(value),
        };
        attributes.insert(name.to_owned(), value);
    }
    attributes
}
