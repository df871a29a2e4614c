//! Bodies: what came in one, byte for byte, and the notification of its event.
//!
//! Both are packed together, since they say much the same. The item of an event's body is also where the event is looked up by
//! its id; and that of the first event of a content says which is the latest ([`SeenItem`]).

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::keys::{self, Key};
use super::packed::{pack, unpack};
use super::table::StoreError;
use crate::clock::Moment;
use crate::environment::Environment;
use crate::model::Notification;

/// A body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyItem {
    /// The [`Content`], packed. None where only [`SeenItem`] is kept here.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_bytes")]
    content: Option<Vec<u8>>,
    /// Where the event is that came in this body; none of a body in quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) event_key: Option<Key>,
    /// Where it stands which is the latest event of its content, where that is not with the body of the first: the event was
    /// moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seen_key: Option<Key>,
    /// As an earlier version kept the body: as text …
    #[serde(default, skip_serializing)]
    text: Option<String>,
    /// … or, where it is no UTF-8, as bytes.
    #[serde(default, skip_serializing, with = "serde_bytes")]
    bytes: Option<Vec<u8>>,
}

/// What came in a body, and what is sent of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The body, byte for byte.
    pub raw: Vec<u8>,
    /// The notification of its event; none where nobody is notified.
    pub notification: Option<Notification>,
}

impl Content {
    /// A line with what is for people and for filters, a line with what is for programs, and the body. No JSON that
    /// this program writes has a line break.
    fn pack(&self) -> Result<Vec<u8>, StoreError> {
        let mut lines = Vec::new();
        let programs = self.notification.as_ref().and_then(|notification| notification.programs.as_deref());
        if let Some(notification) = &self.notification {
            let rest = Notification { programs: None, ..notification.clone() };
            lines.extend(serde_json::to_vec(&rest)?);
        }
        lines.push(b'\n');
        lines.extend(programs.unwrap_or_default().as_bytes());
        lines.push(b'\n');
        lines.extend(&self.raw);
        Ok(pack(&lines)?)
    }

    /// As the attribute of that name has it.
    pub(super) fn to_attribute(&self) -> Result<AttributeValue, StoreError> {
        Ok(AttributeValue::B(Blob::new(self.pack()?)))
    }

    fn unpack(packed: &[u8]) -> Result<Self, StoreError> {
        let lines = unpack(packed)?;
        let mut parts = lines.splitn(3, |byte| *byte == b'\n');
        let (rest, programs) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let raw = parts.next().unwrap_or_default().to_vec();
        if rest.is_empty() {
            return Ok(Self { raw, notification: None });
        }
        let programs = Some(String::from_utf8_lossy(programs).into_owned()).filter(|json| !json.is_empty());
        let notification = Notification { programs, ..serde_json::from_slice(rest)? };
        Ok(Self { raw, notification: Some(notification) })
    }
}

impl BodyItem {
    /// A body with the notification of its event, and where the event is.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be written.
    pub fn new(content: &Content, event_key: Option<Key>) -> Result<Self, StoreError> {
        Ok(Self { content: Some(content.pack()?), event_key, ..Self::default() })
    }

    /// Only where an event is.
    pub(super) fn pointing_to(event_key: Key) -> Self {
        Self { event_key: Some(event_key), ..Self::default() }
    }

    /// What it is.
    ///
    /// # Errors
    /// [`StoreError`] where it was damaged.
    pub fn content(self) -> Result<Content, StoreError> {
        match self.content {
            Some(packed) => Content::unpack(&packed),
            None => {
                let raw = self.text.map(String::into_bytes).or(self.bytes).unwrap_or_default();
                Ok(Content { raw, notification: None })
            }
        }
    }
}

/// An event, or an action, with the notification that it carries.
#[derive(Clone, Debug)]
pub struct Carrier {
    /// Whose world it is.
    pub environment: Environment,
    /// Its id.
    pub id: String,
    /// When it was recorded.
    pub recorded_at: Moment,
    /// What is sent.
    pub notification: Notification,
    /// Whether `rebuild` moved it: then it was sent when it was inserted first.
    pub taken_up: bool,
}

impl Carrier {
    /// What an item carries: an event's body, or an action. None where it carries nothing, or nothing any more.
    ///
    /// # Errors
    /// [`StoreError`] where it is not what this program writes.
    pub fn of(key: &Key, item: impl Into<serde_dynamo::Item>) -> Result<Option<Self>, StoreError> {
        /// What is read of an action.
        #[derive(Deserialize)]
        struct Action {
            environment: Environment,
            id: String,
            at: Moment,
            #[serde(default)]
            notification: Option<Notification>,
            #[serde(default)]
            taken_up: bool,
        }
        if key.sk.starts_with(keys::ACTION_PREFIX) {
            let Action { environment, id, at, notification, taken_up } = serde_dynamo::from_item(item)?;
            let of = |notification| Self { environment, id, recorded_at: at, notification, taken_up };
            return Ok(notification.map(of));
        }
        if !keys::is_body(key) {
            return Ok(None);
        }
        let body: BodyItem = serde_dynamo::from_item(item)?;
        let Some(event) = body.event_key.clone() else { return Ok(None) };
        let place = event.pk.environment().zip(keys::event_id(&event)).zip(keys::recorded_at(&event));
        let (Some(((environment, id), recorded_at)), Some(notification)) =
            (place, body.content()?.notification)
        else {
            return Ok(None);
        };
        Ok(Some(Self { environment, id, recorded_at, notification, taken_up: false }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use proptest::prelude::*;

    use super::*;
    use crate::model::Words;

    #[test]
    fn a_body_that_an_earlier_version_kept_is_still_read() {
        let kept = |name: &str, value| serde_dynamo::Item::from(HashMap::from([(name.to_owned(), value)]));
        for (item, raw) in [
            (kept("text", serde_dynamo::AttributeValue::S("{}".to_owned())), b"{}".to_vec()),
            (kept("bytes", serde_dynamo::AttributeValue::B(vec![0xff])), vec![0xff]),
        ] {
            let body: BodyItem = serde_dynamo::from_item(item).unwrap();
            assert_eq!(body.content().unwrap(), Content { raw, notification: None });
        }
    }

    proptest! {
        #[test]
        fn a_body_and_its_notification_are_read_as_they_were_written(
            raw in proptest::collection::vec(any::<u8>(), 0..300),
            programs in proptest::option::of("\\PC{1,80}"),
            people in proptest::option::of(("\\PC{0,40}", "(?s).{0,80}", "\\PC{0,40}")),
            is_notified in any::<bool>(),
        ) {
            let programs = programs.map(|text| serde_json::json!({ "text": text }).to_string());
            let people = people.map(|(subject, text, sms)| Words::new(&subject, &text, &sms));
            let notification = is_notified
                .then_some(Notification { people, programs, endpoint: None, attributes: BTreeMap::new() });
            let content = Content { raw, notification };
            let item: serde_dynamo::Item = serde_dynamo::to_item(BodyItem::new(&content, None).unwrap()).unwrap();
            let body: BodyItem = serde_dynamo::from_item(item).unwrap();
            prop_assert_eq!(body.content().unwrap(), content);
        }
    }
}
