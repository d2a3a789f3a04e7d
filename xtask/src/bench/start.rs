//! Builds the release binary, picks the measurement, prints its one line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{accounting, csrf, dag, guard, idle, latency, rate, runs};
use crate::{process, tools};

/// What a measurement is given.
pub(super) struct Bench {
    /// The binary under test.
    pub(super) staunch: PathBuf,
    /// An empty directory, on the disk that is measured; removed afterwards.
    pub(super) scratch: PathBuf,
    /// A smaller round: for trying out, not for quoting.
    pub(super) quick: bool,
    /// Runs of history that `idle` starts with.
    pub(super) history: u64,
}

/// `cargo xtask bench NAME [--quick] [--history N] [--binary FILE]`.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let mut name = None;
    let (mut quick, mut history, mut binary) = (false, 100_000, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match *word {
            "--quick" => quick = true,
            "--history" => history = words.next().context("--history wants a number")?.parse()?,
            "--binary" => binary = Some(PathBuf::from(words.next().context("--binary wants a file")?)),
            word if name.is_none() => name = Some(word),
            word => bail!("what is {word:?}? see cargo xtask"),
        }
    }
    if name == Some("accounting") && binary.is_some() {
        bail!("accounting takes no --binary: it compares two builds of this checkout, and another program is neither");
    }
    // A library needs no binary.
    match name {
        Some("rate") => return tell(rate::measure(quick)?, quick),
        Some("csrf") => return tell(csrf::measure(quick)?, quick),
        Some("guard") => return tell(guard::measure(quick)?, quick),
        _ => {}
    }
    let measure: fn(&Bench) -> Result<Value> = match name {
        Some("runs") => runs::measure,
        Some("dag") => dag::measure,
        Some("latency") => latency::measure,
        Some("idle") => idle::measure,
        Some("accounting") => accounting::measure,
        other => {
            bail!(
                "there is no bench {:?}: runs, dag, latency, idle, accounting, rate, csrf, guard",
                other.unwrap_or_default()
            )
        }
    };

    let staunch = match binary {
        Some(binary) => binary.canonicalize().with_context(|| format!("there is no {}", binary.display()))?,
        None => {
            tools::ensure(tools::BUILD_TOOLS)?;
            process::run(process::cargo(&["build", "--release", "--package", "staunch"])?)?;
            process::target().join("release/staunch")
        }
    };
    let scratch = process::target().join("bench").join(format!("{}", std::process::id()));
    std::fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    let bench = Bench { staunch, scratch, quick, history };
    let measured = measure(&bench);
    let removed = std::fs::remove_dir_all(&bench.scratch);

    tell(measured?, quick)?;
    removed.with_context(|| format!("cannot remove {}", bench.scratch.display()))
}

/// The last line.
fn tell(mut line: Value, quick: bool) -> Result<()> {
    line["machine"] = machine(quick);
    println!("{line}");
    Ok(())
}

/// What the figures depend on most.
fn machine(quick: bool) -> Value {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    json!({ "cores": cores, "load": load.split(' ').next(), "quick": quick })
}

/// Waits until `done`, looking every `pause`; fails after `bound`.
pub(super) fn wait_until(
    what: &str,
    pause: Duration,
    bound: Duration,
    mut done: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let begun = std::time::Instant::now();
    while !done()? {
        if begun.elapsed() > bound {
            bail!("waited {bound:?} for {what} in vain");
        }
        std::thread::sleep(pause);
    }
    Ok(())
}

/// Writes a file and the directories above it.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
