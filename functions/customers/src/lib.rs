//! Customers: created, updated, attached to an address, deleted.
//!
//! What is kept of a customer is personal data; it is never logged.

use serde::Deserialize;
use shared::clock::Moment;
use shared::family::FamilyRules;
use shared::model::meaning::Dates;
use shared::model::notification::Audience;
use shared::model::{self, Entity, EntityType, EventName, EventType, Fact, Facts, Meaning, Words, lenient};
use shared::notice::Notice;

/// The family.
#[derive(Debug)]
pub struct Customers;

/// Bitpowr's customer object (source: reference API, "Customers"), as far as it is followed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Customer {
    #[serde(deserialize_with = "lenient::identifier")]
    uid: Option<String>,
    #[serde(deserialize_with = "lenient::identifier")]
    guid: Option<String>,
    /// A number, other than all other identifiers.
    #[serde(deserialize_with = "lenient::identifier")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    email: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    phone: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    customer_ref: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    external_id: Option<String>,
    /// The address that was attached, as a text or as an object.
    #[serde(deserialize_with = "lenient::json")]
    address: Option<String>,
    #[serde(deserialize_with = "lenient::moment")]
    created_at: Option<Moment>,
    #[serde(deserialize_with = "lenient::moment")]
    updated_at: Option<Moment>,
    #[serde(deserialize_with = "lenient::moment")]
    deleted_at: Option<Moment>,
}

impl Customer {
    /// The attached address: its text, or of an object its `address`, `uid` or, with neither, its JSON.
    fn attached_address(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Attached {
            Text(String),
            Object {
                #[serde(alias = "uid")]
                address: String,
            },
        }
        let json = self.address.as_ref()?;
        match serde_json::from_str(json) {
            Ok(Attached::Text(address) | Attached::Object { address }) => Some(address),
            Err(_) => Some(json.clone()),
        }
    }
}

impl FamilyRules for Customers {
    const FAMILY: model::Family = model::Family::Customers;
    type Data = Customer;

    fn meaning(event: &EventName, customer: &Customer, received_at: Moment) -> Option<Meaning> {
        let attached = (event.known() == Some(EventType::CustomerAttachedToAddress))
            .then(|| customer.attached_address());
        let facts = |stamp| {
            Facts::default()
                .field(Fact::Name, stamp, customer.name.as_deref())
                .field(Fact::Email, stamp, customer.email.as_deref())
                .field(Fact::Phone, stamp, customer.phone.as_deref())
                .field(Fact::Reference, stamp, customer.customer_ref.as_deref())
                .field(Fact::ExternalId, stamp, customer.external_id.as_deref())
                .member(Fact::Addresses, attached.flatten())
        };
        let uid = customer.uid.clone().or_else(|| customer.guid.clone()).or_else(|| customer.id.clone());
        let dates = Dates { created_at: customer.created_at, updated_at: customer.updated_at, received_at };
        let meaning = Meaning::of_object(event, Entity::new(EntityType::Customer, uid?), dates, facts);
        Some(Meaning { occurred_at: customer.deleted_at.or(meaning.occurred_at), ..meaning })
    }

    fn audience(_: &EventName) -> Audience {
        Audience::Programs("routine, and personal data does not belong in e-mails")
    }

    fn words(notice: &Notice<'_>) -> Words {
        let happened = match notice.event.known() {
            Some(EventType::CustomerCreated) => "was created",
            Some(EventType::CustomerAttachedToAddress) => "was attached to an address",
            Some(EventType::CustomerDeleted) => "was deleted",
            None => "has an event that is not understood",
            _ => "was updated",
        };
        notice.say(&format!("Customer {} {happened}", notice.uid), &[("Reference", Fact::Reference)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(event: EventType, json: &str) -> Meaning {
        let customer = lenient::object(&serde_json::from_str(json).unwrap()).unwrap();
        Customers::meaning(&event.into(), &customer, Moment::from_millis(0)).unwrap()
    }

    #[test]
    fn a_customer_may_be_known_by_its_number_only() {
        let meaning = meaning(EventType::CustomerCreated, r#"{"id":48213}"#);
        assert_eq!(meaning.entity, Entity::new(EntityType::Customer, "48213"));
    }

    #[test]
    fn an_address_is_attached_as_text_or_as_object() {
        for (address, kept) in [
            (r#""tb1q""#, "tb1q"),
            (r#"{"address":"tb1q","label":1}"#, "tb1q"),
            (r#"{"uid":"p"}"#, "p"),
            ("7", "7"),
        ] {
            let json = format!(r#"{{"uid":"c","address":{address}}}"#);
            let meaning = meaning(EventType::CustomerAttachedToAddress, &json);
            assert_eq!(meaning.facts.set(Fact::Addresses).collect::<Vec<_>>(), [kept]);
        }
    }

    #[test]
    fn a_message_names_nobody() {
        let meaning =
            meaning(EventType::CustomerUpdated, r#"{"uid":"c","name":"A Name","email":"a@example.com"}"#);
        let event = EventType::CustomerUpdated.into();
        let folded = shared::fold::fold(None, &meaning);
        let environment = shared::environment::Environment::Live;
        let words = Customers::words(&Notice::new(environment, &event, &meaning, &folded));
        assert!(!words.text.contains("example.com") && !words.text.contains("A Name"));
    }
}
