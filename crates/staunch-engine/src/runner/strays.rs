//! Processes of steps that an earlier life of the server could not kill.

use std::time::{Duration, Instant};
use std::{io, thread};

use staunch_bounded::fault_point;

use super::processes::{self, Process};

/// How long [`sweep_strays`] goes on at most.
const SWEEP_MAX: Duration = Duration::from_secs(5);

/// Kills all processes that began with `STAUNCH_INSTANCE=<instance>` in their environment and all that descend from them, except
/// this one and those it descends from. Blocking, at most 5 s. Returns how many there were.
///
/// A keeper kills its step when the server is gone; this is for the case that both were killed at once. The engine puts the
/// variable into the environment of each step, and calls this before it starts any.
///
/// # Errors
/// `/proc` cannot be read, or some would not die in time.
pub fn sweep_strays(instance: &str) -> io::Result<usize> {
    let marker = format!("STAUNCH_INSTANCE={instance}");
    let until = Instant::now() + SWEEP_MAX;
    let mut pids = std::collections::BTreeSet::new();
    loop {
        let count = processes::kill_all(|| {
            let found = strays(marker.as_bytes())?;
            pids.extend(found.iter().map(|process| process.pid.as_raw_nonzero().get()));
            Ok(found)
        })?;
        if count == 0 {
            return Ok(pids.len());
        }
        if Instant::now() >= until {
            return Err(io::Error::other(format!("{count} processes of an earlier life cannot be killed")));
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Those that have the marker, and all that descend from them, even with their environment cleared.
fn strays(marker: &[u8]) -> io::Result<Vec<Process>> {
    fault_point!("strays.look")?;
    let all = processes::all()?;
    let line = ancestry(&all);
    let spared = |process: &Process| !process.lives() || line.contains(&process.pid.as_raw_nonzero().get());
    // Another user's environment cannot be read: it is not one of ours then.
    let is_marked = |process: &&Process| {
        processes::environment(process.pid)
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|variable| variable == marker))
    };
    let mut found: Vec<Process> = all.iter().filter(|process| !spared(process)).filter(is_marked).cloned().collect();
    let roots: Vec<i32> = found.iter().map(|process| process.pid.as_raw_nonzero().get()).collect();
    found.extend(processes::descendants(&all, &roots).into_iter().filter(|process| !spared(process)));
    Ok(found)
}

/// This process and all above it: `staunch run` may itself be somebody's step.
fn ancestry(all: &[Process]) -> Vec<i32> {
    let mut line = vec![rustix::process::getpid().as_raw_nonzero().get()];
    while let Some(process) =
        all.iter().find(|process| line.last().is_some_and(|pid| *pid == process.pid.as_raw_nonzero().get()))
    {
        if process.parent <= 0 || line.contains(&process.parent) {
            break;
        }
        line.push(process.parent);
    }
    line
}
