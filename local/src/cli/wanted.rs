//! Which events somebody shall be sent: the options of what is filtered for good.

use clap::Args;
use serde_json::json;
use shared::endpoints::{EndpointFilter, FilterError};
use shared::fold::Effect;
use shared::model::Family;
use shared::model::amount::Decimal;
use shared::names::in_any_case;

use super::failure::Failure;

/// What is wanted: of each option one of the values; of all options all.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Wanted {
    /// Only these families.
    #[arg(long, value_parser = in_any_case::<Family>)]
    family: Vec<Family>,
    /// Only these types.
    #[arg(long)]
    event: Vec<String>,
    /// Only these effects.
    #[arg(long, value_parser = in_any_case::<Effect>)]
    effect: Vec<Effect>,
    /// Only these statuses.
    #[arg(long)]
    status: Vec<String>,
    /// Accept types and statuses that Bitpowr does not document.
    #[arg(long)]
    pub(super) unlisted: bool,
    /// Only these assets.
    #[arg(long)]
    asset: Vec<String>,
    /// Only these chains.
    #[arg(long)]
    chain: Vec<String>,
    /// Only events that moved money.
    #[arg(long)]
    counted: bool,
    /// Only from this amount in US dollars on, where the webhook says one.
    #[arg(long, value_name = "DOLLARS", value_parser = Decimal::read)]
    least: Option<Decimal>,
}

impl Wanted {
    /// The filter.
    ///
    /// # Errors
    /// For a word that is in no list, where it has to be in one.
    pub(super) fn filter(&self) -> Result<EndpointFilter, Failure> {
        let Self { family, event, effect, status, unlisted, asset, chain, counted, least } = self;
        let given = json!({
            "family": family, "event": event, "effect": effect, "status": status,
            "asset": asset, "chain": chain, "counted": counted, "least": least,
        });
        let given = given.as_object().cloned().unwrap_or_default();
        EndpointFilter::read(&given, *unlisted).map_err(|error| match error {
            FilterError::Unlisted { given, unknown } => {
                Failure::usage(format!("{} --unlisted takes it as it is.", unknown.about(&given)))
            }
            other => Failure::usage(other.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(event: &str, status: &str, unlisted: bool) -> Result<EndpointFilter, Failure> {
        let given = |text: &str| if text.is_empty() { vec![] } else { vec![text.to_owned()] };
        Wanted { event: given(event), status: given(status), unlisted, ..Wanted::default() }.filter()
    }

    #[test]
    fn words_outside_the_lists_are_taken_only_on_request() {
        let failure = wanted("transaction.deposit.sucess", "", false).unwrap_err();
        assert!(failure.line().contains("did you mean transaction.deposit.success?"), "{}", failure.line());
        assert_eq!(failure.code, 2);
        assert!(wanted("", "sucess", false).unwrap_err().line().contains("did you mean success?"));
        let filter = wanted("Wallets.Teleported", "SUCCESS", true).unwrap();
        assert_eq!(
            (filter.event, filter.status),
            (vec!["wallets.teleported".to_owned()], vec!["success".to_owned()])
        );
        let filter = wanted("Transaction.deposit.success", "", false).unwrap();
        assert_eq!(filter.event, ["transaction.deposit.success"]);
    }
}
