//! `cargo xtask serve`: the server, and all that it takes to build it on a new machine.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::{process, tools};

/// Builds the server and becomes it, so that a signal or Ctrl-C is its own.
///
/// # Errors
/// What the build needs is not there and cannot be installed, or cargo cannot be started. What cargo says of the build is its own.
pub(crate) fn run(flags: &[&str]) -> Result<()> {
    tools::ensure(tools::BUILD_TOOLS)?;
    let mut cargo = process::cargo(&["run", "--release", "--", "serve"])?;
    cargo.args(flags);
    Err(cargo.exec()).context("cannot start cargo")
}
