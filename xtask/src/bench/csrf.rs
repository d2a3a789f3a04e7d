//! How long a CSRF token takes to issue and to verify: an example of the guard's, in release.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// Builds and runs `libs/staunch-guard/examples/csrf_speed.rs`; its last line is the measurement.
pub(super) fn measure(quick: bool) -> Result<Value> {
    let mut arguments = vec!["run", "--release", "--package", "staunch-guard", "--example", "csrf_speed", "--"];
    if quick {
        arguments.push("--quick");
    }
    let printed = process::output(process::cargo(&arguments)?)?;
    let line = printed.lines().last().context("the example printed nothing")?;
    serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))
}
