//! Runs a second through HTTP, durable, against bare processes a second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::serve::{Server, metric, submit};
use super::start::{Bench, wait_until};
use super::statistics::{median, rounded};
use super::{disk, spawn};

const CONNECTIONS: usize = 8;

/// Rounds of floor, 1-step runs, 3-step runs, in turn, so that a busy minute of the machine hits all three.
pub(super) fn measure(bench: &Bench) -> Result<Value> {
    let (rounds, runs) = if bench.quick { (1, 200) } else { (5, 1500) };
    let step = "  - run: \"true\"\n";
    let workflow = |steps: usize| format!("steps:\n{}", step.repeat(steps));
    let workflows = [("one", workflow(1)), ("three", workflow(3))];
    let server = Server::start(bench, "runs", &workflows, "retention_runs = 0\n")?;

    // Warm-up: keepers started, pages cached, the write-ahead log at its size.
    ended_per_s(&server, "one", runs / 10)?;
    let (mut floor, mut one, mut three) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let best = spawn::PARALLEL.map(|parallel| spawned_per_s(runs, parallel));
        floor.push(best.into_iter().collect::<Result<Vec<_>>>()?.into_iter().fold(0.0, f64::max));
        one.push(ended_per_s(&server, "one", runs)?);
        three.push(ended_per_s(&server, "three", runs / 2)?);
        eprintln!(
            "round {round}: floor {:.0}/s, 1-step {:.0}/s, 3-step {:.0}/s",
            floor[round], one[round], three[round]
        );
    }
    server.stop()?;

    let (floor, one, three) = (median(&floor), median(&one), median(&three));
    Ok(json!({
        "bench": "runs",
        "rounds": rounds,
        "runs1_per_s": rounded(one),
        "runs3_per_s": rounded(three),
        "steps3_per_s": rounded(3.0 * three),
        "spawns_per_s": rounded(floor),
        "disk": disk::fdatasync(&bench.scratch)?,
        "ratio_runs1_spawn": rounded(one / floor),
        "ratio_runs3_spawn": rounded(3.0 * three / floor),
    }))
}

fn spawned_per_s(count: usize, parallel: usize) -> Result<f64> {
    Ok(count as f64 / spawn::spawn_loop(spawn::TRUE, count, parallel)?.as_secs_f64())
}

/// Submits `count` runs over keep-alive connections and says how many ended a second, from the first request to the last end.
pub(super) fn ended_per_s(server: &Server, workflow: &str, count: usize) -> Result<f64> {
    let mut watch = server.client()?;
    let ended = |watch: &mut _, label| metric(watch, "staunch_runs_ended_total", label);
    let (before, well_before) = (ended(&mut watch, "")?, ended(&mut watch, "succeeded")?);
    let left = AtomicUsize::new(count);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(|| send(server, workflow, &left))).collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?)
    })?;
    wait_until("the runs' end", Duration::from_millis(20), Duration::from_secs(300), || {
        Ok(ended(&mut watch, "")? - before >= count as f64)
    })?;
    let took = begun.elapsed();
    let well = ended(&mut watch, "succeeded")? - well_before;
    ensure!(well == count as f64, "only {well} of {count} runs succeeded");
    Ok(count as f64 / took.as_secs_f64())
}

fn send(server: &Server, workflow: &str, left: &AtomicUsize) -> Result<()> {
    let mut client = server.client()?;
    // Relaxed: a ticket counter guards nothing else.
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
        submit(&mut client, workflow).with_context(|| format!("cannot submit {workflow}"))?;
    }
    Ok(())
}
