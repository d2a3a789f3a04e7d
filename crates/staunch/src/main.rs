//! The `staunch` binary: a workflow server in which nothing leaks, and its command line.

mod allocator;
mod cli;
mod client;
mod cmd;
mod config;
mod doctor;
mod exit;
mod failure;
mod follow;
mod inputs;
mod interrupt;
mod local;
mod news;
mod render;
mod report;
mod secret;
mod serve;
mod top;

use std::process::ExitCode;

fn main() -> ExitCode {
    // A keeper is this same binary under another first word. It must cost nothing more than it needs: not even a look at the
    // command line.
    if std::env::args_os().nth(1).is_some_and(|word| word == "__keep") {
        return staunch_engine::runner::keep();
    }
    cmd::main()
}
