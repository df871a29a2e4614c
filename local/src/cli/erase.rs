//! `erase`: removes personal data on request, for good.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;
use shared::clock::{Clock as _, SystemClock};
use shared::erase::{self, Erased, Subject};
use shared::rebuild::Unread;
use shared::store::{Holding, Mandate};
use uuid::Uuid;

use super::failure::Failure;
use super::place::{Opened, Place};
use super::{confirm, say, say_json, say_table, short_id};
use crate::product::families;

#[derive(Debug, Args)]
pub(super) struct Erase {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    whose: Whose,
    /// The reason, recorded with your name. Name nobody in it: it is kept.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    why: String,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Whose data.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// All of a customer: their events, the transactions that name them, and bodies in quarantine about them.
    #[arg(long, value_name = "UID")]
    customer: Option<String>,
    /// What one event says.
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// What one body in quarantine says.
    #[arg(long, value_name = "ID")]
    quarantine: Option<String>,
}

impl Whose {
    async fn subject(&self, opened: &Opened) -> Result<Subject, Failure> {
        Ok(match (&self.customer, &self.event, &self.quarantine) {
            (Some(uid), _, _) => Subject::Customer(uid.clone()),
            (_, Some(id), _) => Subject::Event(short_id::whole(opened, id).await?),
            (_, _, id) => Subject::Quarantined(id.clone().unwrap_or_default()),
        })
    }
}

impl Erase {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let subject = self.whose.subject(&opened).await?;
        let found = erase::find(&opened.table, opened.environment, &subject).await;
        let found = found.map_err(cannot_read)?.ok_or_else(|| not_found(&subject))?;
        if !self.json {
            show(&found.holdings);
        }
        // What was interrupted is finished also where nothing is listed any more.
        if !(self.yes || (!found.holdings.is_empty() && confirm("Erase this? It cannot be undone.")?)) {
            if self.json {
                say_json(&json!({ "would_erase": found.holdings }));
            } else if !found.holdings.is_empty() {
                say("Nothing was erased. Add --yes to erase it.");
            }
            return Ok(());
        }
        let mandate = Mandate {
            id: Uuid::now_v7().simple().to_string(),
            who: opened.who.clone(),
            why: self.why.clone(),
            at: SystemClock.now(),
        };
        let (table, interpret) = (&opened.table, &families::meaning);
        let erased =
            Box::pin(erase::erase(table, opened.environment, &subject, interpret, &mandate, &SystemClock))
                .await;
        let erased = erased.map_err(Failure::of("the erasure stopped; run it again"))?;
        self.report(&erased.ok_or_else(|| not_found(&subject))?)
    }

    fn report(&self, Erased { holdings, unread, is_unfinished }: &Erased) -> Result<(), Failure> {
        if self.json {
            say_json(&json!({ "erased": holdings, "unread": unread }));
        } else if !holdings.is_empty() {
            say(&format!(
                "Erased in {} places. States and balances follow from what is left.",
                holdings.len()
            ));
        }
        for Unread { entity, why } in unread.iter().filter(|_| !self.json) {
            say(&format!("not folded anew: {} {}: {why}", entity.entity_type, entity.uid));
        }
        if !unread.is_empty() {
            return Err(Failure::new("some states could not be derived again, and may still hold the data"));
        }
        if *is_unfinished {
            return Err(Failure::new("events arrived all the time, and some data may be left: run it again"));
        }
        Ok(())
    }
}

fn cannot_read(error: shared::store::StoreError) -> Failure {
    Failure::of("the table cannot be read")(error)
}

fn not_found(subject: &Subject) -> Failure {
    Failure::new(match subject {
        Subject::Quarantined(_) => "Not found: no body in quarantine has this id.",
        _ => "Not found: no event has this id.",
    })
}

fn show(holdings: &[Holding]) {
    if holdings.is_empty() {
        say("There is nothing to erase.");
        return;
    }
    let row = |holding: &Holding| {
        let fields = holding.fields.iter().cloned().collect::<Vec<_>>().join(", ");
        let copies = holding.copies.iter().map(|copy| copy.as_str()).collect::<Vec<_>>().join(", ");
        let recorded = holding.recorded_at.map(|at| at.to_string()).unwrap_or_default();
        vec![recorded, holding.event.clone(), fields, copies, holding.target.id.clone()]
    };
    say_table(&["recorded", "event", "fields", "also in", "id"], holdings.iter().map(row));
}
