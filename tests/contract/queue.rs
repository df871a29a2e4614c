//! Queues: what was taken comes out as it went in, and stays until it is deleted.

use std::collections::HashMap;

use local::standins::database::Database;
use local::standins::queues::{Queues, RedrivePolicy};
use shared::clock::{Clock as _, SystemClock};
use shared::environment::{Environment, Environments};
use shared::model::{Family, MAX_BODY};
use shared::queue::{DeadLetters, DeliveryQueue, Depths, Redrive, Redriven, Sqs};
use shared::verify::{Envelope, Opened, SealingKey, SealingKeys};

use crate::account::{Account, unique};

/// What a subscriber of the queue sees: everything that is in it, once.
async fn deliveries(queue: &impl DeliveryQueue, received: impl AsyncFn(Family) -> Vec<String>) {
    let keys = SealingKeys::new(SealingKey::new("k", [7; 32]).unwrap(), []);
    let bodies: [&[u8]; 6] = [
        b"{}",
        b"",
        b"\x00\x01\x0b\xff not text",
        "\u{fffe}\u{ffff}\u{1}\r\n\t €".as_bytes(),
        &vec![b'x'; MAX_BODY],
        &vec![b'"'; MAX_BODY],
    ];
    let events = ["transaction.deposit.success", "", "not an attribute: ä", "a.b", "a.b", "a.b"];
    let envelopes: Vec<_> = bodies
        .iter()
        .zip(events)
        .enumerate()
        .map(|(number, (body, event))| Envelope {
            environment: Environment::Test,
            family: if number == 0 { Family::Deposits } else { Family::Unrecognised },
            event: event.to_owned(),
            received_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            delivery_id: format!("delivery {number}").into(),
            refused: None,
            body: body.to_vec(),
        })
        .collect();
    for envelope in &envelopes {
        queue.send(&envelope.clone().seal(&keys).unwrap()).await.unwrap();
    }
    let mut found = Vec::new();
    for family in [Family::Deposits, Family::Unrecognised] {
        for message in received(family).await {
            let opened = Opened::verify(&message, &keys, &Environments::both(), family).unwrap();
            found.push(opened.envelope().clone());
        }
    }
    found.sort_by(|a, b| a.delivery_id.cmp(&b.delivery_id));
    assert_eq!(found, envelopes);
}

/// Dead letters are handed out once for a while, with the time they were sent, and are gone when deleted.
async fn dead_letters(letters: &impl DeadLetters, put: impl AsyncFn(Family, &str)) {
    assert!(letters.receive(Family::Assets).await.unwrap().is_empty());
    let before = SystemClock.now();
    for body in ["first", "second", "third"] {
        put(Family::Assets, body).await;
    }
    let mut found = Vec::new();
    loop {
        let received = letters.receive(Family::Assets).await.unwrap();
        if received.is_empty() {
            break;
        }
        found.extend(received);
    }
    let mut bodies: Vec<_> = found.iter().map(|letter| letter.body.as_str()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["first", "second", "third"]);
    for letter in &found {
        assert!(letter.sent_at.since(before).as_secs().abs() < 60);
        letters.delete(Family::Assets, letter).await.unwrap();
    }
    assert!(letters.receive(Family::Deposits).await.unwrap().is_empty());
}

/// Dead letters go back into their queue, so many at a time, and are counted where they are.
async fn redriven(
    queues: &(impl Depths + Redrive),
    put: impl AsyncFn(Family, &str),
    received: impl AsyncFn(Family) -> Vec<String>,
) {
    const FAMILY: Family = Family::Contracts;
    let depth = async || {
        let all = queues.depths().await.unwrap();
        assert_eq!(all.len(), Family::ALL.len());
        let depth = all.into_iter().find(|(family, _)| *family == FAMILY).unwrap().1;
        (depth.waiting, depth.dead_letters)
    };
    let redrive = async |most| {
        let Redriven { moved, failed } = queues.redrive(FAMILY, most).await;
        assert!(failed.is_none(), "{failed:?}");
        moved
    };
    assert_eq!((redrive(10).await, depth().await), (0, (0, 0)));
    for body in ["first", "second", "third"] {
        put(FAMILY, body).await;
    }
    assert_eq!(depth().await, (0, 3));
    assert_eq!((redrive(2).await, depth().await), (2, (2, 1)));
    assert_eq!((redrive(2).await, depth().await), (1, (3, 0)));
    let mut bodies = received(FAMILY).await;
    bodies.sort_unstable();
    assert_eq!(bodies, ["first", "second", "third"]);
}

const ONCE: RedrivePolicy =
    RedrivePolicy { visibility: std::time::Duration::from_secs(600), max_receives: 5 };

#[tokio::test]
async fn the_local_queues_keep_it() {
    let queues = Queues::open(Database::open(None).unwrap(), SystemClock).unwrap();
    deliveries(&queues, async |family| {
        let received = queues.receive(family.as_str(), 10, ONCE).await.unwrap();
        received.into_iter().map(|message| message.body).collect()
    })
    .await;
    let put = async |family: Family, body: &str| {
        queues.send(&Queues::dead_letters_of(family.as_str()), vec![body.to_owned()]).await.unwrap();
    };
    dead_letters(&queues, put).await;
    redriven(&queues, put, async |family| {
        let received = queues.receive(family.as_str(), 10, ONCE).await.unwrap();
        received.into_iter().map(|message| message.body).collect()
    })
    .await;
}

async fn receive(account: &Account, url: &str) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let request = account.sqs().receive_message().queue_url(url).max_number_of_messages(10);
        let messages = request.visibility_timeout(600).send().await.unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            return found;
        }
        found.extend(messages.into_iter().filter_map(|message| message.body));
    }
}

async fn client_contract(
    account: &Account,
    queues: &HashMap<Family, String>,
    letters: &HashMap<Family, String>,
) {
    let sqs = Sqs::new(account.sqs(), queues.clone()).with_dead_letters(letters.clone());
    let received = async |family: Family| receive(account, &queues[&family]).await;
    let put = async |family: Family, body: &str| {
        account.sqs().send_message().queue_url(&letters[&family]).message_body(body).send().await.unwrap();
    };
    deliveries(&sqs, received).await;
    dead_letters(&sqs, put).await;
    redriven(&sqs, put, received).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sqs_client_keeps_it_over_the_local_endpoint() {
    let account = Account::local(|_| {}).await;
    // Names that no family of the running product has: it would take the messages away.
    let urls = |suffix: &str| {
        let url = |family: &Family| (*family, format!("http://sqs.local/contract-{family}{suffix}"));
        Family::ALL.iter().map(url).collect::<HashMap<_, _>>()
    };
    client_contract(&account, &urls(""), &urls("-dead-letters")).await;
    account.product.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an emulated AWS account"]
async fn the_sqs_client_keeps_it_over_an_emulated_account() {
    let account = Account::emulated();
    let (mut queues, mut letters) = (HashMap::new(), HashMap::new());
    for family in Family::ALL {
        for urls in [&mut queues, &mut letters] {
            let created =
                account.sqs().create_queue().queue_name(unique(family.as_str())).send().await.unwrap();
            urls.insert(family, created.queue_url.unwrap());
        }
    }
    client_contract(&account, &queues, &letters).await;
}
