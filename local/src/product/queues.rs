//! The families' queues, of this machine or of a stack: for whoever works on either.

use api::Watched;
use shared::clock::SystemClock;
use shared::model::Family;
use shared::queue::{DeliveryQueue, Depth, Depths, QueueError, Redrive, Redriven};
use shared::verify::Sealed;

/// Queues, here or there.
#[derive(Clone, Debug)]
pub enum Queues {
    /// Of this machine.
    Here(crate::standins::queues::Queues),
    /// Of a stack.
    Stack(Box<Watched<SystemClock>>),
}

impl Depths for Queues {
    async fn depths(&self) -> Result<Vec<(Family, Depth)>, QueueError> {
        match self {
            Self::Here(queues) => queues.depths().await,
            Self::Stack(watched) => watched.depths().await,
        }
    }
}

impl DeliveryQueue for Queues {
    async fn send(&self, delivery: &Sealed) -> Result<(), QueueError> {
        match self {
            Self::Here(queues) => DeliveryQueue::send(queues, delivery).await,
            Self::Stack(watched) => watched.queues.send(delivery).await,
        }
    }
}

impl Redrive for Queues {
    async fn redrive(&self, family: Family, most: usize) -> Redriven {
        match self {
            Self::Here(queues) => queues.redrive(family, most).await,
            Self::Stack(watched) => watched.queues.redrive(family, most).await,
        }
    }
}
