//! The rate limiter against `governor`: an example of its crate, in a process of its own.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// Builds and runs the example; its last line is the measurement.
pub(super) fn measure(quick: bool) -> Result<Value> {
    let example = ["--release", "--package", "staunch-guard", "--example", "rate_speed"];
    process::run(process::cargo(&[["build"].as_slice(), &example].concat())?)?;
    let mut run = process::cargo(&[["run", "--quiet"].as_slice(), &example].concat())?;
    if quick {
        run.args(["--", "--quick"]);
    }
    let text = process::output(run)?;
    let line = text.lines().last().context("rate_speed said nothing")?;
    serde_json::from_str(line).with_context(|| format!("rate_speed did not end in JSON: {line}"))
}
