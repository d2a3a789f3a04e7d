//! `cargo xtask ci`: what must pass before a merge, and how long each part took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{lsan, process, soak, test, tidy, tools};

/// A clean clone on two cores should be through in this time. It is printed beside the time taken; nothing fails that takes longer,
/// since how fast the machine is says nothing of the code.
const BUDGET: Duration = Duration::from_secs(40 * 60);

type Stage = (&'static str, fn() -> Result<()>);

/// The cheap ones first: a wrong format is told in a second.
const STAGES: &[Stage] = &[
    ("fmt", format),
    ("tidy", tidy::run),
    ("clippy", lint),
    ("test", tests),
    ("doc", document),
    ("lsan", || lsan::run(&[])),
    ("soak", || soak::run(&[])),
];

/// Runs all stages, stops at the first that fails, and prints the times.
pub(crate) fn run() -> Result<()> {
    let begun = Instant::now();
    let mut times = Vec::new();
    let mut failure = None;
    for (name, stage) in STAGES {
        eprintln!("== {name}");
        let stage_begun = Instant::now();
        let done = stage();
        times.push((*name, stage_begun.elapsed()));
        if let Err(error) = done {
            failure = Some(error.context(format!("stage {name}")));
            break;
        }
    }
    for (name, time) in &times {
        println!("{name:<8}{:>8.1} s", time.as_secs_f64());
    }
    println!("{:<8}{:>8.1} s of {}", "all", begun.elapsed().as_secs_f64(), BUDGET.as_secs());
    failure.map_or(Ok(()), Err)
}

fn format() -> Result<()> {
    process::run(process::cargo(&["fmt", "--all", "--check"])?)
}

fn lint() -> Result<()> {
    // The first stage that builds everything.
    tools::ensure(tools::BUILD_TOOLS)?;
    process::run(process::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?)
}

fn tests() -> Result<()> {
    // Exactly what README.md tells a newcomer to type.
    const README: &str = "cargo xtask test";
    let readme = std::fs::read_to_string(process::root().join("README.md")).context("cannot read README.md")?;
    anyhow::ensure!(readme.contains(README), "README.md no longer says `{README}`");
    test::run(false)
}

fn document() -> Result<()> {
    let mut doc = process::cargo(&["doc", "--workspace", "--no-deps"])?;
    doc.env("RUSTDOCFLAGS", "-D warnings");
    process::run(doc)
}
