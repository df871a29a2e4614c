//! The command line.

mod acknowledge;
mod console;
mod dead_letters;
mod doctor;
mod endpoint;
mod erase;
mod export;
mod failure;
mod filter;
mod forward;
mod ledger;
mod listen;
mod log;
mod place;
mod quarantine;
mod rebuild;
mod resend;
pub mod samples;
mod serve;
mod short_id;
mod show;
mod subscribe;
mod tail;
mod time;
mod trigger;
mod wanted;

use std::fmt;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use shared::printable::{self, one_line};
use shared::store::MAX_DELIVERIES;
use shared::verify::Secret;
use tracing_subscriber::EnvFilter;

use crate::standins::development::SECRET;
use failure::Failure;

/// A serverless receiver for Bitpowr's webhooks, on this machine: no account, no Docker.
///
/// Runs `serve` if no command is given.
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
    /// Receive, keep and apply webhooks and send notifications, until Ctrl-C.
    Serve(serve::Serve),
    /// Send sample events over real HTTP and report each answer.
    #[command(after_help = trigger::list_of_events())]
    Trigger(trigger::Trigger),
    /// List events, newest first; with --follow, print new ones as they arrive.
    Log(log::Log),
    /// Show one event with its body and notification, or one entity with its history.
    Show(show::Show),
    /// Send the notification of one event again, or of all events that match, after a dry run.
    Resend(resend::Resend),
    /// Record that you have looked at what is wrong with an event: doctor no longer counts it.
    ///
    /// Its marks stay. What a later event says is a new problem.
    Acknowledge(acknowledge::Acknowledge),
    /// Show the balances of an account and the ledger lines behind them.
    Ledger(ledger::Ledger),
    /// Recompute states, balances and ledger from the stored webhooks, and repair what differs.
    ///
    /// Events may arrive while it runs.
    Rebuild(rebuild::Rebuild),
    /// List webhooks that could not be read, and retry them.
    Quarantine(quarantine::Quarantine),
    /// Count deliveries that could not be applied, and redrive them.
    DeadLetters(dead_letters::DeadLetters),
    /// Erase personal data on request: of a customer, of one event, or of one body in quarantine.
    ///
    /// It first shows what it would erase. Identifiers, money and what is public on the chain stay; states, balances and
    /// ledger stay as they are but for the fields that are erased. What subscribers got is theirs to erase.
    Erase(erase::Erase),
    /// Export the log as JSON lines or CSV.
    Export(export::Export),
    /// Add, list, test, rotate, enable, disable and remove endpoints: services of yours that get signed POSTs.
    Endpoint(endpoint::EndpointCommand),
    /// POST what happens to a service on this machine, signed as for an endpoint, until Ctrl-C.
    Listen(listen::Listen),
    /// Subscribe an e-mail address, a phone number or an HTTPS URL to notifications.
    Subscribe(subscribe::Subscribe),
    /// Check the receiver and report what is wrong.
    Doctor(doctor::Doctor),
    /// Serve the page for a deployed stack on this machine, with your own AWS credentials.
    Console(console::Console),
}

/// The secret, which sender and receiver share.
#[derive(Clone, Debug, Args)]
struct SecretArgument {
    /// The webhook secret, as set on Bitpowr's webhook page. Other users of this machine can see a command's
    /// arguments: prefer a file or the environment variable.
    #[arg(long, value_name = "TEXT", default_value = SECRET, env = "BITPOWR_WEBHOOK_SECRET", hide_env_values = true)]
    secret: SecretText,
    /// A file that holds the webhook secret. It overrides `--secret`; a trailing line break is ignored.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// A secret on its way from the command line. It does not print.
#[derive(Clone)]
struct SecretText(String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl SecretArgument {
    fn read(self) -> Result<Secret, Failure> {
        let text = match self.secret_file {
            None => self.secret.0.into_bytes(),
            Some(file) => {
                let mut bytes = std::fs::read(&file)
                    .map_err(Failure::of(format!("cannot read the secret from {}", file.display())))?;
                while matches!(bytes.last(), Some(b'\n' | b'\r')) {
                    bytes.pop();
                }
                bytes
            }
        };
        Ok(Secret::new(text)?)
    }
}

/// Runs the command line: 0 on success, 1 on failure, 2 on a usage error.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // What the handlers log is the cause of what they answer.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,dynoxide=error,aws_config=error"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::from(error)),
    };
    let outcome = runtime.block_on(async {
        match command {
            Command::Serve(serve) => serve.run().await,
            Command::Trigger(trigger) => trigger.run().await,
            Command::Ledger(ledger) => ledger.run().await,
            Command::Rebuild(rebuild) => rebuild.run().await,
            Command::Log(log) => log.run().await,
            Command::Show(show) => show.run().await,
            Command::Resend(resend) => resend.run().await,
            Command::Acknowledge(acknowledge) => acknowledge.run().await,
            Command::Quarantine(quarantine) => quarantine.run().await,
            Command::DeadLetters(letters) => letters.run().await,
            Command::Erase(erase) => erase.run().await,
            Command::Export(export) => export.run().await,
            Command::Endpoint(endpoint) => endpoint.run().await,
            Command::Listen(listen) => listen.run().await,
            Command::Subscribe(subscribe) => subscribe.run().await,
            Command::Doctor(doctor) => doctor.run().await,
            Command::Console(console) => console.run().await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

/// One readable line.
fn fail(failure: &Failure) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {}", failure.line());
    ExitCode::from(failure.code)
}

/// Writes a line. Whoever reads it may have gone. Webhooks are other people's text: nothing of it acts on the
/// terminal.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", one_line(line));
}

/// Writes JSON, for programs: nothing is left out of it.
fn say_json(value: &impl Serialize) {
    // Everything that is shown can be written.
    let json = serde_json::to_string(value).unwrap_or_default();
    let _ = writeln!(std::io::stdout(), "{}", printable::json(&json));
}

/// Writes a body: indented where it is JSON, else its lines.
fn say_body(body: &str) {
    let value = serde_json::from_str::<serde_json::Value>(body).ok();
    match value.and_then(|value| serde_json::to_string_pretty(&value).ok()) {
        Some(indented) => {
            let _ = writeln!(std::io::stdout(), "{}", printable::json(&indented));
        }
        None => body.lines().for_each(say),
    }
}

/// Writes a table for people: a line each row.
fn say_table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = comfy_table::Table::new();
    let rows = rows.into_iter().map(|cells| cells.into_iter().map(|cell| one_line(&cell).into_owned()));
    table.load_preset(comfy_table::presets::NOTHING).set_header(columns).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let _ = writeln!(std::io::stdout(), "{}", table.trim_fmt());
}

/// Asks whoever sits at the terminal; nobody there means no.
fn confirm(question: &str) -> Result<bool, Failure> {
    let (input, mut error) = (std::io::stdin(), std::io::stderr());
    if !input.is_terminal() {
        return Ok(false);
    }
    let _ = write!(error, "{question} [y/N] ");
    let mut answer = String::new();
    input.lock().read_line(&mut answer).map_err(Failure::of("cannot read the answer"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// On standard error, and only where that is a terminal.
fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar
}

/// How many deliveries an event or a body of the quarantine has, as people read it: further ones are not counted.
fn deliveries(count: u64) -> String {
    if count >= MAX_DELIVERIES { format!("{MAX_DELIVERIES} or more") } else { count.to_string() }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn a_count_of_deliveries_that_ended_says_that_there_may_be_more() {
        for (count, says) in [(1, "1"), (255, "255"), (256, "256 or more"), (257, "256 or more")] {
            assert_eq!(super::deliveries(count), says);
        }
    }
}
