//! The server as its clients see it: a real engine, a real store, real processes, real sockets.
#![expect(clippy::unwrap_used, reason = "tests")]

mod api;
mod bad_input;
mod bed;
mod client;
mod live;
mod logs;
mod metrics;
mod pages;
mod stop;
