//! From a trigger to the first log byte in a client's hands, and from one step to the next.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::disk;
use super::serve::{Server, ended, submit};
use super::start::Bench;
use super::statistics::{quantile, rounded};
use crate::process;

const MARK: &str = "first-light";
const STAMPS: usize = 20;

/// Triggers runs one after the other on a quiet server.
pub(super) fn measure(bench: &Bench) -> Result<Value> {
    let (triggers, chains) = if bench.quick { (20, 2) } else { (300, 20) };
    let say = format!("steps:\n  - id: say\n    run: echo {MARK}\n");
    let stamp = "  - run: date +%s%N\n";
    let stamps = format!("steps:\n{}", stamp.repeat(STAMPS));
    let server = Server::start(bench, "latency", &[("say", say), ("stamps", stamps)], "")?;

    for _ in 0..5 {
        first_byte_ms(&server)?;
    }
    let (mut first, mut gaps, mut bare, mut syncs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..chains {
        for _ in 0..triggers / chains {
            first.push(first_byte_ms(&server)?);
        }
        gaps.extend(step_gaps_ms(&server)?);
        bare.extend(bare_gaps_ms()?);
        // The same disk in the same seconds: a commit cannot be faster than this.
        syncs.extend(disk::fdatasync_ms(&bench.scratch, 100)?);
        eprintln!("round {round}: first byte {:.2} ms, gap {:.2} ms", quantile(&first, 0.5), quantile(&gaps, 0.5));
    }
    server.stop()?;

    // What the same shell costs without us is no latency of ours.
    let between = |q| (quantile(&gaps, q) - quantile(&bare, 0.5)).max(0.0);
    let (p50, p99) = (quantile(&first, 0.5), quantile(&first, 0.99));
    Ok(json!({
        "bench": "latency",
        "first_byte_p50_ms": rounded(p50), "first_byte_p99_ms": rounded(p99),
        "step_to_step_p50_ms": rounded(between(0.5)), "step_to_step_p99_ms": rounded(between(0.99)),
        "step_gap_with_spawn_p50_ms": rounded(quantile(&gaps, 0.5)), "bare_spawn_gap_p50_ms": rounded(quantile(&bare, 0.5)),
        "fdatasync_p50_ms": rounded(quantile(&syncs, 0.5)), "fdatasync_p99_ms": rounded(quantile(&syncs, 0.99)),
        "ratio_first_byte_p50_goal": rounded(5.0 / p50), "ratio_first_byte_p99_goal": rounded(25.0 / p99),
        "ratio_step_gap_spawn": rounded(quantile(&bare, 0.5) / quantile(&gaps, 0.5)),
    }))
}

/// From before the POST is written to the arrival of the step's first output at an event stream of the run. The stream's
/// connection stands already; its topic cannot be asked for before the run has an id.
fn first_byte_ms(server: &Server) -> Result<f64> {
    let (mut trigger, listener) = (server.client()?, server.client()?);
    let begun = Instant::now();
    let run = submit(&mut trigger, "say")?;
    let mut events = listener.events(&format!("/api/v1/events?topics=log:{run}:say"))?;
    loop {
        let line = events.line()?.context("the stream ended without the step's output")?;
        if line.contains(MARK) {
            break;
        }
    }
    let took = begun.elapsed().as_secs_f64() * 1e3;
    ended(&mut trigger, &run)?;
    Ok(took)
}

/// Between the times that the steps of one chained run print.
fn step_gaps_ms(server: &Server) -> Result<Vec<f64>> {
    let mut client = server.client()?;
    let run = submit(&mut client, "stamps")?;
    let shown = ended(&mut client, &run)?;
    let steps = shown["steps"].as_array().with_context(|| format!("no steps in {shown}"))?;
    let stamps: Vec<f64> = steps.iter().filter_map(|step| stdout(step)?.trim().parse().ok()).collect();
    ensure!(stamps.len() == STAMPS, "{} of {STAMPS} steps printed a time: {shown}", stamps.len());
    Ok(gaps_ms(&stamps))
}

/// The step's standard output: of the step itself, or of its newest attempt.
fn stdout(step: &Value) -> Option<&str> {
    let newest = step["attempts"].as_array().and_then(|attempts| attempts.last());
    let places = [Some(&step["stdout"]), Some(&step["result"]["stdout"]), newest.map(|a| &a["result"]["stdout"])];
    places.into_iter().flatten().find_map(Value::as_str)
}

/// The same shell lines in a bare loop.
fn bare_gaps_ms() -> Result<Vec<f64>> {
    let mut stamps = Vec::with_capacity(STAMPS);
    for _ in 0..STAMPS {
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", "date +%s%N"]);
        stamps.push(process::output(shell)?.trim().parse()?);
    }
    Ok(gaps_ms(&stamps))
}

fn gaps_ms(stamps_ns: &[f64]) -> Vec<f64> {
    stamps_ns.windows(2).map(|pair| (pair[1] - pair[0]) / 1e6).collect()
}
