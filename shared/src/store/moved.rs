//! Moving an event that was kept about nothing to the entity that it is understood to be about: with what points to it, its
//! actions, and that it is the latest of its content. Its id stays, and so does its place in the log.

use aws_sdk_dynamodb::types::{AttributeValue, Update};

use super::bodies::BodyItem;
use super::commit::Writes;
use super::deliveries::DELIVERIES;
use super::events::{EventItem, SeenItem};
use super::facets;
use super::keys::{self, Key, List, Partition};
use super::lists::list;
use super::query::RangeQuery;
use super::records::EventRecord;
use super::table::{Item, StoreError, Table, to_item};
use crate::model::Facts;

/// An action that was moved: the stream shows it as inserted, and its notification was sent long ago.
const TAKEN_UP: &str = "taken_up";

impl Table {
    /// Moves an event into the partition of what it is about: `event` is what it is there, `found_by` what it can be found
    /// by, `seen` where it stands there which is the latest event of its content. False: somebody else wrote in between.
    ///
    /// # Errors
    /// [`StoreError`]; moving it again goes on where this ended.
    pub async fn move_event(
        &self,
        record: &EventRecord,
        (event, found_by): (&EventItem, &Facts),
        pk: &Partition,
        seen: &Key,
    ) -> Result<bool, StoreError> {
        let (from, to) = (&record.key, Key { pk: pk.clone(), sk: record.key.sk.clone() });
        let there = self.query(&RangeQuery::whole(&from.pk), usize::MAX).await?;
        self.move_actions(&there, &event.id, &to.pk).await?;

        let Some(kept) = there.iter().find(|item| Key::of(item).as_ref() == Some(from)) else {
            return Ok(false);
        };
        let mut writes = Writes::new(self);
        let mut moved = to_item(&to, event)?;
        list(&mut moved, event.environment, List::Log, &event.id, event.recorded_at);
        let pointers = facets::enter(&mut moved, event, found_by);
        let counted = kept.get(DELIVERIES).cloned();
        moved.extend(counted.map(|deliveries| (DELIVERIES.to_owned(), deliveries)));
        writes.create(moved)?;
        for pointer in pointers {
            writes.create(pointer)?;
        }
        writes.delete(from, Some(("deliveries", AttributeValue::N(event.deliveries.to_string()))))?;
        for pointer in there.iter().filter_map(Key::of).filter(|key| key != from) {
            if pointer.clone().pointed_to() == *from {
                writes.delete(&pointer, None)?;
            }
        }
        self.point_to(&mut writes, &to, (&keys::seen_of(event.environment, &event.id), seen)).await?;
        let key: AttributeValue = serde_dynamo::to_attribute_value(&to)?;
        let body = Update::builder()
            .set_key(Some(keys::raw(event.environment, &event.id).to_item()))
            .update_expression("SET event_key = :key, seen_key = :seen")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":key", key)
            .expression_attribute_values(":seen", serde_dynamo::to_attribute_value(seen)?);
        writes.update(body)?;
        writes.commit().await
    }

    /// Notes at the new place that an event is the latest of its content, unless that is another event, or it was seen at the
    /// new place since.
    async fn point_to(
        &self,
        writes: &mut Writes<'_>,
        to: &Key,
        (old, new): (&Key, &Key),
    ) -> Result<(), StoreError> {
        let known: Option<SeenItem> = self.get(old).await?;
        let Some(known) = known.filter(|known| known.event_sk == to.sk) else { return Ok(()) };
        if self.get_item(new).await?.is_none() {
            let mut item = to_item(new, &BodyItem::pointing_to(to.clone()))?;
            item.extend(serde_dynamo::to_item::<_, Item>(known)?);
            writes.create(item)?;
        }
        Ok(())
    }

    /// Moves what was done to an event, as much at once as a transaction takes.
    async fn move_actions(&self, there: &[Item], id: &str, pk: &Partition) -> Result<(), StoreError> {
        /// Each takes two of the hundred writes of a transaction.
        const AT_ONCE: usize = 50;
        let prefix = keys::action_prefix(id);
        let actions: Vec<_> = there
            .iter()
            .filter_map(|item| Some((Key::of(item).filter(|key| key.sk.starts_with(&prefix))?, item)))
            .collect();
        for some in actions.chunks(AT_ONCE) {
            let mut writes = Writes::new(self);
            for (key, item) in some {
                let mut moved = (*item).clone();
                moved.extend(Key { pk: pk.clone(), sk: key.sk.clone() }.to_item());
                moved.insert(TAKEN_UP.to_owned(), AttributeValue::Bool(true));
                writes.restate(moved)?;
                writes.delete(key, None)?;
            }
            writes.commit().await?;
        }
        Ok(())
    }
}
