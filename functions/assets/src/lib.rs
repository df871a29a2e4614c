//! Assets: an account can now hold a currency.

use serde::Deserialize;
use shared::clock::Moment;
use shared::family::FamilyRules;
use shared::model::facts::Stamp;
use shared::model::notification::Audience;
use shared::model::{self, Entity, EntityType, EventType, Facts, Meaning, Words, lenient};
use shared::notice::Telling;

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

    fn meaning(event: EventType, asset: &Asset, received_at: Moment) -> Option<Meaning> {
        let stamp = Stamp { rank: 0, at: Some(asset.updated_at.unwrap_or(received_at)) };
        let facts = Facts::default()
            .step(event.last_word())
            .field("label", stamp, asset.label.as_deref())
            .field("account_id", stamp, asset.account_id.as_deref())
            .field("asset", stamp, asset.asset_type.as_deref())
            .field("chain", stamp, asset.chain.as_deref())
            .field("auto_forward_address", stamp, asset.auto_forward_address.as_deref())
            .field("contract", stamp, asset.is_contract.map(|contract| contract.to_string()))
            .field("archived", stamp, asset.is_archived.map(|archived| archived.to_string()))
            .at(stamp.at);
        Some(Meaning {
            entity: Entity::new(EntityType::Asset, asset.uid.clone().or_else(|| asset.guid.clone())?),
            facts,
            status: event.last_word().to_owned(),
            occurred_at: asset.updated_at.or(asset.created_at),
            dated: asset.updated_at.is_some(),
        })
    }

    fn audience(_: EventType) -> Audience {
        Audience::Programs("routine")
    }

    fn words(_: EventType, telling: &Telling<'_>) -> Words {
        let (asset, chain) = (telling.field("asset", "unknown"), telling.field("chain", "unknown"));
        telling.say(
            &format!("Asset {asset} on {chain} was created"),
            &[("Asset", "asset"), ("Chain", "chain"), ("Label", "label"), ("Account", "account_id")],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_of_69_digits_hurts_nobody() {
        let json = format!(r#"{{"guid":"g","assetType":"BTC","balance":{{"balance":-{}}}}}"#, "9".repeat(69));
        let asset = lenient::object(&serde_json::from_str(&json).unwrap()).unwrap();
        let meaning = Assets::meaning(EventType::AssetsCreated, &asset, Moment::from_millis(0)).unwrap();
        assert_eq!(meaning.entity, Entity::new(EntityType::Asset, "g"));
        assert_eq!(meaning.facts.get("asset"), Some("BTC"));
    }
}
