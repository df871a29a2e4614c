//! The embedded DynamoDB.

use std::net::SocketAddr;
use std::path::Path;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use dynoxide::Database;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use tokio::sync::oneshot;

/// The table's name in the embedded DynamoDB.
pub const TABLE: &str = "bitpowr-webhooks";

/// The engine failed.
#[derive(Debug, thiserror::Error)]
#[error("the embedded DynamoDB: {0}")]
pub struct EngineError(String);

fn failed(error: impl std::fmt::Display) -> EngineError {
    EngineError(error.to_string())
}

/// An embedded DynamoDB that listens on loopback until it is stopped.
pub struct Engine {
    database: Database,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
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
    /// Opens the database file, or one in memory, and serves it.
    ///
    /// # Errors
    /// [`EngineError`] where the file cannot be opened.
    pub fn start(file: Option<&Path>) -> Result<Self, EngineError> {
        let database = match file {
            Some(file) => Database::new(file.to_str().ok_or_else(|| failed("the path is not UTF-8"))?),
            None => Database::memory(),
        }
        .map_err(failed)?;
        if let Some(file) = file {
            index_stream(file).map_err(failed)?;
        }
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        // A runtime of its own: SQLite blocks its threads, and must not block those of the product.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(failed)?;
        let served = database.clone();
        let thread = std::thread::spawn(move || {
            let outcome = runtime.block_on(async {
                let listener =
                    tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string())?;
                let stopped = async { stopped.await.unwrap_or_default() };
                dynoxide::server::serve_with_shutdown(listener, served, stopped).await
            });
            if let Err(error) = outcome {
                tracing::error!(%error, "the embedded DynamoDB stopped");
            }
        });
        Ok(Self { database, address, stop: Some(stop), thread: Some(thread) })
    }

    /// A client for it.
    pub fn client(&self) -> Client {
        client(self.address)
    }

    /// Where it listens on loopback.
    pub fn address(&self) -> SocketAddr {
        self.address
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

/// The engine looks for the last record of a stream at every write, and has no index to find it by: without one
/// each write reads the whole stream, which is never trimmed.
fn index_stream(file: &Path) -> rusqlite::Result<()> {
    let connection = rusqlite::Connection::open(file)?;
    connection.execute_batch(
        "CREATE INDEX IF NOT EXISTS stream_order
         ON _stream_records (table_name, CAST(sequence_number AS INTEGER), shard_id)",
    )
}

/// A client for the engine that listens at an address. Its credentials are no secret: the engine looks whether
/// there are any.
pub fn client(address: SocketAddr) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("local"))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .build();
    Client::from_conf(config)
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
