//! What it costs to count: the server beside a build of it without budgets, census and heap samples.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::runs::ended_per_s;
use super::serve::{Server, metric};
use super::start::Bench;
use super::statistics::{median, quantile, rounded};
use crate::process;

/// What the build without is told; its own target directory keeps the two apart.
const WITHOUT: &str = "--cfg staunch_unaccounted";

/// What cargo puts between two flags (The Cargo Book, `CARGO_ENCODED_RUSTFLAGS`).
const SEPARATOR: char = '\x1f';

/// Connections of a turn of requests.
const CONNECTIONS: usize = 4;

/// Each request of a turn, in turn: a list from the database, a file of the catalog, and one whose body is paid for and then refused.
const READS: [&str; 2] = ["/api/v1/runs?limit=5", "/api/v1/workflows/one"];
const WRITE: (&str, &str) = ("/api/v1/workflows/one/runs", r#"{"inputs":{"unknown":1}}"#);

/// The servers: the second of the first kind tells how far two equal ones are apart.
const NAMES: [&str; 3] = ["with", "again", "without"];

/// What a turn came to: a second of its own processors, and a second by the clock on the wall.
struct Turn {
    per_cpu_s: f64,
    per_s: f64,
}

/// Turns of the three servers.
type Turns = [Vec<Turn>; 3];

/// Three servers take turns, each round in another order; ratios are of turns of one round. The three are started anew several times:
/// two processes of one binary may be a percent apart for as long as they live, by where their memory happens to lie.
pub(super) fn measure(bench: &Bench) -> Result<Value> {
    let (lives, rounds, requests, runs) = if bench.quick { (2, 3, 1_500, 60) } else { (12, 8, 6_000, 300) };
    let without = Bench { staunch: build_without()?, scratch: bench.scratch.clone(), ..*bench };
    let (mut asking, mut running): (Turns, Turns) = Default::default();
    for life in 0..lives {
        let servers = started(bench, &without, life)?;
        for server in &servers {
            asked(server, requests)?;
            ended_per_s(server, "one", runs)?;
        }
        told_apart(&servers)?;
        for round in 0..rounds {
            let order: [usize; 3] = std::array::from_fn(|place| (life + round + place) % servers.len());
            for which in order {
                asking[which].push(turn(&servers[which], requests, |server| asked(server, requests))?);
            }
            for which in order {
                running[which].push(turn(&servers[which], runs, |server| ended_per_s(server, "one", runs).map(drop))?);
            }
        }
        told_apart(&servers)?;
        servers.into_iter().try_for_each(Server::stop)?;
    }

    let mut line = json!({ "bench": "accounting", "lives": lives, "rounds": rounds });
    for (what, turns) in [("requests", &asking), ("runs", &running)] {
        let [with, again, without] = turns;
        line[format!("{what}_per_cpu_s")] = median_of(with, |turn| turn.per_cpu_s).into();
        line[format!("{what}_per_s")] = median_of(with, |turn| turn.per_s).into();
        for (name, other) in [("", without), ("_self", again)] {
            let mut ratios = pairs(with, other, |turn| turn.per_cpu_s);
            line[format!("ratio_accounting_{what}{name}")] = exact(median(&ratios)).into();
            ratios.sort_by(f64::total_cmp);
            line[format!("{what}{name}_quartiles")] =
                json!([exact(quantile(&ratios, 0.25)), exact(quantile(&ratios, 0.75))]);
            line[format!("{what}{name}_wall")] = exact(median(&pairs(with, other, |turn| turn.per_s))).into();
        }
    }
    Ok(line)
}

/// The three, each over an empty directory of its own.
fn started(bench: &Bench, without: &Bench, life: usize) -> Result<[Server; 3]> {
    let workflow = [("one", "steps:\n  - run: \"true\"\n".to_owned())];
    let start = |bench, name| Server::start(bench, &format!("{name}-{life}"), &workflow, "retention_runs = 0\n");
    Ok([start(bench, NAMES[0])?, start(bench, NAMES[1])?, start(without, NAMES[2])?])
}

/// The release binary, built to count nothing, and else as the one beside it.
fn build_without() -> Result<PathBuf> {
    let target = process::target().join("unaccounted");
    let mut build = process::cargo(&["build", "--release", "--package", "staunch", "--target-dir"])?;
    let flags = flags_without(std::env::var("CARGO_ENCODED_RUSTFLAGS").ok(), std::env::var("RUSTFLAGS").ok());
    build.arg(&target).env("CARGO_ENCODED_RUSTFLAGS", flags);
    process::run(build)?;
    Ok(target.join("release/staunch"))
}

/// The caller's flags and ours: two builds that differ in more than one thing tell nothing of it. As cargo encodes them, which it
/// looks at before all others.
pub(super) fn flags_without(encoded: Option<String>, plain: Option<String>) -> String {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let given = match encoded {
        Some(encoded) => encoded.split(SEPARATOR).filter(|flag| !flag.is_empty()).map(str::to_owned).collect(),
        None => words(&plain.unwrap_or_default()),
    };
    [given, words(WITHOUT)].concat().join(&SEPARATOR.to_string())
}

/// That the two builds are what they are taken for.
fn told_apart(servers: &[Server; 3]) -> Result<()> {
    for (server, name) in servers.iter().zip(NAMES) {
        let counts = metric(&mut server.client()?, "staunch_census_total", "")? > 0.0;
        ensure!(counts == (name != "without"), "the server {name} is the wrong build");
    }
    Ok(())
}

fn turn(server: &Server, count: usize, work: impl Fn(&Server) -> Result<()>) -> Result<Turn> {
    let (before, begun) = (threads(server.pid())?, Instant::now());
    work(server)?;
    let (took, after) = (begun.elapsed(), threads(server.pid())?);
    let used: u64 = after.iter().map(|(id, used)| used - before.get(id).copied().unwrap_or(0)).sum();
    Ok(Turn {
        per_cpu_s: count as f64 / Duration::from_nanos(used).as_secs_f64(),
        per_s: count as f64 / took.as_secs_f64(),
    })
}

/// Nanoseconds on a processor, by thread. Turns are closer together than it takes an idle thread to leave.
fn threads(pid: u32) -> Result<BTreeMap<String, u64>> {
    let tasks = Path::new("/proc").join(pid.to_string()).join("task");
    let mut used = BTreeMap::new();
    for task in std::fs::read_dir(&tasks).with_context(|| format!("cannot read {}", tasks.display()))? {
        let task = task?;
        // One that has left meanwhile used next to nothing.
        let Ok(stat) = std::fs::read_to_string(task.path().join("schedstat")) else { continue };
        let nanos = stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
        used.insert(task.file_name().to_string_lossy().into_owned(), nanos.context("no time in schedstat")?);
    }
    Ok(used)
}

/// So many requests over kept connections; each answer is the one that is due.
fn asked(server: &Server, count: usize) -> Result<()> {
    let ask = || -> Result<()> {
        let mut client = server.client()?;
        for _ in 0..count / CONNECTIONS / (READS.len() + 1) {
            for path in READS {
                ensure!(client.get(path)?.status == 200, "{path} is not answered");
            }
            let answer = client.post(WRITE.0, WRITE.1)?;
            ensure!(answer.status == 422, "a wrong input is answered {}: {}", answer.status, answer.body);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().try_for_each(|asks| asks.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
    })
}

fn pairs(with: &[Turn], other: &[Turn], of: impl Fn(&Turn) -> f64) -> Vec<f64> {
    with.iter().zip(other).map(|(with, other)| of(with) / of(other)).collect()
}

fn median_of(turns: &[Turn], of: impl Fn(&Turn) -> f64) -> f64 {
    rounded(median(&turns.iter().map(of).collect::<Vec<_>>()))
}

/// A hundredth matters here, so four figures are told.
fn exact(ratio: f64) -> f64 {
    (ratio * 10_000.0).round() / 10_000.0
}
