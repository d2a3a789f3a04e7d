//! What the guards leave of a server's throughput, beside a peer: an example of their crate, in a process of its own.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// Builds and runs `libs/staunch-guard/examples/guard_speed.rs`; its last line is the measurement.
pub(super) fn measure(quick: bool) -> Result<Value> {
    let example = ["--release", "--package", "staunch-guard", "--example", "guard_speed"];
    // Built first, so that no compiler runs beside it.
    process::run(process::cargo(&[["build"].as_slice(), &example].concat())?)?;
    let mut run = process::cargo(&[["run", "--quiet"].as_slice(), &example].concat())?;
    if quick {
        run.args(["--", "--quick"]);
    }
    let text = process::output(run)?;
    let line = text.lines().last().context("guard_speed said nothing")?;
    serde_json::from_str(line).with_context(|| format!("guard_speed did not end in JSON: {line}"))
}
