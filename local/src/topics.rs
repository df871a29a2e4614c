//! The local stand-in for SNS: programs are told on standard output and at a webhook, people by e-mails in a
//! folder.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use mail_builder::MessageBuilder;
use shared::publish::{Message, Publish, PublishError};
use tracing::warn;
use url::Url;
use uuid::Uuid;

use crate::mapping::Stop;
use crate::queues::{Queues, Redrive};

/// The queue of what the webhook has not been told yet.
pub const WEBHOOK_QUEUE: &str = "webhook";

/// Like SNS: some tries at once, then with pauses, then the dead letters.
const REDRIVE: Redrive = Redrive {
    visibility: Duration::from_secs(60),
    max_receives: 30,
};

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
    async fn tell(&self, message: Message) -> Result<(), String> {
        match message {
            Message::Programs { json, .. } => {
                if self.print {
                    // Whoever reads our output may have gone; that must not stop the others from being told.
                    let _ = writeln!(std::io::stdout(), "{json}");
                }
                if let Some(queues) = &self.webhook {
                    queues
                        .send(WEBHOOK_QUEUE, vec![json])
                        .await
                        .map_err(|error| error.to_string())?;
                }
                Ok(())
            }
            Message::People { words } => {
                let Some(folder) = &self.mail else { return Ok(()) };
                let mail = MessageBuilder::new()
                    .from(("Bitpowr webhooks", "webhooks@localhost"))
                    .to("people@localhost")
                    .message_id(format!("{}@localhost", Uuid::new_v4()))
                    .subject(words.subject)
                    .text_body(words.text);
                let file = folder.join(format!("{}.eml", Uuid::now_v7()));
                let mail = mail.write_to_vec().map_err(|error| error.to_string())?;
                tokio::task::spawn_blocking(move || std::fs::write(file, mail))
                    .await
                    .map_err(|error| error.to_string())?
                    .map_err(|error| error.to_string())
            }
        }
    }
}

impl Publish for Topics {
    async fn publish(&self, messages: Vec<Message>) -> Result<(), PublishError> {
        let mut failed: Option<PublishError> = None;
        for message in messages {
            if let Err(cause) = self.tell(message).await {
                failed = Some(PublishError {
                    count: failed.map_or(1, |failed| failed.count + 1),
                    cause,
                });
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

/// POSTs to the webhook what it has not been told yet, until the product stops.
pub async fn deliver(queues: Queues, webhook: Url, mut stop: Stop) {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(15))
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
            let request = client
                .post(webhook.clone())
                .header("content-type", "application/json")
                .body(message.body);
            let outcome = request.send().await.and_then(reqwest::Response::error_for_status);
            let noted = match outcome {
                Ok(_) => queues.delete(vec![message.id]).await,
                Err(error) => {
                    warn!(%error, "the webhook did not take a notification");
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
