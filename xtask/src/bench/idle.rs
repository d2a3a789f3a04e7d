//! What the server holds when little happens: memory idle and with much queued, and how soon it is back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::serve::{Server, directory_bytes, metric, submit};
use super::start::{Bench, wait_until};
use super::statistics::{median, rounded};

const STREAMS: usize = 100;

/// Memory of the server and its keepers (never of a step), and start-up over a long history.
pub(super) fn measure(bench: &Bench) -> Result<Value> {
    let queued = if bench.quick { 500 } else { 10_000 };
    let mut line = json!({ "bench": "idle", "queued_runs": queued, "streams": STREAMS });
    memory(bench, queued, &mut line)?;
    start_up(bench, &mut line)?;
    Ok(line)
}

fn memory(bench: &Bench, queued: usize, line: &mut Value) -> Result<()> {
    let block = "steps:\n  - run: exec sleep 100000\n".to_owned();
    let server = Server::start(
        bench,
        "idle",
        &[("block", block)],
        "steps_active_max = 1\ndrain_seconds = 0\nkill_grace_seconds = 1\n",
    )?;
    let idle = held(server.pid())?;
    let mut client = server.client()?;
    let mut newest = String::new();
    for _ in 0..queued {
        newest = submit(&mut client, "block")?;
    }
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(server.client()?.events(&format!("/api/v1/events?topics=run:{newest}"))?);
    }
    let full = held(server.pid())?;
    drop(streams);
    server.stop()?;
    for (word, held, goal) in [("idle", &idle, 20.0), ("queued", &full, 64.0)] {
        line[format!("{word}_rss_mib")] = json!(rounded(held.rss_mib));
        line[format!("{word}_pss_mib")] = json!(rounded(held.pss_mib));
        line[format!("{word}_processes")] = json!(held.processes);
        line[format!("ratio_{word}_rss_goal")] = json!(rounded(goal / held.rss_mib));
    }
    // Measured by others on two cores; their figure against ours, from two different days.
    for (peer, mib) in [("prefect", 245.0), ("temporal_dev", 146.0), ("restate", 266.0)] {
        line[format!("ratio_idle_rss_{peer}")] = json!(rounded(mib / idle.rss_mib));
    }
    Ok(())
}

fn start_up(bench: &Bench, line: &mut Value) -> Result<()> {
    let workflow = [("quick", "steps:\n  - run: \"true\"\n".to_owned())];
    let limits = "retention_runs = 0\n";
    let history = if bench.quick { 200 } else { bench.history };
    let server = Server::start(bench, "history", &workflow, limits)?;
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4).map(|_| scope.spawn(|| make_history(&server, history / 4))).collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?)
    })?;
    let made = (history / 4 * 4) as f64;
    let mut client = server.client()?;
    wait_until("the history", Duration::from_millis(50), Duration::from_secs(1200), || {
        Ok(metric(&mut client, "staunch_runs_ended_total", "")? >= made)
    })?;
    drop(client);
    server.stop()?;

    let mut starts = Vec::new();
    let mut rss = Vec::new();
    for _ in 0..5 {
        let server = Server::start(bench, "history", &workflow, limits)?;
        starts.push(server.ready_after.as_secs_f64());
        rss.push(held(server.pid())?.rss_mib);
        server.stop()?;
    }
    line["history_runs"] = json!(made);
    line["history_disk_bytes_per_run"] =
        json!(rounded(directory_bytes(&bench.scratch.join("history/data")) as f64 / made));
    line["start_s"] = json!(rounded(median(&starts)));
    line["start_rss_mib"] = json!(rounded(median(&rss)));
    line["ratio_start_goal"] = json!(rounded(0.3 / median(&starts)));
    Ok(())
}

fn make_history(server: &Server, count: u64) -> Result<()> {
    let mut client = server.client()?;
    for _ in 0..count {
        submit(&mut client, "quick")?;
    }
    Ok(())
}

/// What a server and its keepers hold.
struct Held {
    /// Resident, summed: pages that keepers share with the server count each time.
    rss_mib: f64,
    /// Resident, shared pages divided among those who share them.
    pss_mib: f64,
    processes: usize,
}

/// Sums `/proc/PID/smaps_rollup` over the server and those below it that run its binary.
fn held(pid: u32) -> Result<Held> {
    let binary = std::fs::read_link(format!("/proc/{pid}/exe")).context("the server is gone")?;
    let mut held = Held { rss_mib: 0.0, pss_mib: 0.0, processes: 0 };
    let mut next = vec![pid];
    while let Some(pid) = next.pop() {
        // A process that ends meanwhile holds nothing.
        let Ok(rollup) = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
        if std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == binary) {
            held.rss_mib += kib(&rollup, "Rss:")? / 1024.0;
            held.pss_mib += kib(&rollup, "Pss:")? / 1024.0;
            held.processes += 1;
        }
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for children in tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok()) {
            next.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    ensure!(held.processes > 0, "the server is gone");
    Ok(held)
}

fn kib(rollup: &str, key: &str) -> Result<f64> {
    let line =
        rollup.lines().find(|line| line.starts_with(key)).with_context(|| format!("no {key} in smaps_rollup"))?;
    Ok(line.split_whitespace().nth(1).context("no figure")?.parse()?)
}
