//! Addresses: created, updated, flagged, blocked.
//!
//! Flagged and blocked stand once they were seen: Bitpowr has no event that takes them back.

use serde::Deserialize;
use shared::clock::Moment;
use shared::family::FamilyRules;
use shared::model::facts::Stamp;
use shared::model::notification::Audience;
use shared::model::{self, Entity, EntityType, EventType, Facts, Meaning, Words, lenient};
use shared::notice::Telling;

/// The family.
#[derive(Debug)]
pub struct Addresses;

/// Bitpowr's address object (source: reference API, "Addresses"), as far as it is followed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Address {
    #[serde(deserialize_with = "lenient::identifier")]
    uid: Option<String>,
    #[serde(deserialize_with = "lenient::identifier")]
    guid: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    address: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    address_ref: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    label: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    asset_type: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    chain: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    account_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    sub_account_id: Option<String>,
    #[serde(deserialize_with = "lenient::truth")]
    used: Option<bool>,
    #[serde(deserialize_with = "lenient::moment")]
    created_at: Option<Moment>,
    #[serde(deserialize_with = "lenient::moment")]
    updated_at: Option<Moment>,
}

impl FamilyRules for Addresses {
    const FAMILY: model::Family = model::Family::Addresses;
    type Data = Address;

    fn meaning(event: EventType, address: &Address, received_at: Moment) -> Option<Meaning> {
        let stamp = Stamp { rank: 0, at: Some(address.updated_at.unwrap_or(received_at)) };
        let facts = Facts::default()
            .step(event.last_word())
            .field("address", stamp, address.address.as_deref())
            .field("reference", stamp, address.address_ref.as_deref())
            .field("label", stamp, address.label.as_deref())
            .field("asset", stamp, address.asset_type.as_deref())
            .field("chain", stamp, address.chain.as_deref())
            .field("account_id", stamp, address.account_id.as_deref())
            .field("sub_account_id", stamp, address.sub_account_id.as_deref())
            .field("used", stamp, address.used.map(|used| used.to_string()))
            .at(stamp.at);
        let uid = address.uid.clone().or_else(|| address.guid.clone()).or_else(|| address.address.clone());
        Some(Meaning {
            entity: Entity::new(EntityType::Address, uid?),
            facts,
            status: event.last_word().to_owned(),
            occurred_at: address.updated_at.or(address.created_at),
            dated: address.updated_at.is_some(),
        })
    }

    fn audience(event: EventType) -> Audience {
        match event {
            EventType::AddressFlagged => Audience::People("its money may be tainted: somebody has to look"),
            EventType::AddressBlocked => {
                Audience::People("money sent to it will not arrive: stop showing it")
            }
            _ => Audience::Programs("routine"),
        }
    }

    fn words(event: EventType, telling: &Telling<'_>) -> Words {
        let address = telling.field("address", "of unknown text");
        let happened = match event {
            EventType::AddressCreated => "was created",
            EventType::AddressFlagged => "was flagged",
            EventType::AddressBlocked => "was blocked",
            _ => "was updated",
        };
        telling.say(
            &format!("Address {address} {happened}"),
            &[
                ("Address", "address"),
                ("Label", "label"),
                ("Asset", "asset"),
                ("Chain", "chain"),
                ("Account", "account_id"),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::fold::{Known, fold};
    use shared::model::lifecycle;

    #[test]
    fn blocked_outranks_flagged_in_any_order() {
        let address = Address { uid: Some("p".to_owned()), ..Address::default() };
        let now = Moment::from_millis(0);
        for order in [
            [EventType::AddressFlagged, EventType::AddressBlocked],
            [EventType::AddressBlocked, EventType::AddressFlagged],
        ] {
            let known = order.iter().fold(Known::default(), |known, event| {
                fold(Some(&known), &Addresses::meaning(*event, &address, now).unwrap()).known
            });
            assert_eq!(lifecycle::status(EntityType::Address, &known.facts), "blocked");
        }
    }

    #[test]
    fn an_address_without_uid_is_known_by_its_text() {
        let address = Address { address: Some("tb1q".to_owned()), ..Address::default() };
        let meaning =
            Addresses::meaning(EventType::AddressCreated, &address, Moment::from_millis(0)).unwrap();
        assert_eq!(meaning.entity.uid, "tb1q");
    }
}
