//! Assets: an account can now hold a currency.

use serde::Deserialize;
use shared::clock::Moment;
use shared::family::FamilyRules;
use shared::model::meaning::Dates;
use shared::model::notification::Audience;
use shared::model::{self, Entity, EntityType, EventName, Fact, Facts, Meaning, Words, lenient};
use shared::notice::Notice;

/// The family.
#[derive(Debug)]
pub struct Assets;

/// Bitpowr's asset object (source: reference API, "Assets"), as far as it is followed. Its own `balance` is
/// not: a real one had 69 digits and was negative. It is kept in the raw body.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Asset {
    #[serde(deserialize_with = "lenient::identifier")]
    uid: Option<String>,
    #[serde(deserialize_with = "lenient::identifier")]
    guid: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    label: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    account_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    asset_type: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    chain: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    auto_forward_address: Option<String>,
    #[serde(deserialize_with = "lenient::truth")]
    is_contract: Option<bool>,
    #[serde(deserialize_with = "lenient::truth")]
    is_archived: Option<bool>,
    #[serde(deserialize_with = "lenient::moment")]
    created_at: Option<Moment>,
    #[serde(deserialize_with = "lenient::moment")]
    updated_at: Option<Moment>,
}

impl FamilyRules for Assets {
    const FAMILY: model::Family = model::Family::Assets;
    type Data = Asset;

    fn meaning(event: &EventName, asset: &Asset, received_at: Moment) -> Option<Meaning> {
        let facts = |stamp| {
            Facts::default()
                .field(Fact::Label, stamp, asset.label.as_deref())
                .field(Fact::AccountId, stamp, asset.account_id.as_deref())
                .field(Fact::Asset, stamp, asset.asset_type.as_deref())
                .field(Fact::Chain, stamp, asset.chain.as_deref())
                .field(Fact::AutoForwardAddress, stamp, asset.auto_forward_address.as_deref())
                .field(Fact::Contract, stamp, asset.is_contract.map(|contract| contract.to_string()))
                .field(Fact::Archived, stamp, asset.is_archived.map(|archived| archived.to_string()))
        };
        let dates = Dates { created_at: asset.created_at, updated_at: asset.updated_at, received_at };
        Some(Meaning::of_object(
            event,
            Entity::new(EntityType::Asset, asset.uid.clone().or_else(|| asset.guid.clone())?),
            dates,
            facts,
        ))
    }

    fn audience(_: &EventName) -> Audience {
        Audience::Programs("routine")
    }

    fn words(notice: &Notice<'_>) -> Words {
        let (asset, chain) = (notice.field(Fact::Asset, "unknown"), notice.field(Fact::Chain, "unknown"));
        let happened = match notice.event.known() {
            None => "has an event that is not understood",
            _ => "was created",
        };
        notice.say(
            &format!("Asset {asset} on {chain} {happened}"),
            &[
                ("Asset", Fact::Asset),
                ("Chain", Fact::Chain),
                ("Label", Fact::Label),
                ("Account", Fact::AccountId),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::model::EventType;

    #[test]
    fn a_balance_of_69_digits_hurts_nobody() {
        let json = format!(r#"{{"guid":"g","assetType":"BTC","balance":{{"balance":-{}}}}}"#, "9".repeat(69));
        let asset = lenient::object(&serde_json::from_str(&json).unwrap()).unwrap();
        let meaning =
            Assets::meaning(&EventType::AssetsCreated.into(), &asset, Moment::from_millis(0)).unwrap();
        assert_eq!(meaning.entity, Entity::new(EntityType::Asset, "g"));
        assert_eq!(meaning.facts.get(Fact::Asset), Some("BTC"));
    }
}
