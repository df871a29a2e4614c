//! Which events an endpoint wants: in the words of the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fold::Effect;
use crate::model::notification::{Attribute, COUNTED, FIAT_AMOUNT};
use crate::model::{Decimal, Family, words};
use crate::names::{UnknownName, in_any_case};

/// What an endpoint wants. Of each word one of the values, of all words all; an empty one wants everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointFilter {
    /// Families.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub family: Vec<Family>,
    /// Types, in lower case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event: Vec<String>,
    /// Effects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effect: Vec<Effect>,
    /// Statuses, in lower case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<String>,
    /// Assets, in any case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asset: Vec<String>,
    /// Chains, in any case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// Only what moved money.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub counted: bool,
    /// The least amount in US dollars. What says no amount in US dollars passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least: Option<Decimal>,
}

/// A filter is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A word, or a value, is unknown.
    #[error("{}", .unknown.about(.given))]
    Unknown {
        /// What was given.
        given: String,
        /// What is known.
        unknown: UnknownName,
    },
    /// Bitpowr documents no such type or status.
    #[error("{} Set `unlisted` to accept it.", .unknown.about(.given))]
    Unlisted {
        /// What was given.
        given: String,
        /// What is documented.
        unknown: UnknownName,
    },
    /// A value has another form.
    #[error("`{0}` is {1}.")]
    Form(&'static str, &'static str),
}

impl EndpointFilter {
    /// The words, in their order.
    pub const WORDS: [&'static str; 8] =
        ["family", "event", "effect", "status", "asset", "chain", "counted", "least"];

    /// Reads a filter. `unlisted`: types and statuses that Bitpowr does not document are accepted.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn read(given: &Map<String, Value>, unlisted: bool) -> Result<Self, FilterError> {
        if let Some(unknown) = given.keys().find(|word| !Self::WORDS.contains(&word.as_str())) {
            return Err(FilterError::Unknown {
                given: unknown.clone(),
                unknown: UnknownName::new("word of a filter", unknown, Self::WORDS),
            });
        }
        let texts = |word| texts(given, word);
        let listed = |given: String, known: Option<UnknownName>| match known {
            Some(unknown) if !unlisted => Err(FilterError::Unlisted { given, unknown }),
            _ => Ok(given.to_lowercase()),
        };
        let event = |given: String| {
            let unknown = words::event(&given).err();
            listed(given, unknown)
        };
        let status = |given: String| {
            let unknown = words::status(&given).err();
            listed(given, unknown)
        };
        let counted = match given.get("counted") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(counted)) => *counted,
            Some(_) => return Err(FilterError::Form("counted", "true or false")),
        };
        let least = match given.get("least") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) => Some(String::new()),
        };
        let least = least.map(|text| Decimal::read(&text)).transpose();
        Ok(Self {
            family: named(texts("family")?)?,
            event: texts("event")?.into_iter().map(event).collect::<Result<_, _>>()?,
            effect: named(texts("effect")?)?,
            status: texts("status")?.into_iter().map(status).collect::<Result<_, _>>()?,
            asset: texts("asset")?,
            chain: texts("chain")?,
            counted,
            least: least
                .map_err(|_| FilterError::Form("least", "an amount in US dollars, like \"100.50\""))?,
        })
    }

    /// Whether a notification with these attributes is wanted.
    pub fn accepts(&self, attributes: &BTreeMap<String, Attribute>) -> bool {
        let text = |name: &str| match attributes.get(name) {
            Some(Attribute::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let one_of = |name: &str, wanted: Vec<&str>| {
            wanted.is_empty()
                || text(name).is_some_and(|text| wanted.iter().any(|one| one.eq_ignore_ascii_case(text)))
        };
        let enough = |least: &Decimal| match attributes.get(FIAT_AMOUNT) {
            Some(Attribute::Number(text)) => Decimal::read(text).is_ok_and(|amount| amount >= *least),
            _ => true,
        };
        one_of("family", self.family.iter().map(|family| family.as_str()).collect())
            && one_of("effect", self.effect.iter().map(|effect| effect.as_str()).collect())
            && one_of("event", self.event.iter().map(String::as_str).collect())
            && one_of("status", self.status.iter().map(String::as_str).collect())
            && one_of("asset", self.asset.iter().map(String::as_str).collect())
            && one_of("chain", self.chain.iter().map(String::as_str).collect())
            && (!self.counted || text(COUNTED).is_some())
            && self.least.as_ref().is_none_or(enough)
    }
}

/// The values of a word: a text, or a list of texts.
fn texts(given: &Map<String, Value>, word: &'static str) -> Result<Vec<String>, FilterError> {
    /// More values of one word are not needed.
    const MOST: usize = 100;
    let form = || FilterError::Form(word, "a text, or a list of 1 to 100 texts of at most 256 bytes");
    let text = |value: &Value| match value {
        Value::String(text) if (1..=256).contains(&text.len()) => Ok(text.clone()),
        _ => Err(form()),
    };
    match given.get(word) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) if values.len() <= MOST => values.iter().map(text).collect(),
        Some(Value::Array(_)) => Err(form()),
        Some(value) => Ok(vec![text(value)?]),
    }
}

fn named<T: std::str::FromStr<Err = UnknownName>>(given: Vec<String>) -> Result<Vec<T>, FilterError> {
    let read = |given: String| in_any_case(&given).map_err(|unknown| FilterError::Unknown { given, unknown });
    given.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(filter: &Value) -> Result<EndpointFilter, String> {
        EndpointFilter::read(filter.as_object().unwrap(), false).map_err(|error| error.to_string())
    }

    fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, Attribute> {
        let attribute = |(name, value): &(&str, &str)| {
            let value = (*value).to_owned();
            let number = *name == FIAT_AMOUNT;
            ((*name).to_owned(), if number { Attribute::Number(value) } else { Attribute::String(value) })
        };
        pairs.iter().map(attribute).collect()
    }

    #[test]
    fn wrong_words_are_refused_and_the_nearest_named() {
        for (filter, says) in [
            (json!({ "familly": "deposits" }), "Unknown word of a filter familly: did you mean family?"),
            (json!({ "family": "depsits" }), "Unknown family depsits: did you mean deposits?"),
            (json!({ "effect": ["applied", "aplied"] }), "Unknown effect aplied: did you mean applied?"),
            (
                json!({ "event": "deposit.success" }),
                "Unknown event type deposit.success: did you mean transaction.deposit.success? Set `unlisted` to accept it.",
            ),
            (
                json!({ "status": "sucess" }),
                "Unknown status sucess: did you mean success? Set `unlisted` to accept it.",
            ),
            (json!({ "counted": "yes" }), "`counted` is true or false."),
            (json!({ "least": "much" }), "`least` is an amount in US dollars, like \"100.50\"."),
            (json!({ "asset": [1] }), "`asset` is a text, or a list of 1 to 100 texts of at most 256 bytes."),
        ] {
            assert_eq!(read(&filter).unwrap_err(), says);
        }
        let unlisted = json!({ "event": "Wallets.Teleported", "status": "teleported" });
        let filter = EndpointFilter::read(unlisted.as_object().unwrap(), true).unwrap();
        assert_eq!(filter.event, ["wallets.teleported"]);
    }

    #[test]
    fn of_each_word_one_value_and_of_all_words_all() {
        let filter =
            read(&json!({ "family": ["deposits", "transfers"], "asset": "btc", "least": 100 })).unwrap();
        let deposit = [("family", "deposits"), ("asset", "BTC")];
        assert!(filter.accepts(&attributes(&deposit)));
        assert!(!filter.accepts(&attributes(&[("family", "accounts"), ("asset", "BTC")])));
        assert!(!filter.accepts(&attributes(&[("family", "deposits")])));
        let worth = |fiat| attributes(&[deposit[0], deposit[1], (FIAT_AMOUNT, fiat)]);
        assert!(filter.accepts(&worth("100")) && !filter.accepts(&worth("99.99")));
        assert!(EndpointFilter::default().accepts(&BTreeMap::new()));
    }

    #[test]
    fn only_what_moved_money() {
        let filter = read(&json!({ "counted": true })).unwrap();
        assert!(filter.accepts(&attributes(&[(COUNTED, "true")])));
        assert!(!filter.accepts(&attributes(&[("status", "success")])));
    }

    #[test]
    fn a_filter_is_read_back_as_it_was() {
        let filter = read(&json!({ "family": "deposits", "counted": true, "least": "0.10" })).unwrap();
        let json = serde_json::to_value(&filter).unwrap();
        assert_eq!(json, json!({ "family": ["deposits"], "counted": true, "least": "0.1" }));
        assert_eq!(serde_json::from_value::<EndpointFilter>(json).unwrap(), filter);
    }
}
