//! `cargo xtask soak`: the release binary under load for three minutes, and then with each kind of leak, which must be caught.
//! `--long`: a million runs and ten million requests, with a report.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process;

/// The form of every merge: three minutes of everything. So few runs bound live bytes less narrowly than the long form does.
const SHORT: &[&str] = &["--for", "180s", "--runs", "150", "--requests", "1500", "--bound", "64"];

/// A million runs and ten million requests; one byte a run, the bound that holds unless another is told.
const LONG: &[&str] = &["--cycles", "100", "--runs", "10000", "--requests", "100000", "--mix", LONG_MIX];

/// All of it, and seldom what costs many processes, or seconds of waiting or of hashing: else a million runs take a night.
const LONG_MIX: &str =
    "small:400,ok:40,fail:30,rerun:10,cancel:10,disconnect:5,timeout:5,big:2,bad:10,token:5,login:1,restart";

/// Leaks, and the resources by which they must be found; a few cycles of what ends soon.
const LEAKS: &[(&str, &str)] = &[
    ("memory=4096B/run", "live"),
    ("fd=1/20", "fds"),
    ("task=1/20", "tasks"),
    ("child=1/20", "children"),
    ("file=1/20", "temp_files"),
    ("row=1/20", "rows"),
];
const WITH_LEAK: &[&str] =
    &["--cycles", "8", "--runs", "40", "--requests", "40", "--mix", "ok,fail", "--settle", "1500ms"];

/// The exit code of a leak.
const LEAK: i32 = 1;

/// Where the report of the long form goes, from the root of the checkout.
const REPORT: &str = "docs/soak-report.md";

/// Soaks. `arguments`: `--long`, `--binary FILE`.
///
/// # Errors
/// The server leaks, or it cannot be told whether it does; or a leak that was injected is not caught.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let (mut long, mut binary) = (false, None);
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match *word {
            "--long" => long = true,
            "--binary" => binary = Some(PathBuf::from(rest.next().context("--binary needs a FILE")?)),
            other => bail!("soak takes --long and --binary FILE, not {other}"),
        }
    }
    let staunch = match binary {
        Some(binary) => binary,
        None => build()?,
    };
    for (leak, resource) in LEAKS {
        caught(&staunch, leak, resource)?;
    }
    let mut soak = Command::new(&staunch);
    soak.arg("soak").args(if long { LONG } else { SHORT }).current_dir(process::root());
    if long {
        soak.args(["--report", REPORT]);
    }
    process::run(soak)
}

fn build() -> Result<PathBuf> {
    process::run(process::cargo(&["build", "--release", "--package", "staunch"])?)?;
    Ok(process::target().join("release/staunch"))
}

/// Injects a leak: it must be caught, by the resource that leaks.
fn caught(staunch: &PathBuf, leak: &str, resource: &str) -> Result<()> {
    let begun = Instant::now();
    let mut soak = Command::new(staunch);
    soak.arg("soak").args(WITH_LEAK).args(["--json", "--inject-leak", leak]).stderr(Stdio::inherit());
    let output = soak.output().with_context(|| format!("cannot start {}", staunch.display()))?;
    let out = String::from_utf8_lossy(&output.stdout);
    let last =
        out.lines().last().with_context(|| format!("{leak}: soak said nothing and ended by {}", output.status))?;
    let verdict: Value = serde_json::from_str(last).with_context(|| format!("{leak}: no verdict: {last}"))?;
    let says = &verdict["says"];
    ensure!(output.status.code() == Some(LEAK), "{leak} was not caught, soak ended by {}: {says}", output.status);
    let named = verdict["resources"].as_array().into_iter().flatten();
    let found = named.into_iter().any(|one| one["name"] == resource && one["verdict"] == "leak");
    ensure!(found, "{leak} was not found in {resource}: {says}");
    println!(
        "soak: {leak} was caught in {:.0} s: {}",
        begun.elapsed().as_secs_f64(),
        says.as_str().unwrap_or_default()
    );
    Ok(())
}
