//! What events do in which order.

use super::*;
use crate::clock::Moment;
use crate::model::facts::Stamp;
use crate::model::lifecycle::Step;
use crate::model::{Entity, Fact, transaction::Transaction};
use proptest::prelude::*;

fn says(step: Step, amount: &str) -> Meaning {
    let transaction = Transaction {
        uid: Some("u".to_owned()),
        amount: Some(amount.to_owned()),
        asset_type: Some("BTC".to_owned()),
        account_id: Some("a".to_owned()),
        ..Transaction::default()
    };
    transaction.step(Kind::Deposit, step).unwrap()
}

fn effects(meanings: &[Meaning]) -> Vec<(Effect, bool)> {
    let mut known: Option<Known> = None;
    meanings
        .iter()
        .map(|meaning| {
            let folded = fold(known.as_ref(), meaning);
            known = Some(folded.known);
            (folded.effect, folded.notified)
        })
        .collect()
}

#[test]
fn a_life_in_order_is_applied_step_by_step() {
    let life = [says(Step::Created, "1"), says(Step::Pending, "1"), says(Step::Success, "1")];
    assert_eq!(effects(&life), [(Effect::Applied, true); 3]);
}

#[test]
fn an_overtaken_step_is_stale_and_not_notified() {
    let life = [says(Step::Success, "1"), says(Step::Pending, "1")];
    assert_eq!(effects(&life), [(Effect::Applied, true), (Effect::Stale, false)]);
}

#[test]
fn the_same_step_in_other_words_is_a_repeat() {
    let again = Meaning {
        facts: says(Step::Success, "1").facts.count(Fact::Confirmations, Some(9)),
        ..says(Step::Success, "1")
    };
    assert_eq!(
        effects(&[says(Step::Success, "1"), again]),
        [(Effect::Applied, true), (Effect::Repeat, false)]
    );
}

#[test]
fn a_contradicted_end_is_a_conflict_in_either_order_and_both_ends_are_notified() {
    for life in [[Step::Success, Step::Failed], [Step::Failed, Step::Success]] {
        let life = life.map(|step| says(step, "1"));
        assert_eq!(effects(&life), [(Effect::Applied, true), (Effect::Conflict, true)]);
    }
}

#[test]
fn a_second_failure_is_stale_but_notified() {
    let life = [says(Step::Failed, "1"), says(Step::Cancelled, "1")];
    assert_eq!(effects(&life), [(Effect::Applied, true), (Effect::Stale, true)]);
}

fn dated(amount: &str, at: i64) -> Meaning {
    let stamp = Stamp { rank: Step::Success.rank(), at: Some(Moment::from_millis(at)) };
    let meaning = says(Step::Success, amount);
    Meaning { facts: meaning.facts.field(Fact::Amount, stamp, Some(amount)), ..meaning }
}

#[test]
fn a_resolved_contradiction_is_applied_and_notified() {
    let life = [says(Step::Success, "1"), says(Step::Success, "2"), dated("2", 5)];
    let effects = effects(&life);
    assert_eq!(effects, [(Effect::Applied, true), (Effect::Conflict, true), (Effect::Applied, true)]);
}

#[test]
fn the_same_amount_in_another_spelling_is_a_repeat() {
    let life = [says(Step::Success, "0.45"), says(Step::Success, "0.450")];
    assert_eq!(effects(&life), [(Effect::Applied, true), (Effect::Repeat, false)]);
}

#[test]
fn every_further_contradicting_value_is_a_conflict() {
    for third in ["0.5", "3"] {
        let life = [says(Step::Success, "1"), says(Step::Success, "2"), says(Step::Success, third)];
        assert_eq!(effects(&life)[2], (Effect::Conflict, true));
    }
}

#[test]
fn a_late_step_of_a_contradicted_transaction_is_stale() {
    let life = [says(Step::Success, "1"), says(Step::Failed, "1"), says(Step::Pending, "1")];
    assert_eq!(effects(&life)[2], (Effect::Stale, false));
}

#[test]
fn a_flag_before_the_first_step_hides_it_from_nobody() {
    let flag = Transaction { uid: Some("u".to_owned()), ..Transaction::default() };
    let flag = flag.flag(Kind::Deposit, "aml_flagged").unwrap();
    let life = [flag, says(Step::Created, "1"), says(Step::Created, "1")];
    assert_eq!(effects(&life), [(Effect::Applied, true), (Effect::Applied, true), (Effect::Repeat, false)]);
}

#[test]
fn an_end_known_by_its_status_is_notified_again_by_its_name() {
    let incoming = Transaction { uid: Some("u".to_owned()), ..Transaction::default() };
    let incoming = incoming.step_by_status(Kind::Deposit, Step::Success).unwrap();
    let named = Transaction { uid: Some("u".to_owned()), ..Transaction::default() };
    let named = named.step(Kind::Deposit, Step::Success).unwrap();
    assert_eq!(effects(&[incoming, named]), [(Effect::Applied, true), (Effect::Repeat, true)]);
}

#[test]
fn both_failures_are_notified_in_either_order_though_only_a_status_says_so() {
    let ended = |step| {
        let incoming = Transaction { uid: Some("u".to_owned()), ..Transaction::default() };
        incoming.step_by_status(Kind::Deposit, step).unwrap()
    };
    assert_eq!(
        effects(&[ended(Step::Failed), ended(Step::Rejected)]),
        [(Effect::Applied, true), (Effect::Stale, true)]
    );
    assert_eq!(effects(&[ended(Step::Rejected), ended(Step::Failed)]), [(Effect::Applied, true); 2]);
}

#[test]
fn a_late_block_is_notified_though_its_label_is_older() {
    let stamp = |at| Stamp { rank: 0, at: Some(Moment::from_millis(at)) };
    let address = |step: &str, label: &str, at| Meaning {
        entity: Entity::new(EntityType::Address, "p"),
        facts: Facts::default().step(step).field(Fact::Label, stamp(at), Some(label)),
        ..account("true", 0)
    };
    let life = [address("updated", "new", 2), address("blocked", "old", 1), address("flagged", "old", 1)];
    assert_eq!(effects(&life), [(Effect::Applied, true); 3]);
}

fn account(frozen: &str, at: i64) -> Meaning {
    let stamp = Stamp { rank: 0, at: Some(Moment::from_millis(at)) };
    Meaning {
        entity: Entity::new(EntityType::Account, "a"),
        facts: Facts::default().field(Fact::Frozen, stamp, Some(frozen)),
        word: Word::Object(crate::model::EventType::AccountsUpdated),
        status: "updated".to_owned(),
        occurred_at: None,
        dated: false,
    }
}

#[test]
fn an_older_word_is_stale() {
    assert_eq!(
        effects(&[account("true", 2), account("false", 1)]),
        [(Effect::Applied, true), (Effect::Stale, false)]
    );
}

#[test]
fn content_that_would_change_the_state_again_is_ambiguous_unless_it_is_dated() {
    let known = fold(None, &account("true", 1)).known;
    let known = fold(Some(&known), &account("false", 2)).known;
    assert!(is_ambiguous(&known, &account("true", 3)));
    assert!(!is_ambiguous(&known, &account("false", 3)));
    assert!(!is_ambiguous(&known, &Meaning { dated: true, ..account("true", 3) }));
}

fn of_kind(kind: Kind, step: Step, amount: &str) -> Meaning {
    Meaning { entity: Entity::transaction(kind, "u"), ..says(step, amount) }
}

fn received(known: &Known) -> Option<String> {
    Some(known.posted.get(&Kind::Deposit)?.amounts.received.to_string())
}

#[test]
fn what_was_said_of_no_kind_counts_as_soon_as_one_kind_is_known() {
    let (success, created) =
        (of_kind(Kind::Unknown, Step::Success, "2"), of_kind(Kind::Deposit, Step::Created, "2"));
    for life in [[&success, &created], [&created, &success]] {
        let first = fold(None, life[0]);
        assert_eq!(received(&first.known).filter(|received| received != "0"), None);
        let second = fold(Some(&first.known), life[1]);
        assert_eq!((second.effect, second.people), (Effect::Applied, People::Always), "{}", second.why);
        assert_eq!(received(&second.known), Some("2".to_owned()));
        assert_eq!(second.known.of(Some(Kind::Unknown)), second.known.of(Some(Kind::Deposit)));
    }
}

#[test]
fn where_two_kinds_are_known_what_was_said_of_no_kind_counts_for_neither() {
    let life = [
        of_kind(Kind::Deposit, Step::Created, "2"),
        of_kind(Kind::Unknown, Step::Success, "2"),
        of_kind(Kind::Transfer, Step::Created, "2"),
    ];
    let mut known = Known::default();
    for meaning in &life {
        known = fold(Some(&known), meaning).known;
    }
    let posted = &known.posted[&Kind::Deposit];
    assert_eq!((posted.amounts.pending.to_string(), posted.has_moved()), ("2".to_owned(), false));
    assert_eq!(
        money::oddity(Kind::Unknown, &known.of(Some(Kind::Unknown))),
        Some(crate::model::Oddity::DirectionUnknown)
    );
    let last = fold(Some(&fold(Some(&fold(None, &life[0]).known), &life[1]).known), &life[2]);
    assert_eq!((last.effect, last.people), (Effect::Applied, People::Always));
}

#[test]
fn a_changed_hash_of_an_open_transaction_is_applied() {
    let with_hash = |hash: &str, at: i64| {
        let stamp = Stamp { rank: Step::Pending.rank(), at: Some(Moment::from_millis(at)) };
        let meaning = says(Step::Pending, "1");
        Meaning { facts: meaning.facts.field(Fact::Hash, stamp, Some(hash)), ..meaning }
    };
    let first = fold(None, &with_hash("f00d0a", 1));
    let second = fold(Some(&first.known), &with_hash("f00d0b", 2));
    assert_eq!((second.effect, second.why.as_str()), (Effect::Applied, "hash f00d0a became f00d0b"));
    assert_eq!(second.people, People::AsUsual);
}

#[test]
fn people_hear_of_the_first_proof_of_success_once() {
    let transaction = Transaction { uid: Some("u".to_owned()), ..Transaction::default() };
    let incoming = transaction.step_by_status(Kind::Deposit, Step::Success).unwrap();
    let named = transaction.step(Kind::Deposit, Step::Success).unwrap();
    let first = fold(None, &incoming);
    let second = fold(Some(&first.known), &named);
    assert_eq!((first.people, second.people), (People::Always, People::NotAgain));
}

#[test]
fn people_are_not_notified_of_every_call_of_a_contract() {
    let call = fold(None, &of_kind(Kind::Contract, Step::Success, "5"));
    assert_eq!((call.people, call.oddity()), (People::AsUsual, Some(Oddity::NotCounted)));
}

#[test]
fn an_unknown_word_changes_nothing() {
    let transaction =
        Transaction { uid: Some("u".to_owned()), amount: Some("9".to_owned()), ..Transaction::default() };
    let known = fold(None, &says(Step::Success, "1")).known;
    let folded = fold(Some(&known), &transaction.unknown_word(Kind::Deposit, "frobnicated").unwrap());
    assert_eq!((folded.effect, folded.notified), (Effect::None, true));
    assert_eq!(folded.known, known);
}

#[test]
fn many_spellings_and_many_values_resolve_no_contradiction() {
    let mut amounts = vec!["1".to_owned()];
    amounts.extend((1..9).map(|zeros| format!("9.{}", "0".repeat(zeros))));
    amounts.extend((20..40).map(|number| number.to_string()));
    let mut known = Known::default();
    for (number, amount) in amounts.iter().enumerate() {
        let folded = fold(Some(&known), &says(Step::Success, amount));
        let expected = match number {
            0 => Effect::Applied,
            2..9 => Effect::Repeat,
            _ => Effect::Conflict,
        };
        assert_eq!(folded.effect, expected, "{amount}");
        assert_eq!(received(&folded.known).is_some(), number == 0);
        known = folded.known;
    }
}

fn any_event() -> impl Strategy<Value = Meaning> {
    (prop::sample::select(Kind::ALL.to_vec()), prop::sample::select(Step::ALL.to_vec()), 1_u8..4)
        .prop_map(|(kind, step, amount)| of_kind(kind, step, &amount.to_string()))
}

proptest! {
    #[test]
    fn every_order_of_kinds_ends_in_the_same_state(
        mut events in prop::collection::vec(any_event(), 1..8),
        seed in any::<u64>(),
    ) {
        let state = |events: &[Meaning]| {
            events.iter().fold(Known::default(), |known, meaning| fold(Some(&known), meaning).known)
        };
        let ordered = state(&events);
        prop_assert_eq!(&ordered, &ordered.clone().settled());
        fastrand::Rng::with_seed(seed).shuffle(&mut events);
        prop_assert_eq!(ordered, state(&events));
    }

    #[test]
    fn every_order_ends_in_the_same_state(
        mut events in prop::collection::vec((prop::sample::select(Step::ALL.to_vec()), 1_u8..4), 1..8),
        seed in any::<u64>(),
    ) {
        let state = |events: &[(Step, u8)]| {
            events.iter().fold(Known::default(), |known, (step, amount)| {
                fold(Some(&known), &says(*step, &amount.to_string())).known
            })
        };
        let ordered = state(&events);
        let doubled: Vec<_> = events.iter().chain(&events).copied().collect();
        prop_assert_eq!(&ordered, &state(&doubled));
        fastrand::Rng::with_seed(seed).shuffle(&mut events);
        prop_assert_eq!(ordered, state(&events));
    }
}
