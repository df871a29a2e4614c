//! The parameters of a question.

use shared::clock::Moment;
use shared::fold::Effect;
use shared::model::{EntityType, Kind};
use shared::refusal::Refusal;
use shared::store::{Cursor, Facet, LogFilter};

/// How many entries a page has where the question does not say.
const LIMIT: usize = 50;

/// The most entries of a page.
const MOST: usize = 100;

/// The most intervals of one answer.
const INTERVALS: i64 = 1000;

/// What is counted over.
pub(crate) struct Interval {
    pub(crate) from: Moment,
    pub(crate) to: Moment,
    /// In seconds.
    pub(crate) step: i64,
}

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
            |text: &str| text.parse().map_err(|_| Refusal::Parameter(format!("`{name}` is {expected}.")));
        self.get(name).map(read).transpose()
    }

    pub(crate) fn limit(&self) -> Result<usize, Refusal> {
        let expected = "a number from 1 to 100";
        let limit = self.read("limit", expected)?.unwrap_or(LIMIT);
        if (1..=MOST).contains(&limit) {
            Ok(limit)
        } else {
            Err(Refusal::Parameter(format!("`limit` is {expected}.")))
        }
    }

    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.get("cursor").map(|cursor| Cursor::from(cursor.to_owned()))
    }

    pub(crate) fn kind(&self) -> Result<Option<Kind>, Refusal> {
        self.read("kind", "deposit, transfer, contract or unknown")
    }

    pub(crate) fn moment(&self, name: &str) -> Result<Option<Moment>, Refusal> {
        self.read(name, "a time like 2026-11-23T05:29:04Z")
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
        let effect: Option<Effect> =
            self.read("effect", "applied, stale, repeat, conflict, ambiguous or none")?;
        let text = |name: &str| self.get(name).map(str::to_owned);
        let facets = [
            (Facet::Family, text("family")),
            (Facet::Event, text("event")),
            (Facet::Effect, effect.map(|effect| effect.to_string())),
            (Facet::Status, text("status")),
            (Facet::Asset, text("asset")),
            (Facet::Hash, text("hash")),
            (Facet::Reference, text("reference")),
            (Facet::Address, text("address")),
            (Facet::Customer, text("customer")),
            (Facet::Account, text("account")),
            (Facet::SubAccount, text("sub_account")),
            (Facet::Chain, text("chain")),
        ];
        Ok(LogFilter {
            entity,
            entity_type,
            facets: facets.into_iter().filter_map(|(facet, value)| Some((facet, value?))).collect(),
            from: self.moment("from")?,
            to: self.moment("to")?,
        })
    }

    pub(crate) fn interval(&self, now: Moment) -> Result<Interval, Refusal> {
        let to = self.moment("to")?.unwrap_or(now);
        let day = Moment::from_millis(to.as_millis() - 24 * 3600 * 1000);
        let from = self.moment("from")?.unwrap_or(day);
        let expected = "a number of seconds from 60 to 2678400";
        let step = self.read("step", expected)?.unwrap_or(3600);
        if !(60..=2_678_400).contains(&step) {
            return Err(Refusal::Parameter(format!("`step` is {expected}.")));
        }
        let steps = (to.as_millis() - from.as_millis()) / (step * 1000);
        if to < from || steps > INTERVALS {
            let detail = format!("From `from` to `to` are 0 to {INTERVALS} times `step`.");
            return Err(Refusal::Parameter(detail));
        }
        Ok(Interval { from, to, step })
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
    fn intervals_are_bounded() {
        let now = "2026-11-23T05:29:04Z".parse().unwrap();
        let day = Query::parse("").interval(now).ok().unwrap();
        assert_eq!(
            (day.from.to_string().as_str(), day.to, day.step),
            ("2026-11-22T05:29:04.000Z", now, 3600)
        );
        for query in [
            "step=59",
            "step=x",
            "from=2020-01-01T00:00:00Z&step=60",
            "from=2027-01-01T00:00:00Z",
            "from=2026-11-23T05:29:05Z",
        ] {
            assert!(Query::parse(query).interval(now).is_err(), "{query}");
        }
    }

    #[test]
    fn moments_and_effects_that_are_none_are_refused() {
        assert!(Query::parse("from=yesterday").filter().is_err());
        assert!(Query::parse("effect=wonderful").filter().is_err());
        assert!(Query::parse("from=2026-11-23T05:29:04Z&effect=applied").filter().is_ok());
    }
}
