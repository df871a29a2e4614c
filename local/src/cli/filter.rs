//! Which events a command is about: the parameters of the log.

use clap::Args;
use shared::clock::Moment;
use shared::fold::Effect;

/// Which events; all conditions hold.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Filter {
    /// Recorded at this time or later: 2026-11-23T05:29:04Z.
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Recorded before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
    /// Only this family: deposits, transfers …
    #[arg(long)]
    family: Option<String>,
    /// Only this type: transaction.deposit.success …
    #[arg(long)]
    event: Option<String>,
    /// Only this entity: UID, or TYPE:UID.
    #[arg(long, value_name = "ENTITY")]
    entity: Option<String>,
    /// Only this effect: applied, stale, repeat, conflict, ambiguous or none.
    #[arg(long)]
    effect: Option<Effect>,
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
}

impl Filter {
    /// As parameters of a question to the log.
    pub(super) fn query(&self) -> Vec<(String, String)> {
        let moment = |moment: Option<Moment>| moment.map(|moment| moment.to_string());
        let parameters = [
            ("from", moment(self.from)),
            ("to", moment(self.to)),
            ("family", self.family.clone()),
            ("event", self.event.clone()),
            ("entity", self.entity.clone()),
            ("effect", self.effect.map(|effect| effect.to_string())),
            ("status", self.status.clone()),
            ("asset", self.asset.clone()),
            ("hash", self.hash.clone()),
            ("reference", self.reference.clone()),
            ("address", self.address.clone()),
            ("customer", self.customer.clone()),
        ];
        parameters.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}
