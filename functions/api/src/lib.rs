//! The read side: log, states, balances, ledger, quarantine, what waits and what was done. It only reads.
//!
//! | path under `/api/{environment}` | answer |
//! | --- | --- |
//! | `events?family=&event=&entity=&effect=&status=&asset=&hash=&reference=&address=&customer=&account=&sub_account=&chain=&from=&to=&limit=&cursor=` | `{"events":[…],"cursor":…}`, newest first |
//! | `events/{id}` | the event, with its body, its notification, and what was done to it |
//! | `transactions/{uid}?kind=`, `accounts/{uid}`, `assets/{uid}`, `addresses/{uid}`, `customers/{uid}` | state and history |
//! | `balances?account=&at=`, `balances?sub_account=` | `{"balances":[…],"cursor":…}` |
//! | `ledger?account=&asset=&at=` | `{"ledger":[…],"cursor":…}`, newest first |
//! | `quarantine` | `{"quarantine":[…],"cursor":…}`, newest first |
//! | `endpoints`, `endpoints/{id}` | `{"endpoints":[…],"cursor":null}`; one, with what waits for it and its last test |
//! | `actions` | `{"actions":[…],"cursor":…}`, newest first |
//! | `stats?from=&to=&step=` | how many events there were, by intervals of `step` seconds, family and effect |
//! | `health` | what waits, what failed, when the last event came |
//!
//! `/api/openapi.json` describes all of it. `from` is inclusive, `to` is not; both are RFC 3339 and speak of `recorded_at`. `at`: as it was at that
//! moment. `entity` is a uid, or `type:uid`. Of an unknown parameter, or a value that is in no closed list, the nearest is named; where
//! nothing is found and `event` or `status` is no known word, `hint` names the nearest.

mod query;
mod views;
mod watched;

pub use watched::Watched;

use lambda_http::http::Method;
use lambda_http::{Body, Request, Response};
use shared::access::{Access, Role};
use shared::answers::{
    Action, Balance, Endpoint, EndpointCounts, EndpointRecord, EntityState, Event, EventRecord, Health, List,
    Quarantined, Queue, Size, Stats, Test,
};
use shared::clock::Clock;
use shared::endpoints::{Attempt, EndpointState};
use shared::environment::{Environment, Environments};
use shared::fold::Known;
use shared::http::{method_not_allowed, ok, segments};
use shared::model::ledger::LedgerLine;
use shared::model::{Entity, EntityType, Fact, Facts, Kind};
use shared::queue::Depths;
use shared::refusal::Refusal;
use shared::store::{self, LogFilter, Table};

use query::{Interval, Query};

/// The description of the whole surface (OpenAPI 3.1).
const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// How many queries a count may cost, of at most 1 MB each: some 400,000 events.
const COUNTING_QUERIES: usize = 200;

/// More bodies in quarantine are not counted.
const QUARANTINE_COUNTED: usize = 1000;

/// More of what waits for an endpoint is not counted.
const WAITING_COUNTED: usize = 1000;

/// The read side.
#[derive(Debug)]
pub struct Api<Q, C> {
    /// Where everything is.
    pub table: Table,
    /// Tells what waits.
    pub queues: Q,
    /// Which environments are served.
    pub environments: Environments,
    /// Who may look.
    pub access: Access,
    /// Tells the time.
    pub clock: C,
}

impl<Q: Depths, C: Clock> Api<Q, C> {
    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response<Body> {
        match self.answer(&request).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn answer(&self, request: &Request) -> Result<Response<Body>, Refusal> {
        self.access.caller(request, Role::Read).map_err(Refusal::Denied)?;
        let path = segments(request);
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        let nothing = Refusal::NotFound("Not found: nothing is served at this path.");
        let ["api", first, ref question @ ..] = path[..] else { return Err(nothing) };
        let environment = match (first, question) {
            ("openapi.json", []) => None,
            (name, _) => {
                let served = self.environments.served(name);
                Some(served.ok_or(Refusal::NotFound("Not found: this environment is not served here."))?)
            }
        };
        let methods = methods(question);
        if methods == "POST" || !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(method_not_allowed(methods));
        }
        let Some(environment) = environment else { return Ok(json_text(OPENAPI)) };
        self.read(environment, question, request.uri().query().unwrap_or_default()).await
    }

    async fn read(
        &self,
        environment: Environment,
        question: &[&str],
        query: &str,
    ) -> Result<Response<Body>, Refusal> {
        let query = Query::parse(question, query)?;
        match question {
            ["events"] => self.log(environment, &query).await.map(ok),
            ["events", id] => self.event(environment, id).await.map(ok),
            ["balances"] => self.balances(environment, &query).await.map(ok),
            ["ledger"] => self.ledger(environment, &query).await.map(ok),
            ["quarantine"] => self.quarantine(environment, &query).await.map(ok),
            ["endpoints"] => self.endpoints(environment).await.map(ok),
            ["endpoints", id] => self.endpoint(environment, id).await.map(ok),
            ["actions"] => self.actions(environment, &query).await.map(ok),
            ["stats"] => self.stats(environment, &query).await.map(ok),
            ["health"] => self.health(environment).await.map(ok),
            // An identifier may contain a slash.
            [plural, uid @ ..] if !uid.is_empty() => {
                match EntityType::ALL.into_iter().find(|known| known.plural() == *plural) {
                    Some(entity_type) => {
                        self.entity(environment, entity_type, &uid.join("/"), &query).await.map(ok)
                    }
                    None => Err(Refusal::NotFound("Not found: nothing is served at this path.")),
                }
            }
            _ => Err(Refusal::NotFound("Not found: nothing is served at this path.")),
        }
    }

    async fn log(&self, environment: Environment, query: &Query) -> Result<List<Event>, Refusal> {
        let page =
            self.table.log(environment, &query.filter()?, query.limit()?, query.cursor().as_ref()).await?;
        let is_all = query.cursor().is_none() && page.cursor.is_none();
        let hint = if is_all && page.items.is_empty() { query.hint() } else { None };
        let mut list: List<Event> = page.into();
        self.note_progress(environment, &mut list.entries).await?;
        Ok(List { hint, ..list })
    }

    /// Notes of events how far they are on their way to the endpoints.
    async fn note_progress(&self, environment: Environment, events: &mut [Event]) -> Result<(), Refusal> {
        let ids = events.iter().map(|event| event.id.as_str());
        let attempts = self.table.attempts(environment, ids, self.clock.now()).await?;
        for event in events {
            event.endpoints =
                attempts.get(event.id.as_str()).and_then(|attempts| Attempt::progress(attempts));
        }
        Ok(())
    }

    async fn event(&self, environment: Environment, id: &str) -> Result<EventRecord, Refusal> {
        let found = self.table.event(environment, id).await?;
        let found = found.ok_or(Refusal::NotFound("Not found: no event has this id."))?;
        let attempts = self.attempts(environment, &found.event.id).await?;
        Ok(views::event_record(found, attempts))
    }

    async fn attempts(&self, environment: Environment, id: &str) -> Result<Vec<Attempt>, Refusal> {
        let mut attempts = self.table.attempts(environment, [id], self.clock.now()).await?;
        Ok(attempts.remove(id).unwrap_or_default())
    }

    async fn endpoints(&self, environment: Environment) -> Result<List<Endpoint>, Refusal> {
        let found = self.table.endpoints(environment).await?;
        Ok(List { entries: found.into_iter().map(Endpoint::from).collect(), cursor: None, hint: None })
    }

    async fn endpoint(&self, environment: Environment, id: &str) -> Result<EndpointRecord, Refusal> {
        let found = self.table.endpoint(environment, id).await?;
        let endpoint = found.ok_or(Refusal::NotFound("Not found: no endpoint has this id."))?;
        let (waiting, actions) = tokio::try_join!(
            self.table.waiting(environment, id, WAITING_COUNTED, None),
            self.table.endpoint_actions(environment, id)
        )?;
        let test = actions.iter().rfind(|done| done.action == store::Action::TestEndpoint);
        let test = match test {
            Some(test) => {
                let attempts = self.attempts(environment, &test.id).await?;
                Some(Test { id: test.id.clone(), at: test.at, attempts })
            }
            None => None,
        };
        Ok(EndpointRecord {
            endpoint: endpoint.into(),
            waiting: Size { count: waiting.0.len(), more: waiting.1.is_some() },
            test,
            actions: actions.into_iter().map(Into::into).collect(),
        })
    }

    async fn entity(
        &self,
        environment: Environment,
        entity_type: EntityType,
        uid: &str,
        query: &Query,
    ) -> Result<EntityState, Refusal> {
        let unknown = Refusal::NotFound("Not found: no event is about this uid.");
        let asked = query.kind()?;
        let entity = Entity::new(entity_type, uid);
        let Some(state) = self.table.state(environment, &entity).await? else { return Err(unknown) };
        let entity = match entity_type {
            EntityType::Transaction => {
                Entity::transaction(kind_asked(&state.known, asked)?.ok_or(unknown)?, uid)
            }
            _ => entity,
        };
        let mut parts = vec![entity.clone()];
        if entity.kind.is_some() && entity.kind == state.known.sole_kind() {
            parts.push(Entity::transaction(Kind::Unknown, uid));
        }
        let history =
            self.table.history(environment, &parts, query.limit()?, query.cursor().as_ref()).await?;
        let facts = state.known.of(entity.kind);
        let asset_type = self.asset_type(environment, &facts).await?;
        let mut state = views::entity(entity, (&facts, state.recorded_at), asset_type, history);
        self.note_progress(environment, &mut state.history).await?;
        Ok(state)
    }

    /// The type that is known for a transaction's asset, where nobody named it but its identifier.
    async fn asset_type(&self, environment: Environment, facts: &Facts) -> Result<Option<String>, Refusal> {
        let Some(id) = facts.get(Fact::AssetId).filter(|_| facts.get(Fact::Asset).is_none()) else {
            return Ok(None);
        };
        let state = self.table.state(environment, &Entity::new(EntityType::Asset, id)).await?;
        Ok(state.and_then(|state| state.known.facts.get(Fact::Asset).map(str::to_owned)))
    }

    async fn balances(&self, environment: Environment, query: &Query) -> Result<List<Balance>, Refusal> {
        if let Some(sub_account) = query.get("sub_account") {
            if query.get("at").is_some() {
                let detail = "`at` is for accounts: the past of a sub-account is not kept.";
                return Err(Refusal::Parameter(detail.to_owned()));
            }
            let account = query.get("account");
            let mut found = self.table.balances_of_sub_account(environment, sub_account).await?;
            found.retain(|balance| account.is_none_or(|account| balance.account == account));
            return Ok(List {
                entries: found.into_iter().map(Into::into).collect(),
                cursor: None,
                hint: None,
            });
        }
        let account = query.get("account");
        let page = self
            .table
            .balances(environment, account, query.moment("at")?, query.limit()?, query.cursor().as_ref())
            .await?;
        Ok(page.into())
    }

    async fn ledger(&self, environment: Environment, query: &Query) -> Result<List<LedgerLine>, Refusal> {
        let account =
            query.get("account").ok_or_else(|| Refusal::Parameter("`account` is needed.".to_owned()))?;
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
        Ok(page.into())
    }

    async fn quarantine(
        &self,
        environment: Environment,
        query: &Query,
    ) -> Result<List<Quarantined>, Refusal> {
        let page = self.table.quarantined(environment, query.limit()?, query.cursor().as_ref()).await?;
        let entries = page.items.into_iter().map(views::quarantined).collect();
        Ok(List { entries, cursor: page.cursor.map(String::from), hint: None })
    }

    async fn actions(&self, environment: Environment, query: &Query) -> Result<List<Action>, Refusal> {
        let page = self.table.actions(environment, query.limit()?, query.cursor().as_ref()).await?;
        Ok(page.into())
    }

    async fn stats(&self, environment: Environment, query: &Query) -> Result<Stats, Refusal> {
        let Interval { from, to, step } = query.interval(self.clock.now())?;
        let found = self.table.counts(environment, (from, to), step * 1000, COUNTING_QUERIES).await?;
        Ok(views::stats(found, (from, to), step))
    }

    async fn health(&self, environment: Environment) -> Result<Health, Refusal> {
        let newest = LogFilter::default();
        let (last, quarantine, queues, endpoints) = tokio::join!(
            self.table.log(environment, &newest, 1, None),
            self.table.quarantine_size(environment, QUARANTINE_COUNTED),
            self.queues.depths(),
            self.table.endpoints(environment),
        );
        let mut counts = EndpointCounts::default();
        for endpoint in endpoints? {
            match endpoint.state {
                EndpointState::Active => counts.active += 1,
                EndpointState::Failing => counts.failing += 1,
                EndpointState::Disabled => counts.disabled += 1,
            }
        }
        let last = last?.items.first().map(|event| event.recorded_at);
        let (count, more) = quarantine?;
        Ok(Health {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            last_event_at: last,
            quarantine: Size { count, more },
            queues: queues?.into_iter().map(Queue::from).collect(),
            endpoints: counts,
        })
    }
}

/// The methods of a path under an environment, here and in `actions`.
fn methods(question: &[&str]) -> &'static str {
    match question {
        ["events", _, "resend" | "acknowledge"]
        | ["quarantine", _, "retry"]
        | ["dead-letters", _, "redrive"]
        | ["endpoints", _, "test" | "rotate" | "enable" | "disable"] => "POST",
        ["endpoints"] => "GET, HEAD, POST",
        ["endpoints", _] => "GET, HEAD, DELETE",
        _ => "GET, HEAD",
    }
}

/// Which of the kinds of a uid is asked for: the one that is named, else the only one. None where it has none of this
/// name.
fn kind_asked(known: &Known, asked: Option<Kind>) -> Result<Option<Kind>, Refusal> {
    let kinds: Vec<_> = known.kinds.keys().copied().collect();
    let known_kinds = kinds.iter().filter(|kind| **kind != Kind::Unknown).count();
    match (asked, known.sole_kind()) {
        (Some(asked), _) => Ok(kinds.into_iter().find(|kind| *kind == asked)),
        (None, Some(sole)) => Ok(Some(sole)),
        (None, None) if known_kinds == 0 => Ok(Some(Kind::Unknown)),
        (None, None) => Err(Refusal::KindNeeded(kinds)),
    }
}

fn json_text(text: &'static str) -> Response<Body> {
    let mut response = ok(());
    *response.body_mut() = Body::Text(text.to_owned());
    response
}
