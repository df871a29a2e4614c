//! What is tried when, what is given up, and what is kept of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use deliver::post::{Answer, PostError};
use jiff::SignedDuration;
use local::standins::queues::RedrivePolicy;
use serde_json::json;
use shared::clock::Clock as _;
use shared::endpoints::signing::SIGNATURE;
use shared::endpoints::{Attempt, EndpointState, Lane, Progress};
use shared::store::{EndpointChange, TargetType};

use crate::service::{Path, TEST, all, answer, keys, seconds};

#[tokio::test]
async fn an_event_goes_to_every_endpoint_that_wants_it_signed_and_is_noted() {
    let path = Path::new().await;
    path.endpoint("one", all()).await;
    path.endpoint("btc", json!({ "asset": "btc", "counted": true })).await;
    path.endpoint("eth", json!({ "asset": "eth" })).await;
    let applied = path.deposit("d").await;
    path.work().await;
    for id in ["one", "btc"] {
        let [request] = &path.services.requests(id)[..] else { panic!("{id}") };
        assert_eq!(request.headers["webhook-id"], applied.id);
        assert_eq!(
            request.headers["webhook-timestamp"],
            (path.world.clock.now().as_millis() / 1000).to_string()
        );
        assert_eq!(request.headers[SIGNATURE].split(' ').count(), 1);
        assert_eq!(
            (&request.body["id"], &request.body["type"]),
            (&json!(applied.id), &request.body["event"])
        );
        assert_eq!(
            request.body["counted"],
            json!([{ "account": "a", "asset": "BTC", "field": "received", "change": "1" }])
        );
    }
    assert!(path.services.requests("eth").is_empty());
    let attempts = path.attempts(&applied.id).await;
    assert_eq!(attempts.len(), 2);
    assert_eq!(Attempt::progress(&attempts), Some(Progress::Delivered));
    assert_eq!((attempts[0].number, attempts[0].status, attempts[0].next_at), (1, Some(200), None));
    assert_eq!(attempts[0].answer.as_deref(), Some("status 200"));
}

#[tokio::test]
async fn what_fails_is_tried_for_some_minutes_by_the_queue_then_waits_and_is_given_up_after_days() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.services.answer("e", |request| answer(if request.uid() == "bad" { 500 } else { 200 }));
    let applied = path.deposit("bad").await;
    path.work().await;
    // A pause begins when the attempt has ended: the seconds beside it are for a busy machine.
    for (pause, attempts) in [(4, 1), (3, 2), (57, 2), (5, 3), (295, 3), (7, 4)] {
        path.later(seconds(pause));
        path.work().await;
        assert_eq!(path.services.requests("e").len(), attempts, "{pause}");
    }
    assert_eq!((path.waiting("e").await, path.queues.depth(Lane::Fast.as_str()).await.unwrap()), (1, 0));
    path.later(seconds(1799));
    path.due().await;
    assert_eq!(path.services.requests("e").len(), 4);
    let mut hours = 0;
    while path.waiting("e").await > 0 {
        path.later(SignedDuration::from_mins(30));
        // Others succeed: the endpoint is not failing, it does not take this one.
        path.deposit(&format!("good-{hours}")).await;
        path.work().await;
        path.due().await;
        hours += 1;
        assert!(hours < 200);
    }
    let attempts = path.attempts(&applied.id).await;
    assert_eq!(
        attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(),
        (1..=13).collect::<Vec<_>>()
    );
    assert!(attempts[..12].iter().all(|attempt| attempt.next_at.is_some()));
    assert_eq!(attempts[12].next_at, None);
    assert_eq!(Attempt::progress(&attempts), Some(Progress::Failed));
    assert_eq!(path.known("e").await.state, EndpointState::Active);
}

#[tokio::test]
async fn gone_disables_an_endpoint_and_people_are_notified() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.services.answer("e", |_| answer(410));
    path.deposit("d").await;
    path.work().await;
    assert_eq!(path.known("e").await.state, EndpointState::Disabled);
    let actions = path.table().endpoint_actions(TEST, "e").await.unwrap();
    let disabled = actions.last().unwrap();
    assert_eq!((disabled.target.target_type, disabled.who.as_str()), (TargetType::Endpoint, "deliver"));
    assert_eq!(disabled.why, "it answered 410 Gone");
    let people = disabled.notification.as_ref().unwrap().people.as_ref().unwrap();
    assert_eq!(people.subject, "[test] Endpoint https://e.example/... was disabled");
    assert!(!people.text.contains("token"));

    let missed = path.deposit("missed").await;
    path.work().await;
    let attempts = path.attempts(&missed.id).await;
    assert_eq!(attempts[0].error.as_deref(), Some("the endpoint is disabled"));
    assert_eq!(Attempt::progress(&attempts), Some(Progress::Failed));
    path.services.answer("e", |_| answer(200));
    path.change(&path.known("e").await, EndpointChange::Enable).await;
    path.deposit("after").await;
    path.work().await;
    path.due().await;
    assert_eq!(path.uids("e"), ["d", "after"], "what was missed is resent on request only");
}

#[tokio::test]
async fn an_endpoint_that_took_nothing_for_days_is_disabled() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.services.answer("e", |_| Err(PostError::TimeOut));
    for number in 0..5 {
        path.deposit(&number.to_string()).await;
    }
    path.work().await;
    let mut hours = 0;
    while path.known("e").await.state != EndpointState::Disabled {
        path.later(SignedDuration::from_hours(1));
        path.deposit(&format!("hour-{hours}")).await;
        path.work().await;
        path.due().await;
        hours += 1;
        assert!(hours < 200);
    }
    assert!((120..140).contains(&hours), "{hours}");
    // Nothing that waits is lost.
    path.services.answer("e", |_| answer(200));
    path.change(&path.known("e").await, EndpointChange::Enable).await;
    path.due().await;
    let got: std::collections::HashSet<_> = path.uids("e").into_iter().collect();
    assert!((0..hours - 1).all(|hour| got.contains(&format!("hour-{hour}"))));
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_kept() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    let asked = |wait| Ok(Answer { status: 429, text: String::new(), retry_after: Some(seconds(wait)) });
    path.services.answer("e", move |_| asked(120));
    let applied = path.deposit("d").await;
    path.work().await;
    path.services.answer("e", move |_| asked(3600));
    for (pause, attempts, waiting) in [(119, 1, 0), (1, 2, 1)] {
        path.later(seconds(pause));
        path.work().await;
        assert_eq!((path.services.requests("e").len(), path.waiting("e").await), (attempts, waiting));
    }
    let attempts = path.attempts(&applied.id).await;
    assert_eq!(attempts[1].next_at.unwrap().since(attempts[1].at).as_secs(), 3600);
}

#[tokio::test]
async fn a_message_that_comes_again_after_a_crash_is_not_tried_before_it_is_due_nor_after_it_was_taken() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.services.answer("e", |_| answer(500));
    path.deposit("d").await;
    path.notify().await;
    // As after a crash between the attempt and the queue: the message is handed out again.
    let redrive = RedrivePolicy { visibility: std::time::Duration::from_secs(1), max_receives: 10 };
    let again = path.queues.receive(Lane::Fast.as_str(), 1, redrive).await.unwrap().remove(0).body;
    path.later(seconds(1));
    path.batch(Lane::Fast).await;
    path.queues.send(Lane::Fast.as_str(), vec![again.clone()]).await.unwrap();
    path.batch(Lane::Fast).await;
    assert_eq!(path.services.requests("e").len(), 1);
    path.services.answer("e", |_| answer(200));
    path.later(seconds(6));
    path.work().await;
    path.queues.send(Lane::Fast.as_str(), vec![again]).await.unwrap();
    path.work().await;
    let tried = path.services.requests("e").len();
    assert!((2..=3).contains(&tried), "{tried}");
}

#[tokio::test]
async fn a_resend_to_one_endpoint_goes_there_only_says_so_and_counts_its_own_attempts() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    path.endpoint("other", all()).await;
    let applied = path.deposit("d").await;
    path.work().await;
    let record = path.table().event(TEST, &applied.id).await.unwrap().unwrap();
    path.later(seconds(60));
    path.table().resend(&record, Some("e".to_owned()), &path.mandate("again")).await.unwrap().unwrap();
    path.work().await;
    let [first, second] = &path.services.requests("e")[..] else { panic!() };
    assert_eq!(path.services.requests("other").len(), 1);
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    assert_ne!(first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]);
    let mut without = second.body.clone();
    let resend = without.as_object_mut().unwrap().remove("resend").unwrap();
    assert_eq!((resend["id"].as_str(), &without), (Some("again"), &first.body));
    let of_it: Vec<_> =
        path.attempts(&applied.id).await.into_iter().filter(|one| one.endpoint == "e").collect();
    let numbers: Vec<_> = of_it.iter().map(|one| (one.number, one.resend.as_deref())).collect();
    assert_eq!(numbers, [(1, None), (1, Some("again"))]);
}

#[tokio::test]
async fn the_body_stays_the_same_over_all_attempts() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    let count = AtomicUsize::new(0);
    path.services
        .answer("e", move |_| answer(if count.fetch_add(1, Ordering::SeqCst) < 2 { 500 } else { 200 }));
    path.deposit("d").await;
    path.work().await;
    for pause in [5, 60] {
        path.later(seconds(pause));
        path.work().await;
    }
    let requests = path.services.requests("e");
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.body == requests[0].body));
    let signatures: std::collections::HashSet<_> =
        requests.iter().map(|request| &request.headers[SIGNATURE]).collect();
    assert_eq!(signatures.len(), 3, "each attempt is signed with its own time");
}

#[tokio::test]
async fn a_large_object_reaches_an_endpoint_whole() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    let text = "\u{e4}\"".repeat(30_000);
    let data = json!({ "uid": "d", "amount": "1", "assetType": "BTC", "note": text });
    path.world.deliver("transaction.deposit.success", data.clone()).await;
    path.work().await;
    assert_eq!(path.services.requests("e")[0].body["data"], data);
}

#[tokio::test]
async fn two_secrets_sign_for_a_day_after_a_rotation() {
    let path = Path::new().await;
    let endpoint = path.endpoint("e", all()).await;
    let rotated = endpoint.secrets.rotated("k", path.world.clock.now()).unwrap();
    path.change(&endpoint, EndpointChange::Rotate(rotated)).await;
    for (uid, pause, count) in [("a", 0, 2), ("b", 24 * 3600, 1)] {
        path.later(seconds(pause));
        path.deposit(uid).await;
        path.work().await;
        let request = path.services.requests("e").pop().unwrap();
        assert_eq!(request.headers[SIGNATURE].split(' ').count(), count);
    }
    let secrets =
        keys().secrets("e", path.known("e").await.secrets.in_use(path.world.clock.now())).await.unwrap();
    let request = path.services.requests("e").pop().unwrap();
    let body = serde_json::to_string(&request.body).unwrap();
    let id = &request.headers["webhook-id"];
    assert_eq!(request.headers[SIGNATURE], secrets[0].sign(id, path.world.clock.now(), &body));
}

#[tokio::test]
async fn a_removed_endpoint_gets_nothing_more() {
    let path = Path::new().await;
    let endpoint = path.endpoint("e", all()).await;
    path.deposit("d").await;
    path.notify().await;
    path.change(&endpoint, EndpointChange::Remove).await;
    path.work().await;
    assert!(path.services.requests("e").is_empty());
}

#[tokio::test]
async fn attempts_are_shown_for_thirty_days() {
    let path = Path::new().await;
    path.endpoint("e", all()).await;
    let applied = path.deposit("d").await;
    path.work().await;
    path.later(SignedDuration::from_hours(30 * 24 - 1));
    assert_eq!(path.attempts(&applied.id).await.len(), 1);
    path.later(SignedDuration::from_hours(2));
    assert_eq!(path.attempts(&applied.id).await.len(), 0);
}
