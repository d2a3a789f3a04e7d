//! The binary as its users run it: real processes, real files, real sockets.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bed;
mod closed;
mod curl;
mod cutter;
mod driver;
mod examples;
mod kills;
mod proxy;
mod seat;
mod teller;

mod accounts;
mod browser;
mod commands;
mod config;
mod credentials;
mod health;
mod local;
mod logs;
mod profile;
mod prompt;
mod proxies;
mod remote;
mod serve;
mod setup;
mod signals;
mod terminal;
mod validate;
