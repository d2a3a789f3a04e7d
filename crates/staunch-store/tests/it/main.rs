//! The store, from outside.
#![expect(clippy::unwrap_used, reason = "tests")]

#[macro_use]
mod conformance;
mod sqlite;
