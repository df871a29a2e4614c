//! Starts the function.

use addresses::Addresses;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::runtime::family::<Addresses>().await
}
