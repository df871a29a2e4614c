//! `console`: the page over a deployed stack's data, on this machine, with its user's own credentials.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use page::Page;
use shared::clock::SystemClock;
use shared::environment::Environments;
use tokio::net::TcpListener;

use super::failure::Failure;
use super::place::Place;
use super::say;
use crate::product::StartError;
use crate::standins::gateway::{self, Functions};

#[derive(Debug, Args)]
pub(super) struct Console {
    #[command(flatten)]
    place: Place,
    /// The port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 8789)]
    port: u16,
}

impl Console {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let (environment, who) = (opened.environment, opened.who.clone());
        let (api, actions, _attached) = opened.into_handlers();
        let page =
            Page { environments: Environments::only(environment), stack: self.place.stack, sign_in: None };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await;
        let busy = |cause| StartError::Port { port: self.port, cause };
        let listener = listener.map_err(busy)?;
        let address = listener.local_addr().map_err(busy)?;
        say(&format!("The {environment} environment, as {who}: http://{address}/"));
        say("Every user of this machine can use it. Press Ctrl-C to stop.");
        let router = gateway::router(Functions {
            ingest: None,
            is_secret_public: false,
            api,
            actions,
            page,
            clock: SystemClock,
        });
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let stopped = async { drop(tokio::signal::ctrl_c().await) };
        axum::serve(listener, service)
            .with_graceful_shutdown(stopped)
            .await
            .map_err(Failure::of("the page stopped"))
    }
}
