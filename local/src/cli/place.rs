//! Where a command finds what it works on: in a data folder of this machine, or in a deployed stack.

use std::path::PathBuf;

use actions::Actions;
use api::Api;
use clap::Args;
use futures::{Stream, TryStreamExt as _};
use lambda_http::http::{Method, Request};
use lambda_http::{Body, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::access::Access;
use shared::answers::{Endpoint, Entry, List, read};
use shared::clock::SystemClock;
use shared::endpoints::Reach;
use shared::endpoints::signing::DeliveryKeys;
use shared::environment::{Environment, Environments};
use shared::http::Problem;
use shared::rotating::Rotating;
use shared::store::Table;
use url::form_urlencoded;

use super::failure::Failure;
use crate::product::attached::Attached;
use crate::product::queues::Queues;
use crate::product::stack::Stack;
use crate::product::subscriptions::{Listed, SubscriptionError, Subscriptions as _};
use crate::standins::development::{self, user};

/// The data folder, where no other is named.
const DATA: &str = ".bitpowr";

/// Where the data is.
#[derive(Clone, Debug, Args)]
pub(super) struct Place {
    /// Bitpowr's environment: test or live. A stack has its own.
    #[arg(long, value_name = "ENVIRONMENT", default_value = "test")]
    pub(super) env: Environment,
    /// The data folder; the receiver may be running on it.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    pub(super) data: PathBuf,
    /// Use a deployed stack instead, in the AWS account and region of your credentials.
    #[arg(long, value_name = "NAME", conflicts_with = "data")]
    pub(super) stack: Option<String>,
    /// With --stack: another table of the account, such as one that was restored.
    #[arg(long, value_name = "NAME", requires = "stack")]
    table: Option<String>,
}

/// What a command works on, open.
pub(super) struct Opened {
    pub(super) environment: Environment,
    pub(super) table: Table,
    /// Who works on it.
    pub(super) who: String,
    api: Api<Queues, SystemClock>,
    actions: Actions<Queues, SystemClock>,
    /// What keeps a data folder open.
    attached: Option<Attached>,
    /// The stack, if it is one.
    pub(super) stack: Option<Stack>,
}

impl Place {
    /// The options that name it, for a command that is to be typed next.
    pub(super) fn options(&self) -> String {
        match &self.stack {
            Some(name) => {
                let table = self.table.as_ref().map(|table| format!(" --table {table}"));
                format!(" --stack {name}{}", table.unwrap_or_default())
            }
            None => {
                let env = Some(self.env).filter(|env| *env != Environment::Test);
                let env = env.map(|env| format!(" --env {env}")).unwrap_or_default();
                let data = Some(self.data.display()).filter(|_| self.data.as_os_str() != DATA);
                env + &data.map(|data| format!(" --data {data}")).unwrap_or_default()
            }
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// Where something is missing.
    pub(super) async fn open(&self) -> Result<Opened, Failure> {
        match &self.stack {
            Some(name) => {
                let stack = Stack::find(name).await?;
                let (keys, who) = (stack.sealing_keys()?, stack.caller().await?);
                let table =
                    self.table.as_deref().map_or_else(|| stack.table(), |name| Ok(stack.table_of(name)))?;
                let queues = stack.queues()?;
                let opened =
                    Opened::new(stack.environment, table, queues, keys, stack.delivery()?, who, None);
                Ok(Opened { stack: Some(stack), ..opened })
            }
            None => {
                let attached = Attached::to(&self.data)?;
                let keys = development::keys()?;
                let queues = Queues::Here(attached.queues.clone());
                let table = attached.table();
                let delivery = (development::delivery_keys()?, Reach::Local);
                let keys = Rotating::fixed(keys);
                Ok(Opened::new(self.env, table, queues, keys, delivery, user(), Some(attached)))
            }
        }
    }
}

impl Opened {
    fn new(
        environment: Environment,
        table: Table,
        queues: Queues,
        keys: Rotating<shared::verify::SealingKeys>,
        (delivery_keys, reach): (DeliveryKeys, Reach),
        who: String,
        attached: Option<Attached>,
    ) -> Self {
        let environments = Environments::only(environment);
        let api = Api {
            table: table.clone(),
            queues: queues.clone(),
            environments: environments.clone(),
            access: Access::Own(who.clone()),
            clock: SystemClock,
        };
        let actions = Actions {
            table: table.clone(),
            queues,
            keys,
            delivery_keys,
            reach,
            environments,
            access: Access::Own(who.clone()),
            clock: SystemClock,
        };
        Self { environment, table, who, api, actions, attached, stack: None }
    }

    /// The handlers, to be served, and what keeps them open.
    pub(super) fn into_handlers(
        self,
    ) -> (Api<Queues, SystemClock>, Actions<Queues, SystemClock>, Option<Attached>) {
        (self.api, self.actions, self.attached)
    }

    /// Asks the read side, as over HTTP: `what` is the path behind the environment.
    ///
    /// # Errors
    /// What the answer says is wrong.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        what: &str,
        query: &[(&str, Option<&str>)],
    ) -> Result<T, NoAnswer> {
        let given = query.iter().filter_map(|(name, value)| Some((name, (*value)?)));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
        let request = Request::get(format!("/api/{}/{what}?{query}", self.environment)).body(Body::Empty);
        answer(&Box::pin(self.api.handle(request?)).await)
    }

    /// Has something done, as over HTTP; the same `key` does it once.
    ///
    /// # Errors
    /// What the answer says is wrong.
    pub(super) async fn act<T: DeserializeOwned>(
        &self,
        what: &str,
        why: &str,
        key: &str,
    ) -> Result<T, NoAnswer> {
        self.order(&Method::POST, what, &json!({ "why": why }), key).await
    }

    /// Has something done that needs more than a reason.
    ///
    /// # Errors
    /// What the answer says is wrong.
    pub(super) async fn order<T: DeserializeOwned>(
        &self,
        method: &Method,
        what: &str,
        order: &Value,
        key: &str,
    ) -> Result<T, NoAnswer> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/{}/{what}", self.environment))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(Body::Text(order.to_string()));
        answer(&Box::pin(self.actions.handle(request?)).await)
    }

    /// Who is subscribed.
    ///
    /// # Errors
    /// Where the subscriptions cannot be read.
    pub(super) async fn subscriptions(&self) -> Result<Vec<Listed>, SubscriptionError> {
        match (&self.stack, &self.attached) {
            (Some(stack), _) => stack.list().await,
            (None, Some(attached)) => attached.list().await,
            (None, None) => Ok(Vec::new()),
        }
    }

    /// The endpoints: all of them, in one answer.
    ///
    /// # Errors
    /// As [`Opened::get`].
    pub(super) async fn endpoints(&self) -> Result<Vec<Endpoint>, NoAnswer> {
        Ok(self.get::<List<Endpoint>>(Endpoint::LIST, &[]).await?.entries)
    }

    /// The pages of a list, one after the other.
    pub(super) fn pages<'a, T: Entry + 'a>(
        &'a self,
        query: &'a [(String, String)],
        from: Option<String>,
    ) -> impl Stream<Item = Result<List<T>, NoAnswer>> + use<'a, T> {
        futures::stream::try_unfold(Some(from), move |next| async move {
            let Some(cursor) = next else { return Ok(None) };
            let mut query: Vec<_> =
                query.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))).collect();
            query.extend([("limit", Some("100")), ("cursor", cursor.as_deref())]);
            let page: List<T> = self.get(T::LIST, &query).await?;
            let next = page.cursor.clone().map(Some);
            Ok(Some((page, next)))
        })
    }

    /// Every entry of a list.
    ///
    /// # Errors
    /// As [`Opened::get`].
    pub(super) async fn all<T: Entry>(&self, query: &[(&str, Option<&str>)]) -> Result<Vec<T>, NoAnswer> {
        let query: Vec<_> = query
            .iter()
            .filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?.to_owned())))
            .collect();
        let pages: Vec<List<T>> = self.pages(&query, None).try_collect().await?;
        Ok(pages.into_iter().flat_map(|page| page.entries).collect())
    }
}

/// Why a handler did not answer what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// It refused, in its words.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// It cannot be asked so.
    #[error("this cannot be asked")]
    Request(#[from] lambda_http::http::Error),
    /// It answered something else.
    #[error("the answer cannot be read")]
    Unread(#[from] serde_json::Error),
}

fn answer<T: DeserializeOwned>(response: &Response<Body>) -> Result<T, NoAnswer> {
    let body = match response.body().as_ref() {
        // There is nothing to say.
        b"" => b"null",
        body => body,
    };
    if response.status().is_success() { Ok(read(body)?) } else { Err(NoAnswer::Refused(read(body)?)) }
}
