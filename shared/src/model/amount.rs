//! Exact money. There is no float in this product; clippy refuses one.

use std::fmt;
use std::str::FromStr;

use bigdecimal::{BigDecimal, Zero as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::facts::CUT;

/// The most digits a single amount may have, written out in full, and still be counted. It is what DynamoDB's
/// own numbers hold, and far above the 18 decimals of any token; sums may grow beyond it and stay exact.
pub const MAX_DIGITS: usize = 38;

crate::names! {
    /// Why money counts for nothing, in the order in which the first that applies is named. The names are stable.
    "oddity" Oddity {
        /// The amount is not a decimal number: `1,5`, ` 1 `, `0x10`, `NaN`, an object …
        NotANumber "not_a_number";
        /// The amount is below zero.
        Negative "negative";
        /// The amount has more than 38 digits when written out in full.
        TooLong "too_long";
        /// No event names the asset.
        AssetUnknown "asset_unknown";
        /// No event says which way the money goes.
        DirectionUnknown "direction_unknown";
        /// A contract's success: it can move money either way.
        NotCounted "not_counted";
    }
}

impl std::error::Error for Oddity {}

impl Oddity {
    /// Why, in words: the rest of a sentence that ends in "because".
    pub fn describe(self) -> &'static str {
        match self {
            Self::NotANumber => "the amount is not a number",
            Self::Negative => "the amount is negative",
            Self::TooLong => "the amount has more than 38 digits",
            Self::AssetUnknown => "the asset is unknown",
            Self::DirectionUnknown => "it is unknown which way the money goes",
            Self::NotCounted => "a contract can move money either way",
        }
    }
}

/// An exact decimal of any size. Written without an exponent and without needless zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(BigDecimal);

impl Decimal {
    /// Nothing.
    pub fn zero() -> Self {
        Self::default()
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Reads an amount that shall be counted: digits with an optional fraction and an optional exponent, as
    /// in JSON.
    ///
    /// # Errors
    /// The [`Oddity`] because of which it is not counted.
    pub fn read(text: &str) -> Result<Self, Oddity> {
        let decimal = Number::scan(text)
            .ok_or_else(|| if Number::was_cut(text) { Oddity::TooLong } else { Oddity::NotANumber })?;
        if decimal.digits_written_out().is_none_or(|digits| digits > MAX_DIGITS) {
            return Err(Oddity::TooLong);
        }
        let value = BigDecimal::from_str(text).map_err(|_| Oddity::NotANumber)?;
        if value.sign() == bigdecimal::num_bigint::Sign::Minus {
            return Err(Oddity::Negative);
        }
        Ok(Self(value.normalized()))
    }

    /// One text for all spellings of a number, whether it is counted or not: `1`, `1.0` and `10e-1` are one number, and
    /// so are `-1` and `-1.0`, `1e39` and `10e38`. None where the text is not a number.
    pub fn spelling(text: &str) -> Option<String> {
        let number = Number::scan(text)?;
        let significand = format!("{}{}", number.integer, number.fraction);
        let digits = significand.trim_matches('0');
        if digits.is_empty() {
            return Some("0".to_owned());
        }
        let sign = if text.starts_with('-') { "-" } else { "" };
        let trailing = significand.len() - significand.trim_end_matches('0').len();
        let scale = |exponent: i32| {
            let (fraction, trailing) = (number.fraction.len().try_into().ok()?, trailing.try_into().ok()?);
            i64::from(exponent).checked_sub(fraction)?.checked_add(trailing)
        };
        Some(match number.exponent.and_then(scale) {
            Some(scale) => format!("{sign}{digits}e{scale}"),
            // Beyond any sensible size: equal where it is written alike.
            None => text.to_owned(),
        })
    }

    /// The amount as a number that filter policies can compare: cut off after five decimals; none beyond 10⁹.
    pub fn in_attribute_range(&self) -> Option<String> {
        let cut = Self(self.0.with_scale(5));
        (cut.0 <= 1_000_000_000_u64).then(|| cut.to_string())
    }
}

/// The parts of a decimal number's text.
struct Number<'a> {
    integer: &'a str,
    fraction: &'a str,
    /// None where it is beyond any sensible size.
    exponent: Option<i32>,
}

impl<'a> Number<'a> {
    fn scan(text: &'a str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (integer, fraction) = match mantissa.split_once('.') {
            Some((integer, fraction)) if !fraction.is_empty() => (integer, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let exponent = match exponent {
            None => Some(0),
            Some(exponent) => {
                let magnitude = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                if magnitude.is_empty() || !digits(magnitude) {
                    return None;
                }
                exponent.parse().ok().filter(|size: &i32| size.unsigned_abs() < 1_000_000)
            }
        };
        (!integer.is_empty() && digits(integer) && digits(fraction)).then_some(Self {
            integer,
            fraction,
            exponent,
        })
    }

    /// Whether a text is the beginning of a number that was longer than what is followed of a text.
    fn was_cut(text: &'a str) -> bool {
        text.split_once(CUT).is_some_and(|(head, _)| {
            head.len() > MAX_DIGITS && Self::scan(head.trim_end_matches(['.', 'e', 'E', '+', '-'])).is_some()
        })
    }

    /// How many digits it has without exponent, without leading zeros and without trailing zeros of the
    /// fraction; none where that is beyond counting.
    fn digits_written_out(&self) -> Option<usize> {
        let significand = format!("{}{}", self.integer, self.fraction);
        let trailing = significand.len() - significand.trim_end_matches('0').len();
        let significant = significand.trim_matches('0').len();
        if significant == 0 {
            return Some(1);
        }
        // The value is `significant digits × 10^scale`.
        let scale = i64::from(self.exponent?) - i64::try_from(self.fraction.len()).ok()?
            + i64::try_from(trailing).ok()?;
        let significant = i64::try_from(significant).ok()?;
        let digits = if scale >= 0 { significant + scale } else { significant.max(-scale) };
        usize::try_from(digits).ok()
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.normalized().to_plain_string())
    }
}

impl FromStr for Decimal {
    type Err = bigdecimal::ParseBigDecimalError;

    /// Reads a sum that this product wrote: of any size, and of either sign.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl std::ops::Add for &Decimal {
    type Output = Decimal;

    fn add(self, other: Self) -> Decimal {
        Decimal(&self.0 + &other.0)
    }
}

impl std::ops::Sub for &Decimal {
    type Output = Decimal;

    fn sub(self, other: Self) -> Decimal {
        Decimal(&self.0 - &other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_amounts_are_exact() {
        for (text, written) in [
            ("0.45", "0.45"),
            ("0.02999761", "0.02999761"),
            ("0.450000000000000001", "0.450000000000000001"),
            ("1.10", "1.1"),
            ("100", "100"),
            ("007", "7"),
            ("0", "0"),
            ("-0", "0"),
            ("0.000", "0"),
            ("1e-7", "0.0000001"),
            ("1.5E+3", "1500"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ] {
            assert_eq!(Decimal::read(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn odd_amounts_have_their_reason() {
        let long = "1".repeat(39);
        let reference = format!("-{}", "7".repeat(69));
        for (text, oddity) in [
            ("1,5", Oddity::NotANumber),
            (" 1 ", Oddity::NotANumber),
            ("", Oddity::NotANumber),
            (".5", Oddity::NotANumber),
            ("5.", Oddity::NotANumber),
            ("+1", Oddity::NotANumber),
            ("--1", Oddity::NotANumber),
            ("0x10", Oddity::NotANumber),
            ("1_000", Oddity::NotANumber),
            ("NaN", Oddity::NotANumber),
            ("Infinity", Oddity::NotANumber),
            ("1e", Oddity::NotANumber),
            ("1e5.5", Oddity::NotANumber),
            ("{\"value\":1}", Oddity::NotANumber),
            ("１", Oddity::NotANumber),
            ("true", Oddity::NotANumber),
            (&long, Oddity::TooLong),
            (&reference, Oddity::TooLong),
            ("1e38", Oddity::TooLong),
            ("1e-39", Oddity::TooLong),
            ("1e999999999999", Oddity::TooLong),
            ("1e-2147483648", Oddity::TooLong),
            ("-1", Oddity::Negative),
            ("-0.000000000000000001", Oddity::Negative),
        ] {
            assert_eq!(Decimal::read(text), Err(oddity), "{text}");
        }
    }

    #[test]
    fn sums_beyond_38_digits_stay_exact() {
        let large = Decimal::read(&"9".repeat(38)).unwrap();
        let small = Decimal::read("0.0000000000000000000000000000000000001").unwrap();
        let sum = &(&large + &large) + &small;
        assert_eq!(&(&(&sum - &large) - &small) - &large, Decimal::zero());
        assert_eq!(sum.to_string().parse::<Decimal>().unwrap(), sum);
    }

    #[test]
    fn all_spellings_of_a_number_are_one() {
        for (one, other) in
            [("1", "1.000"), ("10e-1", "1"), ("-1", "-1.0"), ("1e39", "10e38"), ("0", "-0.00"), ("007", "7")]
        {
            assert_eq!(Decimal::spelling(one), Decimal::spelling(other), "{one} {other}");
        }
        for (one, other) in [("1", "-1"), ("1", "10"), ("1e39", "1e40"), ("0.1", "0.01")] {
            assert_ne!(Decimal::spelling(one), Decimal::spelling(other), "{one} {other}");
        }
        assert_eq!(Decimal::spelling("1,5"), None);
        assert_eq!(Decimal::read(&format!("1.{}", "0".repeat(1100))).unwrap().to_string(), "1");
    }

    proptest! {
        #[test]
        fn what_is_counted_alike_is_spelled_alike(a in "[0-9]{1,4}(\\.[0-9]{1,4})?(e-?[0-9])?", b in "[0-9]{1,4}(\\.[0-9]{1,4})?") {
            let equal = Decimal::read(&a).unwrap() == Decimal::read(&b).unwrap();
            prop_assert_eq!(Decimal::spelling(&a) == Decimal::spelling(&b), equal);
        }

        #[test]
        fn reading_never_panics(text in "\\PC*") {
            let _ = Decimal::read(&text);
        }

        #[test]
        fn numbers_of_any_shape_never_panic(text in "-?[0-9]{0,50}(\\.[0-9]{0,50})?([eE][+-]?[0-9]{0,12})?") {
            let _ = Decimal::read(&text);
        }

        #[test]
        fn what_was_added_can_be_taken_away(a in "[0-9]{1,18}(\\.[0-9]{1,18})?", b in "[0-9]{1,18}(\\.[0-9]{1,18})?") {
            let (a, b) = (Decimal::read(&a).unwrap(), Decimal::read(&b).unwrap());
            prop_assert_eq!(&(&(&a + &b) - &b), &a);
            prop_assert_eq!(a.to_string().parse::<Decimal>().unwrap(), a);
        }
    }
}
