//! The deliveries that brought an item: counted, each once.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

use super::backoff::Backoff;
use super::facets;
use super::keys::{Key, Partition};
use super::table::{Item, StoreError, Table};
use crate::environment::Environment;
use crate::fold::Effect;
use crate::model::DeliveryId;

/// How many distinct deliveries of one event are counted: three times what Bitpowr's 72 hours of retries
/// make. It bounds the item. Where this many are shown, there may have been more.
pub const MAX_DELIVERIES: u64 = 256;

/// The deliveries that brought an item, by their ids.
pub(super) const DELIVERIES: &str = "delivery_ids";

/// The change that counts a delivery.
pub(super) const COUNT: &str = "ADD deliveries :one, delivery_ids :ids";

pub(super) fn deliveries(first: &str) -> AttributeValue {
    AttributeValue::Ss(vec![first.to_owned()])
}

/// The HTTP requests that brought an item.
pub(super) fn delivery_ids(item: &Item) -> BTreeSet<DeliveryId> {
    let ids = item.get(DELIVERIES).and_then(|ids| ids.as_ss().ok());
    ids.into_iter().flatten().map(DeliveryId::from).collect()
}

impl Table {
    /// Counts a further delivery of an event, once per delivery id. `ambiguous`: it makes the event ambiguous, unless nobody
    /// was notified of it; whether it did.
    ///
    /// # Errors
    /// [`StoreError`]; counting it again counts it once.
    pub async fn count_delivery(
        &self,
        environment: Environment,
        key: &Key,
        delivery_id: &DeliveryId,
        ambiguous: bool,
    ) -> Result<bool, StoreError> {
        if ambiguous {
            let place = facets::effect_place(environment, Effect::Ambiguous);
            // It is marked also where it is counted no more.
            for is_counted in [true, false] {
                let marking = self.by_delivery(key, delivery_id, is_counted, place.clone());
                if meets_condition(marking).await? {
                    return Ok(true);
                }
            }
        }
        self.count(key, delivery_id).await?;
        Ok(false)
    }

    /// Adds a delivery id to an item's, and where it is new one to its deliveries.
    pub(super) async fn count(&self, key: &Key, delivery_id: &DeliveryId) -> Result<(), StoreError> {
        meets_condition(self.by_delivery(key, delivery_id, true, None)).await?;
        Ok(())
    }

    /// What a delivery changes that is new to an item: it is counted, or as many are counted as ever are; and it marks the
    /// item as ambiguous, which is then at this place, if anybody was notified of it. Nobody has looked at that yet.
    fn by_delivery(
        &self,
        key: &Key,
        delivery_id: &DeliveryId,
        is_counted: bool,
        ambiguous: Option<Partition>,
    ) -> UpdateItemFluentBuilder {
        let (count, room) = if is_counted { (COUNT, "<") } else { ("", ">=") };
        let (mark, notified) = match ambiguous {
            Some(_) => (
                "SET effect = :effect, by_effect = :place REMOVE acknowledged",
                "AND attribute_exists(notified)",
            ),
            None => ("", ""),
        };
        let condition = format!(
            "attribute_exists(pk) AND NOT contains(delivery_ids, :id) AND size(delivery_ids) {room} :most {notified}"
        );
        let mut update = self
            .client
            .update_item()
            .table_name(&*self.name)
            .set_key(Some(key.to_item()))
            .update_expression(format!("{count} {mark}"))
            .condition_expression(condition)
            .expression_attribute_values(":id", AttributeValue::S(delivery_id.to_string()))
            .expression_attribute_values(":most", AttributeValue::N(MAX_DELIVERIES.to_string()));
        if is_counted {
            update = update
                .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
                .expression_attribute_values(":ids", deliveries(delivery_id));
        }
        if let Some(place) = ambiguous {
            update = update
                .expression_attribute_values(":effect", AttributeValue::S(Effect::Ambiguous.to_string()))
                .expression_attribute_values(":place", place.to_attribute());
        }
        update
    }
}

/// Makes an update. False: its condition does not hold.
async fn meets_condition(update: UpdateItemFluentBuilder) -> Result<bool, StoreError> {
    let mut backoff = Backoff::default();
    loop {
        match update.clone().send().await {
            Ok(_) => return Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => return Ok(false),
                Some(UpdateItemError::TransactionConflictException(_)) => backoff.wait().await?,
                _ => return Err(StoreError::aws(error)),
            },
        }
    }
}
