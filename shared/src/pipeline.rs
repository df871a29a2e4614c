//! What every family function does with a batch of its queue.
//!
//! ```text
//! open the seal ─▶ read the body ─▶ ask the family what it means ─▶ recall ─▶ decide ─▶ render ─▶ commit
//! ```

use std::sync::Arc;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::decide::{Again, Applied, Decision, Delivery, Place, decide};
use crate::environment::Environments;
use crate::family::{FamilyRules, meaning};
use crate::fold::Effect;
use crate::model::{self, Body, Meaning, Oddity, Reason, Unreadable};
use crate::notice;
use crate::rebuild::{RefoldError, refold};
use crate::rotating::Rotating;
use crate::store::{Backoff, Recalled, StoreError, Table};
use crate::telemetry;
use crate::verify::{Envelope, Opened, SealRefusal, SealingKeys};

/// A family function: its family's code between the queue and the table.
#[derive(Debug)]
pub struct Pipeline<C> {
    /// Opens the deliveries.
    pub keys: Rotating<SealingKeys>,
    /// Which environments it accepts.
    pub environments: Environments,
    /// Where they are kept.
    pub table: Table,
    /// Tells the time.
    pub clock: Arc<C>,
}

/// Why a delivery could not be handled now. It stays in its queue, and in the end among the dead letters.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// There is no key to open it with.
    #[error("the sealing key is not available")]
    NoKey,
    /// It is not what `ingest` sealed.
    #[error("the seal was refused: {0}")]
    Seal(#[from] SealRefusal),
    /// What was sealed as readable is not, or not to its family.
    #[error("the body cannot be read: {0}")]
    Body(#[from] Unreadable),
    /// What is known of its entity could not be folded anew.
    #[error(transparent)]
    Refold(#[from] RefoldError),
    /// It could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<C: Clock> Pipeline<C> {
    /// Handles a batch, one delivery after the other: most batches are steps in the life of few entities, and
    /// what came in order should be applied in order. Those that failed are named, so that only they are
    /// delivered again.
    pub async fn batch<F: FamilyRules>(&self, event: SqsEvent) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        for record in event.records {
            let message_id = record.message_id.unwrap_or_default();
            if let Err(error) = self.delivery::<F>(record.body.as_deref().unwrap_or_default()).await {
                warn!(family = %F::FAMILY, message_id, %error, "delivery failed");
                let outcome = if matches!(error, DeliveryError::Seal(_)) { "forged" } else { "failed" };
                telemetry::count(&*self.clock, Some(F::FAMILY), outcome);
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = message_id;
                response.batch_item_failures.push(failure);
            }
        }
        response
    }

    /// Handles one message.
    ///
    /// # Errors
    /// [`DeliveryError`]; nothing is lost, the message stays in its queue.
    pub async fn delivery<F: FamilyRules>(&self, message: &str) -> Result<Applied, DeliveryError> {
        let begun = std::time::Instant::now();
        let opened = open(&self.keys, &self.environments, message, F::FAMILY).await;
        let opened = opened.ok_or(DeliveryError::NoKey)??;
        let envelope = opened.envelope();
        let applied = match &envelope.refused {
            Some((reason, detail)) => self.quarantine(envelope, *reason, detail).await?,
            None => match self.event::<F>(&opened).await {
                // It would be read no better the next time.
                Err(DeliveryError::Body(unreadable)) => {
                    warn!(family = %F::FAMILY, delivery_id = %envelope.delivery_id, %unreadable, "quarantined");
                    self.quarantine(envelope, unreadable.reason, &unreadable.detail).await?
                }
                outcome => outcome?,
            },
        };
        for outcome in outcomes(&applied) {
            telemetry::count(&*self.clock, Some(F::FAMILY), outcome);
        }
        info!(
            family = %F::FAMILY,
            environment = %envelope.environment,
            event = envelope.event,
            delivery_id = %envelope.delivery_id,
            id = %applied.id,
            entity_type = applied.entity.as_ref().map(|entity| entity.entity_type.as_str()),
            entity = applied.entity.as_ref().map(|entity| entity.uid.as_str()),
            effect = %applied.effect,
            new = applied.new,
            milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "delivery applied"
        );
        if applied.oddity.is_some()
            || matches!(applied.effect, Effect::Conflict | Effect::Ambiguous | Effect::None)
        {
            let oddity = applied.oddity.map(Oddity::as_str);
            warn!(family = %F::FAMILY, id = %applied.id, effect = %applied.effect, oddity, "an event needs attention");
        }
        Ok(applied)
    }

    async fn quarantine(
        &self,
        envelope: &Envelope,
        reason: Reason,
        detail: &str,
    ) -> Result<Applied, DeliveryError> {
        let kept = self.table.quarantine(envelope, (reason, detail), self.clock.now()).await?;
        Ok(Applied { id: kept.id.into(), effect: Effect::None, new: kept.new, entity: None, oddity: None })
    }

    async fn event<F: FamilyRules>(&self, opened: &Opened) -> Result<Applied, DeliveryError> {
        let envelope = opened.envelope();
        let body = Body::parse(&envelope.body, envelope.environment)?;
        let delivery = Delivery {
            environment: envelope.environment,
            body,
            raw: envelope.body.clone(),
            received_at: envelope.received_at,
            delivery_id: envelope.delivery_id.clone(),
        };
        apply::<F>(&self.table, &*self.clock, &delivery).await
    }
}

/// What a delivery is counted as. A further delivery that may be another occurrence, and an event whose money counts
/// for nothing, are counted as that as well: both raise the alarm.
fn outcomes(applied: &Applied) -> Vec<&'static str> {
    let mut outcomes = vec![if applied.new { applied.effect.as_str() } else { "redelivered" }];
    if !applied.new && applied.effect == Effect::Ambiguous {
        outcomes.push("ambiguous");
    }
    if applied.new && applied.oddity.is_some() {
        outcomes.push("oddity");
    }
    outcomes
}

/// Opens a message; a key that was added a moment ago is fetched before the message is refused. None where there is
/// no key at all.
pub async fn open(
    keys: &Rotating<SealingKeys>,
    environments: &Environments,
    message: &str,
    family: model::Family,
) -> Option<Result<Opened, SealRefusal>> {
    let open = |keys: &SealingKeys| Opened::verify(message, keys, environments, family);
    let current = keys.current().await?;
    match open(&current) {
        Err(SealRefusal::UnknownKey) => match keys.refreshed(&current).await {
            Some(fetched) => Some(open(&fetched)),
            None => Some(Err(SealRefusal::UnknownKey)),
        },
        verdict => Some(verdict),
    }
}

/// Applies a delivery: the first of its content makes an event, every further one is counted.
///
/// # Errors
/// [`DeliveryError`]; nothing was written then, or everything was, and trying again finds it.
pub async fn apply<F: FamilyRules>(
    table: &Table,
    clock: &impl Clock,
    delivery: &Delivery,
) -> Result<Applied, DeliveryError> {
    let said = understand::<F>(delivery)?;
    let place = Place::of(delivery, said.as_ref());
    let mut backoff = Backoff::default();
    loop {
        let recalled = table.recall(place.keys()).await?;
        let applied = if place.is_erased(&recalled)? {
            // What was erased does not come back.
            let left = delivery.without_personal_data().map_err(StoreError::from)?;
            let said = understand::<F>(&left)?;
            attempt::<F>(table, clock, &left, said.as_ref(), &place, recalled).await?
        } else {
            attempt::<F>(table, clock, delivery, said.as_ref(), &place, recalled).await?
        };
        match applied {
            Some(applied) => return Ok(applied),
            None => backoff.wait().await?,
        }
    }
}

/// What the family makes of a delivery.
fn understand<F: FamilyRules>(delivery: &Delivery) -> Result<Option<Meaning>, Unreadable> {
    meaning::<F>(&delivery.body, delivery.received_at).map_err(|_| Unreadable::new(Reason::NotUnderstood))
}

/// One attempt: none where somebody else wrote in between.
async fn attempt<F: FamilyRules>(
    table: &Table,
    clock: &impl Clock,
    delivery: &Delivery,
    meaning: Option<&Meaning>,
    place: &Place,
    mut recalled: Recalled,
) -> Result<Option<Applied>, DeliveryError> {
    let (plan, applied) = match decide(delivery, meaning, place, &recalled, clock.now())? {
        Decision::New(new) => {
            table.recall_also(&mut recalled, new.balances()).await?;
            let notification = notice::render::<F>(&new, meaning, &delivery.body);
            let notification = notification.map_err(StoreError::from)?;
            new.plan(delivery, meaning, place, &recalled, notification)?
        }
        Decision::Again(again) if again.is_earlier(delivery) => {
            match antedate::<F>(table, clock, delivery, meaning, place, &again).await? {
                Some(planned) => planned,
                None => return Ok(None),
            }
        }
        Decision::Again(again) => {
            let may_be_new = again.may_be_new(delivery, meaning);
            let key = again.event_key(place);
            let ambiguous =
                table.count_delivery(delivery.environment, &key, &delivery.delivery_id, may_be_new).await?;
            return Ok(Some(again.counted(meaning, ambiguous)));
        }
    };
    Ok(table.commit(plan).await?.then_some(applied))
}

/// What an earlier delivery of an event changes; none where the event is not there any more.
async fn antedate<F: FamilyRules>(
    table: &Table,
    clock: &impl Clock,
    delivery: &Delivery,
    said: Option<&Meaning>,
    place: &Place,
    again: &Again,
) -> Result<Option<(crate::store::Plan, Applied)>, DeliveryError> {
    let key = again.event_key(place);
    let recalled = table.recall([key.clone()]).await?;
    let Some(event) = recalled.item(&key).map_err(DeliveryError::from)? else { return Ok(None) };
    let (mut refolded, mut later) = (None, None);
    if again.needs_refolding(said) {
        let antedated = (again.id(), delivery.received_at);
        let folded = refold(table, delivery.environment, place.pk(), &meaning::<F>, Some(antedated)).await?;
        refolded = Some(folded.facts);
        later = meaning::<F>(&delivery.body, again.first_received_at()).map_err(StoreError::from)?;
    }
    let planned = again.plan(delivery, (said, later.as_ref()), place, &event, refolded, clock.now());
    Ok(Some(planned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_somebody_has_to_look_at_is_counted_once_as_that() {
        let applied = |effect, new, oddity| Applied {
            id: model::EventId::default(),
            effect,
            new,
            entity: None,
            oddity,
        };
        let odd = Some(Oddity::NotANumber);
        for (applied, expected) in [
            (applied(Effect::Applied, true, None), &["applied"][..]),
            (applied(Effect::Applied, true, odd), &["applied", "oddity"]),
            (applied(Effect::Conflict, true, odd), &["conflict", "oddity"]),
            (applied(Effect::None, true, None), &["none"]),
            (applied(Effect::Ambiguous, true, None), &["ambiguous"]),
            (applied(Effect::Ambiguous, false, None), &["redelivered", "ambiguous"]),
            (applied(Effect::Repeat, false, None), &["redelivered"]),
        ] {
            assert_eq!(outcomes(&applied), expected, "{applied:?}");
        }
    }
}
