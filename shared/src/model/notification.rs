//! Notifications: a text for people, JSON and filter attributes for programs. It is rendered once, when the
//! event is applied, and stored with it; `notify` only sends.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::amount::{Decimal, Oddity};
use super::catalogue::Family;
use super::entity::{EntityRef, Kind};
use super::ids::{Account, Asset, EventId};
use super::money::{Amounts, Posting};
use crate::clock::Moment;
use crate::environment::Environment;
use crate::fold::Effect;

/// What a family says to people about one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// The subject of an e-mail: printable ASCII, less than 100 characters (Amazon SNS, API reference, Publish).
    pub subject: String,
    /// The text of an e-mail.
    pub text: String,
    /// A short message: at most 140 characters of the GSM-7 alphabet, so that it is one SMS.
    pub sms: String,
}

impl Words {
    /// Brings the texts into the form that their protocols take.
    pub fn new(subject: &str, text: &str, sms: &str) -> Self {
        Self { subject: shorten(&ascii(subject), 99), text: text.to_owned(), sms: shorten(&gsm(sms), 140) }
    }
}

/// Who should hear of an event type, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// People and programs: somebody wants to know, or has to act.
    People(&'static str),
    /// Programs only.
    Programs(&'static str),
}

/// An attribute that subscribers can filter by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
pub enum Attribute {
    /// Compared as text.
    String(String),
    /// Compared as a number: between −10⁹ and 10⁹ with at most five decimals (Amazon SNS, developer guide,
    /// "Numeric value matching").
    Number(String),
    /// Several texts: one that is wanted is enough (Amazon SNS, developer guide, "String.Array").
    Strings(Vec<String>),
}

/// The attribute with the amount in US dollars.
pub const FIAT_AMOUNT: &str = "fiat_amount";

/// The attribute of what moved money.
pub const COUNTED: &str = "counted";

/// What programs get: JSON, the same to endpoints and to topics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "Notification"))]
pub struct ForPrograms {
    /// The event's type, in lower case, or `correction`; the name that Standard Webhooks has for it.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it happened; the name that Standard Webhooks has for it.
    pub timestamp: Moment,
    /// The event's id: the key to recognise what comes twice. Of a correction the id of the action.
    pub id: EventId,
    /// Bitpowr's environment.
    pub environment: Environment,
    /// The event's type once more.
    pub event: String,
    /// The event's family.
    pub family: Family,
    /// What the event is about; null where its object has no identifier.
    pub entity: Option<EntityRef>,
    /// For a transaction the kind as which the event counts; otherwise null.
    pub kind: Option<Kind>,
    /// What the event did.
    pub effect: Effect,
    /// The reason for the effect, in words.
    pub why: String,
    /// The event's own status: `created`, `success`, `aml_flagged` …
    pub status: String,
    /// Whether the events of its entity contradict each other.
    pub conflict: bool,
    /// Why the money that it speaks of counts for nothing; null where it counts, or where there is none.
    pub oddity: Option<Oddity>,
    /// One sentence for people.
    pub subject: Option<String>,
    /// How much, in units of the asset, with every digit.
    pub amount: Option<String>,
    /// The asset: its type, else its identifier.
    pub asset: Option<String>,
    /// The account that it counts for.
    pub account: Option<String>,
    /// The sub-account.
    pub sub_account: Option<String>,
    /// The customer.
    pub customer: Option<String>,
    /// The customer's own reference.
    pub reference: Option<String>,
    /// What tells customers apart where an address is shared.
    pub memo: Option<String>,
    /// The transaction's hash on its chain.
    pub hash: Option<String>,
    /// Where the money goes, or the address itself.
    pub address: Option<String>,
    /// Where the money comes from.
    pub from_address: Option<String>,
    /// The label of the address.
    pub label: Option<String>,
    /// The customer's own identifier.
    pub external_id: Option<String>,
    /// The key that the customer set so that the transaction is made once.
    pub idempotency_key: Option<String>,
    /// Where a batch goes.
    pub recipients: Vec<String>,
    /// What this event moved: an entry for each column of a balance; empty where it moved nothing.
    pub counted: Vec<Counted>,
    /// All that the uid of `entity` counts now.
    pub counts: Counts,
    /// When it happened, as the object says; otherwise when it was received.
    pub occurred_at: Moment,
    /// When the first delivery of the event was received.
    pub received_at: Moment,
    /// When the event was applied.
    pub recorded_at: Moment,
    /// The object, as Bitpowr sent it; of more than 32 KiB a reference to it: `{"event_id": …}`. Its amounts may be numbers:
    /// read them as exact decimals.
    #[cfg_attr(test, schemars(with = "Map<String, Value>"))]
    pub data: Value,
    /// Only in a notification that was resent on request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Resend"))]
    pub resend: Option<Resend>,
}

/// By which action a notification was sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Resend {
    /// The action's id.
    pub id: String,
    /// When it was requested.
    pub at: Moment,
}

/// What an event moved in one column of a balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Counted {
    /// The account.
    pub account: Account,
    /// The asset.
    pub asset: Asset,
    /// The column: `received`, `sent`, `fees` or `pending`.
    #[cfg_attr(test, schemars(extend("enum" = ["received", "sent", "fees", "pending"])))]
    pub field: String,
    /// What was added; below zero where it was taken away.
    pub change: Decimal,
}

impl Counted {
    /// The columns that changes move.
    pub fn of(changes: &[(Kind, Posting)]) -> Vec<Self> {
        let of = |Posting { account, asset, amounts }: &Posting| {
            let counted = |(field, change): (&str, &Decimal)| Self {
                account: account.clone(),
                asset: asset.clone(),
                field: field.to_owned(),
                change: change.clone(),
            };
            amounts.columns().map(counted).collect::<Vec<_>>()
        };
        changes.iter().flat_map(|(_, posting)| of(posting)).collect()
    }
}

/// All that a uid counts. Keep the one of the highest version for each uid, and book the difference to what you booked:
/// then your books are right, whatever is lost, repeated or out of order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Counts {
    /// Grows with each event of the uid, and with each correction.
    pub version: u64,
    /// What the transaction counts, by its kind: an internal transfer is a deposit and a transfer.
    pub lines: Vec<CountLine>,
}

/// What a transaction of one kind counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CountLine {
    /// The kind.
    pub kind: Kind,
    /// The account.
    pub account: Account,
    /// The asset.
    pub asset: Asset,
    /// What it has received.
    pub received: Decimal,
    /// What it has sent.
    pub sent: Decimal,
    /// The fees of what it has sent.
    pub fees: Decimal,
    /// What it is still to receive.
    pub pending: Decimal,
}

impl Counts {
    /// What has been posted, as of a version of the state.
    pub fn of(version: u64, posted: &BTreeMap<Kind, Posting>) -> Self {
        let line = |(kind, posting): (&Kind, &Posting)| {
            let Posting { account, asset, amounts } = posting.clone();
            let Amounts { received, sent, fees, pending } = amounts;
            CountLine { kind: *kind, account, asset, received, sent, fees, pending }
        };
        Self { version, lines: posted.iter().map(line).collect() }
    }
}

/// A rendered notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// For people, if they want to hear of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<Words>,
    /// For programs: JSON; none where it is about no event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programs: Option<String>,
    /// The only endpoint that gets it; nobody else does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// For filters.
    pub attributes: BTreeMap<String, Attribute>,
}

impl Notification {
    /// The version of the counts that it carries.
    pub fn version(&self) -> Option<u64> {
        let programs: Value = serde_json::from_str(self.programs.as_deref()?).ok()?;
        programs.pointer("/counts/version")?.as_u64()
    }

    /// The same, which says that it was sent before; to everybody, or to one endpoint only.
    ///
    /// # Errors
    /// Where what it says to programs is no JSON object.
    pub fn again(&self, id: &str, at: Moment, endpoint: Option<String>) -> Result<Self, serde_json::Error> {
        let mut programs: Map<String, Value> =
            serde_json::from_str(self.programs.as_deref().unwrap_or("{}"))?;
        let resend = Resend { id: id.to_owned(), at };
        programs.insert("resend".to_owned(), serde_json::to_value(resend)?);
        let mut attributes = self.attributes.clone();
        attributes.insert("resend".to_owned(), Attribute::String("true".to_owned()));
        let people = self.people.as_ref().filter(|_| endpoint.is_none());
        let people = people.map(|Words { subject, text, sms }| {
            let text = format!("You got this message before; it was sent again on request.\n\n{text}");
            Words::new(&format!("Again: {subject}"), &text, &format!("Again: {sms}"))
        });
        Ok(Self { people, programs: Some(serde_json::to_string(&programs)?), endpoint, attributes })
    }
}

/// The attributes that have a value that an attribute can carry; the others are left out.
pub fn attributes<'a>(
    texts: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    fiat_amount: Option<&str>,
) -> BTreeMap<String, Attribute> {
    let texts = texts.into_iter().filter_map(|(name, value)| {
        let value = value
            .filter(|value| (1..=256).contains(&value.len()) && value.chars().all(|c| !c.is_control()))?;
        Some((name.to_owned(), Attribute::String(value.to_owned())))
    });
    let fiat =
        fiat_amount.and_then(|text| Decimal::read(text).ok()).and_then(|amount| amount.in_attribute_range());
    let fiat = fiat.map(|amount| (FIAT_AMOUNT.to_owned(), Attribute::Number(amount)));
    texts.chain(fiat).collect()
}

/// The attributes of several notifications together: who wants one of them wants them all.
pub fn united<'a>(
    all: impl IntoIterator<Item = &'a BTreeMap<String, Attribute>>,
) -> BTreeMap<String, Attribute> {
    let mut texts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut greatest: BTreeMap<&str, (Decimal, &str)> = BTreeMap::new();
    for (name, attribute) in all.into_iter().flatten() {
        match attribute {
            Attribute::String(text) => {
                texts.entry(name).or_default().insert(text);
            }
            Attribute::Strings(several) => {
                texts.entry(name).or_default().extend(several.iter().map(String::as_str));
            }
            Attribute::Number(text) => {
                let Ok(number) = Decimal::read(text) else { continue };
                if greatest.get(name.as_str()).is_none_or(|(most, _)| number > *most) {
                    greatest.insert(name, (number, text));
                }
            }
        }
    }
    let texts = texts.into_iter().map(|(name, texts)| {
        let texts = texts.into_iter().map(str::to_owned).collect();
        (name.to_owned(), Attribute::Strings(texts))
    });
    let numbers =
        greatest.into_iter().map(|(name, (_, text))| (name.to_owned(), Attribute::Number(text.to_owned())));
    texts.chain(numbers).collect()
}

/// Printable ASCII; what is neither becomes a question mark, a line break a space.
fn ascii(text: &str) -> String {
    text.replace('…', "...")
        .chars()
        .map(|c| match c {
            ' '..='~' => c,
            c if c.is_whitespace() => ' ',
            _ => '?',
        })
        .collect()
}

/// The part of the GSM-7 alphabet (3GPP TS 23.038, section 6.2.1) that is also ASCII and takes one septet.
fn gsm(text: &str) -> String {
    ascii(text)
        .chars()
        .map(|c| match c {
            '[' | '{' => '(',
            ']' | '}' => ')',
            '\\' | '|' => '/',
            '~' => '-',
            '`' => '\'',
            '^' => '?',
            c => c,
        })
        .collect()
}

/// At most `length` characters of ASCII.
fn shorten(ascii: &str, length: usize) -> String {
    if ascii.len() <= length {
        return ascii.to_owned();
    }
    let kept: String = ascii.chars().take(length.saturating_sub(3)).collect();
    kept + "..."
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn attributes_without_a_usable_value_are_left_out() {
        let long = "x".repeat(257);
        let found = attributes(
            [("asset", Some("BTC")), ("chain", None), ("a", Some("")), ("b", Some(&long))],
            Some("1,5"),
        );
        assert_eq!(found, BTreeMap::from([("asset".to_owned(), Attribute::String("BTC".to_owned()))]));
    }

    #[test]
    fn notifications_together_are_for_all_who_want_one_of_them() {
        let one = attributes([("asset", Some("BTC")), ("status", Some("success"))], Some("9"));
        let other = attributes([("asset", Some("ETH")), ("status", Some("success"))], Some("10.5"));
        let strings =
            |texts: &[&str]| Attribute::Strings(texts.iter().map(|&text| text.to_owned()).collect());
        let expected = BTreeMap::from([
            ("asset".to_owned(), strings(&["BTC", "ETH"])),
            ("fiat_amount".to_owned(), Attribute::Number("10.5".to_owned())),
            ("status".to_owned(), strings(&["success"])),
        ]);
        assert_eq!(united([&one, &other]), expected);
    }

    #[test]
    fn a_fiat_amount_is_a_number_within_the_range_of_filters() {
        let fiat = |text| attributes([], Some(text)).remove("fiat_amount");
        assert_eq!(fiat("1234.5678912"), Some(Attribute::Number("1234.56789".to_owned())));
        assert_eq!(fiat("1000000001"), None);
        assert_eq!(fiat("-5"), None);
    }

    proptest! {
        #[test]
        fn whatever_an_object_says_a_message_fits_its_protocol(subject in "\\PC{0,200}", sms in "(?s).{0,300}") {
            let words = Words::new(&subject, "", &sms);
            prop_assert!(words.subject.len() < 100 && words.subject.bytes().all(|byte| (32..127).contains(&byte)));
            prop_assert!(words.sms.len() <= 140);
            let gsm = |byte: u8| (32..127).contains(&byte) && !b"[]{}\\|~`^".contains(&byte);
            prop_assert!(words.sms.bytes().all(gsm));
        }
    }
}
