//! Personal data is erased at any time: it is nowhere any more and does not come back, and money, states and everybody
//! else's data are as if it had not been.

use aws_sdk_dynamodb::Client;
use jiff::SignedDuration;
use local::product::families;
use local::standins::engine::{Engine, TABLE};
use proptest::prelude::{any, prop_assert, prop_assert_eq};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use serde_json::{Value, json};
use shared::clock::Clock as _;
use shared::endpoints::Attempt;
use shared::environment::Environment;
use shared::erase::{self, Erased, Subject};
use shared::fold::{Effect, Known};
use shared::model::{Body, Entity, EntityType, EventId, EventType, Fact, Family, Kind, Reason};
use shared::rebuild::Mode;
use shared::store::{
    Action, BodyItem, Content, Copied, Facet, LogFilter, Mandate, Plan, SeenItem, StateItem, Table, keys,
    schema,
};
use shared::verify::Envelope;

use crate::lives::{Said, lives, say, setting};
use crate::rebuilding::{WRITE, apply_blindly, rebuild};
use crate::workers::{Outcome, message};
use crate::world::World;

const TEST: Environment = Environment::Test;

/// How many sets of events are tried; the environment's `ERASE_CASES` overrides it.
const CASES: u32 = 24;

/// What everything personal has in it, and what is personal of others.
const PERSONAL: &str = "Ada Lovelace";
const OTHERS: &str = "Grace Hopper";

/// A world over a table that can be read from end to end.
struct Open {
    world: World,
    client: Client,
    _engine: Engine,
}

impl Open {
    async fn new() -> Self {
        let engine = Engine::open(None).unwrap();
        let client = engine.client();
        let world = World::over(schema::create(&client, TABLE).await.unwrap());
        Self { world, client, _engine: engine }
    }

    fn table(&self) -> &Table {
        self.world.table()
    }

    /// The whole table, as text.
    async fn everything(&self) -> String {
        let (mut text, mut start) = (String::new(), None);
        loop {
            let page =
                self.client.scan().table_name(TABLE).set_exclusive_start_key(start).send().await.unwrap();
            text.push_str(&format!("{:?}", page.items()));
            // What is packed as well.
            for item in page.items() {
                match item["sk"].as_s().unwrap().as_str() {
                    "raw" => {
                        let body: BodyItem = serde_dynamo::from_item(item.clone()).unwrap();
                        let Content { raw, notification } = body.content().unwrap();
                        text.push_str(&format!("{} {notification:?}", String::from_utf8_lossy(&raw)));
                    }
                    "state" => {
                        let state: StateItem = serde_dynamo::from_item(item.clone()).unwrap();
                        text.push_str(&format!("{state:?}"));
                    }
                    _ => {}
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return text;
            }
        }
    }

    async fn erase(&self, subject: Subject) -> Erased {
        let now = self.world.clock.now();
        let mandate =
            Mandate { id: format!("erased {now}"), who: "ada".into(), why: "asked to".into(), at: now };
        let clock = &*self.world.clock;
        let erased = erase::erase(self.table(), TEST, &subject, &families::meaning, &mandate, clock)
            .await
            .unwrap()
            .unwrap();
        assert!(erased.unread.is_empty() && !erased.is_unfinished, "{erased:?}");
        // Once is enough.
        let left = erase::find(self.table(), TEST, &subject).await.unwrap().unwrap();
        assert!(left.holdings.is_empty(), "{:#?}", left.holdings);
        erased
    }

    async fn erase_customer(&self) -> Erased {
        self.erase(Subject::Customer("o1".to_owned())).await
    }

    async fn is_clean(&self) -> bool {
        rebuild(self.table(), Mode::Check, self.world.clock.now()).await.is_clean()
    }

    async fn customer(&self) -> Known {
        let entity = Entity::new(EntityType::Customer, "o1");
        self.table().state(TEST, &entity).await.unwrap().unwrap().known
    }

    /// The ids of the events that a search finds.
    async fn found_by(&self, facet: Facet, value: &str) -> Vec<EventId> {
        let filter = LogFilter { facets: vec![(facet, value.to_owned())], ..LogFilter::default() };
        let page = self.table().log(TEST, &filter, 100, None).await.unwrap();
        page.items.into_iter().map(|event| event.id).collect()
    }
}

/// A customer as Bitpowr sends one.
fn customer(name: &str) -> Value {
    json!({
        "id": 7, "uid": "o1", "name": name, "email": format!("{name}@example.com"), "customerRef": format!("ref {name}"),
        "externalId": format!("ext {name}"), "metaData": { "note": name }, "phone": null, "mode": "TEST",
    })
}

/// Gives what is the customer's, or somebody else's, a name, in all fields that may have one.
fn with_names(mut said: Said, is_named: bool) -> Said {
    let uid = said.data["uid"].as_str().unwrap_or_default().to_owned();
    let family = said.event.family();
    let is_mine = if family == Family::Customers { uid == "o1" } else { uid == "t1" };
    let name = if is_mine { PERSONAL } else { OTHERS };
    let fields: &[&str] = match family {
        Family::Customers => &["email", "phone", "customerRef", "externalId", "description", "nick"],
        Family::Accounts | Family::Assets | Family::Addresses => return said,
        _ => {
            &["memo", "label", "transactionRef", "idempotencyKey", "externalId", "description", "errorReason"]
        }
    };
    for field in fields {
        said.data[*field] = json!(format!("{name} {field}"));
    }
    said.data["metaData"] = json!({ "by": name });
    if family == Family::Customers {
        said.data["address"] = json!({ "address": format!("{name} Street") });
    } else {
        said.data["customer"] = json!({ "name": name });
        said.data["customerId"] = if is_mine && is_named { json!("o1") } else { Value::Null };
    }
    said
}

/// A state without what is erased.
fn impersonal(outcome: Outcome) -> Outcome {
    let personal = [
        Fact::Name,
        Fact::Email,
        Fact::Phone,
        Fact::Reference,
        Fact::ExternalId,
        Fact::Label,
        Fact::Memo,
        Fact::IdempotencyKey,
        Fact::Error,
        Fact::Addresses,
    ];
    outcome.with_states(|entity, mut known| {
        let is_erased = matches!(entity.entity_type, EntityType::Customer | EntityType::Transaction);
        for facts in std::iter::once(&mut known.facts).chain(known.kinds.values_mut()).filter(|_| is_erased) {
            facts.fields.retain(|fact, _| !personal.contains(fact));
            facts.members.retain(|fact, _| !personal.contains(fact));
        }
        known
    })
}

/// Events in their order, some of them again much later; in between, what was sent is resent.
async fn deliver(open: &Open, lives: &[Said], rng: &mut fastrand::Rng) {
    for (number, said) in lives.iter().enumerate() {
        let (event, first) = message(&open.world, said, 0, &format!("first {number}"));
        let applied = open.world.hand_over(event.as_str(), &first).await.unwrap();
        let record = open.table().event(TEST, &applied.id).await.unwrap().unwrap();
        if rng.bool() {
            let mandate = Mandate {
                id: format!("r{number}"),
                who: "x".into(),
                why: "x".into(),
                at: open.world.clock.now(),
            };
            open.table().resend(&record, None, &mandate).await.unwrap();
        }
    }
}

async fn again(open: &Open, lives: &[Said], hours: i64) {
    for (number, said) in lives.iter().enumerate() {
        let (event, _) = message(&open.world, said, 0, "");
        open.world.clock.advance(SignedDuration::from_hours(hours));
        let again = open.world.message(said.event.as_written(), &said.data, &format!("again {number}"));
        open.world.hand_over(event.as_str(), &again).await.unwrap();
    }
}

async fn check(lives: &[Said], seed: u64) -> Result<(), TestCaseError> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let lives: Vec<_> = lives.iter().map(|said| with_names(said.clone(), rng.bool())).collect();
    let (before, after) = lives.split_at(rng.usize(0..=lives.len()));
    let hours = if rng.bool() { 1 } else { 100 };

    let untouched = Open::new().await;
    let erased = Open::new().await;
    deliver(&untouched, &lives, &mut rng).await;
    deliver(&erased, before, &mut rng).await;
    erased.erase_customer().await;
    deliver(&erased, after, &mut rng).await;
    erased.erase_customer().await;
    for open in [&untouched, &erased] {
        again(open, &lives, hours).await;
    }
    let everything = erased.everything().await;
    let says = |said: &Said, what: &str| said.data.to_string().contains(what);
    // What was said of the transaction is the customer's as soon as one event says whose it is.
    let mine = |said: &&Said| said.event.family() != Family::Customers && says(said, PERSONAL);
    let is_named = lives.iter().filter(mine).any(|said| said.data["customerId"] == "o1");
    if is_named || !lives.iter().any(|said| mine(&said)) {
        prop_assert!(!everything.contains(PERSONAL), "{lives:#?}");
    }
    prop_assert_eq!(everything.contains(OTHERS), lives.iter().any(|said| says(said, OTHERS)));
    prop_assert!(erased.is_clean().await);
    let (found, expected) = (Outcome::of(erased.table()).await, Outcome::of(untouched.table()).await);
    prop_assert_eq!(found.balances(), expected.balances());
    let (found, expected) = (impersonal(found), impersonal(expected));
    prop_assert_eq!(found.states(), expected.states());
    prop_assert_eq!(found.events(), expected.events());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_is_erased_nothing_is_left_and_money_and_states_are_the_same() {
    let seed: u64 = setting("SEED").unwrap_or_else(|| fastrand::u64(..));
    let cases = setting("ERASE_CASES").unwrap_or(CASES);
    say(&format!("erasing: {cases} sets of events, SEED={seed}"));
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 100,
        max_shrink_time: 120_000,
        ..Config::default()
    };
    tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&(lives(14), any::<u64>()), |(lives, seed)| {
            tokio::runtime::Handle::current().block_on(check(&lives, seed))
        })
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_means_the_same_but_for_what_is_erased() {
    let at = "2026-11-01T00:00:00Z".parse().unwrap();
    for event in EventType::ALL {
        let body = Body::parse(local::cli::samples::payload(event).as_bytes(), TEST).unwrap();
        let left = body.without_personal_data().unwrap();
        let meaning = |body: &Body| {
            let mut meaning = families::meaning(body, at).unwrap().unwrap();
            meaning.facts.fields.retain(|fact, _| {
                !matches!(
                    fact,
                    Fact::Name
                        | Fact::Email
                        | Fact::Phone
                        | Fact::Reference
                        | Fact::ExternalId
                        | Fact::Label
                        | Fact::Memo
                        | Fact::IdempotencyKey
                        | Fact::Error
                )
            });
            meaning.facts.members.retain(|fact, _| *fact != Fact::Addresses);
            meaning
        };
        assert_eq!(meaning(&left.body), meaning(&body), "{}", event.as_str());
        assert_eq!(Body::parse(left.text.as_bytes(), TEST).unwrap(), left.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_copies_are_erased_and_each_event_has_a_record_of_it() {
    let open = Open::new().await;
    let applied = open.world.deliver("customer.created", customer(PERSONAL)).await;
    let record = open.table().event(TEST, &applied.id).await.unwrap().unwrap();
    let now = open.world.clock.now();
    let mandate = Mandate { id: "r".into(), who: "x".into(), why: "the shop was down".into(), at: now };
    open.table().resend(&record, None, &mandate).await.unwrap();
    let attempt = Attempt {
        endpoint: "ep".to_owned(),
        number: 1,
        at: now,
        status: Some(200),
        error: None,
        milliseconds: 1,
        answer: Some(format!("thanks for {PERSONAL}")),
        next_at: None,
        resend: None,
    };
    open.table().note_attempt(TEST, &applied.id, &attempt, i64::MAX / 1000).await.unwrap();
    let reference = format!("ref {PERSONAL}");
    assert_eq!(open.found_by(Facet::Reference, &reference).await, std::slice::from_ref(&applied.id));

    let erased = open.erase_customer().await;
    let [holding] = &erased.holdings[..] else { panic!("{erased:#?}") };
    assert!(
        holding.fields.iter().eq(["customerRef", "email", "externalId", "metaData", "name"]),
        "{holding:?}"
    );
    let copies = [Copied::Notification, Copied::SearchValues, Copied::Sent, Copied::Answers];
    assert!(holding.copies.iter().eq(&copies), "{holding:?}");
    let everything = open.everything().await;
    assert!(!everything.contains(PERSONAL) && !everything.contains("Ada"), "{everything}");

    let record = open.table().event(TEST, &applied.id).await.unwrap().unwrap();
    assert!(String::from_utf8(record.raw).unwrap().contains(r#""name":"erased""#));
    let done: Vec<_> = record.actions.iter().map(|done| (done.action, done.who.as_str())).collect();
    assert!(done.contains(&(Action::Erase, "ada")) && done.contains(&(Action::Resend, "x")), "{done:?}");
    let attempts = open.table().attempts(TEST, [&*applied.id], now).await.unwrap();
    assert_eq!(attempts[&*applied.id][0].answer.as_deref(), Some("erased"));
    assert_eq!(open.customer().await.facts.get(Fact::Email), Some("erased"));
    assert_eq!(open.found_by(Facet::Reference, &reference).await, [] as [EventId; 0]);
    assert_eq!(open.found_by(Facet::Customer, "o1").await, [applied.id]);
    assert!(open.is_clean().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_is_recognised_when_it_comes_again_and_does_not_come_back() {
    let open = Open::new().await;
    // Without a date, another word since would make it ambiguous.
    let first = open.world.deliver("customer.updated", customer(PERSONAL)).await;
    open.erase_customer().await;
    open.world.clock.advance(SignedDuration::from_hours(1));
    let again = open.world.deliver("customer.updated", customer(PERSONAL)).await;
    assert_eq!((&again.id, again.new, again.effect), (&first.id, false, Effect::Repeat));
    // After the horizon it is another occurrence, without what was erased. So is the next.
    for occurrence in [2, 3] {
        open.world.clock.advance(SignedDuration::from_hours(100));
        let later = open.world.deliver("customer.updated", customer(PERSONAL)).await;
        assert_eq!((later.id, later.new), (format!("{}-{occurrence}", first.id).into(), true));
    }
    let record = open.table().event(TEST, &first.id).await.unwrap().unwrap();
    assert_eq!(record.event.deliveries, 2);
    assert!(!open.everything().await.contains(PERSONAL));
    assert!(open.is_clean().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_under_way_during_an_erasure_does_not_take_its_mark_away() {
    let open = Open::new().await;
    let applied = open.world.deliver("customer.created", json!({ "uid": "c1", "name": PERSONAL })).await;
    let key = keys::raw(TEST, &applied.id);
    let seen = async || -> SeenItem {
        open.table().recall([key.clone()]).await.unwrap().item(&key).unwrap().unwrap()
    };
    let recalled = seen().await;
    open.erase(Subject::Event(applied.id.to_string())).await;
    let mut plan = Plan::default();
    plan.seen(key.clone(), SeenItem { occurrence: 2, ..recalled.clone() }, recalled);
    assert!(open.table().commit(plan).await.unwrap());
    let seen = seen().await;
    assert_eq!((seen.occurrence, seen.erased), (2, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_was_interrupted_is_finished_with_what_was_copied_from_states_meanwhile() {
    let open = Open::new().await;
    let deposit =
        json!({ "uid": "t1", "amount": "1", "assetType": "BTC", "accountId": "a", "customerId": "o1" });
    let mut with_memo = deposit.clone();
    with_memo["memo"] = json!(PERSONAL);
    open.world.deliver("transaction.deposit.pending", with_memo).await;
    let subject = Subject::Customer("o1".to_owned());
    let found = erase::find(open.table(), TEST, &subject).await.unwrap().unwrap();
    let now = open.world.clock.now();
    let mandate = Mandate { id: "cut off".into(), who: "ada".into(), why: "asked to".into(), at: now };
    for holding in &found.holdings {
        assert!(open.table().erase(holding, &mandate).await.unwrap());
    }
    // The state still has it, and the notification of the next event has it from there.
    let success = open.world.deliver("transaction.deposit.success", deposit).await;
    let record = open.table().event(TEST, &success.id).await.unwrap().unwrap();
    assert!(format!("{:?}", record.notification).contains(PERSONAL));
    open.erase_customer().await;
    assert!(!open.everything().await.contains(PERSONAL));
    assert!(open.is_clean().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_alone_is_erased_and_what_others_say_stays() {
    let open = Open::new().await;
    let deposit = |memo: &str| json!({ "uid": "t1", "amount": "1", "assetType": "BTC", "accountId": "a", "transactionRef": "order 7", "memo": memo });
    let pending = open.world.deliver("transaction.deposit.pending", deposit(PERSONAL)).await;
    let success = open.world.deliver("transaction.deposit.success", deposit(OTHERS)).await;
    let before = Outcome::of(open.table()).await;
    open.erase(Subject::Event(pending.id.to_string())).await;
    let everything = open.everything().await;
    assert!(!everything.contains(PERSONAL) && everything.contains(OTHERS), "{everything}");
    assert_eq!(open.found_by(Facet::Reference, "order 7").await, [success.id]);
    let after = Outcome::of(open.table()).await;
    assert_eq!(after.balances(), before.balances());
    let memo = |outcome: &Outcome| {
        let deposits = outcome.states().values().find_map(|known| known.kinds.get(&Kind::Deposit));
        deposits.unwrap().get(Fact::Memo).map(str::to_owned)
    };
    assert_eq!(memo(&after).as_deref(), Some(OTHERS));
    assert!(open.is_clean().await);
    let unknown = Subject::Event("0".to_owned());
    assert!(erase::find(open.table(), TEST, &unknown).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_name_is_erased_from_what_people_read_also_of_a_word_that_does_not_say_it() {
    let open = Open::new().await;
    let named = open.world.deliver("accounts.created", json!({ "uid": "a", "name": PERSONAL })).await;
    // What is known of the account is in its notification.
    let frozen = open.world.deliver("accounts.frozen", json!({ "uid": "a", "type": "BLOCKCHAIN" })).await;
    assert!(open.everything().await.contains(&format!("Account {PERSONAL} was frozen")));
    for event in [named, frozen] {
        open.erase(Subject::Event(event.id.to_string())).await;
    }
    assert!(!open.everything().await.contains(PERSONAL));
    assert!(open.is_clean().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_of_a_transaction_are_erased_with_it() {
    let open = Open::new().await;
    let data = json!({
        "uid": "t1", "amount": "1.5", "assetType": "BTC", "accountId": "a", "customerId": "o1", "memo": PERSONAL,
    });
    open.world.deliver("transaction.deposit.success", data).await;
    let otherwise = |body: &Body, at| {
        let mut body = body.clone();
        body.data["amount"] = json!("8");
        families::meaning(&body, at)
    };
    crate::rebuilding::rebuild_as(open.table(), &otherwise, WRITE, open.world.clock.now()).await;
    rebuild(open.table(), WRITE, open.world.clock.now()).await;
    let erased = open.erase_customer().await;
    assert!(erased.holdings.iter().any(|holding| holding.event == "correction"), "{erased:#?}");
    assert!(!open.everything().await.contains(PERSONAL));
    assert!(open.is_clean().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_in_quarantine_about_the_customer_are_erased_also_those_that_were_retried() {
    let open = Open::new().await;
    let quarantined = async |body: String, reason: Reason| {
        let envelope = Envelope {
            environment: TEST,
            family: Family::Customers,
            event: "customer.created".to_owned(),
            received_at: open.world.clock.now(),
            delivery_id: "one".into(),
            refused: None,
            body: body.into_bytes(),
        };
        open.table().quarantine(&envelope, (reason, "why"), open.world.clock.now()).await.unwrap().id
    };
    let body = |name: &str| json!({ "event": "customer.created", "data": customer(name) }).to_string();
    let listed = quarantined(body(PERSONAL), Reason::NotApplied).await;
    let retried = quarantined(body(&format!("{PERSONAL} II")), Reason::NotApplied).await;
    let now = open.world.clock.now();
    let mandate = Mandate { id: "m".into(), who: "x".into(), why: "x".into(), at: now };
    open.table().retried(TEST, &retried, &mandate).await.unwrap();
    let cut_off = quarantined(format!(r#"{{"event":"x","data":{{"name":"{PERSONAL}"#), Reason::NotJson).await;
    quarantined(
        json!({ "event": "customer.created", "data": { "uid": "o2", "name": OTHERS } }).to_string(),
        Reason::NotApplied,
    )
    .await;

    open.erase_customer().await;
    // Whose it is cannot be read: somebody has to say which it is.
    assert!(open.everything().await.contains(PERSONAL));
    open.erase(Subject::Quarantined(cut_off.clone())).await;
    let everything = open.everything().await;
    assert!(!everything.contains(PERSONAL) && everything.contains(OTHERS), "{everything}");
    let raw = async |id: &str| open.table().quarantined_body(TEST, id).await.unwrap().unwrap().raw;
    assert_eq!(raw(&cut_off).await, b"erased");
    // What is left of it can be retried.
    let body = Body::parse(&raw(&listed).await, TEST).unwrap();
    assert_eq!((&body.data["uid"], &body.data["name"]), (&json!("o1"), &json!("erased")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_about_nothing_is_erased_and_recognised_once_it_is_taken_up() {
    let open = Open::new().await;
    let data = json!({
        "uid": "t1", "amount": "1.5", "assetType": "BTC", "accountId": "a", "customerId": "o1", "memo": PERSONAL,
    });
    apply_blindly(&open.world, "transaction.deposit.success", &data, "one").await;
    open.erase_customer().await;
    assert!(!open.everything().await.contains(PERSONAL));
    let report = rebuild(open.table(), WRITE, open.world.clock.now()).await;
    assert_eq!(report.taken_up.len(), 1, "{report:#?}");
    let again = open.world.deliver("transaction.deposit.success", data).await;
    assert!(!again.new);
    assert!(!open.everything().await.contains(PERSONAL));
    assert_eq!(Outcome::of(open.table()).await.balances().len(), 1);
}
