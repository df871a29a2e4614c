//! The whole product in one process, for a laptop and for tests: the same handlers that are deployed, around
//! an embedded DynamoDB.
//!
//! | deployed | here |
//! | --- | --- |
//! | API Gateway | [`front`]: real HTTP in, API Gateway events to the handlers |
//! | SQS | [`queues`]: a file of messages with visibility time-outs, receive counts and dead letters |
//! | event source mappings | [`mapping`]: batches from queues and stream to the handlers |
//! | DynamoDB and its stream | [`engine`]: dynoxide, reached through the real SDK without a port |
//! | SNS | [`topics`], [`subscriptions`]: standard output, POSTs, a folder of e-mails |
//! | AWS itself, for functions in containers | [`aws`]: all of these at one address |
//!
//! [`guard`] knows who may ask, [`folder`] keeps the data, [`development`] stands for secrets and identities; [`families`] names the code of each family; [`product`] puts the parts together; [`stack`] is a deployed one,
//! seen from here; [`cli`] is the command line.

pub mod aws;
pub mod cli;
pub mod development;
pub mod engine;
pub mod families;
pub mod folder;
pub mod front;
pub mod guard;
pub mod mapping;
pub mod product;
pub mod queues;
pub mod samples;
pub mod stack;
pub mod subscriptions;
pub mod topics;
