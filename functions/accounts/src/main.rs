//! Starts the function.

use accounts::Accounts;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::runtime::family::<Accounts>().await
}
