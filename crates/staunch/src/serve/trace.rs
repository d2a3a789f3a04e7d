//! What the process says about itself while it runs: to standard error, as text for people and as JSON for machines.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::failure::Failure;

/// For a server: at this level or filter.
pub(super) fn start(level: &str) -> Result<(), Failure> {
    let filter: EnvFilter = level.parse().map_err(|error| Failure::usage(format!("log_level: {error}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = if io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    started.map_err(|error| Failure::broken(format!("cannot start the log: {error}")))
}

/// For a command that runs an engine by the way: only what went wrong.
pub(crate) fn quiet() {
    // A second start in one process is refused; the first one does.
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_target(false)
        // Its default minds NO_COLOR, but not where standard error leads to.
        .with_ansi(io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
        .without_time()
        .with_writer(io::stderr)
        .try_init()
        .unwrap_or_default();
}
