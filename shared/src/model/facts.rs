//! What is known of an entity: facts that join in any order.
//!
//! Every event adds facts. Joining is commutative, associative and idempotent, so the state of an entity is a
//! function of the *set* of its events: every order, repetition and interleaving ends in the same state. Limits keep
//! that: what they cut off is the same in every order, and that something was cut off is a fact itself.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::amount::Decimal;
use crate::clock::Moment;

crate::names! {
    /// What can be known of an entity. The names are those of the state's fields.
    "fact" Fact {
        /// How much, in units of the asset, as it was written.
        Amount "amount";
        /// The asset's type: `BTC`, `USDT_TRON` …
        Asset "asset";
        /// The asset's identifier: stands in for a type that nobody named.
        AssetId "asset_id";
        /// The account.
        AccountId "account_id";
        /// The wallet: stands in for a missing account.
        WalletId "wallet_id";
        /// The sub-account: stands in for a missing account and wallet.
        SubAccountId "sub_account_id";
        /// What the chain took.
        Fee "fee";
        /// The amount in US dollars.
        DollarAmount "dollar_amount";
        /// `BITCOIN`, `TRON` …
        Chain "chain";
        /// The transaction's hash on its chain.
        Hash "hash";
        /// The customer it concerns.
        Customer "customer";
        /// Where money goes, or the address itself.
        Address "address";
        /// Where money comes from …
        FromAddress "from_address";
        /// … under its other name.
        SenderAddress "sender_address";
        /// The customer's own reference.
        Reference "reference";
        /// The key that the customer set so that the transaction is made once.
        IdempotencyKey "idempotency_key";
        /// What tells customers apart where an address is shared.
        Memo "memo";
        /// The customer's own identifier.
        ExternalId "external_id";
        /// The label of the address, of the asset.
        Label "label";
        /// Why it failed.
        Error "error";
        /// The account's or the customer's name.
        Name "name";
        /// The account's type.
        Type "type";
        /// The currency in which an account is valued.
        FiatCurrency "fiat_currency";
        /// The most that an account may send a day.
        MaxDailyAmount "max_daily_amount";
        /// Where an account may send to.
        WhiteListAddresses "white_list_addresses";
        /// Whether an account is frozen.
        Frozen "frozen";
        /// Whether an account or an asset is archived.
        Archived "archived";
        /// Whether an address was used.
        Used "used";
        /// Where an asset forwards what it gets.
        AutoForwardAddress "auto_forward_address";
        /// Whether an asset is a contract.
        Contract "contract";
        /// A customer's e-mail address.
        Email "email";
        /// A customer's phone number.
        Phone "phone";
        /// How many blocks confirm a transaction: a number that only grows.
        Confirmations "confirmations";
        /// The steps that events announced by their very name: a set.
        Announced "announced";
        /// The flags that were raised: a set.
        Flags "flags";
        /// The addresses that were attached: a set.
        Addresses "addresses";
        /// Where a batch goes: a set.
        Recipients "recipients";
    }
}

impl Fact {
    fn is_amount(self) -> bool {
        matches!(self, Self::Amount | Self::Fee | Self::DollarAmount | Self::MaxDailyAmount)
    }

    /// What is equal of two values that mean the same: spellings of one number, letter cases of one hexadecimal.
    fn same(self, value: &str) -> Cow<'_, str> {
        match self {
            _ if self.is_amount() => Decimal::spelling(value).map_or(Cow::Borrowed(value), Cow::Owned),
            Self::Hash | Self::Address | Self::FromAddress | Self::SenderAddress | Self::Recipients => {
                hexadecimal(value)
            }
            _ => Cow::Borrowed(value),
        }
    }

    /// A value as it is followed: of bounded length, and one of two that differ stays different.
    fn bounded(self, value: &str) -> String {
        let number = Some(value).filter(|value| value.len() > MAX_TEXT && self.is_amount());
        match number.and_then(Decimal::spelling).filter(|spelling| spelling.len() <= MAX_TEXT) {
            Some(spelling) => Decimal::read(value).map_or(spelling, |amount| amount.to_string()),
            None => shorten(value),
        }
    }
}

/// Hexadecimal (`0x…`) in lower case; everything else as it is. Addresses of other chains have a case that matters.
pub fn hexadecimal(value: &str) -> Cow<'_, str> {
    let digits = value.strip_prefix("0x").or_else(|| value.strip_prefix("0X"));
    match digits {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Cow::Owned(value.to_ascii_lowercase())
        }
        _ => Cow::Borrowed(value),
    }
}

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

/// The latest word on one field. Several values with one stamp contradict each other: all are kept, up to a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// When it was said.
    pub stamp: Stamp,
    /// What was said; never empty. Of the spellings of one value, one.
    pub values: BTreeSet<String>,
    /// Whether there were more values than are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Register {
    fn new(stamp: Stamp, value: String) -> Self {
        Self { stamp, values: BTreeSet::from([value]), more: false }
    }

    /// The value, and where several contradict each other the last in the order of their texts.
    pub fn value(&self) -> &str {
        self.values.last().map_or("", String::as_str)
    }

    /// Whether it has more than one value.
    pub fn is_contradicted(&self) -> bool {
        self.values.len() > 1
    }

    /// Whether a word of the same stamp adds a value that is not among those that are kept.
    fn is_contradicted_anew_by(&self, fact: Fact, word: &Self) -> bool {
        let kept: BTreeSet<_> = self.values.iter().map(|value| fact.same(value)).collect();
        self.stamp == word.stamp && word.values.iter().any(|value| !kept.contains(&fact.same(value)))
    }

    fn join(&mut self, fact: Fact, other: Self) {
        match self.stamp.cmp(&other.stamp) {
            std::cmp::Ordering::Less => *self = other,
            std::cmp::Ordering::Equal if self.values == other.values => self.more |= other.more,
            std::cmp::Ordering::Equal => {
                let mut spellings: BTreeMap<String, String> = BTreeMap::new();
                for value in std::mem::take(&mut self.values).into_iter().chain(other.values) {
                    let kept = spellings.entry(fact.same(&value).into_owned()).or_default();
                    *kept = value.max(std::mem::take(kept));
                }
                self.more |= other.more || spellings.len() > MAX_VALUES;
                while spellings.len() > MAX_VALUES {
                    spellings.pop_first();
                }
                self.values = spellings.into_values().collect();
            }
            std::cmp::Ordering::Greater => {}
        }
    }
}

/// The longest text that is followed, in bytes. Longer ones are cut; the body keeps them whole. It bounds the
/// items: DynamoDB takes 400 KB, a queue's body may have 128 KiB in a single field.
const MAX_TEXT: usize = 1024;

/// The most values that one register follows, and the most members of a set. Of more, the last in order are
/// kept: whatever is joined first, the same ones.
const MAX_VALUES: usize = 8;
const MAX_MEMBERS: usize = 128;

/// What stands where a text was cut off.
pub(crate) const CUT: char = '…';

/// A text of at most 1024 bytes. What is cut off is marked and stands for itself by the start of its SHA-256, so that two
/// texts that differ stay different.
pub(crate) fn shorten(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let hash: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let end = format!("{CUT}{hash}");
    let fits = |(start, c): &(usize, char)| start + c.len_utf8() <= MAX_TEXT - end.len();
    let mut kept: String = text.char_indices().take_while(fits).map(|(_, c)| c).collect();
    kept.push_str(&end);
    kept
}

/// A set of facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What has happened: the life-cycle steps seen.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub steps: BTreeSet<String>,
    /// Fields of the object: the latest word counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<Fact, Register>,
    /// Numbers that only grow: confirmations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<Fact, u64>,
    /// Sets that only grow: flags, attached addresses (the last 128 of their order).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<Fact, BTreeSet<String>>,
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
    pub fn field(mut self, fact: Fact, stamp: Stamp, value: Option<impl AsRef<str>>) -> Self {
        if let Some(value) = value {
            self.fields.insert(fact, Register::new(stamp, fact.bounded(value.as_ref())));
        }
        self
    }

    /// Adds a count.
    #[must_use]
    pub fn count(mut self, fact: Fact, count: Option<u64>) -> Self {
        if let Some(count) = count {
            self.counts.insert(fact, count);
        }
        self
    }

    /// Adds a member to a set.
    #[must_use]
    pub fn member(mut self, set: Fact, member: Option<impl AsRef<str>>) -> Self {
        if let Some(member) = member {
            self.members.entry(set).or_default().insert(shorten(member.as_ref()));
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
        for (fact, register) in other.fields {
            match self.fields.get_mut(&fact) {
                Some(mine) => mine.join(fact, register),
                None => {
                    self.fields.insert(fact, register);
                }
            }
        }
        for (fact, count) in other.counts {
            let mine = self.counts.entry(fact).or_default();
            *mine = count.max(*mine);
        }
        for (fact, members) in other.members {
            let mine = self.members.entry(fact).or_default();
            mine.extend(members);
            while mine.len() > MAX_MEMBERS {
                mine.pop_first();
            }
        }
        self.updated_at = self.updated_at.max(other.updated_at);
        self
    }

    /// The latest word on a field.
    pub fn get(&self, fact: Fact) -> Option<&str> {
        self.fields.get(&fact).map(Register::value)
    }

    /// The steps of a transaction that events announced by their very name.
    pub fn announced(&self) -> BTreeSet<&str> {
        self.set(Fact::Announced).collect()
    }

    /// Whether the latest word on a field is `true`.
    pub fn is(&self, fact: Fact) -> bool {
        self.get(fact) == Some("true")
    }

    /// The members of a set.
    pub fn set(&self, fact: Fact) -> impl Iterator<Item = &str> {
        self.members.get(&fact).into_iter().flatten().map(String::as_str)
    }

    /// The values of a field, spelled one way.
    pub fn said(&self, fact: Fact) -> BTreeSet<Cow<'_, str>> {
        let values = self.fields.get(&fact).map(|register| &register.values);
        values.into_iter().flatten().map(|value| fact.same(value)).collect()
    }

    /// Whether an event says of a field another value than is kept, and nothing shows which is the later word.
    pub fn is_contradicted_by(&self, event: &Self, fact: Fact) -> bool {
        let both = self.fields.get(&fact).zip(event.fields.get(&fact));
        both.is_some_and(|(mine, word)| mine.is_contradicted_anew_by(fact, word))
    }

    /// Whether a newer and different word is known on any field.
    pub fn overtaken_by(&self, known: &Self) -> bool {
        self.fields.iter().any(|(fact, mine)| {
            known
                .fields
                .get(fact)
                .is_some_and(|theirs| theirs.stamp > mine.stamp && theirs.values != mine.values)
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::Oddity;
    use proptest::prelude::*;

    pub(crate) fn any_facts() -> impl Strategy<Value = Facts> {
        let step = prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
        let fact = || prop::sample::select(vec![Fact::Amount, Fact::Hash, Fact::Label]);
        let stamp = (0_u16..3, prop::option::of(0_i64..3))
            .prop_map(|(rank, at)| Stamp { rank, at: at.map(Moment::from_millis) });
        // Spellings of few numbers and of few hexadecimals, and enough of both to be cut.
        let value = prop_oneof!["[1-9]", "[1-6]\\.0{1,2}", "0x[aAbB]{2}", "[xyz]"];
        let register = (stamp, prop::collection::vec((fact(), value), 0..12)).prop_map(|(stamp, values)| {
            let mut register: BTreeMap<Fact, Register> = BTreeMap::new();
            for (fact, value) in values {
                let word = Register::new(stamp, value);
                register.entry(fact).and_modify(|known| known.join(fact, word.clone())).or_insert(word);
            }
            register
        });
        (
            prop::collection::btree_set(step.clone(), 0..3),
            register,
            prop::collection::btree_map(fact(), 0_u64..5, 0..3),
            prop::collection::btree_map(fact(), prop::collection::btree_set(step, 1..3), 0..2),
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
    fn an_amount_of_any_length_has_its_mark() {
        let marked = |text: &str| Decimal::read(&Fact::Amount.bounded(text)).map(|amount| amount.to_string());
        let (ones, zeros) = ("1".repeat(2000), "0".repeat(2000));
        assert_eq!(marked(&format!("1.{zeros}")), Ok("1".to_owned()));
        assert_eq!(marked(&format!("-1.{zeros}")), Err(Oddity::Negative));
        for long in
            [format!("1{zeros}"), ones.clone(), format!("-{ones}"), format!("0.{ones}"), format!("1e{ones}")]
        {
            assert_eq!(marked(&long), Err(Oddity::TooLong), "{long}");
        }
        assert_eq!(marked(&format!("1,{zeros}")), Err(Oddity::NotANumber));
        assert_ne!(Fact::Amount.bounded(&ones), Fact::Amount.bounded(&format!("{ones}1")));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shorten(&"x".repeat(1024)), "x".repeat(1024));
        let cut = shorten(&"ü".repeat(600));
        assert!(cut.len() <= 1024 && cut.contains("ü…"));
    }

    #[test]
    fn two_accounts_that_begin_alike_are_two() {
        let account = |end: &str| shorten(&format!("{}{end}", "a".repeat(1100)));
        assert_ne!(account("1"), account("2"));
        assert_eq!(account("1"), account("1"));
    }

    fn amounts(texts: &[&str]) -> Facts {
        texts.iter().fold(Facts::default(), |known, text| {
            known.join(Facts::default().field(Fact::Amount, Stamp::default(), Some(text)))
        })
    }

    #[test]
    fn a_contradiction_is_not_resolved_by_many_spellings_of_one_value() {
        let texts = ["1", "9.0", "9.00", "9.000", "9.0000", "9.00000", "9.000000", "9.0000000", "9.00000000"];
        let known = amounts(&texts);
        assert_eq!(known.said(Fact::Amount).len(), 2);
        let mut reversed = texts;
        reversed.reverse();
        assert_eq!(known, amounts(&reversed));
    }

    #[test]
    fn of_many_values_it_is_remembered_that_some_were_cut_off() {
        let texts: Vec<String> = (1..20).map(|number| number.to_string()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let known = amounts(&texts);
        let register = &known.fields[&Fact::Amount];
        assert!(register.more && register.is_contradicted());
        let cut = Facts::default().field(Fact::Amount, Stamp::default(), Some("1"));
        assert!(known.is_contradicted_by(&cut, Fact::Amount));
        assert_eq!(known.clone().join(cut), known);
    }

    #[test]
    fn sets_are_bounded_to_the_same_members_in_any_order() {
        let address = |number: u32| Facts::default().member(Fact::Addresses, Some(format!("{number:04}")));
        let forwards = (0..300).fold(Facts::default(), |known, number| known.join(address(number)));
        let backwards = (0..300).rev().fold(Facts::default(), |known, number| known.join(address(number)));
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.set(Fact::Addresses).count(), MAX_MEMBERS);
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
