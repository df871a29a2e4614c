//! Starts the function.

use contracts::Contracts;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::runtime::family::<Contracts>().await
}
