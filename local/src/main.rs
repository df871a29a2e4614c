//! The command line: `cargo run` starts the product, `cargo run -- --help` tells what else there is.

use std::process::ExitCode;

fn main() -> ExitCode {
    local::cli::main()
}
