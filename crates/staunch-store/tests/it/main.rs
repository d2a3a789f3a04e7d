//! The store, from outside.
#![expect(clippy::unwrap_used, reason = "tests")]

#[macro_use]
mod conformance;
mod leak;
mod sqlite;

#[global_allocator]
static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
