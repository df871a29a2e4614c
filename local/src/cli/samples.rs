//! One realistic sample for every event type, from `events/payloads/`. Together they tell one story: the same
//! transactions, addresses and customers through their lives.

use serde_json::{Value, json};
use shared::environment::Environment;
use shared::model::{Body, EventType, Unreadable};

macro_rules! samples {
    ($($variant:ident $name:literal $family:ident;)*) => {
        /// The sample's text, as it is in `events/payloads/`.
        pub fn payload(event: EventType) -> &'static str {
            match event {
                $(EventType::$variant => {
                    include_str!(concat!("../../../events/payloads/", $name, ".json"))
                })*
            }
        }
    };
}
shared::for_each_event!(samples);

/// Why a sample could not be changed as asked.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It has no `=`.
    #[error("--set {0}: write it as key=value")]
    NoValue(String),
    /// A step of the path is no object.
    #[error("--set {0}: there is no object to put it into")]
    NoObject(String),
    /// The sample itself cannot be read.
    #[error("the sample: {0}")]
    Sample(#[from] Unreadable),
}

/// A sample for an environment, with fields of `data` changed: `key=value`, where the key may be a path like
/// `balance.received`, and the value is JSON or, where it is none, text.
///
/// # Errors
/// [`ChangeError`] for a change that cannot be made.
pub fn sample(event: EventType, environment: Environment, changes: &[String]) -> Result<String, ChangeError> {
    let Body { event, data } = Body::parse(payload(event).as_bytes(), Environment::Test)?;
    let mut data = Value::Object(data);
    if environment == Environment::Live {
        for (field, live) in [("mode", "LIVE"), ("network", "MAINNET")] {
            if let Some(value) = data.get_mut(field).filter(|value| value.is_string()) {
                *value = Value::from(live);
            }
        }
    }
    for change in changes {
        let (key, value) = change.split_once('=').ok_or_else(|| ChangeError::NoValue(change.clone()))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        let mut place = &mut data;
        for step in key.split('.') {
            let object = place.as_object_mut().ok_or_else(|| ChangeError::NoObject(change.clone()))?;
            place = object.entry(step).or_insert_with(|| Value::Object(serde_json::Map::new()));
        }
        *place = value;
    }
    Ok(json!({ "event": event.as_str(), "data": data }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_a_readable_body_of_its_event() {
        for event in EventType::ALL {
            let body = Body::parse(payload(event).as_bytes(), Environment::Test).unwrap();
            assert_eq!(body.event.as_str(), event.as_str());
        }
    }

    #[test]
    fn samples_of_the_live_environment_say_so() {
        for event in EventType::ALL {
            let sample = sample(event, Environment::Live, &[]).unwrap();
            assert!(Body::parse(sample.as_bytes(), Environment::Live).is_ok(), "{}", event.as_str());
        }
    }

    #[test]
    fn fields_are_changed_by_path_to_json_or_text() {
        let changes = ["uid=x".to_owned(), "amount=0.10".to_owned(), "deep.er=true".to_owned()];
        let sample = sample(EventType::DepositCreated, Environment::Test, &changes).unwrap();
        let sample: Value = serde_json::from_str(&sample).unwrap();
        let data = &sample["data"];
        assert_eq!((&data["uid"], &data["amount"].to_string()), (&Value::from("x"), &"0.10".to_owned()));
        assert_eq!(data["deep"]["er"], true);
        assert!(super::sample(EventType::DepositCreated, Environment::Test, &["uid".to_owned()]).is_err());
        assert!(
            super::sample(EventType::DepositCreated, Environment::Test, &["uid.x=1".to_owned()]).is_err()
        );
    }
}
