//! What each command does.

mod cancel;
mod completions;
mod config;
mod invoke;
mod logs;
mod prompt;
mod rerun;
mod run;
mod runs;
mod token;
mod user;
mod validate;
mod version;
mod watch;
mod workflows;

pub(crate) use invoke::main;
