//! What the kernel says about this process.

use std::{fs, io};

use staunch_bounded::fault_point;
use staunch_leak::census::Numbers;

/// Its size and its use of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Process {
    /// Resident memory, in bytes.
    pub(crate) resident_bytes: u64,
    /// Virtual memory, in bytes.
    pub(crate) virtual_bytes: u64,
    /// Open file descriptors.
    pub(crate) open_fds: u64,
    /// File descriptors that may be open.
    pub(crate) max_fds: u64,
    /// Threads.
    pub(crate) threads: u64,
    /// Child processes; `None` if the kernel does not list them.
    pub(crate) children: Option<u64>,
    /// Processor time, user and system.
    pub(crate) cpu_seconds: f64,
    /// Start, in seconds since 1970 UTC.
    pub(crate) start_seconds: f64,
}

impl Process {
    /// Reads it from `/proc` (proc_pid_stat(5)), some tens of microseconds and a few for each thread; nothing of it waits for a
    /// disk. `boot_seconds` is [`Process::boot`].
    ///
    /// # Errors
    /// There is no `/proc`, or it cannot be read.
    pub(crate) fn read(boot_seconds: f64) -> io::Result<Self> {
        fault_point!("server.proc")?;
        let stat = fs::read_to_string("/proc/self/stat")?;
        let mut process = Self::parse(&stat, boot_seconds).ok_or(io::ErrorKind::InvalidData)?;
        let numbers = Numbers::read();
        process.open_fds = numbers.fds.ok_or_else(|| io::Error::other("the file descriptors cannot be counted"))?;
        process.children = numbers.children;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        process.max_fds = limit.current.unwrap_or(u64::MAX);
        Ok(process)
    }

    /// When the machine started, in seconds since 1970 UTC. To be asked once: the file has a line a processor and an interrupt.
    pub(crate) fn boot() -> Option<f64> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
    }

    fn parse(stat: &str, boot_seconds: f64) -> Option<Self> {
        // The name stands in brackets and may hold anything, brackets too: what follows the last one is fields, from the third.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) as f64 / ticks,
            threads: field(20)?,
            start_seconds: boot_seconds + field(22)? as f64 / ticks,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * rustix::param::page_size() as u64,
            ..Self::default()
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_size() {
        let process = Process::read(Process::boot().unwrap()).unwrap();
        assert!(process.resident_bytes > 1 << 20 && process.virtual_bytes >= process.resident_bytes);
        assert!(process.open_fds >= 3 && process.threads >= 1 && process.start_seconds > 1e9);
        assert_eq!(process.children, Some(0));
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) ) S 1 7 7 0 -1 0 0 0 0 0 100 50 0 0 20 0 9 0 500 4096 2 0";
        let process = Process::parse(stat, 1000.0).unwrap();
        assert_eq!((process.threads, process.virtual_bytes), (9, 4096));
        assert_eq!(Process::parse("7 (a", 0.0), None);
    }
}
