//! What is known of an entity: facts that join in any order.
//!
//! Every event adds facts. Joining is commutative, associative and idempotent, so the state of an entity is a
//! function of the *set* of its events: every order, repetition and interleaving ends in the same state.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::clock::Moment;

/// What decides between two values of one field: first how far the object was in its life, then when the
/// object was updated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// The rank of the life-cycle step that said it; 0 where there is no life cycle.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rank: u16,
    /// The object's `updatedAt`; unknown is before everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(rank: &u16) -> bool {
    *rank == 0
}

/// The latest word on one field. Several values with one stamp contradict each other: all are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// When it was said.
    pub stamp: Stamp,
    /// What was said; never empty.
    pub values: BTreeSet<String>,
}

impl Register {
    /// The value, and where several contradict each other the same one of them every time.
    pub fn value(&self) -> &str {
        self.values.last().map_or("", String::as_str)
    }

    fn join(&mut self, other: Self) {
        match self.stamp.cmp(&other.stamp) {
            std::cmp::Ordering::Less => *self = other,
            std::cmp::Ordering::Equal => extend(&mut self.values, other.values, MAX_VALUES),
            std::cmp::Ordering::Greater => {}
        }
    }
}

/// The set that [`Facts::announced`] reads.
pub(crate) const ANNOUNCED: &str = "announced";

/// The longest text that is followed, in bytes. Longer ones are cut; the body keeps them whole. It bounds the
/// items: DynamoDB takes 400 KB, a queue's body may have 128 KiB in a single field.
const MAX_TEXT: usize = 1024;

/// The most values that one register follows, and the most members of a set. Of more, the last in order are
/// kept: whatever is joined first, the same ones.
const MAX_VALUES: usize = 8;
const MAX_MEMBERS: usize = 128;

/// A text of at most 1024 bytes, and what was cut marked.
pub(crate) fn shorten(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let fits = |(start, c): &(usize, char)| start + c.len_utf8() <= MAX_TEXT - '…'.len_utf8();
    let mut kept: String = text.char_indices().take_while(fits).map(|(_, c)| c).collect();
    kept.push('…');
    kept
}

/// Adds to a set that keeps the last of its order.
fn extend(set: &mut BTreeSet<String>, more: BTreeSet<String>, most: usize) {
    set.extend(more);
    while set.len() > most {
        set.pop_first();
    }
}

/// A set of facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What has happened: the life-cycle steps seen.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub steps: BTreeSet<String>,
    /// Fields of the object, by name: the latest word counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Register>,
    /// Numbers that only grow, by name: confirmations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u64>,
    /// Sets that only grow, by name: flags, attached addresses (the last 128 of their order).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<String, BTreeSet<String>>,
    /// The latest moment that any event spoke of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Moment>,
}

impl Facts {
    /// Adds that a step was seen.
    #[must_use]
    pub fn step(mut self, step: &str) -> Self {
        self.steps.insert(step.to_owned());
        self
    }

    /// Adds a field's value, if the event gives one: an absent field says nothing.
    #[must_use]
    pub fn field(mut self, name: &str, stamp: Stamp, value: Option<impl Into<String>>) -> Self {
        if let Some(value) = value {
            let register = Register { stamp, values: BTreeSet::from([shorten(&value.into())]) };
            self.fields.insert(name.to_owned(), register);
        }
        self
    }

    /// Adds a count.
    #[must_use]
    pub fn count(mut self, name: &str, count: Option<u64>) -> Self {
        if let Some(count) = count {
            self.counts.insert(name.to_owned(), count);
        }
        self
    }

    /// Adds a member to a set.
    #[must_use]
    pub fn member(mut self, set: &str, member: Option<impl Into<String>>) -> Self {
        if let Some(member) = member {
            self.members.entry(set.to_owned()).or_default().insert(shorten(&member.into()));
        }
        self
    }

    /// Adds the moment that the event speaks of, if it does.
    #[must_use]
    pub fn at(mut self, moment: Option<Moment>) -> Self {
        self.updated_at = moment;
        self
    }

    /// Everything that is known from either.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.steps.extend(other.steps);
        for (name, register) in other.fields {
            match self.fields.get_mut(&name) {
                Some(mine) => mine.join(register),
                None => {
                    self.fields.insert(name, register);
                }
            }
        }
        for (name, count) in other.counts {
            let mine = self.counts.entry(name).or_default();
            *mine = count.max(*mine);
        }
        for (name, members) in other.members {
            extend(self.members.entry(name).or_default(), members, MAX_MEMBERS);
        }
        self.updated_at = self.updated_at.max(other.updated_at);
        self
    }

    /// The latest word on a field.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(Register::value)
    }

    /// The steps of a transaction that events announced by their very name.
    pub fn announced(&self) -> BTreeSet<&str> {
        self.set(ANNOUNCED).collect()
    }

    /// Whether the latest word on a field is `true`.
    pub fn is(&self, field: &str) -> bool {
        self.get(field) == Some("true")
    }

    /// The members of a set.
    pub fn set(&self, name: &str) -> impl Iterator<Item = &str> {
        self.members.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Whether a newer and different word is known on any field.
    pub fn overtaken_by(&self, known: &Self) -> bool {
        self.fields.iter().any(|(name, mine)| {
            known
                .fields
                .get(name)
                .is_some_and(|theirs| theirs.stamp > mine.stamp && theirs.values != mine.values)
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_facts() -> impl Strategy<Value = Facts> {
        let name = || prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
        let stamp = (0_u16..3, prop::option::of(0_i64..3))
            .prop_map(|(rank, at)| Stamp { rank, at: at.map(Moment::from_millis) });
        let register = (stamp, prop::collection::btree_set("[xyz]", 1..3))
            .prop_map(|(stamp, values)| Register { stamp, values });
        (
            prop::collection::btree_set(name(), 0..3),
            prop::collection::btree_map(name(), register, 0..3),
            prop::collection::btree_map(name(), 0_u64..5, 0..3),
            prop::collection::btree_map(name(), prop::collection::btree_set(name(), 1..3), 0..2),
            prop::option::of((0_i64..5).prop_map(Moment::from_millis)),
        )
            .prop_map(|(steps, fields, counts, members, updated_at)| Facts {
                steps,
                fields,
                counts,
                members,
                updated_at,
            })
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shorten(&"x".repeat(1024)).len(), 1024);
        let cut = shorten(&"ü".repeat(600));
        assert!(cut.len() <= 1024 && cut.ends_with("ü…"));
    }

    #[test]
    fn sets_are_bounded_to_the_same_members_in_any_order() {
        let address = |number: u32| Facts::default().member("addresses", Some(format!("{number:04}")));
        let forwards = (0..300).fold(Facts::default(), |known, number| known.join(address(number)));
        let backwards = (0..300).rev().fold(Facts::default(), |known, number| known.join(address(number)));
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.set("addresses").count(), MAX_MEMBERS);
    }

    proptest! {
        #[test]
        fn joining_is_commutative(a in any_facts(), b in any_facts()) {
            prop_assert_eq!(a.clone().join(b.clone()), b.join(a));
        }

        #[test]
        fn joining_is_associative(a in any_facts(), b in any_facts(), c in any_facts()) {
            prop_assert_eq!(a.clone().join(b.clone()).join(c.clone()), a.join(b.join(c)));
        }

        #[test]
        fn joining_is_idempotent(a in any_facts(), b in any_facts()) {
            let joined = a.join(b.clone());
            prop_assert_eq!(&joined.clone().join(b), &joined);
            prop_assert_eq!(joined.clone().join(joined.clone()), joined);
        }

        #[test]
        fn facts_survive_the_table(facts in any_facts()) {
            let item: serde_dynamo::Item = serde_dynamo::to_item(&facts).unwrap();
            prop_assert_eq!(serde_dynamo::from_item::<_, Facts>(item).unwrap(), facts);
        }
    }
}
