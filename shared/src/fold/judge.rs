//! What an event does to what is known, and why, in words.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Effect, Known, Sides};
use crate::model::{EntityType, Fact, Facts, Kind, Meaning, Word, lifecycle, money};

/// What an event does that makes a kind known, where something was said of no kind before: all of that counts from now
/// on; or, where it had counted as of another kind, no longer.
pub(super) fn judge_kinds(before: &Known, after: &Known, said: Kind, kind: Kind) -> Option<(Effect, String)> {
    if said == Kind::Unknown || !before.kinds.contains_key(&Kind::Unknown) || before.kinds.contains_key(&said)
    {
        return None;
    }
    let status = lifecycle::status(EntityType::Transaction, &after.of(Some(kind)));
    let why = match before.sole_kind() {
        None if after.sole_kind() == Some(kind) => format!("known to be a {kind} now, and {status}"),
        Some(other) => {
            format!("first seen as {status}; what was said of no kind no longer counts as a {other}")
        }
        None => return None,
    };
    Some((Effect::Applied, why))
}

/// An event whose word is not understood belongs to its object, and that is all.
fn not_understood(meaning: &Meaning) -> (Effect, String) {
    let why = format!("unknown word {}: kept in the history, changes nothing", meaning.status);
    (Effect::None, why)
}

/// A transaction is changed by a new status, a flag, another amount, asset, account or fee, or, while it is open, by
/// another hash.
pub(super) fn judge_transaction(sides: &Sides, meaning: &Meaning) -> (Effect, String) {
    let Sides { before, after } = sides;
    if meaning.word == Word::Unknown {
        return not_understood(meaning);
    }
    let event = &meaning.facts;
    let contradictions = money::contradictions(after);
    let new_step = !event.steps.is_subset(&before.steps);
    let new_end = new_step && lifecycle::steps(event).any(lifecycle::Step::is_terminal);
    let changed = changed(before, after);
    if !contradictions.is_empty()
        && (new_end || !changed.is_empty() || money::is_contradicted_by(before, event))
    {
        let about: Vec<_> =
            contradictions.iter().map(|about| format!("{about}{}", money::values(after, *about))).collect();
        return (Effect::Conflict, format!("the events disagree about the {}", about.join(", ")));
    }
    let status = |facts| lifecycle::status(EntityType::Transaction, facts);
    let (was, is) = (status(before), status(after));
    if before.steps.is_empty() {
        return (Effect::Applied, format!("first seen as {is}"));
    }
    let mut changes = changed;
    if was != is {
        changes.insert(0, format!("{was} became {is}"));
    }
    if before.set(Fact::Flags).ne(after.set(Fact::Flags)) {
        changes.push("flagged".to_owned());
    }
    if contradictions.is_empty() && !money::contradictions(before).is_empty() {
        changes.insert(0, "the contradiction was resolved".to_owned());
    }
    let is_open = lifecycle::furthest(after).is_none_or(|step| !step.is_terminal());
    if let Some((old, new)) = before.get(Fact::Hash).zip(after.get(Fact::Hash))
        && is_open
        && before.said(Fact::Hash) != after.said(Fact::Hash)
    {
        changes.push(format!("hash {old} became {new}"));
    }
    if !changes.is_empty() {
        (Effect::Applied, changes.join(", "))
    } else if new_step {
        (Effect::Stale, format!("{is} was known already"))
    } else {
        (Effect::Repeat, "said again in other words".to_owned())
    }
}

/// What is said of money otherwise than before: `amount 1 became 2`.
fn changed(before: &Facts, after: &Facts) -> Vec<String> {
    let (before, after) = (money::said_of_money(before), money::said_of_money(after));
    let listed = |values: &BTreeSet<Cow<'_, str>>| {
        let shown: Vec<_> = values.iter().map(|value| money::readable(value)).collect();
        if shown.is_empty() { "unknown".to_owned() } else { shown.join(" or ") }
    };
    let differ = before.iter().zip(&after).filter(|((_, before), (_, after))| before != after);
    differ
        .map(|((name, before), (_, after))| format!("{name} {} became {}", listed(before), listed(after)))
        .collect()
}

/// An account, asset, address or customer is changed by every event that is not older than what is known:
/// the object may have changed in fields that are not followed here.
pub(super) fn judge_object(sides: &Sides, meaning: &Meaning) -> (Effect, String) {
    let Sides { before, after } = sides;
    let (entity_type, event) = (meaning.entity.entity_type, &meaning.facts);
    if meaning.word == Word::Unknown {
        return not_understood(meaning);
    }
    let status = |facts| lifecycle::status(entity_type, facts);
    // What a set has no room for is news each time: rather twice than never.
    let joins = event
        .members
        .iter()
        .any(|(set, members)| before.members.get(set).is_none_or(|known| !members.is_subset(known)));
    // What stands once it was seen is news however late it comes.
    let stands =
        event.steps.iter().any(|step| lifecycle::stands(entity_type, step) && !before.steps.contains(step));
    if !before.steps.is_empty() && status(before) != status(after) {
        (Effect::Applied, format!("{} became {}", status(before), status(after)))
    } else if joins || stands {
        (Effect::Applied, "news, whenever it comes".to_owned())
    } else if event.overtaken_by(before) {
        (Effect::Stale, "a newer word was known already".to_owned())
    } else if before == after {
        (Effect::Repeat, "said again in other words".to_owned())
    } else {
        (Effect::Applied, "the latest word".to_owned())
    }
}
