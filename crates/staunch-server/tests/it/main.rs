//! The server as its clients see it: a real engine, a real store, real processes, real sockets.
#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod accounts;
mod alerts;
mod api;
mod bad_input;
mod bed;
mod client;
mod csrf;
mod debug;
mod growth;
mod listening;
mod live;
mod logs;
mod memory;
mod metrics;
mod pages;
mod pressure;
mod proofs;
mod rates;
mod secrets;
mod sessions;
mod setup;
mod stop;
mod sweeps;
mod tokens;

/// For the gates of growth; the others do not mind.
#[global_allocator]
static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
