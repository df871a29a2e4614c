//! Tasks, and what they serve, until it is time to stop.

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::DRAIN;
use crate::standins::stop::Stop;

/// Tasks that work until they are stopped.
#[derive(Debug)]
pub(super) struct Workers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Workers {
    pub(super) fn new() -> (Self, Stop) {
        let (stop, stopping) = watch::channel(false);
        (Self { stop, tasks: JoinSet::new() }, Stop::new(stopping))
    }

    /// Starts a task.
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until one of them has ended; none where there are none.
    pub(super) async fn ended(&mut self) -> Option<()> {
        self.tasks.join_next().await.map(|_| ())
    }

    /// Tells them to stop and waits until they have; those that take too long are ended. What they were at is
    /// kept, and done at the next start.
    pub(super) async fn stop(&mut self) {
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// Serves at an address until it is time to stop.
pub(super) async fn serve(listener: TcpListener, router: Router, mut stop: Stop) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let stopped = async move { stop.or(std::future::pending()).await };
    ended(axum::serve(listener, service).with_graceful_shutdown(stopped).await);
}

/// Serves at a socket until it is time to stop.
pub(super) async fn serve_socket(listener: UnixListener, router: Router, mut stop: Stop) {
    let stopped = async move { stop.or(std::future::pending()).await };
    ended(axum::serve(listener, router).with_graceful_shutdown(stopped).await);
}

fn ended(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "an HTTP server stopped");
    }
}
