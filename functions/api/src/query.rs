//! The parameters of a question.

use shared::clock::Moment;
use shared::fold::Effect;
use shared::model::{EntityType, Family, Kind, Oddity, words};
use shared::names::{UnknownName, in_any_case};
use shared::refusal::Refusal;
use shared::store::{Cursor, Facet, LogFilter};

/// How many entries a page has where the question does not say.
const LIMIT: usize = 50;

/// The most entries of a page.
const MOST: usize = 100;

/// The most intervals of one answer.
const INTERVALS: i64 = 1000;

/// The parameters that a question has; none where there is no such question.
fn known(question: &[&str]) -> Option<Vec<&'static str>> {
    let own: &[&str] = match question {
        ["events"] => &["entity", "from", "to"],
        ["balances"] => &["account", "sub_account", "at"],
        ["ledger"] => &["account", "asset", "at"],
        ["stats"] => return Some(vec!["from", "to", "step"]),
        ["events" | "endpoints", _] | ["health" | "endpoints"] => return Some(Vec::new()),
        ["transactions", _, ..] => &["kind"],
        ["quarantine" | "actions"] | ["accounts" | "assets" | "addresses" | "customers", _, ..] => &[],
        _ => return None,
    };
    let facets = if question == ["events"] { &Facet::ALL[..] } else { &[] };
    let facets = facets.iter().map(|facet| facet.as_str());
    Some(facets.chain(own.iter().copied()).chain(["limit", "cursor"]).collect())
}

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
    /// The parameters of a question.
    pub(crate) fn parse(question: &[&str], query: &str) -> Result<Self, Refusal> {
        let given: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if let Some(known) = known(question)
            && let Some((unknown, _)) = given.iter().find(|(name, _)| !known.contains(&name.as_str()))
        {
            let detail = UnknownName::new("parameter", unknown, known).about(unknown);
            return Err(Refusal::Parameter(detail));
        }
        Ok(Self(given))
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

    /// A name of a closed list.
    fn name<T: std::str::FromStr<Err = UnknownName>>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.get(name).map(|text| in_any_case(text).map_err(|unknown| refused(&unknown, text))).transpose()
    }

    /// Where nothing is found: what may have been meant by a word that is in no list.
    pub(crate) fn hint(&self) -> Option<String> {
        let about = |given, unknown: UnknownName| unknown.about(given);
        let event = self.get("event").and_then(|given| Some(about(given, words::event(given).err()?)));
        event.or_else(|| self.get("status").and_then(|given| Some(about(given, words::status(given).err()?))))
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
        self.name("kind")
    }

    pub(crate) fn moment(&self, name: &str) -> Result<Option<Moment>, Refusal> {
        self.read(name, "a time like 2026-11-23T05:29:04Z")
    }

    pub(crate) fn filter(&self) -> Result<LogFilter, Refusal> {
        let (entity_type, entity) = match self.get("entity") {
            Some(text) => {
                let (entity_type, uid) =
                    EntityType::split(text).map_err(|unknown| refused(&unknown, text))?;
                (entity_type, Some(uid.to_owned()))
            }
            None => (None, None),
        };
        let (family, effect) = (self.name::<Family>("family")?, self.name::<Effect>("effect")?);
        let oddity = self.name::<Oddity>("oddity")?;
        let text = |name: &str| self.get(name).map(str::to_owned);
        let facets = [
            (Facet::Family, family.map(|family| family.to_string())),
            (Facet::Event, text("event")),
            (Facet::Effect, effect.map(|effect| effect.to_string())),
            (Facet::Oddity, oddity.map(|oddity| oddity.to_string())),
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
            let detail =
                format!("`from` is not after `to`, and at most {INTERVALS} times `step` lie between them.");
            return Err(Refusal::Parameter(detail));
        }
        Ok(Interval { from, to, step })
    }
}

fn refused(unknown: &UnknownName, given: &str) -> Refusal {
    Refusal::Parameter(unknown.about(given))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(question: &str, query: &str) -> Query {
        Query::parse(&[question], query).unwrap()
    }

    fn detail(refusal: Refusal) -> String {
        let Refusal::Parameter(detail) = refusal else { panic!("{refusal:?}") };
        detail
    }

    #[test]
    fn an_unknown_parameter_is_refused_and_the_nearest_named() {
        for (question, query, says) in [
            (&["events"][..], "famly=deposits", "Unknown parameter famly: did you mean family?"),
            (&["events"], "limit=1&refrence=z", "Unknown parameter refrence: did you mean reference?"),
            (&["balances"], "acount=z", "Unknown parameter acount: did you mean account?"),
            (&["accounts", "a", "b"], "kind=x", "Unknown parameter kind: use one of limit, cursor."),
            (&["health"], "x=", "Unknown parameter x: there is none here."),
        ] {
            assert_eq!(detail(Query::parse(question, query).err().unwrap()), says);
        }
        assert!(Query::parse(&["nothing"], "x=1").is_ok());
        assert!(Query::parse(&["transactions", "u"], "kind=deposit&limit=1&cursor=").is_ok());
    }

    #[test]
    fn a_value_outside_a_closed_list_is_refused_and_the_nearest_named() {
        for (query, says) in [
            ("family=depsits", "Unknown family depsits: did you mean deposits?"),
            ("effect=aplied", "Unknown effect aplied: did you mean applied?"),
            ("oddity=negativ", "Unknown oddity negativ: did you mean negative?"),
            ("entity=transction:u", "Unknown entity type transction:u: did you mean transaction?"),
        ] {
            assert_eq!(detail(parse("events", query).filter().err().unwrap()), says);
        }
        let kind = Query::parse(&["transactions", "u"], "kind=DEPOSITT").unwrap().kind();
        assert_eq!(detail(kind.unwrap_err()), "Unknown kind DEPOSITT: did you mean deposit?");
    }

    #[test]
    fn names_are_read_in_any_case() {
        let filter = parse("events", "family=Deposits&effect=APPLIED&entity=Transaction:U").filter().unwrap();
        let facets = [(Facet::Family, "deposits".to_owned()), (Facet::Effect, "applied".to_owned())];
        assert_eq!(filter.facets, facets);
        let entity = (filter.entity_type, filter.entity.as_deref());
        assert_eq!(entity, (Some(EntityType::Transaction), Some("U")));
        let kind = Query::parse(&["transactions", "u"], "kind=DEPOSIT").unwrap().kind();
        assert_eq!(kind.unwrap(), Some(Kind::Deposit));
    }

    #[test]
    fn a_word_that_is_in_no_list_gets_a_hint() {
        for (query, hint) in [
            ("event=Transaction.deposit.success&status=SUCCESS", None),
            ("", None),
            (
                "event=transaction.deposit.sucess",
                Some(
                    "Unknown event type transaction.deposit.sucess: did you mean transaction.deposit.success?",
                ),
            ),
            ("status=confirmed", Some("Unknown status confirmed: did you mean success?")),
        ] {
            assert_eq!(parse("events", query).hint().as_deref(), hint, "{query}");
        }
    }

    #[test]
    fn limits_are_bounded() {
        for (query, limit) in
            [("", Some(50)), ("limit=1", Some(1)), ("limit=100", Some(100)), ("limit=", Some(50))]
        {
            assert_eq!(parse("events", query).limit().ok(), limit);
        }
        for query in ["limit=0", "limit=101", "limit=x", "limit=-1", "limit=1.5"] {
            assert!(parse("events", query).limit().is_err(), "{query}");
        }
    }

    #[test]
    fn an_entity_is_a_uid_with_or_without_its_type() {
        let filter = parse("events", "entity=transaction:a%231").filter().unwrap();
        assert_eq!(
            (filter.entity_type, filter.entity.as_deref()),
            (Some(EntityType::Transaction), Some("a#1"))
        );
        let filter = parse("events", "entity=x:1").filter().unwrap();
        assert_eq!((filter.entity_type, filter.entity.as_deref()), (None, Some("x:1")));
    }

    #[test]
    fn intervals_are_bounded() {
        let now = "2026-11-23T05:29:04Z".parse().unwrap();
        let day = parse("stats", "").interval(now).ok().unwrap();
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
            assert!(parse("stats", query).interval(now).is_err(), "{query}");
        }
    }

    #[test]
    fn moments_and_effects_that_are_none_are_refused() {
        assert!(parse("events", "from=yesterday").filter().is_err());
        assert!(parse("events", "effect=wonderful").filter().is_err());
        assert!(parse("events", "from=2026-11-23T05:29:04Z&effect=applied").filter().is_ok());
    }
}
