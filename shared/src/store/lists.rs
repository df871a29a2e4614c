//! Lists by time: where an item stands in one.

use aws_sdk_dynamodb::types::AttributeValue;

use super::keys::{self, List};
use super::table::Item;
use crate::clock::Moment;
use crate::environment::Environment;

/// Gives an item its place in a list.
pub(super) fn list(item: &mut Item, environment: Environment, list: List, id: &str, recorded_at: Moment) {
    let (place, position) = keys::log_place(environment, list, recorded_at, id);
    item.insert(keys::LOG_INDEX.to_owned(), place.to_attribute());
    item.insert(keys::POSITION.to_owned(), AttributeValue::S(position));
}
