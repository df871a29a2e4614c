//! What is known under one uid.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Facts, Kind, Posting, money};

/// What is known under one uid, before an event or after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The facts of an account, asset, address or customer.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub facts: Facts,
    /// The facts of a transaction, by its kind: one uid may be a deposit and a transfer. What was said of no kind
    /// waits under [`Kind::Unknown`] until exactly one kind is known; then it counts as said of that kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<Kind, Facts>,
    /// What each kind has added to a balance so far.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub posted: BTreeMap<Kind, Posting>,
}

fn is_empty(facts: &Facts) -> bool {
    *facts == Facts::default()
}

impl Known {
    /// The one kind that is known of this uid; none where there is none, or several.
    pub fn sole_kind(&self) -> Option<Kind> {
        let mut kinds = self.kinds.keys().filter(|kind| **kind != Kind::Unknown);
        kinds.next().copied().filter(|_| kinds.next().is_none())
    }

    /// The kind as which an event counts that says `kind`.
    pub fn counts_as(&self, kind: Kind) -> Kind {
        if kind == Kind::Unknown { self.sole_kind().unwrap_or(kind) } else { kind }
    }

    /// All that is known of a transaction of this kind, or of an object that has none.
    pub fn of(&self, kind: Option<Kind>) -> Facts {
        let Some(kind) = kind else { return self.facts.clone() };
        let kind = self.counts_as(kind);
        let own = self.kinds.get(&kind).cloned().unwrap_or_default();
        match self.kinds.get(&Kind::Unknown) {
            Some(of_no_kind) if self.sole_kind() == Some(kind) => own.join(of_no_kind.clone()),
            _ => own,
        }
    }

    /// Everything that is known from either; what both have posted is left to [`Self::settled`].
    #[must_use]
    pub fn join(mut self, kind: Option<Kind>, facts: Facts) -> Self {
        let mine = match kind {
            Some(kind) => self.kinds.entry(kind).or_default(),
            None => &mut self.facts,
        };
        *mine = std::mem::take(mine).join(facts);
        self
    }

    /// The same, with what each kind adds to which balance.
    #[must_use]
    pub fn settled(mut self) -> Self {
        let kinds = self.kinds.keys();
        let post = |kind: &Kind| Some((*kind, money::contribution(*kind, &self.of(Some(*kind)))?));
        self.posted = kinds.filter_map(post).collect();
        self
    }
}
