//! Addresses: created, updated, flagged, blocked.
//!
//! Flagged and blocked stand once they were seen: Bitpowr has no event that takes them back.

use serde::Deserialize;
use shared::clock::Moment;
use shared::family::FamilyRules;
use shared::model::meaning::Dates;
use shared::model::notification::Audience;
use shared::model::{self, Entity, EntityType, EventName, EventType, Fact, Facts, Meaning, Words, lenient};
use shared::notice::Notice;

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

    fn meaning(event: &EventName, address: &Address, received_at: Moment) -> Option<Meaning> {
        let facts = |stamp| {
            Facts::default()
                .field(Fact::Address, stamp, address.address.as_deref())
                .field(Fact::Reference, stamp, address.address_ref.as_deref())
                .field(Fact::Label, stamp, address.label.as_deref())
                .field(Fact::Asset, stamp, address.asset_type.as_deref())
                .field(Fact::Chain, stamp, address.chain.as_deref())
                .field(Fact::AccountId, stamp, address.account_id.as_deref())
                .field(Fact::SubAccountId, stamp, address.sub_account_id.as_deref())
                .field(Fact::Used, stamp, address.used.map(|used| used.to_string()))
        };
        let uid = address.uid.clone().or_else(|| address.guid.clone()).or_else(|| address.address.clone());
        let dates = Dates { created_at: address.created_at, updated_at: address.updated_at, received_at };
        Some(Meaning::of_object(event, Entity::new(EntityType::Address, uid?), dates, facts))
    }

    fn audience(event: &EventName) -> Audience {
        match event.known() {
            Some(EventType::AddressFlagged) => {
                Audience::People("its money may be tainted: somebody has to look")
            }
            Some(EventType::AddressBlocked) => {
                Audience::People("money sent to it will not arrive: stop showing it")
            }
            _ => Audience::Programs("routine"),
        }
    }

    fn words(notice: &Notice<'_>) -> Words {
        let address = notice.field(Fact::Address, "of unknown text");
        let happened = match notice.event.known() {
            Some(EventType::AddressCreated) => "was created",
            Some(EventType::AddressFlagged) => "was flagged",
            Some(EventType::AddressBlocked) => "was blocked",
            None => "has an event that is not understood",
            _ => "was updated",
        };
        notice.say(
            &format!("Address {address} {happened}"),
            &[
                ("Address", Fact::Address),
                ("Label", Fact::Label),
                ("Asset", Fact::Asset),
                ("Chain", Fact::Chain),
                ("Account", Fact::AccountId),
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
                fold(Some(&known), &Addresses::meaning(&(*event).into(), &address, now).unwrap()).known
            });
            assert_eq!(lifecycle::status(EntityType::Address, &known.facts), "blocked");
        }
    }

    #[test]
    fn an_address_without_uid_is_known_by_its_text() {
        let address = Address { address: Some("tb1q".to_owned()), ..Address::default() };
        let meaning =
            Addresses::meaning(&EventType::AddressCreated.into(), &address, Moment::from_millis(0)).unwrap();
        assert_eq!(meaning.entity.uid, "tb1q");
    }
}
