//! Starts the function.

use deposits::Deposits;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::runtime::family::<Deposits>().await
}
