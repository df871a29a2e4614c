//! The parts, put together and taken down.
//!
//! | module | what it knows |
//! | --- | --- |
//! | `kept` | what is opened: table, queues, subscriptions, checkpoint |
//! | `handlers` | the functions, each with what it needs of that |
//! | `workers` | tasks that work until they are stopped |

pub mod attached;
pub mod families;
pub mod folder;
mod handlers;
mod kept;
pub mod queues;
pub mod stack;
pub mod subscriptions;
mod workers;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::Notify;
use shared::clock::{Clock as _, Moment, SystemClock};
use shared::endpoints::signing::{self, SigningSecret};
use shared::endpoints::{Endpoint, EndpointUrl, Lane, Secrets};
use shared::environment::Environment;
use shared::model::Family;
use shared::store::{StoreError, Table, schema};
use shared::verify::Secret;
use shared::verify::seal::WeakKey;
use tokio::net::TcpListener;
use tokio::sync::Notify as Signal;

use crate::standins::engine::TABLE;
use crate::standins::queues::Queues;
use crate::standins::topics::{self, WEBHOOK_QUEUE};
use crate::standins::{aws_endpoint, development, files, gateway, mappings};
use crate::with_family;
use folder::{DataFolder, FolderError};
use handlers::Handlers;
use kept::Kept;
use workers::{Workers, serve, serve_socket};

/// How long deliveries that were accepted may take to be applied and notified when the product stops. Those that
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
    pub webhook: Option<EndpointUrl>,
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
    #[error("port {port} cannot be used (choose another with --port)")]
    Port {
        /// The port.
        port: u16,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// The AWS services cannot be served there.
    #[error("the AWS services cannot be served at {address} (choose another with --aws-endpoint)")]
    AwsEndpoint {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// What is in the data folder cannot be used.
    #[error("the data folder {folder} cannot be used (choose another with --data, or use --memory)")]
    Data {
        /// The folder.
        folder: String,
        /// What the system, or the database, says.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The folder for e-mails cannot be made.
    #[error("the folder for e-mails {folder} cannot be used")]
    Mail {
        /// The folder.
        folder: String,
        /// What the system says.
        #[source]
        cause: std::io::Error,
    },
    /// The table cannot be created.
    #[error("the table cannot be used")]
    Table(#[from] shared::store::StoreError),
    /// The key for sealing is none.
    #[error(transparent)]
    Key(#[from] WeakKey),
    /// The key for signing secrets is none.
    #[error(transparent)]
    DeliveryKey(#[from] signing::WeakKey),
    /// The client that POSTs to endpoints cannot be made.
    #[error("HTTPS cannot be set up")]
    Https(#[from] reqwest::Error),
}

impl StartError {
    /// What is in a data folder cannot be used.
    fn data(folder: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Data { folder: folder.display().to_string(), cause: cause.into() }
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
    outbound: Workers,
    _folder: Option<DataFolder>,
}

impl Product {
    /// Starts everything; it accepts deliveries when this returns.
    ///
    /// # Errors
    /// [`StartError`], in a line that says what to do.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let busy = |cause| StartError::Port { port: settings.port, cause };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await.map_err(busy)?;
        let address = listener.local_addr().map_err(busy)?;
        if let Some(mail) = &settings.mail {
            files::make_dir(mail)
                .map_err(|cause| StartError::Mail { folder: mail.display().to_string(), cause })?;
        }
        let folder = settings.data.as_deref().map(DataFolder::claim).transpose()?;
        let kept = Kept::open(folder, SystemClock)?;
        let table = schema::create(&kept.engine.client(), TABLE).await?;
        endpoint_of_this_run(&table, settings.webhook.as_ref(), SystemClock.now()).await?;
        let handlers = Handlers::new(settings.clone(), &kept, &table, SystemClock)?;
        let aws_endpoint = match settings.aws_endpoint {
            Some(address) => Some(listen_for_containers(address).await?),
            None => None,
        };
        Self::run(kept, handlers, table, (listener, address), aws_endpoint)
    }

    /// Starts the workers: first those that take, last those that give.
    fn run(
        kept: Kept,
        handlers: Handlers<SystemClock>,
        table: Table,
        (listener, address): (TcpListener, SocketAddr),
        aws_endpoint: Option<(TcpListener, SocketAddr)>,
    ) -> Result<Self, StartError> {
        let Handlers { functions, pipeline, deliver, topics, services } = handlers;
        let queues = kept.queues;
        let written = Arc::new(Signal::new());
        let (mut outbound, stop) = Workers::new();
        outbound.spawn(topics::deliver(queues.clone(), stop.clone()));
        for (lane, workers) in [(Lane::Fast, 5), (Lane::Slow, 2)] {
            for _ in 0..workers {
                outbound.spawn(mappings::lane(queues.clone(), lane, Arc::clone(&deliver), stop.clone()));
            }
        }
        outbound.spawn(mappings::due(deliver, stop));
        let (mut notify, stop) = Workers::new();
        let publish =
            Notify { publish: topics, endpoints: table, outbound: queues.clone(), clock: SystemClock };
        notify.spawn(mappings::stream(
            kept.engine.clone(),
            kept.checkpoint,
            publish,
            Arc::clone(&written),
            stop,
        ));
        let (mut families, stop) = Workers::new();
        for family in Family::ALL {
            with_family!(family, F => families.spawn(mappings::family::<F, _>(
                queues.clone(),
                Arc::clone(&pipeline),
                Arc::clone(&written),
                stop.clone(),
            )));
        }
        let (mut front, stop) = Workers::new();
        front.spawn(serve(listener, gateway::router(functions), stop.clone()));
        if let Some(folder) = &kept.folder {
            let (listener, router) =
                kept.engine.listen(folder.path()).map_err(|cause| StartError::data(folder.path(), cause))?;
            front.spawn(serve_socket(listener, router, stop.clone()));
        }
        let container_address = aws_endpoint.as_ref().map(|(_, address)| *address);
        if let Some((listener, address)) = aws_endpoint {
            front.spawn(serve(listener, aws_endpoint::router(services, address), stop));
        }
        Ok(Self {
            address,
            aws_endpoint: container_address,
            queues,
            front,
            families,
            notify,
            outbound,
            _folder: kept.folder,
        })
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
            Some(_) = self.front.ended() => {}
            Some(_) = self.families.ended() => {}
            Some(_) = self.notify.ended() => {}
            Some(_) = self.outbound.ended() => {}
            else => std::future::pending().await,
        }
    }

    /// Takes no more deliveries, applies those that were accepted, sends their notifications, and stops: each part after the one
    /// before it has handed over what it had.
    pub async fn stop(mut self) {
        self.front.stop().await;
        for family in Family::ALL {
            self.drained(family.as_str()).await;
        }
        self.families.stop().await;
        self.notify.stop().await;
        for queue in [WEBHOOK_QUEUE, Lane::Fast.as_str()] {
            self.drained(queue).await;
        }
        self.outbound.stop().await;
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

/// The id of the endpoint that `--webhook` names.
const OF_THIS_RUN: &str = "webhook";

/// The signing secret of the endpoint that `--webhook` names, and of what `listen` sends: always the same.
///
/// # Errors
/// None: the key is long enough.
pub fn webhook_secret() -> Result<SigningSecret, signing::WeakKey> {
    let first = Secrets::first(development::KEY_ID).current;
    Ok(development::delivery_key()?.secret(OF_THIS_RUN, first.number))
}

/// Makes the URL of this run an endpoint in both environments, and forgets that of an earlier run.
async fn endpoint_of_this_run(
    table: &Table,
    url: Option<&EndpointUrl>,
    now: Moment,
) -> Result<(), StoreError> {
    for environment in Environment::ALL {
        let endpoint = url.map(|url| Endpoint {
            description: "--webhook".to_owned(),
            ..Endpoint::new(OF_THIS_RUN, environment, url.clone(), development::KEY_ID, now)
        });
        table.set_endpoint(environment, OF_THIS_RUN, endpoint.as_ref()).await?;
    }
    Ok(())
}

/// A listener for functions in containers, and its address.
async fn listen_for_containers(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let unusable = |cause| StartError::AwsEndpoint { address, cause };
    let listener = TcpListener::bind(address).await.map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    Ok((listener, address))
}
