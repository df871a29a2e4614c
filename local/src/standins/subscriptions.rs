//! Who is notified: a protocol, an endpoint, and which notifications; and the table that keeps it.

use std::collections::BTreeMap;

use rusqlite::params;
use serde_json::{Map, Value, json};
use shared::model::amount::Decimal;
use shared::model::notification::Attribute;
use shared::names::UnknownName;

use super::database::{Database, DatabaseError};

shared::names! {
    /// How somebody is notified, by the name that Amazon SNS has for it.
    "protocol" Protocol {
        /// An e-mail to a person.
        Email "email";
        /// A short message to a person.
        Sms "sms";
        /// A POST to a program.
        Https "https";
    }
}

/// Which notifications somebody wants: as a filter policy of Amazon SNS (developer guide, "Subscription filter
/// policies"), of which it is the part that is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterPolicy {
    /// For each attribute the values of which it must have one.
    pub one_of: BTreeMap<String, Vec<String>>,
    /// The least amount in US dollars.
    pub least_fiat: Option<Decimal>,
}

/// The attribute with the amount in US dollars.
const FIAT: &str = "fiat_amount";

impl FilterPolicy {
    /// As Amazon SNS has it.
    pub fn to_json(&self) -> Value {
        let mut policy: Map<String, Value> =
            self.one_of.iter().map(|(name, values)| (name.clone(), json!(values))).collect();
        if let Some(least) = &self.least_fiat {
            let number: Value = serde_json::from_str(&least.to_string()).unwrap_or_default();
            policy.insert(FIAT.to_owned(), json!([{ "numeric": [">=", number] }]));
        }
        Value::Object(policy)
    }

    /// What [`FilterPolicy::to_json`] wrote.
    pub fn from_json(policy: &Value) -> Self {
        let mut read = Self::default();
        for (name, values) in policy.as_object().into_iter().flatten() {
            let texts = values.as_array().into_iter().flatten();
            if name == FIAT {
                let least = values.pointer("/0/numeric/1").map(Value::to_string);
                read.least_fiat = least.and_then(|text| Decimal::read(&text).ok());
            } else {
                let texts = texts.filter_map(Value::as_str).map(str::to_owned).collect();
                read.one_of.insert(name.clone(), texts);
            }
        }
        read
    }

    /// Whether a notification with these attributes is wanted.
    pub fn accepts(&self, attributes: &BTreeMap<String, Attribute>) -> bool {
        let has = |(name, wanted): (&String, &Vec<String>)| match attributes.get(name) {
            Some(Attribute::String(value)) => wanted.contains(value),
            Some(Attribute::Strings(values)) => values.iter().any(|value| wanted.contains(value)),
            Some(Attribute::Number(_)) | None => false,
        };
        let enough = |least: &Decimal| match attributes.get(FIAT) {
            Some(Attribute::Number(text)) => Decimal::read(text).is_ok_and(|amount| amount >= *least),
            _ => false,
        };
        self.one_of.iter().all(has) && self.least_fiat.as_ref().is_none_or(enough)
    }
}

/// Somebody who is notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// How.
    pub protocol: Protocol,
    /// Where.
    pub endpoint: String,
    /// What.
    pub filter: FilterPolicy,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS subscription (
        id TEXT PRIMARY KEY,
        protocol TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        filter TEXT NOT NULL
    ) STRICT;
";

/// The subscriptions of a data folder, or of a memory.
#[derive(Clone, Debug)]
pub struct SubscriptionStore {
    database: Database,
}

impl SubscriptionStore {
    /// Makes the table where there is none.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn open(database: Database) -> rusqlite::Result<Self> {
        database.prepare(|connection| connection.execute_batch(SCHEMA))?;
        Ok(Self::attach(database))
    }

    /// The subscriptions of a database that another process works on, and has opened.
    pub fn attach(database: Database) -> Self {
        Self { database }
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`DatabaseError`]
    pub async fn add(&self, subscription: Subscription) -> Result<(), DatabaseError> {
        let Subscription { id, protocol, endpoint, filter } = subscription;
        let filter = filter.to_json().to_string();
        let added = self.database.run(move |connection| {
            connection.execute(
                "INSERT INTO subscription (id, protocol, endpoint, filter) VALUES (?, ?, ?, ?)",
                params![id, protocol.as_str(), endpoint, filter],
            )
        });
        added.await.map(|_| ())
    }

    /// Removes one: whether it was there.
    ///
    /// # Errors
    /// [`DatabaseError`]
    pub async fn remove(&self, id: String) -> Result<bool, DatabaseError> {
        let removed = self
            .database
            .run(move |connection| connection.execute("DELETE FROM subscription WHERE id = ?", params![id]));
        Ok(removed.await? > 0)
    }

    /// All of them, in the order in which they were added.
    ///
    /// # Errors
    /// [`DatabaseError`], also where one cannot be read: a subscriber with a filter must not get everything because of that.
    pub async fn list(&self) -> Result<Vec<Subscription>, DatabaseError> {
        let found = self.database.run(|connection| {
            connection
                .prepare_cached("SELECT id, protocol, endpoint, filter FROM subscription ORDER BY rowid")?
                .query_map([], read)?
                .collect()
        });
        found.await
    }
}

/// A row of the table.
fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Subscription> {
    let broken = |column, cause: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, cause)
    };
    let (protocol, filter): (String, String) = (row.get(1)?, row.get(3)?);
    let filter = serde_json::from_str(&filter).map_err(|error| broken(3, error.into()))?;
    Ok(Subscription {
        id: row.get(0)?,
        protocol: protocol.parse().map_err(|error: UnknownName| broken(1, error.into()))?,
        endpoint: row.get(2)?,
        filter: FilterPolicy::from_json(&filter),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> FilterPolicy {
        FilterPolicy {
            one_of: BTreeMap::from([(
                "family".to_owned(),
                vec!["deposits".to_owned(), "transfers".to_owned()],
            )]),
            least_fiat: Decimal::read("100.5").ok(),
        }
    }

    fn attributes(family: &str, fiat: Option<&str>) -> BTreeMap<String, Attribute> {
        let family = ("family".to_owned(), Attribute::String(family.to_owned()));
        let fiat = fiat.map(|fiat| (FIAT.to_owned(), Attribute::Number(fiat.to_owned())));
        [family].into_iter().chain(fiat).collect()
    }

    #[test]
    fn a_policy_is_what_sns_takes_and_is_read_again() {
        let json = policy().to_json();
        assert_eq!(
            json.to_string(),
            r#"{"family":["deposits","transfers"],"fiat_amount":[{"numeric":[">=",100.5]}]}"#
        );
        assert_eq!(FilterPolicy::from_json(&json), policy());
    }

    #[test]
    fn all_conditions_hold_and_of_each_one_value() {
        assert!(policy().accepts(&attributes("deposits", Some("100.5"))));
        assert!(policy().accepts(&attributes("transfers", Some("1000"))));
        assert!(!policy().accepts(&attributes("deposits", Some("100.49"))));
        assert!(!policy().accepts(&attributes("deposits", None)));
        assert!(!policy().accepts(&attributes("accounts", Some("1000"))));
        assert!(FilterPolicy::default().accepts(&BTreeMap::new()));
    }

    #[test]
    fn a_digest_is_for_all_who_want_one_of_its_events() {
        let families = Attribute::Strings(vec!["accounts".to_owned(), "deposits".to_owned()]);
        let mut digest = attributes("x", Some("200"));
        digest.insert("family".to_owned(), families);
        assert!(policy().accepts(&digest));
    }

    #[tokio::test]
    async fn what_is_added_is_listed_until_it_is_removed_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("queues.db");
        let open = || SubscriptionStore::open(Database::open(Some(&file)).unwrap()).unwrap();
        let one = |id: &str, protocol, filter| Subscription {
            id: id.to_owned(),
            protocol,
            endpoint: "somewhere".to_owned(),
            filter,
        };
        let (email, https) =
            (one("b", Protocol::Email, policy()), one("a", Protocol::Https, FilterPolicy::default()));
        open().add(email.clone()).await.unwrap();
        open().add(https.clone()).await.unwrap();
        assert_eq!(open().list().await.unwrap(), [email, https.clone()]);
        assert!(open().remove("b".to_owned()).await.unwrap());
        assert!(!open().remove("b".to_owned()).await.unwrap());
        assert_eq!(open().list().await.unwrap(), [https]);
    }

    #[tokio::test]
    async fn a_filter_that_cannot_be_read_is_not_taken_for_none() {
        let database = Database::open(None).unwrap();
        let subscriptions = SubscriptionStore::open(database.clone()).unwrap();
        let insert = "INSERT INTO subscription VALUES ('1', 'email', 'a@example.com', 'no JSON')";
        database.run(move |connection| connection.execute(insert, [])).await.unwrap();
        assert!(subscriptions.list().await.is_err());
    }
}
