//! What people do to endpoints.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::answers::{Missed, Switched, Tested, WithSecret};
use shared::clock::Clock;
use shared::endpoints::signing::NoKey;
use shared::endpoints::{Endpoint, EndpointFilter, EndpointState, EndpointUrl};
use shared::environment::Environment;
use shared::queue::{DeliveryQueue, Redrive};
use shared::refusal::Refusal;
use shared::store::{Action, EndpointChange, Mandate};

use super::{Actions, MOST_CHARACTERS, Order};

/// The most endpoints of an environment: each event is held against the filters of all.
const MOST_ENDPOINTS: usize = 50;

/// A new endpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEndpoint {
    url: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    filter: Map<String, Value>,
    /// Whether types and statuses that Bitpowr does not document are accepted.
    #[serde(default)]
    unlisted: bool,
    why: String,
}

impl Order for NewEndpoint {
    const FORM: &str =
        "an object with the texts `url` and `why`, and perhaps `description`, `filter` and `unlisted`";

    fn why(&self) -> &str {
        &self.why
    }
}

impl<Q: DeliveryQueue + Redrive, C: Clock> Actions<Q, C> {
    pub(super) async fn add(
        &self,
        environment: Environment,
        new: NewEndpoint,
        mandate: &Mandate,
    ) -> Result<WithSecret, Refusal> {
        let url =
            EndpointUrl::read(&new.url, self.reach).map_err(|error| Refusal::Order(error.to_string()))?;
        let filter = EndpointFilter::read(&new.filter, new.unlisted);
        let filter = filter.map_err(|error| Refusal::Order(error.to_string()))?;
        if new.description.chars().count() > MOST_CHARACTERS {
            return Err(Refusal::Order(format!("`description` has at most {MOST_CHARACTERS} characters.")));
        }
        // The same mandate makes the same endpoint.
        let id = format!("ep_{}", mandate.id.chars().take(20).collect::<String>());
        let known = self.table.endpoints(environment).await?;
        if known.len() >= MOST_ENDPOINTS && known.iter().all(|known| known.id != id) {
            return Err(Refusal::Order(format!("There are {MOST_ENDPOINTS} endpoints already. Remove one.")));
        }
        let key = self.delivery_keys.current().await.map_err(undone)?;
        let endpoint = Endpoint {
            description: new.description,
            filter,
            ..Endpoint::new(id, environment, url, key.id(), mandate.at)
        };
        self.with_secret(self.changed(&endpoint, &EndpointChange::Add, mandate).await?).await
    }

    pub(super) async fn rotate(
        &self,
        environment: Environment,
        id: &str,
        mandate: &Mandate,
    ) -> Result<WithSecret, Refusal> {
        let endpoint = self.found(environment, id).await?;
        let done = self.table.endpoint_actions(environment, id).await?;
        if done.iter().any(|done| done.id == mandate.id && done.action == Action::RotateSecret) {
            return self.with_secret(endpoint).await;
        }
        let key = self.delivery_keys.current().await.map_err(undone)?;
        let secrets = endpoint.secrets.rotated(key.id(), mandate.at).ok_or_else(|| {
            let detail = "The previous secret still signs, too, for 24 hours after a rotation. Rotate again after that.";
            Refusal::Conflict("rotating", detail.to_owned())
        })?;
        self.with_secret(self.changed(&endpoint, &EndpointChange::Rotate(secrets), mandate).await?).await
    }

    pub(super) async fn enable(
        &self,
        environment: Environment,
        id: &str,
        mandate: &Mandate,
    ) -> Result<Switched, Refusal> {
        let endpoint = self.found(environment, id).await?;
        let missed = endpoint.disabled_at.map(|from| Missed { from, to: mandate.at });
        let endpoint = self.changed(&endpoint, &EndpointChange::Enable, mandate).await?.into();
        Ok(Switched { endpoint, missed })
    }

    pub(super) async fn disable(
        &self,
        environment: Environment,
        id: &str,
        mandate: &Mandate,
    ) -> Result<Switched, Refusal> {
        let endpoint = self.found(environment, id).await?;
        let endpoint = self.changed(&endpoint, &EndpointChange::Disable, mandate).await?.into();
        Ok(Switched { endpoint, missed: None })
    }

    pub(super) async fn remove(
        &self,
        environment: Environment,
        id: &str,
        mandate: &Mandate,
    ) -> Result<(), Refusal> {
        let endpoint = self.found(environment, id).await?;
        self.table.change_endpoint(&endpoint, &EndpointChange::Remove, mandate).await?;
        Ok(())
    }

    /// Sends a test event: to this endpoint only, whatever it wants.
    pub(super) async fn test(
        &self,
        environment: Environment,
        id: &str,
        mandate: &Mandate,
    ) -> Result<Tested, Refusal> {
        let endpoint = self.found(environment, id).await?;
        if endpoint.state == EndpointState::Disabled {
            let detail = "The endpoint is disabled. Enable it first.";
            return Err(Refusal::Conflict("disabled", detail.to_owned()));
        }
        let test = json!({
            "type": "endpoint.test",
            "timestamp": mandate.at,
            "id": mandate.id,
            "environment": environment,
            "event": "endpoint.test",
            "subject": "A test of this endpoint. Nothing has happened.",
            "data": { "endpoint": id },
        });
        let action = self.table.test_endpoint(&endpoint, test.to_string(), mandate).await?;
        Ok(Tested { id: action.id })
    }

    /// Changes an endpoint: as it is then.
    async fn changed(
        &self,
        endpoint: &Endpoint,
        change: &EndpointChange,
        mandate: &Mandate,
    ) -> Result<Endpoint, Refusal> {
        self.table.change_endpoint(endpoint, change, mandate).await?;
        self.found(endpoint.environment, &endpoint.id).await
    }

    async fn found(&self, environment: Environment, id: &str) -> Result<Endpoint, Refusal> {
        let found = self.table.endpoint(environment, id).await?;
        found.ok_or(Refusal::NotFound("Not found: no endpoint has this id."))
    }

    async fn with_secret(&self, endpoint: Endpoint) -> Result<WithSecret, Refusal> {
        let secrets = self.delivery_keys.secrets(&endpoint.id, [&endpoint.secrets.current]).await;
        let secret = secrets.map_err(undone)?.first().map(|secret| secret.reveal()).unwrap_or_default();
        Ok(WithSecret { endpoint: endpoint.into(), secret })
    }
}

fn undone(error: NoKey) -> Refusal {
    Refusal::Undone(error.into())
}
