//! Events that were kept about nothing, and are understood now: each is moved to what it is about, under its id.

use super::Run;
use super::report::{Report, TakenUp};
use crate::clock::Clock;
use crate::decide::{Delivery, Place, taken_up};
use crate::model::{Body, DeliveryId, Entity, EntityRef};
use crate::store::{Backoff, StateItem, StoreError};

impl<C: Clock, P: Fn(&Report)> Run<'_, C, P> {
    /// Takes up an event that was kept about nothing: what it is about now; none where it is not understood either.
    pub(super) async fn take_up(&mut self, id: &str) -> Result<Option<Entity>, StoreError> {
        let (table, environment) = (self.table, self.environment);
        let mut backoff = Backoff::default();
        loop {
            let Some(record) = table.event(environment, id).await? else { return Ok(None) };
            // The index may be behind.
            if record.event.entity.is_some() {
                return Ok(None);
            }
            let Ok(body) = Body::parse(&record.raw, environment) else { return Ok(None) };
            let received_at = record.event.received_at;
            let Ok(Some(meaning)) = (self.interpret)(&body, received_at) else { return Ok(None) };
            let (raw, delivery_id) = (record.raw.clone(), DeliveryId::default());
            let delivery = Delivery { environment, body, raw, received_at, delivery_id };
            let mut place = Place::of(&delivery, Some(&meaning));
            if let Some(content) = record.content_of_nothing() {
                place = place.of_content(environment, &content);
            }
            let state: Option<StateItem> = table.state(environment, &meaning.entity).await?;
            let (event, found_by) =
                taken_up(&record.event, &delivery, &meaning, state.as_ref().map(|state| &state.known));
            let written = self.mode.writes();
            let (pk, seen) = (place.pk(), place.seen());
            if !written || table.move_event(&record, (&event, &found_by), pk, seen).await? {
                let (entity, kind) = (EntityRef::from(&meaning.entity), meaning.entity.kind);
                self.report.taken_up.push(TakenUp { event: id.to_owned(), entity, kind, written });
                return Ok(written.then_some(meaning.entity));
            }
            backoff.wait().await?;
        }
    }
}
