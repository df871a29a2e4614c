//! What people do to what is kept: resend an event, retry a body of the quarantine, redrive dead letters, rebuild. Each is
//! recorded with who did it, when and why. The record of a resend, and of a correction by `rebuild`, holds the
//! notification itself: its insertion is in the table's stream, as an event's is, so that nothing is sent that was not
//! recorded and nothing recorded that is not sent.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use super::commit::Writes;
use super::keys::{self, Key, List, Partition};
use super::lists::list;
use super::query::RangeQuery;
use super::table::{Item, StoreError, Table, to_item};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::model::{Family, Notification};

crate::names! {
    /// What was done.
    "action" Action {
        /// An event was resent.
        Resend "resend";
        /// A body was handed over once more.
        Retry "retry";
        /// Dead letters were put back into their queue.
        Redrive "redrive";
        /// Somebody has looked at an event, as it stands.
        Acknowledge "acknowledge";
        /// An endpoint was added.
        AddEndpoint "add_endpoint";
        /// An endpoint was sent a test event.
        TestEndpoint "test_endpoint";
        /// An endpoint got a new signing secret.
        RotateSecret "rotate_secret";
        /// An endpoint was enabled.
        EnableEndpoint "enable_endpoint";
        /// An endpoint was disabled.
        DisableEndpoint "disable_endpoint";
        /// An endpoint was removed.
        RemoveEndpoint "remove_endpoint";
        /// Money was moved to where the webhooks say that it is.
        Rebuild "rebuild";
        /// Personal data was erased.
        Erase "erase";
    }
}

crate::names! {
    /// What kind of thing it was done to.
    "type of target" TargetType {
        /// An event.
        Event "event";
        /// A body in quarantine.
        Quarantine "quarantine";
        /// The dead letters of a family.
        DeadLetters "dead_letters";
        /// An endpoint.
        Endpoint "endpoint";
        /// A transaction, of whatever kind.
        Transaction "transaction";
        /// A balance.
        Balance "balance";
    }
}

/// What it was done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// What kind of thing.
    #[serde(rename = "type")]
    pub target_type: TargetType,
    /// Its id; of dead letters the family, of a transaction the uid, of a balance account and asset.
    pub id: String,
}

/// Who wants something done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mandate {
    /// Names it: the same id for the same target is the same action, done once.
    pub id: String,
    /// Who: a subject of the identity provider, an ARN, a user of this machine.
    pub who: String,
    /// Why, in their words.
    pub why: String,
    /// When.
    pub at: Moment,
}

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionItem {
    /// Its id, unique among those of its target.
    pub id: String,
    /// Whose world it is.
    pub environment: Environment,
    /// What was done …
    pub action: Action,
    /// … to what …
    pub target: Target,
    /// … by whom …
    pub who: String,
    /// … why …
    pub why: String,
    /// … and when.
    pub at: Moment,
    /// How many dead letters were put back, as far as was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<usize>,
    /// Whether dead letters may be left that it would have put back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// What is notified again; of a correction what is notified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
}

impl ActionItem {
    /// What somebody does, before anything is known of how it goes.
    pub fn new(environment: Environment, action: Action, target: Target, mandate: &Mandate) -> Self {
        let Mandate { id, who, why, at } = mandate.clone();
        Self { id, environment, action, target, who, why, at, moved: None, more: false, notification: None }
    }
}

/// Something that is done to many events, one after the other: how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Whose world it is.
    pub environment: Environment,
    /// Which events: a query of the log.
    pub filter: Vec<(String, String)>,
    /// The only endpoint that gets them; everybody, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Who wants it …
    pub who: String,
    /// … and why.
    pub why: String,
    /// When it began.
    pub begun_at: Moment,
    /// Where its next page starts; none at the start.
    #[serde(default)]
    pub cursor: Option<String>,
    /// How many were resent.
    #[serde(alias = "told")]
    pub resent: u64,
    /// How many could not be: they have no notification.
    #[serde(alias = "never_told")]
    pub unsent: u64,
    /// Whether nothing is left to do.
    pub finished: bool,
}

/// The record of an action that is to be done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// It was made now: the action is yet to be done.
    New(ActionItem),
    /// It was there: the action was done, or is being done.
    Known(ActionItem),
}

impl Record {
    /// The action.
    pub fn into_action(self) -> ActionItem {
        match self {
            Self::New(action) | Self::Known(action) => action,
        }
    }
}

impl Table {
    /// Records that dead letters of a family are about to be put back into their queue. It is recorded before any
    /// is: whoever finds the record moves none, however far the first one came.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_redrive(
        &self,
        environment: Environment,
        family: Family,
        mandate: &Mandate,
    ) -> Result<Record, StoreError> {
        let pk = keys::dead_letters(environment, family);
        if let Some(known) = self.get(&keys::action(&pk, family.as_str(), &mandate.id)).await? {
            return Ok(Record::Known(known));
        }
        let target = Target { target_type: TargetType::DeadLetters, id: family.to_string() };
        let action = ActionItem::new(environment, Action::Redrive, target, mandate);
        self.record(&pk, ActionItem { moved: Some(0), more: true, ..action }, |_| Ok(())).await
    }

    /// Notes in its record how far a redrive is.
    ///
    /// # Errors
    /// [`StoreError`]; the record says less than was done then.
    pub async fn note_redrive(&self, family: Family, action: &ActionItem) -> Result<(), StoreError> {
        let pk = keys::dead_letters(action.environment, family);
        self.client
            .update_item()
            .table_name(&*self.name)
            .set_key(Some(keys::action(&pk, family.as_str(), &action.id).to_item()))
            .update_expression("SET moved = :moved, more = :more")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(
                ":moved",
                AttributeValue::N(action.moved.unwrap_or_default().to_string()),
            )
            .expression_attribute_values(":more", AttributeValue::Bool(action.more))
            .send()
            .await
            .map_err(StoreError::aws)?;
        Ok(())
    }

    /// Writes an action, and what changes with it, unless it is there.
    pub(super) async fn record(
        &self,
        pk: &Partition,
        action: ActionItem,
        also: impl Fn(&mut Writes<'_>) -> Result<(), StoreError>,
    ) -> Result<Record, StoreError> {
        let key = keys::action(pk, &action.target.id, &action.id);
        let item = self.action_item(&key, &action).await?;
        let mut backoff = Backoff::default();
        loop {
            let mut writes = Writes::new(self);
            writes.create(item.clone())?;
            also(&mut writes)?;
            if writes.commit().await? {
                return Ok(Record::New(action));
            }
            if let Some(known) = self.get(&key).await? {
                return Ok(Record::Known(known));
            }
            backoff.wait().await?;
        }
    }

    /// The item of an action, in its place in the list; the day is marked.
    pub(super) async fn action_item(&self, key: &Key, action: &ActionItem) -> Result<Item, StoreError> {
        self.mark_day(action.environment, List::Actions, action.at).await?;
        let mut item = to_item(key, action)?;
        list(&mut item, action.environment, List::Actions, &action.id, action.at);
        Ok(item)
    }

    /// What was done to a target in this partition, oldest first.
    pub(super) async fn actions_on(
        &self,
        pk: &Partition,
        target: &str,
    ) -> Result<Vec<ActionItem>, StoreError> {
        /// More are not shown with their target; the list of actions has all.
        const SHOWN: usize = 100;
        let mut actions = self.actions_until(pk, target, SHOWN).await?;
        actions.sort_by_key(|action| action.at);
        Ok(actions)
    }

    /// The highest version of the counts that corrections of a transaction notified of; its state is there.
    pub(crate) async fn corrected(&self, state: &Key, uid: &str) -> Result<Option<u64>, StoreError> {
        let corrections = self.actions_until(&state.pk, uid, usize::MAX).await?;
        Ok(corrections.iter().filter_map(|action| action.notification.as_ref()?.version()).max())
    }

    /// At most so many of the actions on a target in this partition.
    async fn actions_until(
        &self,
        pk: &Partition,
        target: &str,
        most: usize,
    ) -> Result<Vec<ActionItem>, StoreError> {
        let prefix = keys::action_prefix(target);
        let query = RangeQuery {
            index: None,
            partition: pk.clone(),
            high: format!("{prefix}~"),
            low: prefix,
            newest_first: false,
        };
        let items = self.query(&query, most).await?;
        Ok(items.into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?)
    }

    /// How far a job is; none where there is no such job.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn job(&self, environment: Environment, id: &str) -> Result<Option<Job>, StoreError> {
        self.get(&keys::job(environment, id)).await
    }

    /// Notes how far a job is.
    ///
    /// # Errors
    /// [`StoreError`]; what was done since the last note is found done when it is done again.
    pub async fn save_job(&self, job: &Job) -> Result<(), StoreError> {
        let key: Key = keys::job(job.environment, &job.id);
        self.client
            .put_item()
            .table_name(&*self.name)
            .set_item(Some(to_item(&key, job)?))
            .send()
            .await
            .map_err(StoreError::aws)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_an_earlier_build_goes_on_with_its_counts() {
        let kept = serde_json::json!({
            "id": "j", "environment": "test", "filter": [], "who": "w", "why": "y",
            "begun_at": "2026-01-02T03:04:05.000Z", "cursor": "c", "told": 3, "never_told": 2, "finished": false,
        });
        let job: Job = serde_json::from_value(kept).unwrap();
        assert_eq!((job.resent, job.unsent, job.cursor.as_deref()), (3, 2, Some("c")));
    }
}
