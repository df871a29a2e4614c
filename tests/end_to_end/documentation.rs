//! The documentation is what the code does.
