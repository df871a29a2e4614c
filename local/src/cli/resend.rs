//! `resend`: sends notifications again, of one event or of many, to everybody, to one endpoint, or to a URL.

use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lambda_http::http::Method;
use serde_json::json;
use shared::answers::{Done, Endpoint, Event, List};
use shared::causes::with_causes;
use shared::clock::{Clock as _, Moment, SystemClock};
use shared::endpoints::{EndpointFilter, EndpointState, EndpointUrl, Reach};
use shared::store::Job;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::failure::Failure;
use super::filter::Which;
use super::forward::{self, Forward};
use super::log::{COLUMNS, row};
use super::place::{NoAnswer, Opened, Place};
use super::short_id;
use super::show::encoded;
use super::time::time;
use super::{confirm, say, say_json, say_table, spinner};

/// How many events a dry run shows.
const SAMPLE: usize = 5;

/// Where the range ends, or where the event goes.
#[derive(Clone, Debug)]
enum To {
    Time(Moment),
    Url(EndpointUrl),
}

impl To {
    fn read(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        if text.contains("://") {
            Ok(Self::Url(EndpointUrl::read(text, Reach::Local)?))
        } else {
            Ok(Self::Time(time(text)?))
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Resend {
    #[command(flatten)]
    place: Place,
    /// The id of one event; all events that match the filters if omitted.
    #[arg(conflicts_with = "resume")]
    id: Option<String>,
    /// Send only to this endpoint: of a range, what its filter selects.
    #[arg(long, value_name = "ENDPOINT", conflicts_with = "resume")]
    endpoint: Option<String>,
    /// Recorded at this time or later: 2026-11-23T05:29:04Z, 2026-11-23, or how long ago: 2h.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Moment>,
    /// Recorded before this time. With an id: POST the event once to this URL, signed, without recording it.
    #[arg(long, value_name = "TIME or URL", value_parser = To::read)]
    to: Option<To>,
    #[command(flatten)]
    which: Which,
    /// The reason, recorded with your name.
    #[arg(long, required_unless_present_any = ["resume", "to"], value_parser = NonEmptyStringValueParser::new())]
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
        match (&self.id, &self.to) {
            (Some(_), Some(To::Time(_))) => {
                return Err(Failure::usage("with the id of an event, --to is a URL"));
            }
            (None, Some(To::Url(_))) => {
                return Err(Failure::usage("--to URL needs the id of an event"));
            }
            (Some(_), Some(To::Url(_))) => {}
            _ if self.why.is_none() && self.resume.is_none() => {
                return Err(Failure::usage("--why is needed: the reason is recorded with your name"));
            }
            _ => {}
        }
        let opened = self.place.open().await?;
        match (&self.id, &self.to) {
            (Some(id), Some(To::Url(url))) => self.to_url(&opened, id, url).await,
            (Some(id), _) => self.one(&opened, id).await,
            (None, _) => self.many(&opened).await,
        }
    }

    /// Resends one event.
    async fn one(&self, opened: &Opened, given: &str) -> Result<(), Failure> {
        let id = short_id::whole(opened, given).await?;
        let endpoint = endpoint(opened, self.endpoint.as_deref()).await?.map(|endpoint| endpoint.id);
        let why = self.why.as_deref().unwrap_or_default();
        let done = resend(opened, &id, endpoint.as_deref(), why, &Uuid::new_v4().to_string()).await?;
        if self.json {
            say_json(&done);
        } else {
            let to = endpoint.map(|endpoint| format!(" to {endpoint}")).unwrap_or_default();
            say(&format!("{id} was resent{to}"));
        }
        Ok(())
    }

    /// POSTs one event, once, as an endpoint would get it.
    async fn to_url(&self, opened: &Opened, given: &str, url: &EndpointUrl) -> Result<(), Failure> {
        let id = short_id::whole(opened, given).await?;
        let found = forward::parcel(opened, &id).await?;
        let (parcel, _) = found.ok_or_else(|| Failure::new("This event has no notification to send."))?;
        let forward = Forward::new(url.clone())?;
        if !self.json {
            say(&format!("signed with {}", forward.secret()));
        }
        let attempt = forward.send(&parcel).await;
        if self.json {
            say_json(&attempt);
        } else {
            say(&forward::answered(&attempt));
        }
        if attempt.is_success() { Ok(()) } else { Err(Failure::new(format!("{url} did not accept it"))) }
    }

    /// Resends all that matches.
    async fn many(&self, opened: &Opened) -> Result<(), Failure> {
        let job = match &self.resume {
            Some(id) => {
                let found = opened.table.job(opened.environment, id).await;
                let found = found.map_err(Failure::of(format!("cannot read job {id}")))?;
                found.ok_or_else(|| Failure::new(format!("not found: no job has the id {id}")))?
            }
            None => match self.dry_run(opened).await? {
                Some(job) => job,
                None => return Ok(()),
            },
        };
        self.work(opened, job).await
    }

    /// Shows what would be resent, and asks; none where nothing is to be done.
    async fn dry_run(&self, opened: &Opened) -> Result<Option<Job>, Failure> {
        let endpoint = endpoint(opened, self.endpoint.as_deref()).await?;
        let to = match self.to {
            Some(To::Time(to)) => to,
            // What comes from now on is notified anyway.
            _ => SystemClock.now(),
        };
        let filter = self.which.query(self.from, Some(to));
        let (mut count, mut sample, mut hint) = (0, Vec::new(), None);
        let bar = spinner();
        {
            let mut pages = std::pin::pin!(opened.pages(&filter, None));
            while let Some(List::<Event> { mut entries, hint: said, .. }) = pages.try_next().await? {
                retain(opened, endpoint.as_ref(), &mut entries).await?;
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
            let to = endpoint.as_ref().map(|endpoint| format!(" to {}", endpoint.id)).unwrap_or_default();
            say(&format!("{count} events would be resent{to}, newest first. The first {}:", sample.len()));
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
            endpoint: endpoint.map(|endpoint| endpoint.id),
            who: opened.who.clone(),
            why: self.why.clone().unwrap_or_default(),
            begun_at: SystemClock.now(),
            cursor: None,
            resent: 0,
            unsent: 0,
            finished: false,
        }))
    }

    /// Resends page by page, and notes after each how far it is. An event that is done again after an interruption
    /// is found done: it is the same action.
    async fn work(&self, opened: &Opened, mut job: Job) -> Result<(), Failure> {
        if job.finished {
            return Err(Failure::new(format!("job {} is already finished", job.id)));
        }
        let endpoint = endpoint(opened, job.endpoint.as_deref()).await?;
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
        while let Some(List::<Event> { mut entries, cursor, .. }) = pages.try_next().await? {
            retain(opened, endpoint.as_ref(), &mut entries).await?;
            for Event { id, .. } in &entries {
                pace.tick().await;
                let key = format!("{}/{id}", job.id);
                match resend(opened, id, job.endpoint.as_deref(), &job.why, &key).await {
                    Ok(_) => job.resent += 1,
                    Err(NoAnswer::Refused(problem)) if problem.code == "never_told" => job.unsent += 1,
                    Err(error) => {
                        let why = with_causes(&error);
                        let go_on = format!("{why} Go on with: resend --resume {}", job.id);
                        return Err(Failure::new(go_on));
                    }
                }
                bar.set_message(format!("{} resent", job.resent));
                bar.tick();
            }
            job.cursor = cursor;
            job.finished = job.cursor.is_none();
            if job.finished {
                // What it selected may say whose events they are.
                job.filter.clear();
            }
            self.save(opened, &job).await?;
        }
        bar.finish_and_clear();
        if self.json {
            say_json(&json!({ "job": job.id, "told": job.resent, "never_told": job.unsent }));
        } else {
            let never = "had no notification (stale or repeat)";
            say(&format!("{} events were resent; {} {never}", job.resent, job.unsent));
        }
        Ok(())
    }

    async fn save(&self, opened: &Opened, job: &Job) -> Result<(), Failure> {
        let saved = opened.table.save_job(job).await;
        saved.map_err(Failure::of(format!("cannot save job {}", job.id)))
    }
}

/// Resends one event; the same `key` does it once.
async fn resend(
    opened: &Opened,
    id: &str,
    endpoint: Option<&str>,
    why: &str,
    key: &str,
) -> Result<Done, NoAnswer> {
    let order = json!({ "why": why, "endpoint": endpoint });
    opened.order(&Method::POST, &format!("events/{}/resend", encoded(id)), &order, key).await
}

/// The only endpoint that gets it, if one is given.
async fn endpoint(opened: &Opened, given: Option<&str>) -> Result<Option<Endpoint>, Failure> {
    let Some(given) = given else { return Ok(None) };
    let endpoint = short_id::endpoint(opened, given).await?;
    if endpoint.state == EndpointState::Disabled {
        let id = endpoint.id;
        return Err(Failure::new(format!("the endpoint {id} is disabled: first run endpoint enable {id}")));
    }
    Ok(Some(endpoint))
}

/// Leaves what an endpoint wants.
async fn retain(
    opened: &Opened,
    endpoint: Option<&Endpoint>,
    events: &mut Vec<Event>,
) -> Result<(), Failure> {
    let filter = endpoint.map(|endpoint| &endpoint.filter);
    let Some(filter) = filter.filter(|filter| **filter != EndpointFilter::default()) else { return Ok(()) };
    let wants = |event: Event| async move {
        let found = forward::parcel(opened, &event.id).await?;
        let is_wanted = found.is_some_and(|(_, attributes)| filter.accepts(&attributes));
        Ok::<_, Failure>(is_wanted.then_some(event))
    };
    let wanted = stream::iter(std::mem::take(events)).map(wants).buffered(10);
    *events = wanted.try_filter_map(async |event| Ok(event)).try_collect().await?;
    Ok(())
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
