//! Starts the function.

use transfers::Transfers;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::runtime::family::<Transfers>().await
}
