//! Starts the function.

use compliance::Compliance;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::runtime::family::<Compliance>().await
}
