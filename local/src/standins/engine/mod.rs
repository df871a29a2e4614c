//! The embedded DynamoDB: dynoxide, in this process.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `dispatch` | the operations, by name, from JSON to JSON |
//! | `connector` | how the AWS SDK reaches them without a port |
//! | `socket` | how commands reach the engine of a product that is running |

mod connector;
mod dispatch;
mod socket;

pub use dispatch::Answer;
pub use socket::Remote;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use connector::Connector;
use dispatch::{MEDIA_TYPE, dispatch};
use dynoxide::Database;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use tokio::net::UnixListener;

/// The table's name in the embedded DynamoDB.
pub const TABLE: &str = "bitpowr-webhooks";

/// The engine failed.
#[derive(Debug, thiserror::Error)]
#[error("the embedded DynamoDB: {0}")]
pub struct EngineError(String);

fn failed(error: impl std::fmt::Display) -> EngineError {
    EngineError(error.to_string())
}

/// The header that names the operation.
pub const TARGET: &str = "x-amz-target";

/// The largest request, in bytes: a transaction's 4 MB, written as JSON.
pub const MAX_REQUEST: usize = 16 * 1024 * 1024;

/// An embedded DynamoDB. It listens nowhere by itself.
#[derive(Clone)]
pub struct Engine {
    database: Database,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

/// Records of the stream, as `{"Records": […]}`, and where the next ones start.
pub struct StreamPage {
    /// What Lambda would be invoked with.
    pub event: serde_json::Value,
    /// How many records it has.
    pub count: usize,
    /// The last one's sequence number.
    pub last: Option<String>,
}

impl Engine {
    /// Opens the database file, or one in memory.
    ///
    /// # Errors
    /// [`EngineError`] where the file cannot be opened.
    pub fn open(file: Option<&Path>) -> Result<Self, EngineError> {
        let name = match file {
            Some(file) => file.to_str().ok_or_else(|| failed("the path is not UTF-8"))?.to_owned(),
            None => in_memory(),
        };
        let database = Database::new(&name).map_err(failed)?;
        index_stream(&name).map_err(failed)?;
        Ok(Self { database })
    }

    /// A client for it, which asks it without a connection.
    pub fn client(&self) -> Client {
        connector::client(self.http_client())
    }

    /// What carries the requests of an AWS SDK to it.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(Connector::Here(self.clone()))
    }

    /// Runs the operation that `target` names ([`TARGET`]). SQLite blocks its thread, which is none of those that
    /// the product works on.
    pub async fn answer(&self, target: String, body: impl AsRef<[u8]> + Send + 'static) -> Answer {
        let database = self.database.clone();
        let answered = tokio::task::spawn_blocking(move || dispatch(&database, &target, body.as_ref())).await;
        answered.unwrap_or_else(|error| {
            tracing::error!(%error, "the embedded DynamoDB failed");
            Answer { status: 500, body: r#"{"__type":"InternalServerError"}"#.to_owned() }
        })
    }

    /// Answers a request that came over HTTP.
    pub async fn serve(&self, headers: &HeaderMap, body: Bytes) -> Response {
        let target = headers.get(TARGET).and_then(|target| target.to_str().ok()).unwrap_or_default();
        let Answer { status, body } = self.answer(target.to_owned(), body).await;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
    }

    /// A socket in the data folder, and what answers there, for commands while the product runs on the folder.
    ///
    /// # Errors
    /// Where the socket cannot be made.
    pub fn listen(&self, folder: &Path) -> std::io::Result<(UnixListener, Router)> {
        Ok((socket::listen(folder)?, socket::router(self.clone())))
    }

    /// The records of the table's stream after a sequence number; from the oldest on, if there is none.
    ///
    /// # Errors
    /// [`EngineError`] where the table has no stream, or the number is none of its.
    pub fn stream(&self, after: Option<&str>, limit: usize) -> Result<StreamPage, EngineError> {
        let request = ListStreamsRequest { table_name: Some(TABLE.to_owned()), ..Default::default() };
        let streams = self.database.list_streams(request).map_err(failed)?;
        let arn = streams.streams.first().map(|stream| stream.stream_arn.clone());
        let arn = arn.ok_or_else(|| failed("the table has no stream"))?;
        let request = dynoxide::actions::describe_stream::DescribeStreamRequest {
            stream_arn: arn.clone(),
            ..Default::default()
        };
        let described = self.database.describe_stream(request).map_err(failed)?;
        let shard = described.stream_description.shards.into_iter().next();
        let request = GetShardIteratorRequest {
            stream_arn: arn,
            shard_id: shard.ok_or_else(|| failed("the stream has no shard"))?.shard_id,
            shard_iterator_type: if after.is_some() { "AFTER_SEQUENCE_NUMBER" } else { "TRIM_HORIZON" }
                .to_owned(),
            sequence_number: after.map(str::to_owned),
        };
        let iterator = self.database.get_shard_iterator(request).map_err(failed)?.shard_iterator;
        let request = GetRecordsRequest { shard_iterator: iterator.unwrap_or_default(), limit: Some(limit) };
        let found = self.database.get_records(request).map_err(failed)?;
        let last = found.records.last().map(|record| record.dynamodb.sequence_number.clone());
        let count = found.records.len();
        let records = serde_json::to_value(found.records).map_err(failed)?;
        Ok(StreamPage { event: serde_json::json!({ "Records": records }), count, last })
    }
}

/// The name of a new database in memory, which every connection of this process reaches by it (SQLite, "In-Memory
/// Databases"). It is gone with the last of them.
fn in_memory() -> String {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    format!("file:bitpowr-webhooks-{}?mode=memory&cache=shared", OPENED.fetch_add(1, Ordering::Relaxed))
}

/// The engine looks for the last record of a stream at every write, and has no index to find it by: without one
/// each write reads the whole stream, which is never trimmed.
fn index_stream(name: &str) -> rusqlite::Result<()> {
    let connection = rusqlite::Connection::open(name)?;
    connection.execute_batch(
        "CREATE INDEX IF NOT EXISTS stream_order
         ON _stream_records (table_name, CAST(sequence_number AS INTEGER), shard_id)",
    )
}
