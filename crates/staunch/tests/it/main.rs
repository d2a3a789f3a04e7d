//! The binary as its users run it: real processes, real files, real sockets.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bed;
mod cutter;
mod driver;
mod examples;
mod kills;

mod browser;
mod commands;
mod config;
mod local;
mod logs;
mod remote;
mod serve;
mod signals;
mod terminal;
mod validate;
