//! Which events a command is about: the parameters of the log.

use clap::Args;
use shared::clock::Moment;
use shared::fold::Effect;
use shared::model::{EntityType, Family, Oddity};
use shared::names::{UnknownName, in_any_case};

use super::time::time;

/// Which events, of which time; all conditions hold.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Filter {
    /// Recorded at this time or later: 2026-11-23T05:29:04Z, 2026-11-23, or how long ago: 2h.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Moment>,
    /// Recorded before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Moment>,
    #[command(flatten)]
    which: Which,
}

/// Which events; all conditions hold.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Which {
    /// Only this family: deposits, transfers …
    #[arg(long, value_parser = in_any_case::<Family>)]
    family: Option<Family>,
    /// Only this type: transaction.deposit.success …
    #[arg(long)]
    event: Option<String>,
    /// Only this entity: UID, or TYPE:UID.
    #[arg(long, value_name = "ENTITY", value_parser = entity)]
    entity: Option<String>,
    /// Only this effect: applied, stale, repeat, conflict, ambiguous or none.
    #[arg(long, value_parser = in_any_case::<Effect>)]
    effect: Option<Effect>,
    /// Only money that is not counted for this reason: not_a_number, negative, too_long, asset_unknown,
    /// direction_unknown or not_counted.
    #[arg(long, value_parser = in_any_case::<Oddity>)]
    oddity: Option<Oddity>,
    /// Only this status: created, success, failed …
    #[arg(long)]
    status: Option<String>,
    /// Only this asset: BTC, USDT_TRON …
    #[arg(long)]
    asset: Option<String>,
    /// Only the transaction with this hash.
    #[arg(long)]
    hash: Option<String>,
    /// Only this reference, as you gave it to Bitpowr.
    #[arg(long)]
    reference: Option<String>,
    /// Only this address, as sender or recipient.
    #[arg(long)]
    address: Option<String>,
    /// Only this customer.
    #[arg(long)]
    customer: Option<String>,
    /// Only this account or wallet.
    #[arg(long)]
    account: Option<String>,
    /// Only this sub-account.
    #[arg(long)]
    sub_account: Option<String>,
    /// Only this chain: BITCOIN, TRON … On its own it reads the whole log.
    #[arg(long)]
    chain: Option<String>,
}

/// A uid, or TYPE:UID, as it is given.
pub(super) fn entity(given: &str) -> Result<String, UnknownName> {
    EntityType::split(given).map(|_| given.to_owned())
}

impl Filter {
    /// As parameters of a question to the log.
    pub(super) fn query(&self) -> Vec<(String, String)> {
        self.which.query(self.from, self.to)
    }
}

impl Which {
    /// As parameters of a question to the log, about a time.
    pub(super) fn query(&self, from: Option<Moment>, to: Option<Moment>) -> Vec<(String, String)> {
        let moment = |moment: Option<Moment>| moment.map(|moment| moment.to_string());
        let parameters = [
            ("from", moment(from)),
            ("to", moment(to)),
            ("family", self.family.map(|family| family.to_string())),
            ("event", self.event.clone()),
            ("entity", self.entity.clone()),
            ("effect", self.effect.map(|effect| effect.to_string())),
            ("oddity", self.oddity.map(|oddity| oddity.to_string())),
            ("status", self.status.clone()),
            ("asset", self.asset.clone()),
            ("hash", self.hash.clone()),
            ("reference", self.reference.clone()),
            ("address", self.address.clone()),
            ("customer", self.customer.clone()),
            ("account", self.account.clone()),
            ("sub_account", self.sub_account.clone()),
            ("chain", self.chain.clone()),
        ];
        parameters.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}
