//! The table's shape: what `template.yaml` declares, for the places where no template is deployed.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
};

use super::facets::INDEXES;
use super::keys::{LOG_INDEX, POSITION};
use super::table::{StoreError, Table};

/// What an index carries of an item: what is filtered, counted and rebuilt by. What a list shows is read from
/// the table, so that it is never behind. An index takes 20 such names, all indexes of a table 100 (Amazon
/// DynamoDB, API reference, `Projection`).
pub const INDEX_PROJECTION: [&str; 4] = ["effect", "entity", "kind", "terms"];

/// The names of all indexes.
pub fn indexes() -> impl Iterator<Item = &'static str> {
    std::iter::once(LOG_INDEX).chain(INDEXES)
}

/// Creates the table, with its indexes and its stream, unless it exists.
///
/// # Errors
/// [`StoreError::Aws`] where DynamoDB refuses, [`StoreError::Outdated`] where the table is an earlier version's.
pub async fn create(client: &Client, name: &str) -> Result<Table, StoreError> {
    let built = |error: BuildError| StoreError::Aws(error.into());
    let key = |name, key_type| {
        KeySchemaElement::builder().attribute_name(name).key_type(key_type).build().map_err(built)
    };
    let text = |name| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .map_err(built)
    };
    let index = |name| {
        GlobalSecondaryIndex::builder()
            .index_name(name)
            .key_schema(key(name, KeyType::Hash)?)
            .key_schema(key(POSITION, KeyType::Range)?)
            .projection(
                Projection::builder()
                    .projection_type(ProjectionType::Include)
                    .set_non_key_attributes(Some(INDEX_PROJECTION.map(str::to_owned).to_vec()))
                    .build(),
            )
            .build()
            .map_err(built)
    };
    let keys = ["pk", "sk", POSITION].into_iter().chain(indexes());
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewImage)
        .build()
        .map_err(built)?;
    let created = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(keys.map(text).collect::<Result<_, _>>()?))
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .set_global_secondary_indexes(Some(indexes().map(index).collect::<Result<_, _>>()?))
        .stream_specification(stream)
        .send()
        .await;
    match created {
        Ok(_) => {}
        Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) => {
            let found = client.describe_table().table_name(name).send().await.map_err(StoreError::aws)?;
            let found = found.table.and_then(|table| table.global_secondary_indexes).unwrap_or_default();
            let has = |name| found.iter().any(|index| index.index_name() == Some(name));
            if !indexes().all(has) {
                return Err(StoreError::Outdated);
            }
        }
        Err(error) => return Err(StoreError::aws(error)),
    }
    Ok(Table::new(client.clone(), name))
}
