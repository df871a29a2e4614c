//! Which events a command is about: the parameters of the log.

use clap::Args;
use shared::clock::Moment;
use shared::fold::Effect;

/// Which events; all conditions hold.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Filter {
    /// Recorded at this moment or later: 2026-11-23T05:29:04Z.
    #[arg(long, value_name = "MOMENT")]
    from: Option<Moment>,
    /// Recorded before this moment.
    #[arg(long, value_name = "MOMENT")]
    to: Option<Moment>,
    /// Of this family: deposits, transfers …
    #[arg(long)]
    family: Option<String>,
    /// Of this type: transaction.deposit.success …
    #[arg(long)]
    event: Option<String>,
    /// About the entity of this uid: UID, or TYPE:UID.
    #[arg(long, value_name = "ENTITY")]
    entity: Option<String>,
    /// With this effect: applied, stale, repeat, conflict, ambiguous or none.
    #[arg(long)]
    effect: Option<Effect>,
    /// With this status: created, success, failed …
    #[arg(long)]
    status: Option<String>,
    /// About this asset: BTC, USDT_TRON …
    #[arg(long)]
    asset: Option<String>,
    /// About the transaction of this hash.
    #[arg(long)]
    hash: Option<String>,
    /// About what carries this reference of yours.
    #[arg(long)]
    reference: Option<String>,
    /// With this address at either end.
    #[arg(long)]
    address: Option<String>,
    /// About this customer.
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
