//! The parameters of a question.

use shared::clock::Moment;
use shared::model::{EntityType, Kind};
use shared::store::{Cursor, LogFilter};

use crate::Refusal;

/// How many entries a page has where the question does not say.
const LIMIT: usize = 50;

/// The most entries of a page.
const MOST: usize = 100;

/// The parameters, decoded. An empty one counts as absent; of a repeated one the last counts.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn read<T: std::str::FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Refusal> {
        let read =
            |text: &str| text.parse().map_err(|_| Refusal::Invalid(format!("`{name}` is {expected}.")));
        self.get(name).map(read).transpose()
    }

    pub(crate) fn limit(&self) -> Result<usize, Refusal> {
        let expected = "a number from 1 to 100";
        let limit = self.read("limit", expected)?.unwrap_or(LIMIT);
        if (1..=MOST).contains(&limit) {
            Ok(limit)
        } else {
            Err(Refusal::Invalid(format!("`limit` is {expected}.")))
        }
    }

    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.get("cursor").map(|cursor| Cursor::from(cursor.to_owned()))
    }

    pub(crate) fn kind(&self) -> Result<Option<Kind>, Refusal> {
        self.read("kind", "deposit, transfer or contract")
    }

    pub(crate) fn moment(&self, name: &str) -> Result<Option<Moment>, Refusal> {
        self.read(name, "a moment like 2026-11-23T05:29:04Z")
    }

    pub(crate) fn filter(&self) -> Result<LogFilter, Refusal> {
        let (entity_type, entity) = match self.get("entity") {
            // A uid may contain a colon itself.
            Some(text) => {
                match text.split_once(':').and_then(|(name, uid)| Some((name.parse().ok()?, uid))) {
                    Some((entity_type, uid)) => (Some(entity_type), Some(uid.to_owned())),
                    None => (None::<EntityType>, Some(text.to_owned())),
                }
            }
            None => (None, None),
        };
        Ok(LogFilter {
            family: self.get("family").map(str::to_owned),
            event: self.get("event").map(str::to_owned),
            entity,
            entity_type,
            effect: self.read("effect", "applied, stale, repeat, conflict, ambiguous or none")?,
            from: self.moment("from")?,
            to: self.moment("to")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_bounded() {
        for (query, limit) in
            [("", Some(50)), ("limit=1", Some(1)), ("limit=100", Some(100)), ("limit=", Some(50))]
        {
            assert_eq!(Query::parse(query).limit().ok(), limit);
        }
        for query in ["limit=0", "limit=101", "limit=x", "limit=-1", "limit=1.5"] {
            assert!(Query::parse(query).limit().is_err(), "{query}");
        }
    }

    #[test]
    fn an_entity_is_a_uid_with_or_without_its_type() {
        let filter = Query::parse("entity=transaction:a%231").filter().unwrap();
        assert_eq!(
            (filter.entity_type, filter.entity.as_deref()),
            (Some(EntityType::Transaction), Some("a#1"))
        );
        let filter = Query::parse("entity=x:1").filter().unwrap();
        assert_eq!((filter.entity_type, filter.entity.as_deref()), (None, Some("x:1")));
    }

    #[test]
    fn moments_and_effects_that_are_none_are_refused() {
        assert!(Query::parse("from=yesterday").filter().is_err());
        assert!(Query::parse("effect=wonderful").filter().is_err());
        assert!(Query::parse("from=2026-11-23T05:29:04Z&effect=applied").filter().is_ok());
    }
}
