//! The parts, put together and taken down.

pub mod attached;
pub mod families;
pub mod folder;
pub mod stack;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actions::Actions;
use api::Api;
use axum::Router;
use ingest::Ingest;
use notify::Notify;
use page::Page;
use shared::access::Access;
use shared::clock::SystemClock;
use shared::environment::Environments;
use shared::model::Family;
use shared::pipeline::Pipeline;
use shared::rotating::Rotating;
use shared::store::schema;
use shared::verify::seal::WeakKey;
use shared::verify::{Secret, Secrets};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify as Signal, watch};
use tokio::task::JoinSet;
use url::Url;

use folder::{DataFolder, FolderError};

use crate::standins::aws_endpoint::{self, Services};
use crate::standins::development::{self, user};
use crate::standins::engine::{Engine, TABLE};
use crate::standins::files;

use crate::standins::gateway::{self, Functions};
use crate::standins::mappings;
use crate::standins::queues::Queues;
use crate::standins::stop::Stop;
use crate::standins::topics::{self, Topics, WEBHOOK_QUEUE};
use crate::with_family;

/// How long deliveries that were accepted may take to be applied and told when the product stops. Those that
/// take longer are kept, and applied at the next start.
const DRAIN: Duration = Duration::from_secs(5);

/// How the product shall run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The port on loopback; 0 takes a free one.
    pub port: u16,
    /// Where data is kept; none: in memory.
    pub data: Option<PathBuf>,
    /// The webhook secret.
    pub secret: Secret,
    /// Whom to POST notifications to.
    pub webhook: Option<Url>,
    /// Where to put e-mails.
    pub mail: Option<PathBuf>,
    /// Whether to print notifications.
    pub print: bool,
    /// Where to serve the AWS services to functions in containers, if anywhere.
    pub aws_endpoint: Option<SocketAddr>,
}

/// The product cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there.
    #[error("port {port} cannot be used: {cause}. Choose another with --port")]
    Port {
        /// The port.
        port: u16,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The AWS services cannot be served there.
    #[error("the AWS services cannot be served at {address}: {cause}. Choose another with --aws-endpoint")]
    AwsEndpoint {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// What is in the data folder cannot be used.
    #[error("the data folder {folder} cannot be used: {cause}. Choose another with --data, or use --memory")]
    Data {
        /// The folder.
        folder: String,
        /// What the system, or the database, says.
        cause: String,
    },
    /// The folder for e-mails cannot be made.
    #[error("the folder for e-mails {folder} cannot be used: {cause}")]
    Mail {
        /// The folder.
        folder: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The table cannot be created.
    #[error("the table cannot be used: {0}")]
    Table(#[from] shared::store::StoreError),
    /// The key for sealing is none.
    #[error(transparent)]
    Key(#[from] WeakKey),
}

/// Tasks that work until they are told to stop.
#[derive(Debug)]
struct Workers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Workers {
    fn new() -> (Self, Stop) {
        let (stop, stopping) = watch::channel(false);
        (Self { stop, tasks: JoinSet::new() }, Stop::new(stopping))
    }

    /// Tells them to stop and waits until they have; those that take too long are ended. What they were at is
    /// kept, and done at the next start.
    async fn stop(&mut self) {
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// The product, running.
#[derive(Debug)]
pub struct Product {
    address: SocketAddr,
    aws_endpoint: Option<SocketAddr>,
    queues: Queues,
    front: Workers,
    families: Workers,
    notify: Workers,
    webhook: Workers,
    _folder: Option<DataFolder>,
}

impl Product {
    /// Starts everything; it accepts deliveries when this returns.
    ///
    /// # Errors
    /// [`StartError`], in a line that tells what to do.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let busy = |cause| StartError::Port { port: settings.port, cause };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await.map_err(busy)?;
        let address = listener.local_addr().map_err(busy)?;
        if let Some(mail) = &settings.mail {
            files::make_dir(mail)
                .map_err(|cause| StartError::Mail { folder: mail.display().to_string(), cause })?;
        }
        let folder = settings.data.as_deref().map(DataFolder::claim).transpose()?;
        let (engine, queues) = open(folder.as_ref())?;
        let table = schema::create(&engine.client(), TABLE).await?;

        let keys = development::keys()?;
        let own = || Access::Own(user());
        let functions = Functions {
            ingest: Some(Ingest {
                secrets: Rotating::fixed(Secrets::new(settings.secret.clone(), [])),
                keys: Rotating::fixed(keys.clone()),
                environments: Environments::both(),
                queue: queues.clone(),
                clock: SystemClock,
            }),
            is_secret_public: development::is_public(&settings.secret),
            api: Api {
                table: table.clone(),
                queues: queues.clone(),
                environments: Environments::both(),
                access: own(),
                clock: SystemClock,
            },
            actions: Actions {
                table: table.clone(),
                queues: queues.clone(),
                keys: Rotating::fixed(keys.clone()),
                environments: Environments::both(),
                access: own(),
                clock: SystemClock,
            },
            page: Page { environments: Environments::both(), stack: None, sign_in: None },
        };
        let pipeline = Arc::new(Pipeline {
            keys: Rotating::fixed(keys),
            environments: Environments::both(),
            table,
            clock: Arc::new(SystemClock),
        });
        let topics = Arc::new(Topics {
            queues: queues.clone(),
            webhook: settings.webhook,
            mail: settings.mail,
            people: folder.as_ref().map(DataFolder::told),
            print: settings.print,
        });
        let services = Services {
            engine: engine.clone(),
            secret: settings.secret,
            queues: queues.clone(),
            topics: Arc::clone(&topics),
        };

        let (mut families, stop) = Workers::new();
        let written = Arc::new(Signal::new());
        for family in Family::ALL {
            with_family!(family, F => families.tasks.spawn(mappings::family::<F>(
                queues.clone(),
                Arc::clone(&pipeline),
                Arc::clone(&written),
                stop.clone(),
            )));
        }
        let (mut notify, stop) = Workers::new();
        notify.tasks.spawn(mappings::stream(
            engine.clone(),
            queues.clone(),
            Notify { publish: topics },
            written,
            stop,
        ));
        let (mut webhook, stop) = Workers::new();
        webhook.tasks.spawn(topics::deliver(queues.clone(), stop));

        let (mut front, stop) = Workers::new();
        front.tasks.spawn(serve(listener, gateway::router(functions), stop.clone()));
        if let Some(folder) = &folder {
            let (listener, router) = engine
                .listen(folder.path())
                .map_err(|cause| unusable(folder.path().display().to_string(), cause))?;
            front.tasks.spawn(serve_socket(listener, router, stop.clone()));
        }
        let mut aws_endpoint = None;
        if let Some(address) = settings.aws_endpoint {
            let unusable = |cause| StartError::AwsEndpoint { address, cause };
            let listener = TcpListener::bind(address).await.map_err(unusable)?;
            let address = listener.local_addr().map_err(unusable)?;
            aws_endpoint = Some(address);
            front.tasks.spawn(serve(listener, aws_endpoint::router(services, address), stop));
        }
        Ok(Self { address, aws_endpoint, queues, front, families, notify, webhook, _folder: folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves the AWS services, if it does.
    pub fn aws_endpoint(&self) -> Option<SocketAddr> {
        self.aws_endpoint
    }

    /// Waits until a part of it has stopped of itself, which none should.
    pub async fn broken(&mut self) {
        tokio::select! {
            Some(_) = self.front.tasks.join_next() => {}
            Some(_) = self.families.tasks.join_next() => {}
            Some(_) = self.notify.tasks.join_next() => {}
            Some(_) = self.webhook.tasks.join_next() => {}
            else => std::future::pending().await,
        }
    }

    /// Takes no more deliveries, applies and tells those that were accepted, and stops: each part after the one
    /// before it has handed over what it had.
    pub async fn stop(mut self) {
        self.front.stop().await;
        for family in Family::ALL {
            self.drained(family.as_str()).await;
        }
        self.families.stop().await;
        self.notify.stop().await;
        self.drained(WEBHOOK_QUEUE).await;
        self.webhook.stop().await;
    }

    /// Waits until a queue is empty, but not for ever.
    async fn drained(&self, queue: &str) {
        let empty = async {
            while self.queues.depth(queue).await.is_ok_and(|depth| depth > 0) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(DRAIN, empty).await;
    }
}

/// Opens what a data folder holds, or memory.
fn open(folder: Option<&DataFolder>) -> Result<(Engine, Queues), StartError> {
    let (table, queues) = (folder.map(DataFolder::table), folder.map(DataFolder::queues));
    let name = || folder.map(|folder| folder.path().display().to_string()).unwrap_or_default();
    let queues = Queues::open(queues.as_deref()).map_err(|error| unusable(name(), error))?;
    let engine = Engine::open(table.as_deref()).map_err(|error| unusable(name(), error))?;
    Ok((engine, queues))
}

fn unusable(folder: String, cause: impl std::fmt::Display) -> StartError {
    StartError::Data { folder, cause: cause.to_string() }
}

/// Serves at an address until it is time to stop.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut stop: Stop) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let stopped = async move { stop.or(std::future::pending()).await };
    ended(axum::serve(listener, service).with_graceful_shutdown(stopped).await);
}

/// Serves at a socket until it is time to stop.
async fn serve_socket(listener: UnixListener, router: Router, mut stop: Stop) {
    let stopped = async move { stop.or(std::future::pending()).await };
    ended(axum::serve(listener, router).with_graceful_shutdown(stopped).await);
}

fn ended(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "an HTTP server stopped");
    }
}
