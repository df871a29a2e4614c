//! Starts the function.

use assets::Assets;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::runtime::family::<Assets>().await
}
