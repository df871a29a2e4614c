//! What stands here for AWS: each part on its own, none of which knows the product that they make.

pub mod aws_endpoint;
pub mod checkpoint;
pub mod database;
pub mod development;
pub mod engine;
pub mod files;
pub mod gateway;
pub mod guard;
pub mod mappings;
pub mod queues;
pub mod stop;
pub mod subscriptions;
pub mod topics;
