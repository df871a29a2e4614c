//! The local stand-in for SNS: programs are told on standard output and at a webhook, people by e-mails in a
//! folder.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mail_builder::MessageBuilder;
use shared::model::Words;
use shared::publish::{Message, Publish, PublishError};
use tracing::warn;
use url::Url;
use uuid::Uuid;

use crate::mapping::Stop;
use crate::queues::{Queues, RedrivePolicy};

/// The queue of what the webhook has not been told yet.
pub const WEBHOOK_QUEUE: &str = "webhook";

/// Like SNS: some tries at once, then with pauses, then the dead letters.
const REDRIVE: RedrivePolicy = RedrivePolicy { visibility: Duration::from_secs(60), max_receives: 30 };

/// The topics «people» and «programs».
#[derive(Debug)]
pub struct Topics {
    /// Carries what the webhook shall be told, if there is one.
    pub webhook: Option<Queues>,
    /// Where e-mails are put, if anywhere.
    pub mail: Option<PathBuf>,
    /// Whether programs are told on standard output.
    pub print: bool,
}

impl Topics {
    /// Hands a message to its subscribers. Like SNS it fails only where the message is not kept for them; what
    /// a subscriber makes of it is the subscriber's.
    async fn tell(&self, message: Message) -> Result<(), String> {
        match message {
            Message::Programs { json, .. } => {
                if self.print {
                    // Whoever reads our output may have gone; that must not stop the others from being told.
                    let _ = writeln!(std::io::stdout(), "{json}");
                }
                if let Some(queues) = &self.webhook {
                    queues.send(WEBHOOK_QUEUE, vec![json]).await.map_err(|error| error.to_string())?;
                }
            }
            Message::People { words } => {
                if let Some(folder) = &self.mail
                    && let Err(error) = write_mail(folder, words).await
                {
                    warn!(%error, "an e-mail was not written");
                }
            }
        }
        Ok(())
    }
}

/// Writes an e-mail into the folder.
async fn write_mail(folder: &Path, words: Words) -> std::io::Result<()> {
    let mail = MessageBuilder::new()
        .from(("Bitpowr webhooks", "webhooks@localhost"))
        .to("people@localhost")
        .message_id(format!("{}@localhost", Uuid::new_v4()))
        .subject(words.subject)
        .text_body(words.text)
        .write_to_vec()?;
    let file = folder.join(format!("{}.eml", Uuid::now_v7()));
    tokio::task::spawn_blocking(move || std::fs::write(file, mail)).await.map_err(std::io::Error::other)?
}

impl Publish for Topics {
    async fn publish(&self, messages: Vec<Message>) -> Result<(), PublishError> {
        let mut failed: Option<PublishError> = None;
        for message in messages {
            if let Err(cause) = self.tell(message).await {
                failed = Some(PublishError { count: failed.map_or(1, |failed| failed.count + 1), cause });
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// POSTs to the webhook what it has not been told yet, until the product stops.
pub async fn deliver(queues: Queues, webhook: Url, mut stop: Stop) {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(15))
        // A POST that is redirected arrives as a GET without its body.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap_or_default();
    while !stop.is_set() {
        let received = match queues.receive(WEBHOOK_QUEUE, 10, REDRIVE).await {
            Ok(received) => received,
            Err(error) => {
                warn!(%error, "the queue of the webhook");
                Vec::new()
            }
        };
        if received.is_empty() {
            stop.or(queues.wait(WEBHOOK_QUEUE, Duration::from_secs(1))).await;
            continue;
        }
        for message in received {
            if stop.is_set() {
                return;
            }
            let request =
                client.post(webhook.clone()).header("content-type", "application/json").body(message.body);
            let taken = match request.send().await {
                Ok(response) if response.status().is_success() => Ok(()),
                Ok(response) => Err(response.status().to_string()),
                // The URL may hold a token.
                Err(error) => Err(error.without_url().to_string()),
            };
            let noted = match taken {
                Ok(()) => queues.delete(vec![message.id]).await,
                Err(why) => {
                    warn!(why, "the webhook did not take a notification");
                    let pause = Duration::from_secs(1 << message.receive_count.min(5));
                    queues.postpone(message.id, pause).await
                }
            };
            if let Err(error) = noted {
                warn!(%error, "the queue of the webhook");
            }
        }
    }
}
