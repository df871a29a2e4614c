//! Accounts: created, updated, given another policy, frozen, archived.
//!
//! An account has no life cycle: it may be frozen and thawed. Each of its fields holds the latest word on it,
//! by the object's `updatedAt`, else by when the webhook was received.

use serde::Deserialize;
use shared::clock::Moment;
use shared::family::FamilyRules;
use shared::model::meaning::Dates;
use shared::model::notification::Audience;
use shared::model::{self, Entity, EntityType, EventName, EventType, Fact, Facts, Meaning, Words, lenient};
use shared::notice::Notice;

/// The family.
#[derive(Debug)]
pub struct Accounts;

/// Bitpowr's account object (source: reference API, "Accounts"), as far as it is followed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Account {
    #[serde(deserialize_with = "lenient::identifier")]
    uid: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    account_type: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    external_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    fiat_currency: Option<String>,
    #[serde(deserialize_with = "lenient::amount")]
    max_daily_amount: Option<String>,
    #[serde(deserialize_with = "lenient::json")]
    white_list_addresses: Option<String>,
    #[serde(deserialize_with = "lenient::truth")]
    is_frozen: Option<bool>,
    #[serde(deserialize_with = "lenient::truth")]
    is_archived: Option<bool>,
    #[serde(deserialize_with = "lenient::moment")]
    created_at: Option<Moment>,
    #[serde(deserialize_with = "lenient::moment")]
    updated_at: Option<Moment>,
}

impl FamilyRules for Accounts {
    const FAMILY: model::Family = model::Family::Accounts;
    type Data = Account;

    fn meaning(event: &EventName, account: &Account, received_at: Moment) -> Option<Meaning> {
        // The event's name outranks the object's own flag: it is why the webhook was sent.
        let frozen = (event.known() == Some(EventType::AccountsFrozen)).then_some(true).or(account.is_frozen);
        let archived =
            (event.known() == Some(EventType::AccountsArchived)).then_some(true).or(account.is_archived);
        let facts = |stamp| {
            Facts::default()
                .field(Fact::Name, stamp, account.name.as_deref())
                .field(Fact::Type, stamp, account.account_type.as_deref())
                .field(Fact::ExternalId, stamp, account.external_id.as_deref())
                .field(Fact::FiatCurrency, stamp, account.fiat_currency.as_deref())
                .field(Fact::MaxDailyAmount, stamp, account.max_daily_amount.as_deref())
                .field(Fact::WhiteListAddresses, stamp, account.white_list_addresses.as_deref())
                .field(Fact::Frozen, stamp, frozen.map(|frozen| frozen.to_string()))
                .field(Fact::Archived, stamp, archived.map(|archived| archived.to_string()))
        };
        let dates = Dates { created_at: account.created_at, updated_at: account.updated_at, received_at };
        Some(Meaning::of_object(event, Entity::new(EntityType::Account, account.uid.clone()?), dates, facts))
    }

    fn audience(event: &EventName) -> Audience {
        match event.known() {
            Some(EventType::AccountsFrozen) => {
                Audience::People("nothing can be sent any more: somebody has to act")
            }
            Some(EventType::AccountsPolicyUpdated) => {
                Audience::People("who may send how much has changed: if it was not you, act")
            }
            Some(EventType::AccountsArchived) => Audience::People("the account is no longer in use"),
            _ => Audience::Programs("routine"),
        }
    }

    fn words(notice: &Notice<'_>) -> Words {
        let name = notice.field(Fact::Name, "without a name");
        let happened = match notice.event.known() {
            Some(EventType::AccountsCreated) => "was created",
            Some(EventType::AccountsPolicyUpdated) => "has a new policy",
            Some(EventType::AccountsFrozen) => "was frozen",
            Some(EventType::AccountsArchived) => "was archived",
            None => "has an event that is not understood",
            _ => "was updated",
        };
        notice.say(
            &format!("Account {name} {happened}"),
            &[("Name", Fact::Name), ("Most a day", Fact::MaxDailyAmount), ("External id", Fact::ExternalId)],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::fold::{Known, fold};
    use shared::model::lifecycle;

    fn status_after(events: &[(EventType, &str)]) -> &'static str {
        let known = events.iter().fold(Known::default(), |known, (event, json)| {
            let account = lenient::object(&serde_json::from_str(json).unwrap()).unwrap();
            let meaning = Accounts::meaning(&(*event).into(), &account, Moment::from_millis(0)).unwrap();
            fold(Some(&known), &meaning).known
        });
        lifecycle::status(EntityType::Account, &known.facts)
    }

    #[test]
    fn an_account_is_frozen_by_the_event_and_thawed_by_a_newer_object() {
        let frozen = (EventType::AccountsFrozen, r#"{"uid":"a","updatedAt":"2026-11-01T00:00:00Z"}"#);
        let thawed = (
            EventType::AccountsUpdated,
            r#"{"uid":"a","isFrozen":false,"updatedAt":"2026-11-02T00:00:00Z"}"#,
        );
        assert_eq!(status_after(&[frozen]), "frozen");
        assert_eq!(status_after(&[frozen, thawed]), "active");
        assert_eq!(status_after(&[thawed, frozen]), "active");
    }

    #[test]
    fn archived_outranks_frozen() {
        let frozen = (EventType::AccountsFrozen, r#"{"uid":"a","updatedAt":"2026-11-01T00:00:00Z"}"#);
        let archived = (EventType::AccountsArchived, r#"{"uid":"a","updatedAt":"2026-11-01T00:00:00Z"}"#);
        assert_eq!(status_after(&[archived, frozen]), "archived");
    }

    #[test]
    fn without_an_identifier_there_is_no_state_to_change() {
        let account = lenient::object(&serde_json::from_str(r#"{"name":"x"}"#).unwrap()).unwrap();
        assert!(
            Accounts::meaning(&EventType::AccountsCreated.into(), &account, Moment::from_millis(0)).is_none()
        );
    }
}
