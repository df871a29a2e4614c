//! Endpoints: what is kept of each, and how that changes.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, Update};

use super::actions::{Action, ActionItem, Mandate, Target, TargetType};
use super::keys::{self, ENDPOINT_PREFIX};
use super::query::RangeQuery;
use super::table::{Item, StoreError, Table, to_item};
use crate::clock::Moment;
use crate::endpoints::{Endpoint, EndpointState, Failure, Secrets, announcement};
use crate::environment::Environment;
use crate::model::Notification;

/// What is done to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointChange {
    /// It is added.
    Add,
    /// It gets a new signing secret.
    Rotate(Secrets),
    /// It gets events again.
    Enable,
    /// It gets none any more.
    Disable,
    /// It is removed.
    Remove,
}

impl EndpointChange {
    fn action(&self) -> Action {
        match self {
            Self::Add => Action::AddEndpoint,
            Self::Rotate(_) => Action::RotateSecret,
            Self::Enable => Action::EnableEndpoint,
            Self::Disable => Action::DisableEndpoint,
            Self::Remove => Action::RemoveEndpoint,
        }
    }
}

impl Table {
    /// The endpoints, by their ids.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn endpoints(&self, environment: Environment) -> Result<Vec<Endpoint>, StoreError> {
        let query = RangeQuery {
            index: None,
            partition: keys::endpoints(environment),
            low: ENDPOINT_PREFIX.to_owned(),
            high: format!("{ENDPOINT_PREFIX}~"),
            newest_first: false,
        };
        let items = self.query(&query, usize::MAX).await?;
        Ok(items.into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?)
    }

    /// Some endpoints, by environment and id; those that are gone are absent.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn endpoints_of(
        &self,
        wanted: impl IntoIterator<Item = (Environment, &str)>,
    ) -> Result<HashMap<(Environment, String), Endpoint>, StoreError> {
        let keys: HashSet<_> =
            wanted.into_iter().map(|(environment, id)| keys::endpoint(environment, id)).collect();
        let items = self.batch_get(&Vec::from_iter(keys)).await?;
        let endpoint = |item| {
            let endpoint: Endpoint = serde_dynamo::from_item(item)?;
            Ok(((endpoint.environment, endpoint.id.clone()), endpoint))
        };
        items
            .into_values()
            .map(endpoint)
            .collect::<Result<_, serde_dynamo::Error>>()
            .map_err(StoreError::from)
    }

    /// One endpoint.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn endpoint(&self, environment: Environment, id: &str) -> Result<Option<Endpoint>, StoreError> {
        self.get(&keys::endpoint(environment, id)).await
    }

    /// Changes an endpoint, records who did it, and notifies people.
    ///
    /// # Errors
    /// [`StoreError`]; trying again with the same mandate does it once.
    pub async fn change_endpoint(
        &self,
        endpoint: &Endpoint,
        change: &EndpointChange,
        mandate: &Mandate,
    ) -> Result<ActionItem, StoreError> {
        let (environment, key) = (endpoint.environment, keys::endpoint(endpoint.environment, &endpoint.id));
        let target = Target { target_type: TargetType::Endpoint, id: endpoint.id.clone() };
        let action = change.action();
        let announced = announcement(action, endpoint, mandate);
        let action = ActionItem {
            notification: Some(announced),
            ..ActionItem::new(environment, action, target, mandate)
        };
        let update = || Update::builder().set_key(Some(key.to_item()));
        let partition = keys::endpoints(environment);
        let record = self.record(&partition, action, |writes| match change {
            EndpointChange::Add => writes.create(to_item(&key, endpoint)?),
            EndpointChange::Rotate(secrets) => {
                let read = AttributeValue::N(endpoint.secrets.current.number.to_string());
                let update = update()
                    .update_expression("SET secrets = :new")
                    .condition_expression("secrets.#current.#number = :read")
                    .expression_attribute_names("#current", "current")
                    .expression_attribute_names("#number", "number")
                    .expression_attribute_values(":read", read)
                    .expression_attribute_values(":new", serde_dynamo::to_attribute_value(secrets)?);
                writes.update(update)
            }
            EndpointChange::Enable => writes.update(
                update()
                    .update_expression(
                        "SET #state = :state, failures = :none, probes = :none \
                         REMOVE failing_since, probe_at, slow_until, disabled_at",
                    )
                    .condition_expression("attribute_exists(pk)")
                    .expression_attribute_names("#state", "state")
                    .expression_attribute_values(":state", state(EndpointState::Active))
                    .expression_attribute_values(":none", AttributeValue::N("0".to_owned())),
            ),
            EndpointChange::Disable => writes.update(
                update()
                    .update_expression("SET #state = :state, disabled_at = if_not_exists(disabled_at, :at)")
                    .expression_attribute_values(":at", text(mandate.at))
                    .condition_expression("attribute_exists(pk)")
                    .expression_attribute_names("#state", "state")
                    .expression_attribute_values(":state", state(EndpointState::Disabled)),
            ),
            EndpointChange::Remove => writes.delete(&key, None),
        });
        Ok(record.await?.into_action())
    }

    /// Puts an endpoint there, or takes it away, without a record: for what lives as long as a run of the program.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_endpoint(
        &self,
        environment: Environment,
        id: &str,
        endpoint: Option<&Endpoint>,
    ) -> Result<(), StoreError> {
        let key = keys::endpoint(environment, id);
        match endpoint {
            Some(endpoint) => {
                let put = self.client.put_item().table_name(&*self.name);
                put.set_item(Some(to_item(&key, endpoint)?)).send().await.map_err(StoreError::aws)?;
            }
            None => {
                let delete = self.client.delete_item().table_name(&*self.name);
                delete.set_key(Some(key.to_item())).send().await.map_err(StoreError::aws)?;
            }
        }
        Ok(())
    }

    /// Sends an endpoint a test event, and records who did it.
    ///
    /// # Errors
    /// [`StoreError`]; trying again with the same mandate does it once.
    pub async fn test_endpoint(
        &self,
        endpoint: &Endpoint,
        programs: String,
        mandate: &Mandate,
    ) -> Result<ActionItem, StoreError> {
        let target = Target { target_type: TargetType::Endpoint, id: endpoint.id.clone() };
        let notification = Notification {
            people: None,
            programs: Some(programs),
            endpoint: Some(endpoint.id.clone()),
            attributes: Default::default(),
        };
        let action = ActionItem {
            notification: Some(notification),
            ..ActionItem::new(endpoint.environment, Action::TestEndpoint, target, mandate)
        };
        let partition = keys::endpoints(endpoint.environment);
        Ok(self.record(&partition, action, |_| Ok(())).await?.into_action())
    }

    /// What was done to an endpoint, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn endpoint_actions(
        &self,
        environment: Environment,
        id: &str,
    ) -> Result<Vec<ActionItem>, StoreError> {
        self.actions_on(&keys::endpoints(environment), id).await
    }

    /// Notes that an endpoint took something: one that was failing is active again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_success(&self, endpoint: &Endpoint, at: Moment) -> Result<(), StoreError> {
        let update = self
            .update_endpoint(endpoint)
            .update_expression(
                "SET last_success_at = :at, failures = :none, probes = :none, #state = :active \
                 REMOVE failing_since, probe_at",
            )
            .condition_expression("attribute_exists(pk) AND #state <> :disabled")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":at", text(at))
            .expression_attribute_values(":none", AttributeValue::N("0".to_owned()))
            .expression_attribute_values(":active", state(EndpointState::Active))
            .expression_attribute_values(":disabled", state(EndpointState::Disabled));
        conditional(update).await.map(|_| ())
    }

    /// Counts an attempt that failed: the endpoint as it is then; none where it was removed meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_failure(
        &self,
        endpoint: &Endpoint,
        failure: &Failure,
    ) -> Result<Option<Endpoint>, StoreError> {
        let update = self
            .update_endpoint(endpoint)
            .update_expression(
                "SET last_failure = :failure, failing_since = if_not_exists(failing_since, :at) ADD failures :one",
            )
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":failure", serde_dynamo::to_attribute_value(failure)?)
            .expression_attribute_values(":at", text(failure.at))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(ReturnValue::AllNew);
        let after = conditional(update).await?.flatten();
        Ok(after.map(serde_dynamo::from_item).transpose()?)
    }

    /// Notes that an endpoint is failing, and when it is tried again for the `probes`-th time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_failing(
        &self,
        endpoint: &Endpoint,
        probes: u32,
        next: Moment,
    ) -> Result<(), StoreError> {
        let update = self
            .update_endpoint(endpoint)
            .update_expression("SET #state = :failing, probes = :probes, probe_at = :next")
            .condition_expression("attribute_exists(pk) AND #state <> :disabled")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":failing", state(EndpointState::Failing))
            .expression_attribute_values(":disabled", state(EndpointState::Disabled))
            .expression_attribute_values(":probes", AttributeValue::N(probes.to_string()))
            .expression_attribute_values(":next", text(next));
        conditional(update).await.map(|_| ())
    }

    /// Notes until when an endpoint counts as slow.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_slow(&self, endpoint: &Endpoint, until: Moment) -> Result<(), StoreError> {
        let update = self
            .update_endpoint(endpoint)
            .update_expression("SET slow_until = :until")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":until", text(until));
        conditional(update).await.map(|_| ())
    }

    fn update_endpoint(&self, endpoint: &Endpoint) -> UpdateItemFluentBuilder {
        let key = keys::endpoint(endpoint.environment, &endpoint.id);
        self.client.update_item().table_name(&*self.name).set_key(Some(key.to_item()))
    }
}

/// Updates an item if its condition holds: none if not, else what was asked to be returned.
async fn conditional(update: UpdateItemFluentBuilder) -> Result<Option<Option<Item>>, StoreError> {
    match update.send().await {
        Ok(updated) => Ok(Some(updated.attributes)),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
        {
            Ok(None)
        }
        Err(error) => Err(StoreError::aws(error)),
    }
}

fn state(state: EndpointState) -> AttributeValue {
    AttributeValue::S(state.to_string())
}

fn text(moment: Moment) -> AttributeValue {
    AttributeValue::S(moment.to_string())
}
