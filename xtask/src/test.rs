//! `cargo xtask test`: all tests, and what they need.

use anyhow::Result;

use crate::{process, tools};

/// Runs unit, integration and documentation tests; `long` adds a minute of fuzzing and the long variants.
pub(crate) fn run(long: bool) -> Result<()> {
    tools::ensure(tools::TEST_TOOLS)?;
    tools::ensure_nextest()?;

    // The workspace includes the binary, whose integration tests run it as a whole.
    let mut nextest = process::cargo(&["nextest", "run", "--workspace", "--no-tests", "pass"])?;
    if long {
        nextest.args(["--profile", "long"]).env("STAUNCH_TEST_LONG", "1");
    }
    process::run(nextest)?;
    process::run(process::cargo(&["test", "--quiet", "--doc", "--workspace"])?)?;
    if long {
        process::run(process::cargo(&[
            "run",
            "--package",
            "staunch-flow",
            "--example",
            "fuzz_parse",
            "--",
            "--seconds",
            "60",
        ])?)?;
    }
    Ok(())
}
