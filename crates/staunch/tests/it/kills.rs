//! `kill -9` of the server at random moments under load: no accepted run is lost, each step's outcome is recorded once, no process of a
//! step is left, and a step is never run again once a step that needs it has started.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A wait this long means that it never comes.
const LONG: Duration = Duration::from_secs(120);

/// Two steps that need each other in turn, and two at once. Each line of the ledger is one execution.
const WORKFLOW: &str = r#"
name: ledger
inputs: { ledger: { type: string, required: true } }
env: { LEDGER: "${{ inputs.ledger }}" }
steps:
  - { id: first, run: 'echo "$STAUNCH_RUN_ID first" >> "$LEDGER"; sleep 0.02' }
  - parallel:
      - { id: left, run: 'echo "$STAUNCH_RUN_ID left" >> "$LEDGER"; echo said; sleep 0.03 & wait' }
      - { id: right, run: 'echo "$STAUNCH_RUN_ID right" >> "$LEDGER"; setsid sleep 0.02; echo out=1 >> "$STAUNCH_OUTPUT"' }
  - { id: last, run: 'echo "$STAUNCH_RUN_ID last $RIGHT" >> "$LEDGER"', env: { RIGHT: "${{ steps.right.outputs.out }}" } }
"#;

/// A small generator, so that a failure can be run again by its seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: u64) -> u64 {
        // xorshift64* (Vigna 2016)
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % below
    }
}

/// A server of its own process, killed when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(data: &Path, workflows: &Path, config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_staunch"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args([Path::new("--data"), data, Path::new("--workflows"), workflows, Path::new("--config"), config])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::OpenOptions::new().create(true).append(true).open(data.with_extension("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut talk = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            let more = talk.read_line(&mut line).unwrap() > 0;
            assert!(more, "the server ended: {said}\n{}", fs::read_to_string(data.with_extension("stderr")).unwrap());
            said.push_str(&line);
            if let Some(at) = line.find("http://127.0.0.1:") {
                let rest = &line[at + "http://".len()..];
                let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
                break rest[..end].to_owned();
            }
        };
        // Somebody has to read what it says, or it would block on a full pipe.
        std::thread::spawn(move || std::io::copy(&mut talk, &mut std::io::sink()));
        Self { child, address }
    }

    /// One request on a connection of its own: the status and the body, or nothing if the server is gone.
    fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(LONG)).ok()?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some((status, serde_json::from_str(body).ok()?))
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Processes of steps whose ledger is this one, by what stands in their environment.
fn processes_of(ledger: &Path) -> Vec<u32> {
    let needle = format!("LEDGER={}", ledger.display()).into_bytes();
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    all.filter(|pid| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    })
    .collect()
}

/// Looks again every millisecond, up to [`LONG`].
fn until(what: &str, mut enough: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !enough() {
        assert!(begun.elapsed() < LONG, "it never came: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn fifty_kills_lose_nothing() {
    let seed = std::env::var("STAUNCH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_123);
    let kills = 50;
    let mut chance = Chance(seed);
    let root = tempfile::tempdir().unwrap();
    let (data, workflows, config) =
        (root.path().join("data"), root.path().join("workflows"), root.path().join("staunch.toml"));
    let ledger = root.path().join("ledger");
    fs::create_dir(&workflows).unwrap();
    fs::write(workflows.join("ledger.yaml"), WORKFLOW).unwrap();
    // A step may well be lost more than three times here; that bound has a test of its own.
    fs::write(&config, "[limits]\nlosses_max = 1000\nsteps_active_max = 6\n").unwrap();
    let body = format!(r#"{{"inputs":{{"ledger":"{}"}}}}"#, ledger.display());
    let mut accepted = BTreeSet::new();
    for kill in 0..kills {
        let server = Server::start(&data, &workflows, &config);
        let until_kill = Duration::from_millis(20 + chance.next(180));
        let begun = Instant::now();
        let mut wanted = chance.next(12);
        while begun.elapsed() < until_kill {
            if wanted > 0 {
                wanted -= 1;
                if let Some((201, run)) = server.ask("POST", "/api/v1/workflows/ledger/runs", &body) {
                    accepted.insert(run["id"].as_str().unwrap().to_owned());
                }
            } else {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        server.kill();
        let gone = Instant::now();
        until("the steps' processes are gone", || processes_of(&ledger).is_empty());
        assert!(
            gone.elapsed() < Duration::from_secs(10),
            "kill {kill}: steps outlived their server by {:?}",
            gone.elapsed()
        );
    }
    assert!(accepted.len() > kills / 2, "the load was too small to mean anything: {}", accepted.len());
    let server = Server::start(&data, &workflows, &config);
    let mut details = BTreeMap::new();
    for id in &accepted {
        until("the run ends", || {
            let (status, run) = server.ask("GET", &format!("/api/v1/runs/{id}"), "").expect("the server answers");
            assert_eq!(status, 200, "seed {seed}: run {id} is lost: {run}");
            let over = run["state"] == "ended";
            if over {
                details.insert(id.clone(), run);
            }
            over
        });
    }
    for (id, run) in &details {
        assert_eq!(run["outcome"], "succeeded", "seed {seed}: {run:#}");
        for step in run["steps"].as_array().unwrap() {
            let attempts = step["attempts"].as_array().unwrap();
            assert_eq!(attempts.len(), 1, "seed {seed}: {id} {}: one attempt, however often it was lost", step["id"]);
            assert_eq!(attempts[0]["outcome"], "succeeded");
        }
        let (_, events) = server.ask("GET", &format!("/api/v1/runs/{id}/events?limit=200"), "").unwrap();
        let ended = events["items"].as_array().unwrap().iter().filter(|event| event["name"] == "step.ended").count();
        assert_eq!(ended, 4, "seed {seed}: {id}: each step's outcome is recorded once");
    }
    check_ledger(seed, &fs::read_to_string(&ledger).unwrap(), &accepted);
    let runs = server.ask("GET", "/api/v1/runs?limit=200&state=running", "").unwrap().1;
    assert_eq!(runs["items"].as_array().unwrap().len(), 0, "nothing hangs");
}

/// Every step of every run was executed, `last` saw what `right` gave it, and nothing is executed again after what needs it.
fn check_ledger(seed: u64, ledger: &str, accepted: &BTreeSet<String>) {
    let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in ledger.lines() {
        let (run, step) = line.split_once(' ').expect("a line is a run and a step");
        seen.entry(run).or_default().push(step);
    }
    for id in accepted {
        let steps = seen.get(id.as_str()).unwrap_or_else(|| panic!("seed {seed}: {id} never ran"));
        let first_of = |step: &str| steps.iter().position(|other| *other == step);
        let last_of = |step: &str| steps.iter().rposition(|other| *other == step);
        for (before, after) in [("first", "left"), ("first", "right"), ("left", "last 1"), ("right", "last 1")] {
            let (done, next) = (last_of(before), first_of(after));
            assert!(done.is_some() && next.is_some(), "seed {seed}: {id}: {before} or {after} is missing: {steps:?}");
            assert!(done < next, "seed {seed}: {id}: {before} ran again after {after}: {steps:?}");
        }
    }
}
