//! What the processes of each run hold.

use std::collections::HashMap;
use std::{fs, io};

use staunch_store::RunId;

use super::processes;

/// In whose environment a step's process says which run it is of.
const RUN: &[u8] = b"STAUNCH_RUN_ID=";

/// Resident memory of all processes below this one, by the run that they began with in their environment, in bytes. Pages that several
/// of them share count for each. Blocking, some milliseconds.
///
/// # Errors
/// `/proc` cannot be read.
pub fn memory_by_run() -> io::Result<HashMap<RunId, u64>> {
    let all = processes::all()?;
    let page = rustix::param::page_size() as u64;
    let mut held: HashMap<RunId, u64> = HashMap::new();
    for process in processes::descendants(&all, &[rustix::process::getpid().as_raw_nonzero().get()]) {
        // Who has ended meanwhile holds nothing; a keeper is of no run.
        let Ok(environment) = processes::environment(process.pid) else { continue };
        let Some(run) = run_of(&environment) else { continue };
        let statm = fs::read_to_string(format!("/proc/{}/statm", process.pid.as_raw_nonzero())).unwrap_or_default();
        let pages = statm.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
        *held.entry(run).or_default() += pages * page;
    }
    Ok(held)
}

fn run_of(environment: &[u8]) -> Option<RunId> {
    let value = environment.split(|byte| *byte == 0).find_map(|line| line.strip_prefix(RUN))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_counts_for_its_run_and_one_of_no_run_for_none() {
        let run = RunId::generate();
        let start = |named: bool| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", "echo; read _"]).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
            if named {
                command.env("STAUNCH_RUN_ID", run.to_string());
            }
            let mut child = command.spawn().unwrap();
            // Until it says so it may not be its own program, with an environment and memory of its own.
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, "\n");
            child
        };
        let mut children = [start(true), start(false)];
        let held = memory_by_run().unwrap();
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(held.len(), 1, "{held:?}");
        assert!(held[&run] > 64 << 10, "{held:?}");
    }
}
