//! From a request of the AWS SDK to an operation of dynoxide: what a server would do, without one.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What DynamoDB answers: its status, and JSON.
#[derive(Debug)]
pub struct Answer {
    /// 200, or why not.
    pub status: u16,
    /// The operation's output, or the error.
    pub body: String,
}

/// The media type of requests and answers (Amazon DynamoDB, developer guide, "DynamoDB low-level API").
pub(super) const MEDIA_TYPE: &str = "application/x-amz-json-1.0";

/// Runs the operation that `target` names, as the header `x-amz-target` does. It blocks.
pub(super) fn dispatch(database: &Database, target: &str, body: &[u8]) -> Answer {
    let operation = target.split_once('.').map_or(target, |(_, operation)| operation);
    match run(database, operation, body) {
        Ok(body) => Answer { status: 200, body },
        Err(error) => Answer { status: error.status_code(), body: error.to_json() },
    }
}

macro_rules! operations {
    ($($name:literal => $method:ident,)*) => {
        fn run(database: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
            match operation {
                $($name => written(&database.$method(read(body)?)?),)*
                other => Err(DynoxideError::UnsupportedCapability(format!("{other} is not served here"))),
            }
        }
    };
}

// What the product's own code, and its functions in containers, ask for; nothing that deletes a table.
operations! {
    "BatchGetItem" => batch_get_item,
    "BatchWriteItem" => batch_write_item,
    "CreateTable" => create_table,
    "DeleteItem" => delete_item,
    "DescribeTable" => describe_table,
    "GetItem" => get_item,
    "ListTables" => list_tables,
    "PutItem" => put_item,
    "Query" => query,
    "Scan" => scan,
    "TransactGetItems" => transact_get_items,
    "TransactWriteItems" => transact_write_items,
    "UpdateItem" => update_item,
    "UpdateTable" => update_table,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| DynoxideError::SerializationException(error.to_string()))
}

fn written<T: Serialize>(output: &T) -> Result<String, DynoxideError> {
    serde_json::to_string(output).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
