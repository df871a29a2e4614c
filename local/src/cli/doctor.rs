//! `doctor`: checks the receiver and reports what is wrong.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use aws_sdk_cloudwatch::types::StateValue;
use clap::Args;
use futures::TryStreamExt as _;
use jiff::SignedDuration;
use serde::Serialize;
use shared::answers::{Endpoint, EntityState, Event, Health, List, Quarantined, TransactionState};
use shared::aws_error::AwsError;
use shared::clock::{Clock as _, SystemClock};
use shared::endpoints::EndpointState;
use shared::fold::Effect;
use shared::model::{EntityRef, EntityType, Family, Kind, Oddity};

use super::failure::Failure;
use super::place::{Opened, Place};
use super::show::encoded;
use super::{say_json, say_table};
use crate::product::stack::Stack;
use crate::product::subscriptions::{Listed, alarm_recipients};

/// A delivery that waits for so many seconds is stuck.
const LATE_SECONDS: u64 = 300;

/// How many events of a sort are looked at.
const EXAMINED: usize = 1000;

/// So many functions of one stack run at a time beside those of the families: `deliver` with its two queues and its schedule,
/// `ingest`, `notify`, and who looks.
const OTHER_FUNCTIONS: i32 = 10;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    place: Place,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Ok,
    /// Not known, or to be thought about.
    Note,
    /// Something has to be done.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Fail => "fail",
        })
    }
}

#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    /// What was found, and what to do about it.
    found: String,
}

fn finding(what: &'static str, verdict: Verdict, found: impl Into<String>) -> Finding {
    Finding { what, verdict, found: found.into() }
}

/// A check that could not be made is worth knowing, but is no failure.
fn or_note(what: &'static str, asked: Result<Finding, Failure>) -> Finding {
    let note = |failure: Failure| finding(what, Verdict::Note, format!("not checked: {}", failure.line()));
    asked.unwrap_or_else(note)
}

impl Doctor {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let mut findings = of_data(&opened).await;
        findings.extend(to_be_looked_at(&opened).await);
        let listed = opened.subscriptions().await;
        // Without an answer nobody is known to want messages.
        let known = listed.as_deref().unwrap_or_default().to_vec();
        findings.push(or_note("subscriptions", listed.map(|all| subscriptions(&all)).map_err(Failure::from)));
        findings.push(or_note("endpoints", endpoints(&opened).await));
        if let Some(stack) = &opened.stack {
            let sms = sms(stack, &known).await;
            findings.push(or_note("versions", versions(stack)));
            findings.push(or_note("webhook secret", secret(stack).await));
            findings.push(or_note("alarms", alarms(stack).await));
            let recipients = alarm_recipients(stack).await.map_err(Failure::from);
            findings.push(or_note("alarm recipients", recipients.map(|all| recipients_of_alarms(&all))));
            findings.push(or_note("concurrency quota", concurrency(stack).await));
            findings.push(or_note("SMS spend limit", sms));
        }
        let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count();
        if self.json {
            say_json(&findings);
        } else {
            let row = |finding: &Finding| {
                vec![finding.verdict.to_string(), finding.what.to_owned(), finding.found.clone()]
            };
            say_table(&["", "what", "found"], findings.iter().map(row));
        }
        if failed == 0 { Ok(()) } else { Err(Failure::new(format!("failed checks: {failed}"))) }
    }
}

/// What the read side knows of it.
async fn of_data(opened: &Opened) -> Vec<Finding> {
    let Health { last_event_at, quarantine, queues, .. } = match opened.get("health", &[]).await {
        Ok(health) => health,
        Err(error) => {
            return vec![finding("table and queues", Verdict::Fail, Failure::from(error).line())];
        }
    };
    let dead: u64 = queues.iter().map(|queue| queue.dead_letters).sum();
    let oldest = queues.iter().filter_map(|queue| queue.oldest_seconds).max().unwrap_or(0);
    vec![
        match last_event_at {
            Some(last) => {
                let ago = SystemClock.now().since(last).max(SignedDuration::ZERO);
                finding("last event", Verdict::Ok, format!("{last}, {} minutes ago", ago.as_mins()))
            }
            None => {
                finding("last event", Verdict::Note, "none yet: is the URL set on Bitpowr's webhook page?")
            }
        },
        match dead {
            0 => finding("dead letters", Verdict::Ok, "none"),
            dead => {
                let families: Vec<_> = queues.iter().filter(|queue| queue.dead_letters > 0).collect();
                let families: Vec<_> = families.iter().map(|queue| queue.family.as_str()).collect();
                let families = families.join(", ");
                let found = format!("{dead} of {families}: fix the cause, then run dead-letters redrive");
                finding("dead letters", Verdict::Fail, found)
            }
        },
        if oldest > LATE_SECONDS {
            finding(
                "oldest delivery",
                Verdict::Fail,
                format!("waiting for {oldest} seconds: see the log of its family's function"),
            )
        } else {
            finding("oldest delivery", Verdict::Ok, format!("waiting for {oldest} seconds"))
        },
        match quarantine.count {
            0 => finding("quarantine", Verdict::Ok, "empty"),
            count => {
                let more = if quarantine.more { " or more" } else { "" };
                let newest = newest_in_quarantine(opened).await;
                finding("quarantine", Verdict::Fail, format!("{count}{more}{newest}: see quarantine list"))
            }
        },
    ]
}

async fn newest_in_quarantine(opened: &Opened) -> String {
    let newest = opened.get::<List<Quarantined>>("quarantine", &[("limit", Some("1"))]).await;
    let newest = newest.ok().and_then(|page| page.entries.into_iter().next());
    newest.map(|newest| format!(", the newest {} ({})", newest.id, newest.reason)).unwrap_or_default()
}

/// The events that somebody has to look at, and nobody has acknowledged: a finding for each sort.
async fn to_be_looked_at(opened: &Opened) -> Vec<Finding> {
    let mut looked = Looked { opened, states: HashMap::new() };
    let mut findings = Vec::new();
    let sorts: [(_, _, Stands); 3] = [
        ("conflicts", Effect::Conflict, |state| state.conflict),
        ("ambiguous events", Effect::Ambiguous, |_| true),
        ("events without effect", Effect::None, |_| true),
    ];
    for (what, effect, stands) in sorts {
        let found = looked.at(("effect", effect.as_str()), stands).await;
        findings.push(or_note(what, found.map(|found| of_sort(what, found.as_slice()))));
    }
    let what = "money not counted";
    let mut odd = Ok(Vec::new());
    for oddity in Oddity::ALL {
        match (looked.at(("oddity", oddity.as_str()), |state| state.oddity.is_some()).await, &mut odd) {
            (Ok(found), Ok(odd)) => odd.extend(found),
            (Err(failure), _) => odd = Err(failure),
            (Ok(_), Err(_)) => {}
        }
    }
    findings.push(or_note(what, odd.map(|odd| of_sort(what, &odd))));
    findings
}

fn of_sort(what: &'static str, found: &[String]) -> Finding {
    if found.is_empty() {
        finding(what, Verdict::Ok, "none")
    } else {
        finding(what, Verdict::Fail, found.join("; "))
    }
}

/// Whether what was wrong with an event still is, as its transaction stands: a later event may have named the asset or
/// the direction, or have corrected what contradicted.
type Stands = fn(&TransactionState) -> bool;

/// Looks at events, and at what has become of their transactions since.
struct Looked<'a> {
    opened: &'a Opened,
    /// How the transactions stand; none where there is no one answer.
    states: HashMap<(String, Option<Kind>), Option<TransactionState>>,
}

impl Looked<'_> {
    /// How many events of a filter there are that are still to be looked at, the newest of them, and the command that
    /// shows them; none where there are none.
    async fn at(&mut self, (name, value): (&str, &str), stands: Stands) -> Result<Option<String>, Failure> {
        let query = [(name.to_owned(), value.to_owned())];
        let (mut examined, mut count, mut newest, mut more) = (0, 0, None, false);
        let mut pages = std::pin::pin!(self.opened.pages(&query, None));
        while let Some(List::<Event> { entries, cursor, .. }) = pages.try_next().await? {
            examined += entries.len();
            for event in entries {
                // What changed nothing made no problem.
                let changed = !matches!(event.effect, Effect::Stale | Effect::Repeat);
                if changed && !event.acknowledged && self.state(&event).await.is_none_or(stands) {
                    count += 1;
                    newest.get_or_insert(event);
                }
            }
            more = cursor.is_some();
            if examined >= EXAMINED {
                break;
            }
        }
        Ok(newest.map(|Event { id, event, .. }| {
            let more = if more { " or more" } else { "" };
            format!("{count}{more}, the newest {id} ({event}): see log --{name} {value}")
        }))
    }

    /// How an event's transaction stands. What was said of no kind is asked of the one kind that is known by now.
    async fn state(&mut self, event: &Event) -> Option<&TransactionState> {
        let about = event.entity.as_ref().filter(|entity| entity.entity_type == EntityType::Transaction);
        let EntityRef { uid, .. } = about?;
        let kind = event.kind.filter(|kind| *kind != Kind::Unknown);
        let state = match self.states.entry((uid.clone(), kind)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let path = format!("transactions/{}", encoded(uid));
                let query = [("kind", kind.map(Kind::as_str)), ("limit", Some("1"))];
                let found = self.opened.get::<EntityState>(&path, &query).await;
                unknown.insert(found.ok().and_then(|found| found.transaction))
            }
        };
        state.as_ref()
    }
}

/// Whether every endpoint gets its events.
async fn endpoints(opened: &Opened) -> Result<Finding, Failure> {
    let what = "endpoints";
    let all = opened.endpoints().await?;
    let since = |endpoint: &Endpoint| endpoint.disabled_at.max(endpoint.failing_since);
    let ill = all.iter().filter(|endpoint| endpoint.state != EndpointState::Active);
    let Some(newest) = ill.max_by_key(|endpoint| since(endpoint)) else {
        let active = if all.is_empty() { "none".to_owned() } else { format!("{}, all active", all.len()) };
        return Ok(finding(what, Verdict::Ok, active));
    };
    let count = |state| all.iter().filter(|endpoint| endpoint.state == state).count();
    let (failing, disabled) = (count(EndpointState::Failing), count(EndpointState::Disabled));
    let Endpoint { id, url, state, last_failure, .. } = newest;
    let since = since(newest).map(|since| format!(" since {since}")).unwrap_or_default();
    let why = last_failure.as_ref().map(|failure| format!(": {}", failure.error)).unwrap_or_default();
    let found = format!(
        "{failing} failing, {disabled} disabled; the newest, {id} ({url}), is {state}{since}{why}. See endpoint show {id}"
    );
    Ok(finding(what, Verdict::Fail, found))
}

fn versions(stack: &Stack) -> Result<Finding, Failure> {
    let (theirs, ours) = (stack.variable("BITPOWR_VERSION")?, env!("CARGO_PKG_VERSION"));
    Ok(if theirs == ours {
        finding("versions", Verdict::Ok, format!("the stack and this program are both {ours}"))
    } else {
        finding(
            "versions",
            Verdict::Note,
            format!("the stack is {theirs}, this program is {ours}: deploy this version"),
        )
    })
}

async fn secret(stack: &Stack) -> Result<Finding, Failure> {
    let id = stack.variable("WEBHOOK_SECRET_ID")?;
    let found =
        aws_sdk_secretsmanager::Client::new(&stack.config).describe_secret().secret_id(id).send().await;
    let found = found.map_err(AwsError::from)?;
    let mut stages = found.version_ids_to_stages.iter().flat_map(|stages| stages.values()).flatten();
    Ok(if stages.any(|stage| stage == "AWSCURRENT") {
        finding("webhook secret", Verdict::Ok, "set; Bitpowr's webhook page must have the same value")
    } else {
        finding("webhook secret", Verdict::Fail, "has no value: set one (docs/deploy.md)")
    })
}

fn subscriptions(all: &[Listed]) -> Finding {
    let what = "subscriptions";
    // SNS does not say when one was made: the last of its list stands for the newest.
    let pending: Vec<_> = all.iter().filter(|one| !one.confirmed).collect();
    let Some(newest) = pending.last() else {
        return match all.len() {
            0 => finding(what, Verdict::Note, "none: see subscribe --help"),
            count => finding(what, Verdict::Ok, format!("{count}, all confirmed")),
        };
    };
    let endpoint = newest.endpoint.as_deref().unwrap_or(&newest.id);
    let found =
        format!("{} of {} not confirmed, like {endpoint}: see subscribe list", pending.len(), all.len());
    finding(what, Verdict::Fail, found)
}

async fn alarms(stack: &Stack) -> Result<Finding, Failure> {
    let client = aws_sdk_cloudwatch::Client::new(&stack.config);
    let mut pages =
        client.describe_alarms().alarm_name_prefix(format!("{}-", stack.name)).into_paginator().send();
    let (mut count, mut ringing) = (0, Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.map_err(AwsError::from)?;
        for alarm in page.metric_alarms.unwrap_or_default() {
            count += 1;
            if alarm.state_value == Some(StateValue::Alarm) {
                ringing.push(alarm.alarm_name.unwrap_or_default());
            }
        }
    }
    Ok(match (count, ringing.is_empty()) {
        (0, _) => finding("alarms", Verdict::Fail, "none found: was the template changed?"),
        (count, true) => finding("alarms", Verdict::Ok, format!("{count}, none in alarm")),
        _ => finding("alarms", Verdict::Fail, format!("in alarm: {}", ringing.join(", "))),
    })
}

/// Whether an alarm reaches anybody: one confirmed address is enough, and each that is not is worth knowing.
fn recipients_of_alarms(all: &[Listed]) -> Finding {
    let what = "alarm recipients";
    let pending: Vec<_> = all.iter().filter(|one| !one.confirmed).collect();
    let confirmed = all.len() - pending.len();
    let example = pending.last().map(|one| one.endpoint.as_deref().unwrap_or(&one.id));
    match (confirmed, example) {
        (0, None) => finding(what, Verdict::Fail, "nobody is sent alarms: set AlarmEmail (docs/deploy.md)"),
        (0, Some(address)) => finding(
            what,
            Verdict::Fail,
            format!("nobody has confirmed: open the link in the e-mail to {address}"),
        ),
        (_, None) => finding(what, Verdict::Ok, format!("{confirmed}, all confirmed")),
        (_, Some(address)) => {
            let found = format!("{confirmed} confirmed, {} not confirmed, like {address}", pending.len());
            finding(what, Verdict::Note, found)
        }
    }
}

async fn concurrency(stack: &Stack) -> Result<Finding, Failure> {
    let per_family = stack.variable("FAMILY_CONCURRENCY")?.parse::<i32>()?;
    let account = aws_sdk_lambda::Client::new(&stack.config).get_account_settings().send().await;
    let account = account.map_err(AwsError::from)?;
    let free = account.account_limit.and_then(|limit| limit.unreserved_concurrent_executions).unwrap_or(0);
    Ok(fits(free, per_family))
}

/// Whether the functions of the stack can all run at once with what the account has.
fn fits(free: i32, per_family: i32) -> Finding {
    let what = "concurrency quota";
    let needed = i32::try_from(Family::ALL.len()).unwrap_or(i32::MAX).saturating_mul(per_family);
    let needed = needed.saturating_add(OTHER_FUNCTIONS);
    if free >= needed {
        return finding(what, Verdict::Ok, format!("{free} functions can run at once, {needed} are enough"));
    }
    let families = Family::ALL.len();
    let found = format!(
        "{free} functions can run at once, which {families} families with {per_family} each and {OTHER_FUNCTIONS} others \
         do not fit into: request {needed} (AWS Service Quotas, Lambda, Concurrent executions){}",
        if per_family > 2 { ", or set FamilyConcurrency to 2 or more" } else { "" }
    );
    finding(what, Verdict::Note, found)
}

async fn sms(stack: &Stack, all: &[Listed]) -> Result<Finding, Failure> {
    let what = "SMS spend limit";
    if !all.iter().any(|one| one.protocol.as_deref() == Some("sms")) {
        return Ok(finding(what, Verdict::Ok, "nobody is notified by SMS"));
    }
    let found = aws_sdk_sns::Client::new(&stack.config).get_sms_attributes().send().await;
    let found = found.map_err(AwsError::from)?;
    let limit = found.attributes.and_then(|attributes| attributes.get("MonthlySpendLimit").cloned());
    Ok(match limit {
        Some(limit) => finding(what, Verdict::Ok, format!("{limit} US dollars a month")),
        None => finding(what, Verdict::Note, "no limit is set; the AWS default is 1 US dollar a month"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(endpoint: &str, confirmed: bool) -> Listed {
        let (protocol, endpoint) = (Some("email".to_owned()), Some(endpoint.to_owned()));
        Listed { id: "PendingConfirmation".to_owned(), protocol, endpoint, filter: None, confirmed }
    }

    #[test]
    fn what_does_not_fit_into_the_accounts_quota_is_noted() {
        for (free, per_family, verdict, found) in [
            (1000, 5, Verdict::Ok, "1000 functions can run at once, 60 are enough"),
            (60, 5, Verdict::Ok, "60 functions can run at once, 60 are enough"),
            (
                10,
                5,
                Verdict::Note,
                "10 functions can run at once, which 10 families with 5 each and 10 others do not fit into: request 60 (AWS \
                 Service Quotas, Lambda, Concurrent executions), or set FamilyConcurrency to 2 or more",
            ),
            (
                10,
                2,
                Verdict::Note,
                "10 functions can run at once, which 10 families with 2 each and 10 others do not fit into: request 30 (AWS \
                 Service Quotas, Lambda, Concurrent executions)",
            ),
        ] {
            let finding = fits(free, per_family);
            assert_eq!((finding.verdict, finding.found.as_str()), (verdict, found));
        }
    }

    #[test]
    fn alarms_that_reach_nobody_fail() {
        let listed = |confirmed| listed("a@x.org", confirmed);
        for (all, verdict, found) in [
            (vec![], Verdict::Fail, "nobody is sent alarms: set AlarmEmail (docs/deploy.md)"),
            (
                vec![listed(false)],
                Verdict::Fail,
                "nobody has confirmed: open the link in the e-mail to a@x.org",
            ),
            (vec![listed(true)], Verdict::Ok, "1, all confirmed"),
            (vec![listed(true), listed(false)], Verdict::Note, "1 confirmed, 1 not confirmed, like a@x.org"),
        ] {
            let finding = recipients_of_alarms(&all);
            assert_eq!((finding.verdict, finding.found.as_str()), (verdict, found));
        }
    }

    #[test]
    fn an_unconfirmed_subscriber_fails_with_an_example_and_the_command() {
        for (all, verdict, found) in [
            (vec![], Verdict::Note, "none: see subscribe --help"),
            (vec![listed("a@x.org", true)], Verdict::Ok, "1, all confirmed"),
            (
                vec![listed("a@x.org", false), listed("b@x.org", true), listed("c@x.org", false)],
                Verdict::Fail,
                "2 of 3 not confirmed, like c@x.org: see subscribe list",
            ),
        ] {
            let finding = subscriptions(&all);
            assert_eq!((finding.verdict, finding.found.as_str()), (verdict, found));
        }
    }
}
