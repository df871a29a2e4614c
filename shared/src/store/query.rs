//! Reading ranges: what is asked of a partition or an index, and where the next page starts.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::keys::{POSITION, Partition};
use super::table::{Item, StoreError, Table};
use crate::clock::Moment;

/// A position in a list: opaque, URL-safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    pub(super) fn at(position: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(position))
    }

    /// The cursor as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn decode(&self) -> Result<String, StoreError> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| StoreError::Cursor)?;
        String::from_utf8(bytes).map_err(|_| StoreError::Cursor)
    }

    /// A sort key, or a part of one.
    pub(super) fn position(&self) -> Result<String, StoreError> {
        /// Sort keys are no longer (Amazon DynamoDB, developer guide, quotas).
        const LONGEST: usize = 1000;
        self.decode().and_then(|position| match position.len() {
            1..=LONGEST => Ok(position),
            _ => Err(StoreError::Cursor),
        })
    }

    /// The position in a list that is ordered by the moment of recording.
    pub(super) fn in_time(&self) -> Result<String, StoreError> {
        let position = self.position()?;
        let time = position.split('#').next().unwrap_or_default();
        time.parse::<Moment>().map_err(|_| StoreError::Cursor)?;
        Ok(position)
    }
}

impl From<String> for Cursor {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Cursor> for String {
    fn from(Cursor(text): Cursor) -> Self {
        text
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page starts; none at the end.
    pub cursor: Option<Cursor>,
}

/// Where reading goes on.
#[derive(Clone, Debug)]
pub struct Start(Item);

impl Start {
    pub(super) fn at(key: Item) -> Self {
        Self(key)
    }

    pub(super) fn into_key(self) -> Item {
        self.0
    }
}

/// A range of one partition.
pub(super) struct RangeQuery {
    pub(super) index: Option<&'static str>,
    pub(super) partition: Partition,
    pub(super) low: String,
    pub(super) high: String,
    pub(super) newest_first: bool,
}

impl RangeQuery {
    /// A whole partition.
    pub(super) fn whole(partition: &Partition) -> Self {
        Self {
            index: None,
            partition: partition.clone(),
            low: " ".to_owned(),
            high: "~".to_owned(),
            newest_first: false,
        }
    }
}

/// What an item must have.
pub(super) enum Condition {
    /// An attribute of this value.
    Equals(&'static str, String),
    /// An attribute that is a set with this member.
    Contains(&'static str, String),
}

impl Table {
    /// The first `limit` items of a range.
    pub(super) async fn query(&self, query: &RangeQuery, limit: usize) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let (found, reached) = self.query_once(query, &[], limit - items.len(), start).await?;
            items.extend(found);
            start = reached;
            if start.is_none() || items.len() >= limit {
                return Ok(items);
            }
        }
    }

    /// One query: the items that fit, and the key it reached if there is more.
    pub(super) async fn query_once(
        &self,
        query: &RangeQuery,
        conditions: &[Condition],
        limit: usize,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), StoreError> {
        let (pk, sk) = query.index.map_or(("pk", "sk"), |index| (index, POSITION));
        if query.low > query.high {
            return Ok((Vec::new(), None));
        }
        let mut names = HashMap::from([("#pk".to_owned(), pk.to_owned()), ("#sk".to_owned(), sk.to_owned())]);
        let mut values = HashMap::from([
            (":pk".to_owned(), query.partition.to_attribute()),
            (":low".to_owned(), AttributeValue::S(query.low.clone())),
            (":high".to_owned(), AttributeValue::S(query.high.clone())),
        ]);
        let mut filters = Vec::new();
        for (number, condition) in conditions.iter().enumerate() {
            let (attribute, value, filter) = match condition {
                Condition::Equals(attribute, value) => (attribute, value, format!("#f{number} = :f{number}")),
                Condition::Contains(attribute, value) => {
                    (attribute, value, format!("contains(#f{number}, :f{number})"))
                }
            };
            names.insert(format!("#f{number}"), (*attribute).to_owned());
            values.insert(format!(":f{number}"), AttributeValue::S(value.clone()));
            filters.push(filter);
        }
        let answer = self
            .client
            .query()
            .table_name(&*self.name)
            .set_index_name(query.index.map(str::to_owned))
            .consistent_read(query.index.is_none())
            .scan_index_forward(!query.newest_first)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :low AND :high")
            .set_filter_expression((!filters.is_empty()).then(|| filters.join(" AND ")))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(StoreError::aws)?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }
}
