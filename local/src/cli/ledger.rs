//! `ledger`: balances, and what made them.

use clap::Args;
use serde_json::{Value, json};
use shared::clock::Moment;

use super::failure::Failure;
use super::place::Place;
use super::{say, say_json, say_table, text};

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
    /// As it was at this moment: 2026-11-23T05:29:04Z.
    #[arg(long, value_name = "MOMENT")]
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
        let mut balances = opened.all("balances", &[account, ("at", at.as_deref())]).await?;
        balances.retain(|balance| self.asset.as_deref().is_none_or(|asset| text(balance, "asset") == asset));
        let ledger =
            opened.all("ledger", &[account, ("asset", self.asset.as_deref()), ("at", at.as_deref())]).await?;
        if self.json {
            say_json(&json!({ "balances": balances, "ledger": ledger }));
            return Ok(());
        }
        if balances.is_empty() {
            let nothing = format!("nothing was ever counted for the account {}", self.account);
            return Err(Failure::new(nothing));
        }
        let columns = ["asset", "received", "sent", "fees", "pending", "balance"];
        let row = |balance: &Value| columns.map(|column| text(balance, column).to_owned()).to_vec();
        say_table(&columns, balances.iter().map(row));
        let columns = ["when", "asset", "rule", "change", "transaction", "event"];
        say_table(&columns, ledger.iter().map(line));
        say("The webhook of a line: show EVENT");
        Ok(())
    }
}

fn line(line: &Value) -> Vec<String> {
    let change = line.get("change");
    let changes = ["received", "sent", "fees", "pending"].into_iter().filter_map(|column| {
        let amount = text(change?, column);
        let sign = if amount.starts_with('-') { "" } else { "+" };
        (amount != "0").then(|| format!("{column} {sign}{amount}"))
    });
    let uid = line.get("transaction").map(|transaction| text(transaction, "uid")).unwrap_or_default();
    vec![
        text(line, "recorded_at").to_owned(),
        text(line, "asset").to_owned(),
        text(line, "rule").to_owned(),
        changes.collect::<Vec<_>>().join(", "),
        uid.to_owned(),
        text(line, "event_id").to_owned(),
    ]
}
