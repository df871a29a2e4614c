//! Clients for an AWS account, wherever it is.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use local::product::{Product, Settings};
use shared::verify::Secret;

/// An AWS account at a URL.
pub(crate) struct Account {
    config: SdkConfig,
    /// The local product that serves it, if it does.
    pub(crate) product: Option<Product>,
}

impl Account {
    /// The emulated account that the environment names.
    pub(crate) fn emulated() -> Self {
        let endpoint = std::env::var("CONTRACT_ENDPOINT").unwrap_or_else(|_| {
            panic!("CONTRACT_ENDPOINT names no emulated AWS account; tests/sam starts one")
        });
        Self::at(&endpoint)
    }

    /// The account that answers at this URL.
    pub(crate) fn at(endpoint: &str) -> Self {
        Self { config: config(endpoint, "test"), product: None }
    }

    /// What the local product serves to functions in containers.
    pub(crate) async fn local(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            port: 0,
            data: None,
            secret: Secret::new("local-secret").unwrap(),
            webhook: None,
            mail: None,
            print: false,
            aws_endpoint: Some(([127, 0, 0, 1], 0).into()),
        };
        change(&mut settings);
        let product = Product::start(settings).await.unwrap();
        let endpoint = format!("http://{}", product.aws_endpoint().unwrap());
        Self { config: config(&endpoint, "local"), product: Some(product) }
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    pub(crate) fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.config)
    }
}

fn config(endpoint: &str, key: &str) -> SdkConfig {
    let credentials = Credentials::new(key, "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// A name that no other run has.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::new_v4())
}
