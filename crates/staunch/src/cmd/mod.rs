//! What each command does.

mod cancel;
mod completions;
mod config;
mod invoke;
mod logs;
mod rerun;
mod run;
mod runs;
mod validate;
mod version;
mod watch;
mod workflows;

pub(crate) use invoke::main;
