//! What is sent to an endpoint.

use serde::Deserialize;
use serde_json::{Map, Value};
use shared::environment::Environment;
use shared::model::Body;
use shared::store::{Carrier, StoreError, Table};

/// What is sent.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Whose world it is.
    pub environment: Environment,
    /// The event's id.
    pub id: String,
    /// The resend that it belongs to.
    pub resend: Option<String>,
    /// Its place in the order of the log.
    pub position: String,
    /// The JSON.
    pub body: String,
}

/// What is read of a notification.
#[derive(Deserialize)]
struct Head {
    id: String,
    #[serde(default)]
    resend: Option<Resend>,
}

#[derive(Deserialize)]
struct Resend {
    id: String,
}

impl Parcel {
    /// What an event, or an action, carries to endpoints; none where it carries nothing.
    pub async fn of(table: &Table, carrier: Carrier) -> Result<Option<Self>, StoreError> {
        let Some(body) = carrier.notification.programs else { return Ok(None) };
        let Head { id, resend } = serde_json::from_str(&body)?;
        let position = format!("{}#{}", carrier.recorded_at, carrier.id);
        let resend = resend.map(|resend| resend.id);
        let body = whole(table, carrier.environment, &id, body).await?;
        Ok(Some(Self { environment: carrier.environment, id, resend, position, body }))
    }
}

/// A notification with the whole object: of a large one it has only the reference that fits into a message of SNS.
async fn whole(
    table: &Table,
    environment: Environment,
    id: &str,
    body: String,
) -> Result<String, StoreError> {
    let reference = serde_json::json!({ "event_id": id });
    if !body.contains(&format!(r#""data":{reference}"#)) {
        return Ok(body);
    }
    let raw = table.body(environment, id).await?;
    let parsed = raw.and_then(|raw| Body::parse(&raw, environment).ok());
    let Some(parsed) = parsed else { return Ok(body) };
    let mut fields: Map<String, Value> = serde_json::from_str(&body)?;
    fields.insert("data".to_owned(), Value::Object(parsed.data));
    Ok(serde_json::to_string(&fields)?)
}
