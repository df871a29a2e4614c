//! Where a command finds the data: in a data folder of this machine, or in a deployed stack.

use std::path::PathBuf;

use api::Api;
use aws_sdk_dynamodb::Client;
use clap::Args;
use lambda_http::Body;
use lambda_http::http::Request;
use serde_json::Value;
use shared::environment::{Environment, Environments};
use shared::runtime;
use shared::store::Table;
use url::form_urlencoded;

use crate::product::Attached;

/// Where the data is.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Which of Bitpowr's environments.
    #[arg(long, value_name = "ENVIRONMENT", default_value = "test")]
    pub(super) env: Environment,
    /// The data folder; the product may be running on it.
    #[arg(long, value_name = "DIR", default_value = ".bitpowr")]
    data: PathBuf,
    /// A deployed stack instead, in the AWS account and region of your credentials.
    #[arg(long, value_name = "NAME", conflicts_with = "data")]
    stack: Option<String>,
}

/// The data, open.
pub(super) struct Opened {
    pub(super) environment: Environment,
    pub(super) table: Table,
    api: Api,
    /// What keeps a data folder open.
    _attached: Option<Attached>,
}

impl Place {
    /// Opens it.
    ///
    /// # Errors
    /// One line that says what is missing.
    pub(super) async fn open(&self) -> Result<Opened, String> {
        let (table, attached) = match &self.stack {
            Some(stack) => {
                let client = Client::new(&runtime::aws().await);
                let name = table_of(&client, stack).await?;
                (Table::new(client, &name), None)
            }
            None => {
                let attached = Attached::to(&self.data).map_err(|error| error.to_string())?;
                (attached.table(), Some(attached))
            }
        };
        let api = Api { table: table.clone(), environments: Environments::only(self.env) };
        Ok(Opened { environment: self.env, table, api, _attached: attached })
    }
}

/// The table of a stack: CloudFormation names it after the stack and its name in the template.
async fn table_of(client: &Client, stack: &str) -> Result<String, String> {
    let prefix = format!("{stack}-Table-");
    // The list starts after this name, and so with the first that begins with it.
    let listed = client.list_tables().exclusive_start_table_name(&prefix).limit(1).send().await;
    let listed = listed.map_err(|error| {
        format!("the tables of the account: {}", aws_sdk_dynamodb::error::DisplayErrorContext(error))
    })?;
    let found = listed.table_names.unwrap_or_default().into_iter().find(|name| name.starts_with(&prefix));
    found.ok_or_else(|| format!("there is no table of a stack {stack} in this account and region"))
}

impl Opened {
    /// Asks the read side, as over HTTP: `what` is the path behind the environment.
    ///
    /// # Errors
    /// What the answer says is wrong.
    pub(super) async fn get(&self, what: &str, query: &[(&str, Option<&str>)]) -> Result<Value, String> {
        let given = query.iter().filter_map(|(name, value)| Some((name, (*value)?)));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
        let request = Request::get(format!("/api/{}/{what}?{query}", self.environment)).body(Body::Empty);
        let response = self.api.handle(request.map_err(|error| error.to_string())?).await;
        let status = response.status();
        let answer: Value =
            serde_json::from_slice(response.body().as_ref()).map_err(|error| error.to_string())?;
        if status.is_success() {
            return Ok(answer);
        }
        Err(answer.get("detail").and_then(Value::as_str).unwrap_or(status.as_str()).to_owned())
    }

    /// Every entry of a list, page by page.
    ///
    /// # Errors
    /// As [`Opened::get`].
    pub(super) async fn all(&self, what: &str, query: &[(&str, Option<&str>)]) -> Result<Vec<Value>, String> {
        let mut entries = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.extend([("limit", Some("100")), ("cursor", cursor.as_deref())]);
            let mut page = self.get(what, &query).await?;
            if let Some(Value::Array(found)) = page.get_mut(what).map(Value::take) {
                entries.extend(found);
            }
            match page.get("cursor").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(entries),
            }
        }
    }
}
