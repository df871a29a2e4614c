//! `serve`: the product, until Ctrl-C.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use shared::endpoints::{EndpointUrl, Reach};
use shared::environment::Environment;
use shared::model::EventType;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;
use super::samples;
use super::{SecretArgument, say};
use crate::product::{Product, Settings, webhook_secret};
use crate::standins::development::is_public;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// The data folder.
    #[arg(long, value_name = "DIR", default_value = ".bitpowr")]
    data: PathBuf,
    /// Keep data in memory only.
    #[arg(long, conflicts_with = "data")]
    memory: bool,
    #[command(flatten)]
    secret: SecretArgument,
    /// POST every event to this URL, signed: an endpoint for this run.
    #[arg(long, value_name = "URL", value_parser = |text: &str| EndpointUrl::read(text, Reach::Local))]
    webhook: Option<EndpointUrl>,
    /// Write e-mails to this folder, as .eml files.
    #[arg(long, value_name = "DIR")]
    mail: Option<PathBuf>,
    /// Also serve the AWS services at this address, for functions that `sam local` runs in containers:
    /// 127.0.0.1:8788 with Docker Desktop, 172.17.0.1:8788 (the bridge) on Linux.
    #[arg(long, value_name = "ADDRESS:PORT")]
    aws_endpoint: Option<SocketAddr>,
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let secret = self.secret.read()?;
        // A secret that is one is not printed: terminals are shared, and their output is kept.
        let shown = is_public(&secret).then(|| secret.header_value());
        let data = (!self.memory).then_some(self.data);
        let kept = data.as_ref().map_or("memory only".to_owned(), |data| format!("{}/", data.display()));
        let settings = Settings {
            port: self.port,
            data,
            secret,
            webhook: self.webhook.clone(),
            mail: self.mail,
            print: true,
            aws_endpoint: self.aws_endpoint,
        };
        let mut product = Product::start(settings).await?;
        let url = format!("http://{}", product.address());
        say(&format!("Receiving Bitpowr's webhooks at {url}/webhooks/test and {url}/webhooks/live"));
        say(&format!("  x-webhook-secret: {}", shown.as_deref().unwrap_or("Base64 of your secret")));
        say(&format!("  data: {kept}    page: {url}/"));
        if let Some(webhook) = &self.webhook {
            let secret = webhook_secret()?.reveal();
            say(&format!("  events go to {webhook}, signed with {secret}"));
        }
        if let Some(address) = product.aws_endpoint() {
            if !is_near(address.ip()) {
                tracing::warn!(%address, "other machines can reach the AWS services: serve them at 127.0.0.1, or at Docker's bridge");
            }
            say(&format!("  AWS services for sam local: http://{address}"));
        }
        say("");
        say("Send an event:");
        say(&format!("  {}", curl(&url, shown.as_deref())?));
        say("");
        let own = if shown.is_some() { "" } else { " (with the same secret)" };
        say(&format!("Or send all samples, from a second terminal: cargo run -- trigger all{own}"));
        say("From here on, each notification is one line. Press Ctrl-C to stop.");
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = product.broken() => return Err(Failure::new("a part of the receiver stopped; start it again")),
        }
        tokio::select! {
            () = product.stop() => Ok(()),
            _ = interrupt.recv() => Err(Failure::new("stopped before all notifications were sent; the next start sends them")),
        }
    }
}

/// Whether only this machine and its containers reach an address: Docker's bridge is 172.17.0.1, if nobody has
/// chosen another.
fn is_near(address: IpAddr) -> bool {
    let bridge = matches!(address, IpAddr::V4(address) if address.octets().starts_with(&[172, 17]));
    address.is_loopback() || bridge
}

/// A complete line that works when pasted; with a secret of one's own, where `BITPOWR_WEBHOOK_SECRET` holds it.
fn curl(url: &str, header: Option<&str>) -> Result<String, Failure> {
    let only = ["uid", "status", "type", "accountId", "assetType", "amount", "network"];
    let sample = samples::sample(EventType::DepositSuccess, Environment::Test, &[])?;
    let mut sample: serde_json::Value = serde_json::from_str(&sample)?;
    if let Some(data) = sample.get_mut("data").and_then(serde_json::Value::as_object_mut) {
        data.retain(|field, _| only.contains(&field.as_str()));
    }
    let secret = match header {
        Some(header) => format!("'x-webhook-secret: {header}'"),
        None => {
            r#""x-webhook-secret: $(printf %s "$BITPOWR_WEBHOOK_SECRET" | base64 | tr -d '\n')""#.to_owned()
        }
    };
    Ok(format!("curl -i {url}/webhooks/test -H {secret} -H 'content-type: application/json' -d '{sample}'"))
}
