//! What each command does.

mod cancel;
mod completions;
mod config;
mod doctor;
mod invoke;
mod logs;
mod memory;
mod prompt;
mod rerun;
mod rescue;
mod run;
mod runs;
mod soak;
mod token;
mod top;
mod user;
mod validate;
mod version;
mod watch;
mod workflows;

pub(crate) use invoke::main;
pub(crate) use memory::growth_word;
