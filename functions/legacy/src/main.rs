//! Starts the function.

use legacy::Legacy;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::runtime::family::<Legacy>().await
}
