//! Starts the function.

use customers::Customers;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::runtime::family::<Customers>().await
}
