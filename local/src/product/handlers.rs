//! The functions that are deployed, over what is kept here.

use std::sync::Arc;

use actions::Actions;
use api::Api;
use deliver::Deliver;
use deliver::post::Poster;
use ingest::Ingest;
use jiff::SignedDuration;
use page::Page;
use shared::access::Access;
use shared::clock::Clock;
use shared::endpoints::Reach;
use shared::environment::Environments;
use shared::pipeline::Pipeline;
use shared::rotating::Rotating;
use shared::store::Table;
use shared::verify::Secrets;

use super::folder::DataFolder;
use super::kept::Kept;
use super::{Settings, StartError};
use crate::standins::aws_endpoint::Services;
use crate::standins::development::{self, user};
use crate::standins::gateway::Functions;
use crate::standins::queues::Queues;
use crate::standins::topics::Topics;

/// For how long attempts are kept: as the template has it.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The handlers, each with what it needs.
pub(super) struct Handlers<C> {
    /// Of HTTP.
    pub(super) functions: Functions<Queues, C>,
    /// Of the families' queues.
    pub(super) pipeline: Arc<Pipeline<C>>,
    /// Of the queues of the endpoints.
    pub(super) deliver: Arc<Deliver<Poster, Queues, C>>,
    /// Where notifications go.
    pub(super) topics: Arc<Topics>,
    /// What functions in containers find in AWS.
    pub(super) services: Services,
}

impl<C: Clock + Clone> Handlers<C> {
    pub(super) fn new(settings: Settings, kept: &Kept, table: &Table, clock: C) -> Result<Self, StartError> {
        let keys = development::keys()?;
        let topics = Arc::new(Topics {
            queues: kept.queues.clone(),
            subscriptions: kept.subscriptions.clone(),
            mail: settings.mail,
            people: kept.folder.as_ref().map(DataFolder::messages),
            print: settings.print,
        });
        let services = Services {
            engine: kept.engine.clone(),
            secret: settings.secret.clone(),
            queues: kept.queues.clone(),
            topics: Arc::clone(&topics),
        };
        let ingest = Ingest {
            secrets: Rotating::fixed(Secrets::new(settings.secret.clone(), [])),
            keys: Rotating::fixed(keys.clone()),
            environments: Environments::both(),
            queue: kept.queues.clone(),
            clock: clock.clone(),
        };
        let api = Api {
            table: table.clone(),
            queues: kept.queues.clone(),
            environments: Environments::both(),
            access: Access::Own(user()),
            clock: clock.clone(),
        };
        let actions = Actions {
            table: table.clone(),
            queues: kept.queues.clone(),
            keys: Rotating::fixed(keys.clone()),
            environments: Environments::both(),
            access: Access::Own(user()),
            delivery_keys: development::delivery_keys()?,
            reach: Reach::Local,
            clock: clock.clone(),
        };
        let deliver = Arc::new(Deliver {
            table: table.clone(),
            post: Poster::new(Reach::Local)?,
            outbound: kept.queues.clone(),
            keys: development::delivery_keys()?,
            kept_for: KEPT_FOR,
            clock: clock.clone(),
        });
        let functions = Functions {
            ingest: Some(ingest),
            is_secret_public: development::is_public(&settings.secret),
            api,
            actions,
            page: Page { environments: Environments::both(), stack: None, sign_in: None },
            clock: clock.clone(),
        };
        let pipeline = Arc::new(Pipeline {
            keys: Rotating::fixed(keys),
            environments: Environments::both(),
            table: table.clone(),
            clock: Arc::new(clock),
        });
        Ok(Self { functions, pipeline, deliver, topics, services })
    }
}
