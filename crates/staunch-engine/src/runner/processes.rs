//! The processes of this machine, as `/proc` shows them.

use std::collections::HashSet;
use std::path::Path;
use std::{fs, io};

use rustix::process::{Pid, PidfdFlags, Signal};

/// A process as it was when it was looked at.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) parent: i32,
    pub(super) session: i32,
    /// `R`, `S`, `T`, `Z`, ... of proc_pid_stat(5).
    pub(super) state: u8,
    /// Threads; 0 once it is a zombie with nothing left to kill.
    pub(super) threads: i64,
    /// Clock ticks from boot to its start: with the pid it names a process beyond doubt.
    pub(super) started: u64,
    pub(super) name: String,
}

impl Process {
    /// Looks at one. `None`: there is none.
    pub(super) fn look(pid: Pid) -> Option<Self> {
        let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        Self::parse(pid, &stat)
    }

    /// Reads a line such as `17 (a) b)) S 1 17 17 ...`: the name may hold anything, so what follows begins at the last `)`.
    fn parse(pid: Pid, stat: &[u8]) -> Option<Self> {
        let open = stat.iter().position(|byte| *byte == b'(')?;
        let close = stat.iter().rposition(|byte| *byte == b')')?;
        let name = String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned();
        let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<i64>().ok());
        let small = |at: usize| number(at).and_then(|value| i32::try_from(value).ok());
        Some(Self {
            pid,
            state: *fields.first()?.as_bytes().first()?,
            parent: small(1)?,
            session: small(3)?,
            threads: number(17)?,
            started: fields.get(19)?.parse().ok()?,
            name,
        })
    }

    /// Whether there is something left of it to kill: a zombie whose other threads run on counts.
    pub(super) fn lives(&self) -> bool {
        !matches!(self.state, b'Z' | b'X') || self.threads > 1
    }

    /// As people know it: `name (pid)`.
    pub(super) fn label(&self) -> String {
        let name: String = self.name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        format!("{name} ({})", self.pid.as_raw_nonzero())
    }

    /// Sends a signal to this very process, never to another that got its number.
    ///
    /// # Errors
    /// It is gone, or not ours to signal.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match rustix::process::pidfd_open(self.pid, PidfdFlags::empty()) {
            Ok(handle) => {
                // The handle is bound to whoever has the number now; if that one started at the same tick it is the same.
                if Self::look(self.pid).is_none_or(|now| now.started != self.started) {
                    return Err(rustix::io::Errno::SRCH.into());
                }
                Ok(rustix::process::pidfd_send_signal(handle, signal)?)
            }
            // No pidfd: an old kernel, or no file descriptor left. Better a small race than a process that stays.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => {
                Ok(rustix::process::kill_process(self.pid, signal)?)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Looks at all.
///
/// # Errors
/// `/proc` cannot be read.
pub(super) fn all() -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        // Whoever ends while we look is not there.
        if let Some(pid) = entry.ok().and_then(|entry| pid_of(&entry.file_name()))
            && let Some(process) = Process::look(pid)
        {
            found.push(process);
        }
    }
    Ok(found)
}

fn pid_of(name: &std::ffi::OsStr) -> Option<Pid> {
    name.to_str()?.parse().ok().and_then(Pid::from_raw)
}

/// Those of `all` that descend from one of `roots`, without the roots.
pub(super) fn descendants(all: &[Process], roots: &[i32]) -> Vec<Process> {
    let mut children: std::collections::HashMap<i32, Vec<&Process>> = std::collections::HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut seen: HashSet<i32> = roots.iter().copied().collect();
    let mut open: Vec<i32> = roots.to_vec();
    while let Some(parent) = open.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            // Looking is not one moment: numbers may have moved on between, so a circle is possible.
            if seen.insert(child.pid.as_raw_nonzero().get()) {
                open.push(child.pid.as_raw_nonzero().get());
                found.push((*child).clone());
            }
        }
    }
    found
}

/// Stops all that `find` finds until it finds nobody new, then kills them: whoever is stopped cannot fork or revive another.
///
/// Returns how many it found. Call it until that is 0: each call is bounded, however fast they fork.
///
/// # Errors
/// `find`'s.
pub(super) fn kill_all(mut find: impl FnMut() -> io::Result<Vec<Process>>) -> io::Result<usize> {
    const LOOKS_MAX: usize = 8;
    let mut stopped: HashSet<(i32, u64)> = HashSet::new();
    let mut found = Vec::new();
    for _ in 0..LOOKS_MAX {
        found = find()?;
        let mut new = false;
        for process in found.iter().filter(|process| process.lives()) {
            if stopped.insert((process.pid.as_raw_nonzero().get(), process.started)) {
                new = true;
                // It may be gone, or not ours: the next look tells.
                process.signal(Signal::STOP).ok();
            }
        }
        if !new {
            break;
        }
    }
    for process in &found {
        process.signal(Signal::KILL).ok();
    }
    Ok(found.len())
}

/// The environment a process began with.
///
/// # Errors
/// It is gone, or not ours to look at.
pub(super) fn environment(pid: Pid) -> io::Result<Vec<u8>> {
    fs::read(Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("environ"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = b"17 (a) S 1 (\xff\n) R 3 17 16 0 -1 0 0 0 0 0 0 0 0 0 20 0 4 0 991 0 0";
        let process = Process::parse(Pid::from_raw(17).unwrap(), line).unwrap();
        assert_eq!((process.parent, process.session), (3, 16));
        assert_eq!((process.state, process.threads, process.started), (b'R', 4, 991));
        assert_eq!(process.label(), "a) S 1 (\u{fffd}? (17)");
    }

    #[test]
    fn descendants_survive_a_circle_and_leave_out_the_roots() {
        let process = |pid: i32, parent: i32| Process {
            pid: Pid::from_raw(pid).unwrap(),
            parent,
            session: 0,
            state: b'S',
            threads: 1,
            started: 0,
            name: String::new(),
        };
        let all = [process(1, 0), process(2, 1), process(3, 2), process(4, 3), process(3, 4), process(9, 8)];
        let mut pids: Vec<i32> =
            descendants(&all, &[2]).iter().map(|process| process.pid.as_raw_nonzero().get()).collect();
        pids.sort_unstable();
        assert_eq!(pids, [3, 4]);
    }

    #[test]
    fn this_process_is_there() {
        let me = rustix::process::getpid();
        let found = all().unwrap();
        let process = found.iter().find(|process| process.pid == me).unwrap();
        assert!(process.lives());
        assert_eq!(Process::look(me).unwrap().started, process.started);
    }
}
