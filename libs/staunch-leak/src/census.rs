//! What a process holds at a moment, and what is more than it was.

mod cgroup;
mod change;
mod memory;
mod numbers;
mod pressure;
mod probe;
mod proc;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use cgroup::{Cgroup, GroupEvents, GroupMemory};
pub use change::{Change, Difference, Resource};
pub use memory::Memory;
pub use numbers::Numbers;
pub use pressure::{Pressure, Stall};
pub use probe::{Counts, Probe};
pub(crate) use proc::another_main_thread_runs;

/// What this process holds: file descriptors, threads, children, files under a directory, and counts of its own.
///
/// What each is called stands beside its number, so that a difference says *which* descriptor or child is more. It is
/// compared by what there is of each kind, not by numbers: a worker thread that was replaced by one of the same name is no
/// difference. Bytes are not in it; see [`alloc::tally`](crate::alloc::tally) and [`Memory`].
///
/// Read from `/proc`, in some tens of microseconds and a few more for each descriptor, thread, child and file. What cannot be
/// read (another system, `/proc` not mounted) counts as none.
///
/// ```
/// use staunch_leak::Census;
/// let before = Census::take(None, &[]);
/// let file = std::fs::File::open("/dev/null").unwrap();
/// let after = Census::take(None, &[]);
/// assert!(after.since(&before).to_string().contains("/dev/null"));
/// drop(file);
/// assert!(Census::take(None, &[]).since(&before).is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Descriptors by number, with what they lead to: a path, `socket:[inode]`, `pipe:[inode]`, `anon_inode:[eventpoll]`.
    pub fds: BTreeMap<u32, String>,
    /// Threads by their number, with their names.
    pub threads: BTreeMap<u32, String>,
    /// Direct children by their number, with their names; ` (zombie)` behind one that has ended and was not waited for.
    pub children: BTreeMap<u32, String>,
    /// Everything under the directory that was asked for, links not followed.
    pub files: Vec<PathBuf>,
    /// What the process counts itself: tasks by kind, rows, bytes of budgets.
    pub counts: Counts,
}

impl Census {
    /// Looks at this process, at what is under `directory`, and asks `probes`.
    pub fn take(directory: Option<&Path>, probes: &[Probe]) -> Self {
        let mut counts = Counts::default();
        for probe in probes {
            probe.read(&mut counts);
        }
        Self {
            fds: proc::fds(),
            threads: proc::threads(),
            children: proc::children(),
            files: directory.map(proc::files).unwrap_or_default(),
            counts,
        }
    }

    /// What is more or less than it was `before`.
    pub fn since(&self, before: &Self) -> Difference {
        Difference::between(before, self)
    }
}

#[cfg(test)]
mod tests;
