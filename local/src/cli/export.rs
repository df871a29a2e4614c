//! `export`: the log as a file, in bounded memory.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use futures::TryStreamExt as _;
use serde::Serialize;
use serde_json::Value;
use shared::answers::{Event, EventRecord, List};
use shared::model::Decimal;
use shared::printable::{self, one_line};

use super::failure::Failure;
use super::filter::Filter;
use super::place::{NoAnswer, Place};
use super::show::encoded;
use super::spinner;
use crate::standins::files::create_file;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One JSON object per line.
    Jsonl,
    /// Comma-separated values (RFC 4180), with a header line.
    Csv,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    filter: Filter,
    /// The output format.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// The output file; standard output if omitted.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Include the body of each webhook: one more request per event. JSON lines only.
    #[arg(long)]
    raw: bool,
}

/// The columns of a table, in their order: an event's fields, of which the entity takes two.
fn columns() -> impl Iterator<Item = &'static str> {
    Event::FIELDS.iter().copied().flat_map(|field| match field {
        "entity" => vec!["entity_type", "entity_uid"],
        other => vec![other],
    })
}

/// Where events are written to.
enum Writer {
    Jsonl(Box<dyn Write>),
    Csv(Box<csv::Writer<Box<dyn Write>>>),
}

impl Writer {
    fn new(format: Format, to: Box<dyn Write>) -> std::io::Result<Self> {
        Ok(match format {
            Format::Jsonl => Self::Jsonl(to),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(to);
                writer.write_record(columns())?;
                Self::Csv(Box::new(writer))
            }
        })
    }

    fn write(&mut self, event: &impl Serialize) -> std::io::Result<()> {
        match self {
            Self::Jsonl(to) => writeln!(to, "{}", printable::json(&serde_json::to_string(event)?)),
            Self::Csv(to) => {
                let event = serde_json::to_value(event)?;
                Ok(to.write_record(columns().map(|column| cell(&event, column)))?)
            }
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Jsonl(mut to) => to.flush(),
            Self::Csv(mut to) => to.flush(),
        }
    }
}

fn cell(event: &Value, column: &str) -> String {
    let value = match column {
        "entity_type" => event.get("entity").and_then(|entity| entity.get("type")),
        "entity_uid" => event.get("entity").and_then(|entity| entity.get("uid")),
        other => event.get(other),
    };
    match value {
        Some(Value::String(text)) => inert(text),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// A text on one line that no spreadsheet takes for a formula (OWASP, "CSV Injection"). A decimal number begins with
/// a minus, and is none.
fn inert(text: &str) -> String {
    let line = one_line(text);
    let may_be_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    if may_be_formula && text.parse::<Decimal>().is_err() { format!("'{line}") } else { line.into_owned() }
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Failure> {
        if self.raw && matches!(self.format, Format::Csv) {
            return Err(Failure::new("--raw works with JSON lines only"));
        }
        let opened = self.place.open().await?;
        let to: Box<dyn Write> = match &self.output {
            Some(file) => {
                let created =
                    create_file(file).map_err(Failure::of(format!("cannot write {}", file.display())))?;
                Box::new(BufWriter::new(created))
            }
            None => Box::new(BufWriter::new(std::io::stdout())),
        };
        let mut writer = match Writer::new(self.format, to) {
            Err(error) => return closed(error),
            Ok(writer) => writer,
        };
        let bar = spinner();
        let mut count = 0_u64;
        let query = self.filter.query();
        let mut pages = std::pin::pin!(opened.pages(&query, None));
        while let Some(List::<Event> { entries, .. }) = pages.try_next().await? {
            for event in entries {
                let written = if self.raw {
                    let path = format!("events/{}", encoded(&event.id));
                    match opened.get::<EventRecord>(&path, &[]).await {
                        // Its body is gone: what is listed of it is what there is.
                        Err(NoAnswer::Refused(problem)) if problem.code == "not_found" => {
                            writer.write(&event)
                        }
                        record => writer.write(&record?),
                    }
                } else {
                    writer.write(&event)
                };
                if let Err(error) = written {
                    return closed(error);
                }
                count += 1;
            }
            bar.set_message(format!("{count} events"));
            bar.tick();
        }
        bar.finish_and_clear();
        writer.finish().or_else(closed)
    }
}

/// Whoever reads it may have had enough.
fn closed(error: std::io::Error) -> Result<(), Failure> {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::of("cannot write the events")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::inert;

    #[test]
    fn no_cell_is_a_formula_and_numbers_stay_numbers() {
        for (text, cell) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("@SUM(1+1)", "'@SUM(1+1)"),
            ("+1+cmd", "'+1+cmd"),
            ("-2+3", "'-2+3"),
            ("\t=1", "'\\t=1"),
            ("\r=1", "'\\r=1"),
            ("＝1", "'＝1"),
            ("-0.5", "-0.5"),
            ("-1", "-1"),
            ("0.45", "0.45"),
            ("a=b", "a=b"),
            ("one\ntwo\u{1b}[2J", "one\\ntwo\\u001b[2J"),
            ("", ""),
        ] {
            assert_eq!(inert(text), cell);
        }
    }
}
