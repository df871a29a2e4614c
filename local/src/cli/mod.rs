//! The command line.

mod ledger;
mod place;
mod rebuild;
mod serve;
mod trigger;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// A serverless receiver for Bitpowr's webhooks, on this machine: no account, no Docker.
///
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "bitpowr-webhooks", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receives webhooks, keeps, applies and tells them, until Ctrl-C.
    Serve(serve::Serve),
    /// Sends samples of Bitpowr's events over real HTTP, and reports each answer.
    #[command(after_help = trigger::list_of_events())]
    Trigger(trigger::Trigger),
    /// Shows the balances of an account, and the ledger lines that made them.
    Ledger(ledger::Ledger),
    /// Derives states, balances and ledger again from the webhooks that were kept, and mends what differs.
    ///
    /// Events may arrive meanwhile.
    Rebuild(rebuild::Rebuild),
}

/// The secret, which sender and receiver share.
#[derive(Clone, Debug, Args)]
struct SecretArgument {
    /// The webhook secret, as set on Bitpowr's webhook page.
    #[arg(long, default_value = "local-secret", env = "BITPOWR_WEBHOOK_SECRET", hide_env_values = true)]
    secret: String,
}

/// Runs the command line: 0 where all went well, 1 where not, 2 where it was not understood.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let outcome = runtime.block_on(async {
        match command {
            Command::Serve(serve) => serve.run().await,
            Command::Trigger(trigger) => trigger.run().await,
            Command::Ledger(ledger) => ledger.run().await,
            Command::Rebuild(rebuild) => rebuild.run().await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

/// One readable line.
fn fail(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {message}");
    ExitCode::FAILURE
}

/// Writes a line. Whoever reads it may have gone.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A table for people.
fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(columns).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
