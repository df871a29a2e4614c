//! `ledger`: balances, and what made them.

use clap::Args;
use serde_json::json;
use shared::answers::Balance;
use shared::clock::Moment;
use shared::model::Decimal;
use shared::model::ledger::LedgerLine;
use shared::model::money::Amounts;

use super::failure::Failure;
use super::place::Place;
use super::time::time;
use super::{say, say_json, say_table};

#[derive(Debug, Args)]
pub(super) struct Ledger {
    #[command(flatten)]
    place: Place,
    /// The account.
    #[arg(long)]
    account: String,
    /// Only this asset.
    #[arg(long)]
    asset: Option<String>,
    /// As of this time: 2026-11-23T05:29:04Z, 2026-11-23, or how long ago: 2h.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Moment>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Ledger {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let at = self.at.map(|at| at.to_string());
        let account = ("account", Some(self.account.as_str()));
        let mut balances: Vec<Balance> = opened.all(&[account, ("at", at.as_deref())]).await?;
        balances.retain(|balance| self.asset.as_ref().is_none_or(|asset| balance.asset == asset.as_str()));
        let ledger: Vec<LedgerLine> =
            opened.all(&[account, ("asset", self.asset.as_deref()), ("at", at.as_deref())]).await?;
        if self.json {
            say_json(&json!({ "balances": balances, "ledger": ledger }));
            return Ok(());
        }
        if balances.is_empty() {
            let nothing = format!("nothing was ever counted for account {}", self.account);
            return Err(Failure::new(nothing));
        }
        let columns = ["asset", "received", "sent", "fees", "pending", "balance"];
        say_table(&columns, balances.iter().map(row));
        let columns = ["when", "asset", "rule", "change", "transaction", "event"];
        say_table(&columns, ledger.iter().map(line));
        say("Run show EVENT to see the webhook behind a line.");
        Ok(())
    }
}

fn row(Balance { asset, received, sent, fees, pending, balance, .. }: &Balance) -> Vec<String> {
    let columns = [received, sent, fees, pending, balance].map(Decimal::to_string);
    [asset.to_string()].into_iter().chain(columns).collect()
}

fn line(line: &LedgerLine) -> Vec<String> {
    let Amounts { received, sent, fees, pending } = &line.change;
    let changes = [("received", received), ("sent", sent), ("fees", fees), ("pending", pending)];
    let changes = changes.into_iter().filter(|(_, amount)| **amount != Decimal::default());
    let changes = changes.map(|(column, amount)| {
        let amount = amount.to_string();
        let sign = if amount.starts_with('-') { "" } else { "+" };
        format!("{column} {sign}{amount}")
    });
    let uid = line.transaction.as_ref().map(|transaction| transaction.uid.clone());
    vec![
        line.recorded_at.to_string(),
        line.asset.to_string(),
        line.rule.to_string(),
        changes.collect::<Vec<_>>().join(", "),
        uid.unwrap_or_default(),
        line.event_id.clone().unwrap_or_default().to_string(),
    ]
}
