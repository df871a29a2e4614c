//! The way of commands to the engine of a product that is running: a Unix socket in its data folder, which only
//! the folder's owner can reach.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use tempfile::TempDir;
use tokio::net::UnixListener;

use super::connector::{self, Connector};
use super::{Engine, MAX_REQUEST};

/// The socket's name in the data folder.
const NAME: &str = "engine.sock";

/// The longest path that every system takes for a socket's (`sockaddr_un` holds 104 bytes on macOS, 108 on
/// Linux), in bytes.
const LONGEST: usize = 100;

/// The socket of a folder, under a path that is short enough.
struct Address {
    path: PathBuf,
    /// What makes it short.
    link: Option<TempDir>,
}

impl Address {
    /// Where the folder's own path is too long, it goes by a symbolic link in a folder that nobody else can enter.
    fn of(folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        if path.as_os_str().len() <= LONGEST {
            return Ok(Self { path, link: None });
        }
        let link = TempDir::new()?;
        let short = link.path().join("data");
        symlink(std::path::absolute(folder)?, &short)?;
        Ok(Self { path: short.join(NAME), link: Some(link) })
    }
}

/// Listens at the folder's socket. Who calls it holds the folder's lock: what is there was left by a process that
/// has ended.
pub(super) fn listen(folder: &Path) -> io::Result<UnixListener> {
    let address = Address::of(folder)?;
    match std::fs::remove_file(&address.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&address.path)?;
    std::fs::set_permissions(&address.path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// What answers there.
pub(super) fn router(engine: Engine) -> Router {
    async fn answer(State(engine): State<Engine>, headers: HeaderMap, body: Bytes) -> Response {
        engine.serve(&headers, body).await
    }
    Router::new().route("/", post(answer)).layer(DefaultBodyLimit::max(MAX_REQUEST)).with_state(engine)
}

/// A client of the product that is running on a folder.
#[derive(Debug)]
pub struct Remote {
    client: Client,
    /// Lives as long as connections may be opened.
    _link: Option<TempDir>,
}

impl Remote {
    /// Reaches the folder's product.
    ///
    /// # Errors
    /// Where nobody listens.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let Address { path, link } = Address::of(folder)?;
        drop(UnixStream::connect(&path)?);
        let socket =
            reqwest::Client::builder().unix_socket(path).no_proxy().build().map_err(io::Error::other)?;
        let way = SharedHttpClient::new(Connector::There(socket));
        Ok(Self { client: connector::client(way), _link: link })
    }

    /// A DynamoDB client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}
