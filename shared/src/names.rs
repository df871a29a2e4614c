//! Closed lists of names.
//!
//! An enum of [`names!`](crate::names!) is written in keys, messages, answers and on the command line by one name for each
//! variant, and read back from it. A name that is in no list is an [`UnknownName`], which knows the nearest one.

use std::fmt;
use std::str::FromStr;

/// A text that is none of the names of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    what: &'static str,
    known: Vec<&'static str>,
    /// The name that it resembles most, if it resembles one.
    pub nearest: Option<&'static str>,
}

impl UnknownName {
    /// That `given` is no `what`, of which these are known.
    pub fn new(what: &'static str, given: &str, known: impl IntoIterator<Item = &'static str>) -> Self {
        let known = Vec::from_iter(known);
        Self { what, nearest: nearest(given, known.iter().copied()), known }
    }
}

impl UnknownName {
    /// A sentence about the text that was given.
    pub fn about(&self, given: &str) -> String {
        let what = self.what;
        match self.nearest {
            Some(nearest) => format!("Unknown {what} {given}: did you mean {nearest}?"),
            None if self.known.is_empty() => format!("Unknown {what} {given}: there is none here."),
            None => format!("Unknown {what} {given}: use one of {}.", self.known.join(", ")),
        }
    }
}

/// Reads a name that somebody has typed, in whatever case.
///
/// # Errors
/// Where it is none of the list.
pub fn in_any_case<T: FromStr<Err = UnknownName>>(given: &str) -> Result<T, UnknownName> {
    given.to_lowercase().parse()
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {}", self.what)?;
        match self.nearest {
            Some(nearest) => write!(f, ", did you mean {nearest}?"),
            None => write!(f, ", use one of: {}", self.known.join(", ")),
        }
    }
}

impl std::error::Error for UnknownName {}

/// The candidate that a text resembles most; none where it resembles none.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// From here on two words have something to do with each other.
    const ALIKE: usize = 70;
    let given = given.to_lowercase();
    let alike = |candidate: &'a str| (likeness(&given, &candidate.to_lowercase()), candidate);
    let (alike, candidate) = candidates.into_iter().map(alike).max_by_key(|(alike, _)| *alike)?;
    (alike >= ALIKE).then_some(candidate)
}

/// How much two texts resemble each other, in percent: of the longer one, what need not be changed to get the other.
fn likeness(a: &str, b: &str) -> usize {
    let (a_length, b_length) = (a.chars().count(), b.chars().count());
    let longer = a_length.max(b_length).max(1);
    // Whatever is so much longer resembles nothing; comparing it would take long.
    if a_length.min(b_length) * 2 < longer {
        return 0;
    }
    let changes = strsim::damerau_levenshtein(a, b);
    100 - 100 * changes.min(longer) / longer
}

/// An enum whose variants have names: `ALL`, `as_str`, `Display`, `FromStr`, and serde by name.
#[macro_export]
macro_rules! names {
    (
        $(#[doc = $about:literal])*
        $what:literal $name:ident {
            $($(#[doc = $doc:literal])* $variant:ident $text:literal;)*
        }
    ) => {
        $crate::names! {
            @names
            $(#[doc = $about])*
            $what $name { $($(#[doc = $doc])* $variant $text;)* }
        }
        $crate::schema_of_names! { $name [$($about)*] $($text [$($doc)*];)* }
    };
    // From within another macro: the documentation cannot be looked into.
    (
        $(#[$about:meta])*
        $what:literal $name:ident { $($names:tt)* }
    ) => {
        $crate::names! { @names $(#[$about])* $what $name { $($names)* } }
    };
    (
        @names
        $(#[$about:meta])*
        $what:literal $name:ident {
            $($(#[$doc:meta])* $variant:ident $text:literal;)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All of them, in their order.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$variant),*];

            /// The name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::names::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                let unknown = || {
                    let known = Self::ALL.map(Self::as_str);
                    $crate::names::UnknownName::new($what, name, known)
                };
                Self::ALL.into_iter().find(|known| known.as_str() == name).ok_or_else(unknown)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
                name.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// The schema of an enum of [`names!`](crate::names!) is wanted by a test alone.
#[cfg(not(test))]
#[doc(hidden)]
#[macro_export]
macro_rules! schema_of_names {
    ($($any:tt)*) => {};
}

/// The schema of an enum of [`names!`](crate::names!): what each name means.
#[cfg(test)]
#[macro_export]
macro_rules! schema_of_names {
    ($name:ident [$($about:literal)*] $($text:literal [$($doc:literal)*];)*) => {
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::schema::of_names(&[$($about),*], &[$(($text, &[$($doc),*])),*])
            }
        }
    };
}

#[cfg(test)]
#[allow(unreachable_pub, reason = "the macro makes public enums")]
mod tests {
    use super::*;

    names! {
        /// For the test.
        "colour" Colour {
            /// Like blood.
            Red "red";
            /// Like the sea on a dark day.
            DarkBlue "dark_blue";
        }
    }

    #[test]
    fn every_name_is_written_and_read_back() {
        for colour in Colour::ALL {
            assert_eq!(colour.as_str().parse(), Ok(colour));
            let json = serde_json::to_string(&colour).unwrap();
            assert_eq!(json, format!("\"{colour}\""));
            assert_eq!(serde_json::from_str::<Colour>(&json).unwrap(), colour);
        }
    }

    #[test]
    fn an_unknown_name_knows_the_nearest_one() {
        for (given, says) in [
            ("dark-blue", "unknown colour, did you mean dark_blue?"),
            ("DARK_BLUE", "unknown colour, did you mean dark_blue?"),
            ("redd", "unknown colour, did you mean red?"),
            ("green", "unknown colour, use one of: red, dark_blue"),
            ("", "unknown colour, use one of: red, dark_blue"),
        ] {
            assert_eq!(given.parse::<Colour>().unwrap_err().to_string(), says, "{given}");
        }
        assert!(serde_json::from_str::<Colour>("\"green\"").is_err());
    }

    #[test]
    fn what_somebody_types_is_read_in_any_case_and_named_where_it_is_unknown() {
        assert_eq!(in_any_case("Dark_BLUE"), Ok(Colour::DarkBlue));
        let unknown = in_any_case::<Colour>("REDD").unwrap_err();
        assert_eq!(unknown.about("REDD"), "Unknown colour REDD: did you mean red?");
        let unknown = UnknownName::new("parameter", "x", []);
        assert_eq!(unknown.about("x"), "Unknown parameter x: there is none here.");
    }

    #[test]
    fn typing_mistakes_are_recognised_and_other_words_are_not() {
        let families = ["accounts", "addresses", "deposits", "transfers"];
        for (given, found) in
            [("depsits", Some("deposits")), ("transfer", Some("transfers")), ("money", None)]
        {
            assert_eq!(nearest(given, families), found, "{given}");
        }
    }
}
