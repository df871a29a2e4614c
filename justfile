# The commands that everybody needs. `just` lists them.

_default:
    @just --list

# Start the product on this machine.
run *arguments:
    cargo run -- {{arguments}}

# Run all tests.
test:
    cargo test --workspace

# Format, and find what the compiler does not.
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# Write what is generated anew: the README's table of events, the invocation events, the schema of
# notifications, the tables on money, the keys that roles use, the verification vectors.
update:
    UPDATE=1 cargo test --package bitpowr-webhooks --test end_to_end documentation
    UPDATE=1 cargo test --package bitpowr-webhooks --test end_to_end invocations
    UPDATE=1 cargo test --package bitpowr-webhooks --test delivery rights
    UPDATE=1 cargo test --package shared --lib schema
    UPDATE=1 cargo test --package bitpowr-webhooks --test money -- --test-threads 1 document understood
    python3 shared/vectors/generate.py

# Build the functions, as `sam deploy` takes them.
build:
    sam build
