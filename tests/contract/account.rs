//! Clients for an AWS account, wherever it is.

use aws_credential_types::Credentials;
use local::product::{Product, Settings};
use shared::verify::Secret;

/// An AWS account at a URL.
pub(crate) struct Account {
    endpoint: String,
    /// The local product that serves it, if it does.
    pub(crate) product: Option<Product>,
}

impl Account {
    /// The emulated account that the environment names.
    pub(crate) fn emulated() -> Self {
        let endpoint = std::env::var("CONTRACT_ENDPOINT").unwrap_or_else(|_| {
            panic!("CONTRACT_ENDPOINT names no emulated AWS account; tests/sam starts one")
        });
        Self { endpoint, product: None }
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
        Self { endpoint, product: Some(product) }
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::from_conf(
            aws_sdk_dynamodb::Config::builder()
                .behavior_version_latest()
                .region(aws_sdk_dynamodb::config::Region::new("eu-west-1"))
                .endpoint_url(&self.endpoint)
                .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                .build(),
        )
    }

    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::from_conf(
            aws_sdk_sqs::Config::builder()
                .behavior_version_latest()
                .region(aws_sdk_sqs::config::Region::new("eu-west-1"))
                .endpoint_url(&self.endpoint)
                .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                .build(),
        )
    }

    pub(crate) fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::from_conf(
            aws_sdk_sns::Config::builder()
                .behavior_version_latest()
                .region(aws_sdk_sns::config::Region::new("eu-west-1"))
                .endpoint_url(&self.endpoint)
                .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                .build(),
        )
    }
}

/// A name that no other run has.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::new_v4())
}
