//! How many descriptors and children there are, without asking what they are.

use std::fs;

/// Numbers that can be had every second: what [`Census`](super::Census) lists by name, counted only.
///
/// ```
/// use staunch_leak::census::Numbers;
/// let before = Numbers::read();
/// let file = std::fs::File::open("/dev/null").unwrap();
/// assert_eq!(Numbers::read().fds.unwrap(), before.fds.unwrap() + 1);
/// drop(file);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Open descriptors; `None` without `/proc`.
    pub fds: Option<u64>,
    /// Direct children, those that ended and were not waited for included; `None` if the kernel does not list them.
    pub children: Option<u64>,
}

impl Numbers {
    /// Counts, in some microseconds and about five more a thread.
    pub fn read() -> Self {
        Self { fds: fds(), children: children() }
    }
}

/// Since Linux 6.2 the directory's size is the number of descriptors, which spares a listing of thousands. Before, it is 0.
fn fds() -> Option<u64> {
    match fs::metadata("/proc/self/fd").ok()?.len() {
        // The listing is read through a descriptor of its own.
        0 => Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1)),
        count => Some(count),
    }
}

/// Children of all threads: each belongs to the one that made it.
fn children() -> Option<u64> {
    // Our own thread is there as long as we ask, so if it has no list, no thread has.
    fs::metadata("/proc/thread-self/children").ok()?;
    let mut count = 0;
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        // A thread that has just ended has handed its children to another.
        let Ok(list) = fs::read_to_string(thread.path().join("children")) else { continue };
        count += list.split_ascii_whitespace().count() as u64;
    }
    Some(count)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_counts_until_it_is_waited_for() {
        let before = children().unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        assert_eq!(children().unwrap(), before + 1);
        child.kill().unwrap();
        // Dead or about to be, it is there.
        assert_eq!(children().unwrap(), before + 1);
        child.wait().unwrap();
        assert_eq!(children().unwrap(), before);
    }

    #[test]
    fn descriptors_are_counted_as_a_listing_counts_them() {
        let files: Vec<_> = (0..50).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let listed = fs::read_dir("/proc/self/fd").unwrap().count() as u64 - 1;
        assert_eq!(fds().unwrap(), listed);
        drop(files);
        assert_eq!(fds().unwrap(), listed - 50);
    }
}
