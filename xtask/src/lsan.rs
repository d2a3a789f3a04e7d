//! `cargo xtask lsan`: tests under LeakSanitizer, on stable Rust, with the one of gcc.
//!
//! rustc links with `-nodefaultlibs`, which drops the library that `-fsanitize=leak` asks for: without
//! `default-linker-libraries` everything builds, runs and reports nothing. So a canary that leaks must be caught before any
//! test is believed.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{process, tools};

/// Frame pointers give whole stacks.
const FLAGS: &str =
    "-C linker=gcc -C link-arg=-fsanitize=leak -C default-linker-libraries=yes -C force-frame-pointers=yes";

/// The binary's own allocator would hide from the sanitizer all that goes by it.
const NO_ALLOCATOR: &[&str] = &["--no-default-features"];

/// By which a program ends that leaked; the sanitizer's own choice, set so that nobody's environment changes it.
const LEAKED: i32 = 23;

/// Runs the canaries, then all tests, or those that `words` choose as nextest's filters.
///
/// # Errors
/// A canary was not caught, a clean one was, a test failed or leaked, or there was none.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    tools::ensure(tools::TEST_TOOLS)?;
    tools::ensure_nextest()?;
    let triple = host()?;
    canary(&triple, "leak", Some(LEAKED)).context("LeakSanitizer is blind: the canary leaked and was not caught")?;
    canary(&triple, "clean", Some(0)).context("LeakSanitizer cries wolf: the clean canary was not let pass")?;
    canary_test(&triple).context("LeakSanitizer is blind under the test runner")?;
    println!("lsan: the canaries were caught");
    // Words that choose nothing are a slip: nothing was tested.
    let mut tests = cargo(&triple, &["nextest", "run", "--workspace", "--no-tests", "fail"])?;
    tests.args(NO_ALLOCATOR).args(words);
    process::run(tests)
}

/// Only for a named target are build scripts and macros left alone, which leak as they please.
fn cargo(triple: &str, arguments: &[&str]) -> Result<Command> {
    let mut cargo = process::cargo(arguments)?;
    cargo
        .args(["--target", triple, "--target-dir"])
        .arg(process::target().join("lsan"))
        .env("RUSTFLAGS", FLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("LSAN_OPTIONS", format!("exitcode={LEAKED}"));
    Ok(cargo)
}

fn canary(triple: &str, how: &str, code: Option<i32>) -> Result<()> {
    const RUN: &[&str] = &["run", "--quiet", "--package", "staunch-leak", "--example", "lsan_canary"];
    let mut run = cargo(triple, RUN)?;
    run.args(["--", how]);
    let output = run.output().context("cannot start cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == code, "the canary ended by {}, not by {code:?}:\n{said}", output.status);
    let named = said.contains("LeakSanitizer") && said.contains("lose_blocks");
    ensure!(named == (code == Some(LEAKED)), "what the sanitizer said does not name the leak:\n{said}");
    Ok(())
}

/// The same as a test, run in the way all tests are.
fn canary_test(triple: &str) -> Result<()> {
    const RUN: &[&str] = &["nextest", "run", "--workspace", "--run-ignored", "only", "lsan_canary"];
    /// What nextest ends by when a test failed.
    const TEST_FAILED: i32 = 100;
    let output = cargo(triple, RUN)?.args(NO_ALLOCATOR).output().context("cannot start cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let caught = said.contains("1 failed") && said.contains("LeakSanitizer") && said.contains("lose_blocks");
    ensure!(output.status.code() == Some(TEST_FAILED) && caught, "the test ended by {}:\n{said}", output.status);
    Ok(())
}

/// The triple this machine compiles for.
fn host() -> Result<String> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.arg("-vV");
    let told = process::output(rustc)?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not say its host")?;
    Ok(host.to_owned())
}
