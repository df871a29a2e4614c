//! What moves money is notified: a correction is an action whose notification is inserted with the ledger lines that it
//! is about, so that no line is without one.

use sha2::{Digest as _, Sha256};

use super::Run;
use super::report::Report;
use crate::clock::Clock;
use crate::fold::Known;
use crate::hash::{feed, hex};
use crate::model::{Kind, Posting};
use crate::notice::{Corrected, Correction};
use crate::store::{Action, ActionItem, Key, Mandate, Partition, Plan, StoreError, Target, TargetType, keys};

impl<C: Clock, P: Fn(&Report)> Run<'_, C, P> {
    /// Adds to a plan that moves money of a transaction that programs are notified.
    pub(super) fn correct_transaction(
        &self,
        plan: &mut Plan,
        (state, uid): (&Key, &str),
        known: &Known,
        version: u64,
        changes: &[(Kind, Posting)],
    ) -> Result<(), StoreError> {
        let target = Target { target_type: TargetType::Transaction, id: uid.to_owned() };
        let transaction = Some(Corrected { uid, known, version });
        let why = "its webhooks say otherwise than what was counted";
        self.correct(plan, (&state.pk, target), version, transaction, changes, why)
    }

    /// Adds to a plan that changes a balance, and no transaction, that programs are notified; `line` is the number of the
    /// line that does.
    pub(super) fn correct_balance(
        &self,
        plan: &mut Plan,
        partition: &Partition,
        line: u64,
        change: Posting,
    ) -> Result<(), StoreError> {
        let id = format!("{} {}", change.account, change.asset);
        let target = Target { target_type: TargetType::Balance, id };
        let why = "the balance was not what its transactions add up to";
        self.correct(plan, (partition, target), line, None, &[(Kind::Unknown, change)], why)
    }

    fn correct(
        &self,
        plan: &mut Plan,
        (pk, target): (&Partition, Target),
        number: u64,
        transaction: Option<Corrected<'_>>,
        changes: &[(Kind, Posting)],
        why: &str,
    ) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let (environment, at) = (self.environment, self.clock.now());
        // Versions and lines are numbered without repetition.
        let mut hash = Sha256::new();
        feed(&mut hash, [b"correction".as_slice(), pk.as_str().as_bytes(), &number.to_be_bytes()]);
        let id: String = hex(&hash.finalize()).chars().take(32).collect();
        let notification = Correction { id: &id, environment, transaction, changes, why, at }.render()?;
        let key = keys::action(pk, &target.id, &id);
        let mandate = Mandate { id, who: self.mode.who().to_owned(), why: why.to_owned(), at };
        let action = ActionItem::new(environment, Action::Rebuild, target, &mandate);
        plan.action(key, ActionItem { notification: Some(notification), ..action });
        Ok(())
    }
}
