//! A deployed stack, seen from this machine with its user's own credentials.

use std::collections::HashMap;

use api::Watched;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use shared::aws_error::AwsError;
use shared::clock::SystemClock;
use shared::endpoints::Reach;
use shared::endpoints::signing::DeliveryKeys;
use shared::environment::Environment;
use shared::rotating::Rotating;
use shared::runtime;
use shared::store::Table;
use shared::verify::SealingKeys;

use super::queues::Queues;

/// How often a stack is looked up before the command fails.
const LOOKUPS: u32 = 3;

/// A stack: where its parts are, as its functions know them.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// Which of Bitpowr's environments it serves.
    pub environment: Environment,
    /// How its account is reached.
    pub config: SdkConfig,
    /// The variables of its functions.
    variables: HashMap<String, String>,
}

/// A stack is not there, not reached, or not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// AWS refused, or was not reached.
    #[error("the stack {name} cannot be looked up")]
    Lookup {
        /// Its name.
        name: String,
        /// Why.
        source: AwsError,
    },
    /// One of its functions is missing.
    #[error("this account and region have no function {function}: is {stack} the name of the stack?")]
    NoFunction {
        /// The function.
        function: String,
        /// The stack.
        stack: String,
    },
    /// Its functions do not say which environment they serve.
    #[error("the functions of {0} name no environment")]
    NoEnvironment(String),
    /// Its functions are of another version.
    #[error("no function of {stack} has the variable {variable}: deploy this version")]
    NoVariable {
        /// The stack.
        stack: String,
        /// What they should have.
        variable: String,
    },
    /// AWS does not say whose credentials these are.
    #[error("your credentials cannot be used")]
    Credentials(#[source] AwsError),
    /// They are nobody's.
    #[error("your credentials name no principal")]
    Nobody,
}

impl Stack {
    /// Looks a stack up by the functions that it has.
    ///
    /// # Errors
    /// [`StackError`]
    pub async fn find(name: &str) -> Result<Self, StackError> {
        let config = runtime::aws().await;
        let few = RetryConfig::standard().with_max_attempts(LOOKUPS);
        let lambda = aws_sdk_lambda::config::Builder::from(&config).retry_config(few).build();
        let lambda = aws_sdk_lambda::Client::from_conf(lambda);
        let mut variables = HashMap::new();
        for function in ["actions", "notify", "ingest"] {
            let function = format!("{name}-{function}");
            let found = lambda.get_function_configuration().function_name(&function).send().await;
            let found = found.map_err(|error| match error.as_service_error() {
                Some(answer) if answer.is_resource_not_found_exception() => {
                    StackError::NoFunction { function, stack: name.to_owned() }
                }
                _ => StackError::Lookup { name: name.to_owned(), source: error.into() },
            })?;
            variables
                .extend(found.environment.and_then(|environment| environment.variables).unwrap_or_default());
        }
        let environment = variables.get("BITPOWR_ENVIRONMENT").and_then(|name| name.parse().ok());
        let environment = environment.ok_or_else(|| StackError::NoEnvironment(name.to_owned()))?;
        Ok(Self { name: name.to_owned(), environment, config, variables })
    }

    /// A variable of its functions.
    ///
    /// # Errors
    /// [`StackError::NoVariable`] where none has it.
    pub fn variable(&self, name: &str) -> Result<&str, StackError> {
        let value = self.variables.get(name).map(String::as_str);
        let missing = || StackError::NoVariable { stack: self.name.clone(), variable: name.to_owned() };
        value.ok_or_else(missing)
    }

    /// Its table.
    ///
    /// # Errors
    /// Where no function names it.
    pub fn table(&self) -> Result<Table, StackError> {
        Ok(self.table_of(self.variable("TABLE_NAME")?))
    }

    /// A table of its account.
    pub fn table_of(&self, name: &str) -> Table {
        Table::new(aws_sdk_dynamodb::Client::new(&self.config), name)
    }

    /// Its queues.
    ///
    /// # Errors
    /// Where no function names one of them.
    pub fn queues(&self) -> Result<Queues, StackError> {
        let queues = runtime::queues(&self.config, |name| self.variable(name).map(str::to_owned))?;
        let watched = Watched::new(queues, aws_sdk_cloudwatch::Client::new(&self.config), SystemClock);
        Ok(Queues::Stack(Box::new(watched)))
    }

    /// What its deliveries are sealed with, if the caller may know it. It is fetched where it is needed: most commands do
    /// not, and who may only look has no right to it.
    ///
    /// # Errors
    /// Where no function names the secret.
    pub fn sealing_keys(&self) -> Result<Rotating<SealingKeys>, StackError> {
        Ok(runtime::sealing_keys_of(&self.config, self.variable("SEALING_KEY_ID")?.to_owned()))
    }

    /// What its endpoints' signing secrets are derived from, if the caller may know it, and which URLs they may have.
    ///
    /// # Errors
    /// Where no function names the secret.
    pub fn delivery(&self) -> Result<(DeliveryKeys, Reach), StackError> {
        let keys = runtime::delivery_keys_of(&self.config, self.variable("DELIVERY_KEY_ID")?.to_owned());
        let reach = if self.variable("PRIVATE_ENDPOINTS")? == "allow" { Reach::Local } else { Reach::Public };
        Ok((keys, reach))
    }

    /// Whose credentials these are.
    ///
    /// # Errors
    /// [`StackError`] where they are nobody's.
    pub async fn caller(&self) -> Result<String, StackError> {
        let found = aws_sdk_sts::Client::new(&self.config).get_caller_identity().send().await;
        let found = found.map_err(|error| StackError::Credentials(error.into()))?;
        found.arn.ok_or(StackError::Nobody)
    }
}
