//! The command line: `cargo run` starts the product, `cargo run -- --help` lists the commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    local::cli::main()
}
