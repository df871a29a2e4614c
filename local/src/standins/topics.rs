//! The local stand-in for SNS: programs are notified on standard output and by POSTs, people by e-mails and short
//! messages in a folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mail_builder::MessageBuilder;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use shared::model::Words;
use shared::printable;
use shared::publish::{Message, Publish, PublishError, Published};
use shared::queue::QueueError;
use tracing::warn;
use url::Url;
use uuid::Uuid;

use super::files;
use super::queues::{Queues, RedrivePolicy};
use super::stop::Stop;
use super::subscriptions::{Protocol, Subscription, SubscriptionStore};

/// The queue of what subscribers over HTTPS have not been sent yet.
pub const WEBHOOK_QUEUE: &str = "webhook";

/// Like SNS: some tries at once, then with pauses, then the dead letters.
const REDRIVE: RedrivePolicy = RedrivePolicy { visibility: Duration::from_secs(60), max_receives: 30 };

/// The topics «people» and «programs».
#[derive(Debug)]
pub struct Topics {
    /// Carries what programs shall be sent.
    pub queues: Queues,
    /// Who subscribed.
    pub subscriptions: SubscriptionStore,
    /// Where e-mails to everybody are put, if anywhere.
    pub mail: Option<PathBuf>,
    /// Where what people subscribed to is put.
    pub people: Option<PathBuf>,
    /// Whether programs are notified on standard output.
    pub print: bool,
}

/// A message is not kept for its subscribers.
#[derive(Debug, thiserror::Error)]
enum TopicError {
    /// It cannot be written as JSON.
    #[error(transparent)]
    Unwritten(#[from] serde_json::Error),
    /// The queue of what programs shall be sent failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// What a program shall be sent, and where.
#[derive(Serialize, Deserialize)]
struct Post {
    url: Url,
    body: String,
}

impl Topics {
    /// Hands a message to its subscribers. Like SNS it fails only where the message is not kept for them; what
    /// a subscriber makes of it is the subscriber's.
    async fn send(&self, message: Message, subscriptions: &[Subscription]) -> Result<(), TopicError> {
        match message {
            Message::Programs { json, attributes } => {
                if self.print {
                    // Whoever reads our output may have gone; that must not keep the others from being notified.
                    let _ = writeln!(std::io::stdout(), "{}", printable::json(&json));
                }
                let wanted = subscriptions.iter().filter(|one| one.filter.accepts(&attributes));
                let endpoints = wanted.filter(|one| one.protocol == Protocol::Https);
                let endpoints = endpoints.filter_map(|one| one.endpoint.parse().ok());
                let posts = endpoints.map(|url| serde_json::to_string(&Post { url, body: json.clone() }));
                let posts = posts.collect::<Result<Vec<_>, _>>()?;
                if !posts.is_empty() {
                    self.queues.send(WEBHOOK_QUEUE, posts).await?;
                }
            }
            Message::People { words, attributes } => {
                if let Some(folder) = &self.mail {
                    noted(write_mail(folder, EVERYBODY, &words).await);
                }
                // In memory nobody can subscribe.
                let Some(folder) = &self.people else { return Ok(()) };
                for one in subscriptions.iter().filter(|one| one.filter.accepts(&attributes)) {
                    match one.protocol {
                        Protocol::Email => noted(write_mail(folder, &one.endpoint, &words).await),
                        Protocol::Sms => noted(write_sms(folder, &one.endpoint, &words).await),
                        Protocol::Https => {}
                    }
                }
            }
        }
        Ok(())
    }
}

fn noted(written: std::io::Result<()>) {
    if let Err(error) = written {
        warn!(%error, "a message to people was not written");
    }
}

/// Whom e-mails are for that nobody subscribed to.
const EVERYBODY: &str = "people@localhost";

/// Writes an e-mail into the folder.
async fn write_mail(folder: &Path, to: &str, words: &Words) -> std::io::Result<()> {
    let mail = MessageBuilder::new()
        .from(("Bitpowr webhooks", "webhooks@localhost"))
        .to(to)
        .message_id(format!("{}@localhost", Uuid::new_v4()))
        .subject(words.subject.as_str())
        .text_body(words.text.as_str())
        .write_to_vec()?;
    write(folder, "eml", mail).await
}

/// Writes a short message into the folder.
async fn write_sms(folder: &Path, to: &str, words: &Words) -> std::io::Result<()> {
    write(folder, "txt", format!("To: {to}\n{}\n", words.sms).into_bytes()).await
}

async fn write(folder: &Path, extension: &str, contents: Vec<u8>) -> std::io::Result<()> {
    let file = folder.join(format!("{}.{extension}", Uuid::now_v7()));
    let write = move || {
        if let Some(folder) = file.parent() {
            files::make_dir(folder)?;
        }
        files::create_file(&file)?.write_all(&contents)
    };
    tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other)?
}

impl Publish for Topics {
    async fn publish(&self, messages: Vec<Message>) -> Published {
        let mut published = Published::default();
        let subscriptions = match self.subscriptions.list().await {
            Ok(subscriptions) => subscriptions,
            Err(error) => {
                published.failed = Some(PublishError { cause: error.into() });
                return published;
            }
        };
        for message in messages {
            if let Err(cause) = self.send(message, &subscriptions).await {
                published.failed = Some(PublishError { cause: cause.into() });
                break;
            }
            published.settled += 1;
        }
        published
    }
}

/// POSTs to programs what they have not been sent yet, until the product stops.
pub async fn deliver(queues: Queues, mut stop: Stop) {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(15))
        // A POST that is redirected arrives as a GET without its body.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap_or_default();
    while !stop.is_set() {
        let posted = batch(&client, &queues, &stop).await;
        if let Err(error) = &posted {
            warn!(%error, "the queue of the webhook failed");
        }
        if !posted.is_ok_and(|count| count > 0) {
            stop.or(queues.wait(WEBHOOK_QUEUE, Duration::from_secs(1))).await;
        }
    }
}

/// POSTs what is due, until it is time to stop: how many there were. What was not taken comes again after a pause
/// that doubles each time.
async fn batch(client: &reqwest::Client, queues: &Queues, stop: &Stop) -> Result<usize, QueueError> {
    let received = queues.receive(WEBHOOK_QUEUE, 10, REDRIVE).await?;
    let count = received.len();
    for message in received {
        if stop.is_set() {
            break;
        }
        let taken = match serde_json::from_str(&message.body) {
            Ok(post) => self::post(client, post).await,
            // Nobody can be notified.
            Err(_) => Ok(()),
        };
        let noted = match taken {
            Ok(()) => queues.delete(vec![message.id]).await,
            Err(error) => {
                warn!(%error, "the webhook did not take a notification");
                let pause = Duration::from_secs(1 << message.receive_count.min(5));
                queues.postpone(message.id, pause).await
            }
        };
        // The others do not wait for what this one's note is about.
        if let Err(error) = noted {
            warn!(%error, "the queue of the webhook failed");
        }
    }
    Ok(count)
}

/// Why a program did not take what it was sent.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    /// It said so.
    #[error("it answered {0}")]
    Answered(StatusCode),
    /// It did not answer.
    #[error(transparent)]
    Silent(reqwest::Error),
}

/// Sends a program what it is notified of.
async fn post(client: &reqwest::Client, Post { url, body }: Post) -> Result<(), NotTaken> {
    match client.post(url).header("content-type", "application/json").body(body).send().await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(NotTaken::Answered(response.status())),
        // The URL may hold a token.
        Err(error) => Err(NotTaken::Silent(error.without_url())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use jiff::SignedDuration;
    use shared::clock::{ManualClock, Moment};
    use tokio::sync::watch;

    use crate::standins::database::Database;

    /// A program that does not take the first two POSTs.
    async fn webhook() -> Url {
        let posts = Arc::new(AtomicU32::new(0));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let answer = async move || match posts.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        };
        tokio::spawn(async { axum::serve(listener, axum::Router::new().fallback(answer)).await });
        url
    }

    #[tokio::test]
    async fn what_a_webhook_does_not_take_comes_again_after_a_pause_that_doubles() {
        let clock = Arc::new(ManualClock::at(Moment::from_millis(1_795_411_744_000)));
        let queues = Queues::open(Database::open(None).unwrap(), Arc::clone(&clock)).unwrap();
        let post = Post { url: webhook().await, body: "{}".to_owned() };
        queues.send(WEBHOOK_QUEUE, vec![serde_json::to_string(&post).unwrap()]).await.unwrap();
        let (_running, stop) = watch::channel(false);
        let (client, stop) = (reqwest::Client::builder().no_proxy().build().unwrap(), Stop::new(stop));
        let posted_after = async |millis| {
            clock.advance(SignedDuration::from_millis(millis));
            batch(&client, &queues, &stop).await.unwrap()
        };
        assert_eq!(posted_after(0).await, 1);
        assert_eq!((posted_after(1_999).await, posted_after(1).await), (0, 1));
        assert_eq!((posted_after(3_999).await, posted_after(1).await), (0, 1));
        assert_eq!(queues.depth(WEBHOOK_QUEUE).await.unwrap(), 0);
    }
}
