//! The words of events and statuses. Bitpowr may say others than it documents, so these lists are open: a word that is
//! in none is a mistake only where somebody has typed it.

use crate::names::{UnknownName, in_any_case};

use super::EventType;
use super::lifecycle::Step;

/// Reads the name of an event that Bitpowr documents, in any case.
///
/// # Errors
/// Where it is none; the nearest is also the only one that ends so: `deposit.success`.
pub fn event(given: &str) -> Result<EventType, UnknownName> {
    in_any_case(given).map_err(|mut unknown: UnknownName| {
        let end = format!(".{}", given.to_lowercase());
        let mut ending =
            EventType::ALL.iter().map(|event| event.as_str()).filter(|name| name.ends_with(&end));
        if let (Some(only), None) = (ending.next(), ending.next()) {
            unknown.nearest = Some(only);
        }
        unknown
    })
}

/// Reads the status of an event: a step of a transaction, or the last word of a documented event.
///
/// # Errors
/// Where it is none; the nearest is also the step that Bitpowr calls so elsewhere: `confirmed`.
pub fn status(given: &str) -> Result<&'static str, UnknownName> {
    let mut known: Vec<_> = Step::ALL.into_iter().map(Step::as_str).collect();
    for word in EventType::ALL.into_iter().map(EventType::last_word) {
        if !known.contains(&word) {
            known.push(word);
        }
    }
    let status = given.to_lowercase();
    known.iter().find(|word| **word == status).copied().ok_or_else(|| {
        let mut unknown = UnknownName::new("status", given, known.iter().copied());
        unknown.nearest = Step::named(given).map(Step::as_str).or(unknown.nearest);
        unknown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documented_event_is_read_in_any_case_and_another_has_a_nearest() {
        assert_eq!(event("Transaction.Deposit.SUCCESS"), Ok(EventType::DepositSuccess));
        for (given, nearest) in [
            ("transaction.deposit.sucess", Some("transaction.deposit.success")),
            ("deposit.success", Some("transaction.deposit.success")),
            // Several end so.
            ("success", None),
            ("wallets.teleported", None),
        ] {
            assert_eq!(event(given).unwrap_err().nearest, nearest, "{given}");
        }
    }

    #[test]
    fn a_status_is_read_in_any_case_and_another_has_a_nearest() {
        assert_eq!((status("Success"), status("aml_flagged")), (Ok("success"), Ok("aml_flagged")));
        for (given, nearest) in
            [("sucess", Some("success")), ("CONFIRMED", Some("success")), ("teleported", None)]
        {
            assert_eq!(status(given).unwrap_err().nearest, nearest, "{given}");
        }
    }
}
