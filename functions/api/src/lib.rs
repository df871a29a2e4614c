//! The read side: log, states, balances, ledger, quarantine. It only reads.
//!
//! | path under `/api/{environment}` | answer |
//! | --- | --- |
//! | `events?family=&event=&entity=&effect=&from=&to=&limit=&cursor=` | `{"events":[…],"cursor":…}`, newest first |
//! | `events/{id}` | the event, with its body |
//! | `transactions/{uid}?kind=`, `accounts/{uid}`, `assets/{uid}`, `addresses/{uid}`, `customers/{uid}` | state and history |
//! | `balances?account=&at=` | `{"balances":[…],"cursor":…}` |
//! | `ledger?account=&asset=&at=` | `{"ledger":[…],"cursor":…}`, newest first |
//! | `quarantine` | `{"quarantine":[…],"cursor":…}`, newest first |
//!
//! `from` is inclusive, `to` is not; both are RFC 3339 and speak of `recorded_at`. `at`: as it was at that
//! moment. `entity` is a uid, or `type:uid`.

mod query;
mod views;

use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};
use shared::environment::{Environment, Environments};
use shared::http::{Problem, json as answer, method_not_allowed, segments};
use shared::model::{Entity, EntityType, Kind};
use shared::store::{StoreError, Table};
use tracing::error;

use query::Query;

/// The read side.
#[derive(Debug)]
pub struct Api {
    /// Where everything is.
    pub table: Table,
    /// Which environments are served.
    pub environments: Environments,
}

/// Why a question was not answered.
#[derive(Debug)]
enum Refusal {
    /// There is nothing there.
    NotFound(&'static str),
    /// A parameter is not understood.
    Invalid(String),
    /// The uid has transactions of several kinds.
    KindNeeded(Vec<Kind>),
    /// The table cannot be read.
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cursor => Self::Invalid("`cursor` is none that this list gave.".to_owned()),
            other => Self::Store(other),
        }
    }
}

impl Refusal {
    fn into_response(self) -> Response<Body> {
        match self {
            Self::NotFound(detail) => Problem::new(StatusCode::NOT_FOUND, "not_found", detail),
            Self::Invalid(detail) => Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", detail),
            Self::KindNeeded(kinds) => {
                let kinds: Vec<_> = kinds.into_iter().map(Kind::as_str).collect();
                let detail = format!(
                    "This uid has several transactions. Add ?kind= with one of: {}.",
                    kinds.join(", ")
                );
                Problem::new(StatusCode::CONFLICT, "kind_needed", detail)
            }
            Self::Store(error) => {
                error!(%error, "the table cannot be read");
                let detail = "The table cannot be read at the moment. Try again.";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            }
        }
        .into_response()
    }
}

impl Api {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response<Body> {
        let path = segments(request.uri().path());
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        let ["api", environment, ref question @ ..] = path[..] else {
            return Refusal::NotFound("There is nothing here.").into_response();
        };
        let Some(environment) = self.environments.served(environment) else {
            return Refusal::NotFound("There is no such environment here.").into_response();
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return method_not_allowed("GET, HEAD");
        }
        match self.read(environment, question, request.uri().query().unwrap_or_default()).await {
            Ok(found) => answer(StatusCode::OK, &found),
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn read(&self, environment: Environment, question: &[&str], query: &str) -> Result<Value, Refusal> {
        let query = Query::parse(query);
        match question {
            ["events"] => self.log(environment, &query).await,
            ["events", id] => self.event(environment, id).await,
            ["balances"] => self.balances(environment, &query).await,
            ["ledger"] => self.ledger(environment, &query).await,
            ["quarantine"] => self.quarantine(environment, &query).await,
            // An identifier may contain a slash.
            [plural, uid @ ..] if !uid.is_empty() => {
                match EntityType::ALL.into_iter().find(|known| known.plural() == *plural) {
                    Some(entity_type) => self.entity(environment, entity_type, &uid.join("/"), &query).await,
                    None => Err(Refusal::NotFound("There is nothing here.")),
                }
            }
            _ => Err(Refusal::NotFound("There is nothing here.")),
        }
    }

    async fn log(&self, environment: Environment, query: &Query) -> Result<Value, Refusal> {
        let page =
            self.table.log(environment, &query.filter()?, query.limit()?, query.cursor().as_ref()).await?;
        let events: Vec<_> = page.items.iter().map(views::event).collect();
        Ok(json!({ "events": events, "cursor": views::cursor(page.cursor.as_ref()) }))
    }

    async fn event(&self, environment: Environment, id: &str) -> Result<Value, Refusal> {
        let found = self.table.event(environment, id).await?;
        let (event, raw) = found.ok_or(Refusal::NotFound("There is no event of this id."))?;
        Ok(views::event_with_raw(&event, &raw))
    }

    async fn entity(
        &self,
        environment: Environment,
        entity_type: EntityType,
        uid: &str,
        query: &Query,
    ) -> Result<Value, Refusal> {
        let candidates: Vec<_> = match entity_type {
            EntityType::Transaction => {
                let only = query.kind()?;
                let kinds = Kind::ALL.into_iter().filter(|kind| only.is_none_or(|only| only == *kind));
                kinds.map(|kind| Entity::transaction(kind, uid)).collect()
            }
            other => vec![Entity::new(other, uid)],
        };
        let mut found = self.table.states(environment, &candidates).await?;
        if found.len() > 1 {
            return Err(Refusal::KindNeeded(
                found.into_iter().filter_map(|(entity, _)| entity.kind).collect(),
            ));
        }
        let (entity, state) = found.pop().ok_or(Refusal::NotFound("Nothing is known of this uid."))?;
        let history =
            self.table.history(environment, &entity, query.limit()?, query.cursor().as_ref()).await?;
        Ok(views::entity(&entity, &state, &history))
    }

    async fn balances(&self, environment: Environment, query: &Query) -> Result<Value, Refusal> {
        let account = query.get("account");
        let page = self
            .table
            .balances(environment, account, query.moment("at")?, query.limit()?, query.cursor().as_ref())
            .await?;
        let balances: Vec<_> = page.items.iter().map(views::balance).collect();
        Ok(json!({ "balances": balances, "cursor": views::cursor(page.cursor.as_ref()) }))
    }

    async fn ledger(&self, environment: Environment, query: &Query) -> Result<Value, Refusal> {
        let account =
            query.get("account").ok_or_else(|| Refusal::Invalid("`account` is needed.".to_owned()))?;
        let asset = query.get("asset");
        let page = self
            .table
            .ledger(
                environment,
                (account, asset),
                query.moment("at")?,
                query.limit()?,
                query.cursor().as_ref(),
            )
            .await?;
        Ok(json!({ "ledger": page.items, "cursor": views::cursor(page.cursor.as_ref()) }))
    }

    async fn quarantine(&self, environment: Environment, query: &Query) -> Result<Value, Refusal> {
        let page = self.table.quarantined(environment, query.limit()?, query.cursor().as_ref()).await?;
        let quarantine: Vec<_> = page.items.iter().map(|(item, raw)| views::quarantined(item, raw)).collect();
        Ok(json!({ "quarantine": quarantine, "cursor": views::cursor(page.cursor.as_ref()) }))
    }
}
