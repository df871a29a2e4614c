//! Starts the function.

use unrecognised::Unrecognised;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::runtime::family::<Unrecognised>().await
}
