//! A process dies at each fault point in turn.

use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use staunch_bounded::faults::{self, Manner, Plan};

use super::broken::{Blame, Broken, Swept};
use super::measured::caught;
use crate::gate::{Baseline, Options};

/// Tells a victim at which point it dies.
pub(super) const DIES_AT: &str = "STAUNCH_LEAK_DIES_AT";
/// A victim prints this when its work is done, with how many points it passed.
const PASSED: &str = "staunch-leak: points passed: ";
/// And then this, with the name and the hits of each.
const NAMED: &str = "staunch-leak: by name: ";
/// Between the name of a point and the number of the hit.
const NTH: char = '#';
/// Between two points, whose names may have blanks.
const NEXT: char = '\u{1f}';
/// For a line's end in a name.
const LINE: char = '\u{1e}';
/// How long a victim may take. It dies or ends by itself; a minute means that it hangs.
const VICTIM_MAX: Duration = Duration::from_secs(60);
/// Points after which a sweep gives up on a scenario that always has one more.
const POINTS_MAX: u64 = 10_000;
/// Between two looks at whether the victim has ended, which is waited for with a bound.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// What is known of a victim when it is gone.
#[derive(Debug)]
pub struct Crash {
    /// At which point it died; `None` for the last one, which was let live.
    pub at: Option<u64>,
    /// What it printed, and how it ended.
    pub output: Output,
}

/// Whether this process is a victim of [`all_crashes`]: then it does the scenario, and nothing else.
pub fn is_victim() -> bool {
    std::env::var_os(DIES_AT).is_some()
}

/// Does the scenario as a victim: the process aborts at its point, without any destructor, as under `kill -9`. If it passes
/// all points it says so and comes back.
///
/// ```no_run
/// staunch_leak::fault::victim(|| std::fs::write("journal", "a line"));
/// ```
#[expect(clippy::print_stdout, reason = "the sweep reads it there")]
pub fn victim<T>(scenario: impl FnOnce() -> T) -> T {
    let at = std::env::var(DIES_AT).unwrap_or_default();
    match at.rsplit_once(NTH) {
        Some((name, nth)) => faults::arm_at(name, nth.parse().unwrap_or(0), false, Manner::Call(die)),
        None => {
            let first = at.parse().unwrap_or(u64::MAX);
            faults::arm(Plan { first, from_then_on: false, manner: Manner::Call(die) });
        }
    }
    let done = scenario();
    let named: Vec<String> = faults::passed().iter().map(|(name, hits)| format!("{name}{NTH}{hits}")).collect();
    println!("{NAMED}{}", named.join(&NEXT.to_string()).replace('\n', &LINE.to_string()));
    println!("{PASSED}{}", faults::disarm().hits);
    done
}

/// Where a victim dies, as [`DIES_AT`] has it.
pub(super) fn aim(point: &str, nth: u64) -> String {
    format!("{point}{NTH}{nth}")
}

/// Which points a victim passed that lived, and how often.
pub(super) fn names(output: &Output) -> Option<Vec<(&'static str, u64)>> {
    let out = String::from_utf8_lossy(&output.stdout);
    let line = out.lines().find_map(|line| Some(line.split_once(NAMED)?.1.to_owned()))?;
    let name_and_hits = |word: &str| {
        let (name, hits) = word.rsplit_once(NTH)?;
        Some((known(&name.replace(LINE, "\n")), hits.parse().ok()?))
    };
    line.split(NEXT).filter(|word| !word.is_empty()).map(name_and_hits).collect()
}

/// A name for as long as the process lives: once for each point of a program, in a test that ends with its sweep.
fn known(name: &str) -> &'static str {
    static NAMES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.iter().find(|known| **known == name) {
        return known;
    }
    let known: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.push(known);
    known
}

/// SIGABRT: no destructor runs, nothing is flushed, and the parent sees a signal.
fn die() {
    std::process::abort();
}

/// Starts `command` once for each fault point that its [`victim`] passes, which dies there; and a last time, to its end.
/// After each, `check` must find that everything can go on: it opens the same directory, say, and looks for what a
/// successful write promised. Then the process must be as before: descriptors, threads, children, files, counts. (Not bytes:
/// those are the check's own.)
///
/// `command` runs a program that calls [`victim`], such as this test again: [`this_test`](crate::gate::this_test), with
/// [`is_victim`] asked first. The first victim's files are in the baseline, so a scenario that leaves one new file each time
/// is seen, and one that keeps its journal is not.
///
/// # Errors
/// [`Broken`] at the first point where something is not right: a check that panicked, something left, a victim that ended
/// otherwise than by its death or well; also if there is no point at all.
///
/// See `tests/it/sweeps.rs` for a whole test.
pub fn all_crashes(
    options: &Options,
    mut command: impl FnMut() -> Command,
    mut check: impl FnMut(&Crash),
) -> Result<Swept, Broken> {
    let mut baseline: Option<Baseline> = None;
    for at in 0..POINTS_MAX {
        let broken = |blame| Broken { at, point: None, manner: "killed", blame };
        let output = run(command().env(DIES_AT, at.to_string())).map_err(broken)?;
        let passed = passed(&output);
        // Whoever has passed all points was not killed, and has said so; whoever was killed has not.
        let lived = output.status.success();
        if lived != passed.is_some() || !lived && output.status.code().is_some() {
            return Err(broken(Blame::Unprovoked(shown(&output))));
        }
        let crash = Crash { at: (!lived).then_some(at), output };
        caught(|| check(&crash)).map_err(|panic| broken(Blame::Check(panic)))?;
        drop(crash);
        match &baseline {
            None => baseline = Some(Baseline::settled(options)),
            Some(baseline) => match baseline.compare_without_memory(options) {
                Err(difference) if difference.has_growth() => return Err(broken(Blame::Leaked(difference))),
                _ => {}
            },
        }
        if let Some(points) = passed {
            if points == 0 {
                return Err(broken(Blame::NoPoints));
            }
            return if points == at { Ok(Swept { points, runs: at + 1 }) } else { Err(broken(Blame::Unsteady)) };
        }
    }
    Err(Broken { at: POINTS_MAX, point: None, manner: "killed", blame: Blame::Hung })
}

pub(super) fn run(command: &mut Command) -> Result<Output, Blame> {
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| Blame::Unprovoked(format!("cannot be started: {error}")))?;
    if !ends_in_time(&mut child) {
        // It may have ended just now; either way it is waited for below.
        drop(child.kill());
        drop(child.wait());
        return Err(Blame::Hung);
    }
    child.wait_with_output().map_err(|error| Blame::Unprovoked(error.to_string()))
}

/// A victim that prints more than a pipe holds would wait for a reader, and so count as hanging; tests print little.
fn ends_in_time(child: &mut Child) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < VICTIM_MAX {
        match child.try_wait() {
            Ok(None) => std::thread::park_timeout(BETWEEN_LOOKS),
            Ok(Some(_)) | Err(_) => return true,
        }
    }
    false
}

fn passed(output: &Output) -> Option<u64> {
    let out = String::from_utf8_lossy(&output.stdout);
    let at = out.rfind(PASSED)? + PASSED.len();
    out.get(at..)?.split_whitespace().next()?.parse().ok()
}

pub(super) fn shown(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("it ended by {}, not by its death\n{out}{err}", output.status)
}
