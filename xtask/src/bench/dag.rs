//! One run of two thousand steps, wide and chained, against ninja, make and a bare loop.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::spawn;
use super::start::{Bench, write};
use super::statistics::{median, rounded};
use crate::tools;

/// The shape of the graph.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// No step needs another.
    Wide,
    /// Each needs the one before.
    Chain,
}

/// Each peer gets the parallelism it is best at.
const JOBS: [usize; 3] = spawn::PARALLEL;

/// Rounds of ours and the peers, in turn; medians; the best `-j` of each peer.
pub(super) fn measure(bench: &Bench) -> Result<Value> {
    tools::ensure(tools::BENCH_TOOLS)?;
    let (rounds, steps) = if bench.quick { (1, 200) } else { (5, 2000) };
    let mut line = json!({ "bench": "dag", "steps": steps, "rounds": rounds });
    for (shape, word) in [(Shape::Wide, "wide"), (Shape::Chain, "chain")] {
        let place = bench.scratch.join(word);
        write(&place.join("dag.yaml"), &workflow(shape, steps))?;
        write(&place.join("build.ninja"), &ninja(shape, steps))?;
        write(&place.join("Makefile"), &makefile(shape, steps))?;
        let jobs: &[usize] = if matches!(shape, Shape::Wide) { &JOBS } else { &[1] };
        let times = rounds_of(bench, &place, rounds, steps, jobs)?;
        for (name, seconds) in &times {
            line[format!("{word}_{name}_s")] = json!(rounded(*seconds));
        }
        let ours = times[0].1;
        for (name, seconds) in &times[1..] {
            line[format!("ratio_dag_{word}_{name}")] = json!(rounded(seconds / ours));
        }
    }
    Ok(line)
}

/// Seconds of each contender, ours first.
fn rounds_of(
    bench: &Bench,
    place: &Path,
    rounds: usize,
    steps: usize,
    jobs: &[usize],
) -> Result<Vec<(&'static str, f64)>> {
    let mut ours = Vec::new();
    let [mut ninja, mut make, mut bare] = [(); 3].map(|()| vec![Vec::new(); jobs.len()]);
    for round in 0..rounds {
        let data = place.join(format!("data{round}"));
        let mut staunch = Command::new(&bench.staunch);
        staunch.arg("run").arg(place.join("dag.yaml")).arg("--data").arg(&data);
        ours.push(seconds(staunch, place)?);
        std::fs::remove_dir_all(&data).context("the run left no data directory")?;
        for (i, jobs) in jobs.iter().enumerate() {
            for (program, times) in [("ninja", &mut ninja[i]), ("make", &mut make[i])] {
                // ninja's log of the round before is no work of this one.
                std::fs::remove_file(place.join(".ninja_log")).ok();
                let mut peer = Command::new(program);
                peer.arg(format!("-j{jobs}"));
                times.push(seconds(peer, place)?);
            }
        }
        for (i, jobs) in jobs.iter().enumerate() {
            bare[i].push(spawn::spawn_loop(spawn::TRUE, steps, *jobs)?.as_secs_f64());
        }
    }
    let best = |times: Vec<Vec<f64>>| times.iter().map(|times| median(times)).fold(f64::INFINITY, f64::min);
    Ok(vec![("staunch", median(&ours)), ("ninja", best(ninja)), ("make", best(make)), ("spawn", best(bare))])
}

fn seconds(mut command: Command, place: &Path) -> Result<f64> {
    command.current_dir(place).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let begun = Instant::now();
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let took = begun.elapsed();
    ensure!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(took.as_secs_f64())
}

pub(super) fn workflow(shape: Shape, steps: usize) -> String {
    let step = match shape {
        Shape::Wide => "  - needs: []\n    run: \"true\"\n",
        Shape::Chain => "  - run: \"true\"\n",
    };
    format!("name: dag\nsteps:\n{}", step.repeat(steps))
}

/// The outputs never come to be, so every edge runs each time; ninja starts each by `/bin/sh -c`, as a step is.
pub(super) fn ninja(shape: Shape, steps: usize) -> String {
    let mut text = "rule t\n  command = true\n".to_owned();
    for step in 1..=steps {
        match shape {
            Shape::Chain if step > 1 => text += &format!("build never/{step}: t never/{}\n", step - 1),
            _ => text += &format!("build never/{step}: t\n"),
        }
    }
    text
}

/// The `;` keeps make from leaving out the shell, which ninja and a step both start.
pub(super) fn makefile(shape: Shape, steps: usize) -> String {
    let names: Vec<String> = (1..=steps).map(|step| format!("t{step}")).collect();
    let all = names.join(" ");
    let mut text = format!(".PHONY: all {all}\nall: {all}\n");
    for (i, name) in names.iter().enumerate() {
        match shape {
            Shape::Chain if i > 0 => text += &format!("{name}: {}\n\t@true;\n", names[i - 1]),
            _ => text += &format!("{name}:\n\t@true;\n"),
        }
    }
    text
}
