//! The table's shape: what `template.yaml` declares, for the places where no template is deployed.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
};

use super::keys::LOG_INDEX;
use super::{StoreError, Table};

/// What the index `log` carries of an item: what a list shows and filters by, not the notification.
pub const LOG_PROJECTION: [&str; 16] = [
    "id",
    "environment",
    "event",
    "family",
    "entity",
    "kind",
    "effect",
    "why",
    "status",
    "asset",
    "deliveries",
    "received_at",
    "recorded_at",
    "occurred_at",
    "reason",
    "detail",
];

/// Creates the table, with its index and its stream, unless it exists.
///
/// # Errors
/// [`StoreError::Aws`] where DynamoDB refuses.
pub async fn create(client: &Client, name: &str) -> Result<Table, StoreError> {
    let built = |error: BuildError| StoreError::Aws(error.to_string());
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
    let log = GlobalSecondaryIndex::builder()
        .index_name(LOG_INDEX)
        .key_schema(key("log_pk", KeyType::Hash)?)
        .key_schema(key("log_sk", KeyType::Range)?)
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::Include)
                .set_non_key_attributes(Some(LOG_PROJECTION.map(str::to_owned).to_vec()))
                .build(),
        )
        .build()
        .map_err(built)?;
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewImage)
        .build()
        .map_err(built)?;
    let created = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(text("pk")?)
        .attribute_definitions(text("sk")?)
        .attribute_definitions(text("log_pk")?)
        .attribute_definitions(text("log_sk")?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .global_secondary_indexes(log)
        .stream_specification(stream)
        .send()
        .await;
    match created {
        Err(error) if !error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) => {
            Err(StoreError::aws(error))
        }
        _ => Ok(Table::new(client.clone(), name)),
    }
}
