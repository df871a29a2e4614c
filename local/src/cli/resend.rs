//! `resend`: sends notifications again, of one event or of many.

use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use futures::TryStreamExt as _;
use serde_json::json;
use shared::answers::{Done, Event, List};
use shared::causes::with_causes;
use shared::clock::{Clock as _, SystemClock};
use shared::store::Job;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::failure::Failure;
use super::filter::Filter;
use super::log::{COLUMNS, row};
use super::place::{NoAnswer, Opened, Place};
use super::short_id;
use super::show::encoded;
use super::{confirm, say, say_json, say_table, spinner};

/// How many events a dry run shows.
const SAMPLE: usize = 5;

#[derive(Debug, Args)]
pub(super) struct Resend {
    #[command(flatten)]
    place: Place,
    /// The id of one event; all events that match the filters if omitted.
    #[arg(conflicts_with = "resume")]
    id: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// The reason, recorded with your name.
    #[arg(long, required_unless_present = "resume", value_parser = NonEmptyStringValueParser::new())]
    why: Option<String>,
    /// Continue a job that was interrupted.
    #[arg(long, value_name = "JOB")]
    resume: Option<String>,
    /// The maximum number per second. More than 10 per second deactivate an e-mail subscription.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rate: u64,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The time between two events at so many a second.
fn between(rate: u64) -> Duration {
    Duration::from_nanos(1_000_000_000 / rate.max(1))
}

impl Resend {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        if let Some(id) = &self.id {
            let why = self.why.as_deref().unwrap_or_default();
            let key = Uuid::new_v4().to_string();
            let id = &short_id::whole(&opened, id).await?;
            let done: Done = opened.act(&format!("events/{}/resend", encoded(id)), why, &key).await?;
            if self.json {
                say_json(&done);
            } else {
                say(&format!("{id} was resent"));
            }
            return Ok(());
        }
        let job = match &self.resume {
            Some(id) => {
                let found = opened.table.job(opened.environment, id).await;
                let found = found.map_err(Failure::of(format!("cannot read job {id}")))?;
                found.ok_or_else(|| Failure::new(format!("not found: no job has the id {id}")))?
            }
            None => match self.dry_run(&opened).await? {
                Some(job) => job,
                None => return Ok(()),
            },
        };
        self.work(&opened, job).await
    }

    /// Shows what would be resent, and asks; none where nothing is to be done.
    async fn dry_run(&self, opened: &Opened) -> Result<Option<Job>, Failure> {
        let mut filter = self.filter.query();
        // What comes from now on is notified anyway.
        if !filter.iter().any(|(name, _)| name == "to") {
            filter.push(("to".to_owned(), SystemClock.now().to_string()));
        }
        let (mut count, mut sample, mut hint) = (0, Vec::new(), None);
        let bar = spinner();
        {
            let mut pages = std::pin::pin!(opened.pages(&filter, None));
            while let Some(List::<Event> { entries, hint: said, .. }) = pages.try_next().await? {
                count += entries.len();
                hint = said;
                sample.extend(entries.into_iter().take(SAMPLE - sample.len().min(SAMPLE)));
                bar.set_message(format!("{count} events"));
                bar.tick();
            }
        }
        bar.finish_and_clear();
        if !self.json && count == 0 {
            say("No events match.");
            hint.iter().for_each(|hint| say(hint));
        } else if !self.json {
            say(&format!("{count} events would be resent, newest first. The first {}:", sample.len()));
            say_table(&COLUMNS, sample.iter().map(row));
        }
        if count == 0 || !(self.yes || confirm(&format!("Resend {count} events?"))?) {
            if self.json {
                say_json(&json!({ "would_tell": count, "sample": sample }));
            } else if count > 0 {
                say("Nothing was sent. Add --yes to send.");
            }
            return Ok(None);
        }
        Ok(Some(Job {
            id: Uuid::now_v7().simple().to_string(),
            environment: opened.environment,
            filter,
            who: opened.who.clone(),
            why: self.why.clone().unwrap_or_default(),
            begun_at: SystemClock.now(),
            cursor: None,
            told: 0,
            never_told: 0,
            finished: false,
        }))
    }

    /// Resends page by page, and notes after each how far it is. An event that is done again after an interruption
    /// is found done: it is the same action.
    async fn work(&self, opened: &Opened, mut job: Job) -> Result<(), Failure> {
        if job.finished {
            return Err(Failure::new(format!("job {} is already finished", job.id)));
        }
        self.save(opened, &job).await?;
        if !self.json {
            say(&format!("Job {}. To continue it after an interruption: resend --resume {0}", job.id));
        }
        let bar = spinner();
        let mut pace = tokio::time::interval(between(self.rate));
        // What took longer is not made up for by a burst.
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let filter = job.filter.clone();
        let mut pages = std::pin::pin!(opened.pages(&filter, job.cursor.clone()));
        while let Some(List::<Event> { entries, cursor, .. }) = pages.try_next().await? {
            for Event { id, .. } in &entries {
                pace.tick().await;
                let key = format!("{}/{id}", job.id);
                match opened.act::<Done>(&format!("events/{}/resend", encoded(id)), &job.why, &key).await {
                    Ok(_) => job.told += 1,
                    Err(NoAnswer::Refused(problem)) if problem.code == "never_told" => job.never_told += 1,
                    Err(error) => {
                        let why = with_causes(&error);
                        let go_on = format!("{why} Go on with: resend --resume {}", job.id);
                        return Err(Failure::new(go_on));
                    }
                }
                bar.set_message(format!("{} resent", job.told));
                bar.tick();
            }
            job.cursor = cursor;
            job.finished = job.cursor.is_none();
            self.save(opened, &job).await?;
        }
        bar.finish_and_clear();
        if self.json {
            say_json(&json!({ "job": job.id, "told": job.told, "never_told": job.never_told }));
        } else {
            let never = "had no notification (stale or repeat)";
            say(&format!("{} events were resent; {} {never}", job.told, job.never_told));
        }
        Ok(())
    }

    async fn save(&self, opened: &Opened, job: &Job) -> Result<(), Failure> {
        let saved = opened.table.save_job(job).await;
        saved.map_err(Failure::of(format!("cannot save job {}", job.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn no_rate_is_exceeded_by_more_than_rounding() {
        for rate in [1, 5, 7, 600, 999, 1000] {
            let a_minute = between(rate) * u32::try_from(rate * 60).unwrap();
            assert!(a_minute.as_millis() >= 59_999, "{rate}: {a_minute:?}");
        }
    }
}
