//! Personal data: which items hold some of what came in a body, and erasing it there.
//!
//! What a body says is also in the notification of its event, in that of each resend, in what the event is found by, and
//! perhaps in what endpoints answered. Where it stands which is the latest event of its content, it is noted that something
//! was erased, so that it does not come back with a further delivery. States follow from bodies; they are folded anew by whoever erases.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::Update;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use serde::Serialize;
use serde_json::{Map, Value};

use super::actions::{Action, ActionItem, Mandate, Target, TargetType};
use super::bodies::{BodyItem, Content};
use super::commit::Writes;
use super::events::{EventItem, SeenItem};
use super::facets;
use super::keys::{self, ACTION_PREFIX, EVENT_PREFIX, Key, List, Partition};
use super::quarantine::QuarantineItem;
use super::query::{Cursor, Page, RangeQuery};
use super::table::{Item, StoreError, Table};
use crate::clock::Moment;
use crate::endpoints::Attempt;
use crate::environment::Environment;
use crate::model::erased::ERASED;
use crate::model::{Body, Family};

/// An event, a body in quarantine, or the corrections of a transaction, with the personal data in it.
#[derive(Clone, Debug, Serialize)]
pub struct Holding {
    /// What it is.
    #[serde(flatten)]
    pub target: Target,
    /// The event's type; of a body in quarantine why it is there.
    pub event: String,
    /// When it was recorded; of corrections none.
    pub recorded_at: Option<Moment>,
    /// The fields of the body that are erased.
    pub fields: BTreeSet<String>,
    /// In what else it is erased.
    pub copies: BTreeSet<Copied>,
    #[serde(skip)]
    environment: Environment,
    /// Where it is.
    #[serde(skip)]
    pk: Partition,
    /// What changes beside it, whenever …
    #[serde(skip)]
    beside: Vec<Change>,
    /// … and what changes in one transaction with the record of that.
    #[serde(skip)]
    itself: Vec<Change>,
}

crate::names! {
    /// What holds a copy of what a body says.
    "copy" Copied {
        /// What of the body is not read.
        Rest "rest of the body";
        /// The event's notification.
        Notification "notification";
        /// What the event is found by.
        SearchValues "search values";
        /// Notifications that were resent, or correct what was counted.
        Sent "resent or corrected";
        /// What endpoints answered.
        Answers "answers of endpoints";
    }
}

/// A change of an item that is there. Nothing is deleted: nobody has the right to.
#[derive(Clone, Debug)]
struct Change {
    key: Key,
    set: Vec<(&'static str, AttributeValue)>,
    remove: Vec<&'static str>,
    /// What must hold for what was read.
    only_if: Option<(&'static str, AttributeValue)>,
}

impl Change {
    fn of(key: Key, set: Vec<(&'static str, AttributeValue)>) -> Self {
        Self { key, set, remove: Vec::new(), only_if: None }
    }

    /// As an update. Many names of attributes are reserved words: each has a number there.
    fn update(&self) -> UpdateBuilder {
        let (condition, read) = match &self.only_if {
            Some((condition, read)) => (*condition, Some(read.clone())),
            None => ("attribute_exists(pk)", None),
        };
        let mut update = Update::builder().set_key(Some(self.key.to_item())).condition_expression(condition);
        let (mut sets, mut removes) = (Vec::new(), Vec::new());
        for (number, (name, value)) in self.set.iter().enumerate() {
            sets.push(format!("#s{number} = :s{number}"));
            update = update
                .expression_attribute_names(format!("#s{number}"), *name)
                .expression_attribute_values(format!(":s{number}"), value.clone());
        }
        for (number, name) in self.remove.iter().enumerate() {
            removes.push(format!("#r{number}"));
            update = update.expression_attribute_names(format!("#r{number}"), *name);
        }
        let clause = |word: &str, parts: &[String]| {
            if parts.is_empty() { String::new() } else { format!("{word} {} ", parts.join(", ")) }
        };
        update = update.update_expression(clause("SET", &sets) + &clause("REMOVE", &removes));
        match read {
            Some(read) => update.expression_attribute_values(":read", read),
            None => update,
        }
    }
}

impl Holding {
    fn new(target: Target, event: &str, environment: Environment, pk: &Partition) -> Self {
        Self {
            target,
            event: event.to_owned(),
            recorded_at: None,
            fields: BTreeSet::new(),
            copies: BTreeSet::new(),
            environment,
            pk: pk.clone(),
            beside: Vec::new(),
            itself: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.beside.is_empty() && self.itself.is_empty()
    }

    /// Looks at a body and the notification that is with it; whether the body changes.
    fn body(&mut self, body: BodyItem) -> Result<bool, StoreError> {
        let mut content = body.content()?;
        let raw = self.left_of(&content.raw)?;
        let notification = match &content.notification {
            Some(notification) => {
                let left = notification.without_personal_data()?;
                Some(left).filter(|left| left != notification)
            }
            None => None,
        };
        if raw.is_none() && notification.is_none() {
            return Ok(false);
        }
        let is_changed = raw.is_some();
        content.raw = raw.unwrap_or(content.raw);
        if let Some(notification) = notification {
            self.copies.insert(Copied::Notification);
            content.notification = Some(notification);
        }
        let set = vec![("content", content.to_attribute()?)];
        let change = Change::of(keys::raw(self.environment, &self.target.id), set);
        self.itself.push(Change { remove: vec!["text", "bytes"], ..change });
        Ok(is_changed)
    }

    /// What is left of a body; none where all of it stays.
    fn left_of(&mut self, raw: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let text = match Body::parse(raw, self.environment) {
            Ok(body) => {
                let left = body.without_personal_data()?;
                if left.is_all_of(raw) {
                    return Ok(None);
                }
                self.fields = left.erased;
                left.text
            }
            Err(_) if raw == ERASED.as_bytes() => return Ok(None),
            Err(_) => ERASED.to_owned(),
        };
        if self.fields.is_empty() {
            self.copies.insert(Copied::Rest);
        }
        Ok(Some(text.into_bytes()))
    }

    /// Notes where it stands which is the latest event of a content that something was erased from it.
    fn seen(&mut self, key: Key, event_sk: &str) {
        let set = ("erased", AttributeValue::Bool(true));
        let only_if = Some(("event_sk = :read", AttributeValue::S(event_sk.to_owned())));
        match self.itself.iter_mut().find(|change| change.key == key) {
            Some(change) => {
                change.set.push(set);
                change.only_if = only_if;
            }
            None => self.itself.push(Change { only_if, ..Change::of(key, vec![set]) }),
        }
    }

    /// Looks at what an event, or an item that points to it, is found by: what is to be set, and the indexes that it leaves.
    fn search_values(
        &mut self,
        item: &Item,
        family: Family,
    ) -> (Vec<(&'static str, AttributeValue)>, Vec<&'static str>) {
        let (terms, indexes) = facets::without_personal_data(item, family);
        if terms.is_some() || !indexes.is_empty() {
            self.copies.insert(Copied::SearchValues);
        }
        (terms.map(|terms| (facets::TERMS, AttributeValue::Ss(terms))).into_iter().collect(), indexes)
    }

    /// Looks at the item of an event, or at one that points to it.
    fn found_by(&mut self, key: &Key, item: &Item, family: Family) {
        let (set, remove) = self.search_values(item, family);
        self.change(Change { remove, ..Change::of(key.clone(), set) });
    }

    fn change(&mut self, change: Change) {
        if !change.set.is_empty() || !change.remove.is_empty() {
            self.itself.push(change);
        }
    }

    /// Looks at what endpoints answered: they may have repeated what they got.
    fn attempts(&mut self, item: &Item) -> Result<(), StoreError> {
        let key = Key::of(item);
        let Some((key, attempts)) = key.zip(item.get("attempts")) else { return Ok(()) };
        let mut attempts: Vec<Attempt> = serde_dynamo::from_attribute_value(attempts.clone())?;
        let count = AttributeValue::N(attempts.len().to_string());
        let answers = attempts.iter_mut().filter_map(|attempt| attempt.answer.as_mut());
        let mut is_changed = false;
        for answer in answers.filter(|answer| *answer != ERASED) {
            ERASED.clone_into(answer);
            is_changed = true;
        }
        if is_changed {
            self.copies.insert(Copied::Answers);
            let set = vec![("attempts", serde_dynamo::to_attribute_value(attempts)?)];
            let only_if = Some(("size(attempts) = :read", count));
            self.beside.push(Change { only_if, ..Change::of(key, set) });
        }
        Ok(())
    }

    /// Looks at what was sent by an action.
    fn action(&mut self, key: Key, action: &ActionItem) -> Result<(), StoreError> {
        let Some(notification) = &action.notification else { return Ok(()) };
        let left = notification.without_personal_data()?;
        if left != *notification {
            self.copies.insert(Copied::Sent);
            let set = vec![("notification", serde_dynamo::to_attribute_value(left)?)];
            self.beside.push(Change::of(key, set));
        }
        Ok(())
    }
}

impl Table {
    /// The personal data of the events of a partition, and of the actions in it; or, of these, only of one target.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn personal_data(
        &self,
        environment: Environment,
        pk: &Partition,
        only: Option<&str>,
    ) -> Result<Vec<Holding>, StoreError> {
        let there = self.query(&RangeQuery::whole(pk), usize::MAX).await?;
        let there: Vec<(Key, Item)> =
            there.into_iter().filter_map(|item| Some((Key::of(&item)?, item))).collect();
        let of = |prefix| there.iter().filter(move |(key, _)| key.sk.starts_with(prefix));
        let is_wanted = |id: &str| only.is_none_or(|only| only == id);

        let mut pointers: HashMap<Key, Vec<(&Key, &Item)>> = HashMap::new();
        for (key, item) in &there {
            let to = key.clone().pointed_to();
            if to != *key {
                pointers.entry(to).or_default().push((key, item));
            }
        }
        let mut events: BTreeMap<&Key, (EventItem, &Item)> = BTreeMap::new();
        for (key, item) in of(EVENT_PREFIX) {
            let event: EventItem = serde_dynamo::from_item(item.clone())?;
            if is_wanted(&event.id) {
                events.insert(key, (event, item));
            }
        }
        let ids = || events.values().map(|(event, _)| &event.id);
        let others = ids().flat_map(|id| [keys::raw(environment, id), keys::attempts(environment, id)]);
        let mut others = self.batch_get(&others.collect::<Vec<_>>()).await?;

        let mut found: BTreeMap<String, Holding> = BTreeMap::new();
        for (key, (event, item)) in events {
            let target = Target { target_type: TargetType::Event, id: event.id.to_string() };
            let mut holding = Holding::new(target, &event.event, environment, pk);
            holding.recorded_at = Some(event.recorded_at);
            if let Some(body) = others.remove(&keys::raw(environment, &event.id)) {
                let body: BodyItem = serde_dynamo::from_item(body)?;
                let seen_key = body.seen_key.clone().unwrap_or_else(|| keys::seen_of(environment, &event.id));
                if holding.body(body)? {
                    let seen: Option<SeenItem> = self.get(&seen_key).await?;
                    if seen.is_some_and(|seen| seen.event_sk == key.sk) {
                        holding.seen(seen_key, &key.sk);
                    }
                }
            }
            holding.found_by(key, item, event.family);
            for (pointer, item) in pointers.remove(key).unwrap_or_default() {
                holding.found_by(pointer, item, event.family);
            }
            if let Some(attempts) = others.remove(&keys::attempts(environment, &event.id)) {
                holding.attempts(&attempts)?;
            }
            found.insert(event.id.to_string(), holding);
        }
        for (key, item) in of(ACTION_PREFIX) {
            let action: ActionItem = serde_dynamo::from_item(item.clone())?;
            if is_wanted(&action.target.id) {
                let new = || Holding::new(action.target.clone(), "correction", environment, pk);
                found.entry(action.target.id.clone()).or_insert_with(new).action(key.clone(), &action)?;
            }
        }
        Ok(found.into_values().filter(|holding| !holding.is_empty()).collect())
    }

    /// The personal data of one event; none where there is no such event.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn personal_data_of(
        &self,
        environment: Environment,
        id: &str,
    ) -> Result<Option<Vec<Holding>>, StoreError> {
        let body: Option<BodyItem> = self.get(&keys::raw(environment, id)).await?;
        let Some(key) = body.and_then(|body| body.event_key) else { return Ok(None) };
        Ok(Some(self.personal_data(environment, &key.pk, Some(id)).await?))
    }

    /// The personal data of a body in quarantine; none where there is no such body.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn personal_data_in_quarantine(
        &self,
        environment: Environment,
        id: &str,
    ) -> Result<Option<Vec<Holding>>, StoreError> {
        let item: Option<QuarantineItem> = self.get(&keys::quarantine(environment, id)).await?;
        let Some(item) = item else { return Ok(None) };
        let raw = self.get(&keys::raw(environment, id)).await?;
        let holding = raw.map(|raw| in_quarantine(&item, raw)).transpose()?;
        Ok(Some(holding.into_iter().filter(|holding| !holding.is_empty()).collect()))
    }

    /// The personal data of the bodies in quarantine that are about a customer, also of those that were retried.
    ///
    /// # Errors
    /// [`StoreError`] where the table cannot be read.
    pub async fn personal_data_quarantined_about(
        &self,
        environment: Environment,
        uid: &str,
    ) -> Result<Vec<Holding>, StoreError> {
        let mut ids: BTreeSet<String> = BTreeSet::new();
        let mut cursor: Option<Cursor> = None;
        loop {
            let page: Page<QuarantineItem> =
                self.list(environment, List::Quarantine, 100, cursor.as_ref()).await?;
            ids.extend(page.items.into_iter().map(|item| item.id));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        // What was retried is listed no longer, and is still there.
        loop {
            let page: Page<ActionItem> = self.list(environment, List::Actions, 100, cursor.as_ref()).await?;
            let retried = page.items.into_iter().filter(|action| action.action == Action::Retry);
            ids.extend(retried.map(|action| action.target.id));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        let mut found = Vec::new();
        for id in ids {
            let key = keys::raw(environment, &id);
            let Some(body) = self.get::<BodyItem>(&key).await? else { continue };
            let Content { raw, .. } = body.content()?;
            if is_about(&raw, environment, uid) {
                found.extend(self.personal_data_in_quarantine(environment, &id).await?.unwrap_or_default());
            }
        }
        Ok(found)
    }

    /// Erases personal data, and records who wanted that. False: somebody else wrote in between; what is still there is
    /// found again.
    ///
    /// # Errors
    /// [`StoreError`]; erasing it again goes on where this ended.
    pub async fn erase(&self, holding: &Holding, mandate: &Mandate) -> Result<bool, StoreError> {
        /// Each may have some ten kilobytes, and a transaction four megabytes.
        const AT_ONCE: usize = 25;
        for some in holding.beside.chunks(AT_ONCE) {
            let mut writes = Writes::new(self);
            some.iter().try_for_each(|change| writes.update(change.update()))?;
            if !writes.commit().await? {
                return Ok(false);
            }
        }
        let action = ActionItem::new(holding.environment, Action::Erase, holding.target.clone(), mandate);
        let key = keys::action(&holding.pk, &action.target.id, &action.id);
        let mut writes = Writes::new(self);
        holding.itself.iter().try_for_each(|change| writes.update(change.update()))?;
        writes.create(self.action_item(&key, &action).await?)?;
        writes.commit().await
    }
}

fn in_quarantine(item: &QuarantineItem, raw: BodyItem) -> Result<Holding, StoreError> {
    let target = Target { target_type: TargetType::Quarantine, id: item.id.clone() };
    let pk = keys::quarantine(item.environment, &item.id).pk;
    let mut holding = Holding::new(target, item.reason.as_str(), item.environment, &pk);
    holding.recorded_at = Some(item.recorded_at);
    holding.body(raw)?;
    Ok(holding)
}

/// Whether a body in quarantine is about a customer: an identifier in it is the customer's; or, where it cannot be read,
/// its text has the customer's uid, if that is no short number, which may be anything.
fn is_about(raw: &[u8], environment: Environment, uid: &str) -> bool {
    /// An identifier of this length is no accident.
    const TELLING: usize = 8;
    match Body::parse(raw, environment) {
        Ok(body) => has_identifier(&body.data, body.event.family(), uid),
        Err(_) => uid.len() >= TELLING && String::from_utf8_lossy(raw).contains(uid),
    }
}

fn has_identifier(object: &Map<String, Value>, family: Family, uid: &str) -> bool {
    object.iter().any(|(name, value)| {
        let is_identifier = match name.as_str() {
            "customerId" => true,
            "uid" | "guid" | "id" => family == Family::Customers,
            _ => false,
        };
        match value {
            Value::Object(object) => {
                let family = if name == "customer" { Family::Customers } else { family };
                has_identifier(object, family, uid)
            }
            Value::String(text) => is_identifier && text == uid,
            Value::Number(number) => is_identifier && number.to_string() == uid,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_quarantine_is_about_whom_its_identifiers_name() {
        let about = |raw: &str, uid| is_about(raw.as_bytes(), Environment::Test, uid);
        assert!(about(r#"{"event":"customer.created","data":{"uid":"c-1"}}"#, "c-1"));
        assert!(about(r#"{"event":"customer.created","data":{"id":7}}"#, "7"));
        assert!(about(r#"{"event":"transaction.deposit.success","data":{"customerId":"c-1"}}"#, "c-1"));
        assert!(about(r#"{"event":"transaction.new","data":{"customer":{"uid":"c-1"}}}"#, "c-1"));
        assert!(!about(r#"{"event":"transaction.deposit.success","data":{"uid":"7","amount":7}}"#, "7"));
        assert!(!about(r#"{"event":"customer.created","data":{"uid":"c-12"}}"#, "c-1"));
        let cut_off = r#"{"event":"customer.created","data":{"uid":"5742dc8e-7694","na"#;
        assert!(about(cut_off, "5742dc8e-7694") && !about(cut_off, "7694"));
    }
}
