//! The gauge: which part of what it may hold this process holds.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::cgroup::Cgroup;
use crate::allocator::Allocator;

/// Which part of its limit the process holds: 1 is all. `None`: that cannot be told now.
pub(super) type Part = dyn Fn() -> Option<f64> + Send + Sync;

/// What a server goes by when memory gets scarce. Tests bring a gauge of their own.
#[derive(Clone)]
pub struct Ceiling {
    /// Read four times a second, on a thread of the runtime: it must not wait for anything but the kernel's own files.
    pub part: Arc<Part>,
    /// Gives unused memory back to the kernel; whether it could. Called on a thread that may block.
    pub purge: Option<fn() -> bool>,
}

/// Finds out from the kernel and the allocator.
#[derive(Debug)]
pub struct Gauge {
    root: PathBuf,
    limit_bytes: u64,
    allocator: Allocator,
    cgroups: Mutex<Vec<Cgroup>>,
}

impl Gauge {
    /// A gauge against the smallest of `configured`, each cgroup's limit and the machine's memory. `root` is `/`, or a test's.
    /// `None`: nothing says how much there is.
    pub fn new(configured: Option<u64>, allocator: Allocator, root: &Path) -> Option<Self> {
        let cgroups = Cgroup::limited(root);
        let machine = kib(&root.join("proc/meminfo"), "MemTotal:");
        let limits = cgroups.iter().map(Cgroup::limit_bytes).chain(configured).chain(machine);
        let limit_bytes = limits.min().filter(|limit| *limit > 0)?;
        Some(Self { root: root.to_owned(), limit_bytes, allocator, cgroups: Mutex::new(cgroups) })
    }

    /// What the process may hold, in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// The largest of: what is live, and what is resident and swapped out, of the limit; and what each cgroup holds of its own limit,
    /// without what the kernel takes back by itself. A cgroup's share counts what steps hold too.
    pub fn part(&self) -> Option<f64> {
        let status = self.root.join("proc/self/status");
        let resident = Some(kib(&status, "VmRSS:")? + kib(&status, "VmSwap:").unwrap_or(0));
        let live = (self.allocator.read)().map(|figures| figures.live_bytes);
        let own = [resident, live].into_iter().flatten().max()? as f64 / self.limit_bytes as f64;
        // A lock for some reads; only the sampler takes it.
        let mut cgroups = self.cgroups.lock().unwrap_or_else(PoisonError::into_inner);
        let shares = cgroups.iter_mut().filter_map(|group| {
            let held = group.read()?;
            Some(held as f64 / group.limit_bytes().max(1) as f64)
        });
        Some(shares.fold(own, f64::max))
    }
}

fn kib(path: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

impl fmt::Debug for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ceiling").finish_non_exhaustive()
    }
}

/// Two are the same if they are one.
impl PartialEq for Ceiling {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.part, &other.part)
    }
}

impl Eq for Ceiling {}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::allocator::AllocatorFigures;

    /// What a kernel says that has these files.
    struct Kernel(tempfile::TempDir);

    impl Kernel {
        fn new(files: &[(&str, &str)]) -> Self {
            let kernel = Self(tempfile::tempdir().unwrap());
            kernel.say("proc/meminfo", "MemTotal:  8000 kB\nMemFree: 1 kB\n");
            kernel.say("proc/self/status", "VmRSS:\t     500 kB\nVmSwap:\t     300 kB\n");
            files.iter().for_each(|(path, text)| kernel.say(path, text));
            kernel
        }

        fn say(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn gauge(&self, configured: Option<u64>) -> Gauge {
            Gauge::new(configured, Allocator::SYSTEM, self.0.path()).unwrap()
        }
    }

    const KIB: u64 = 1 << 10;

    #[test]
    fn what_is_resident_and_swapped_out_counts_against_the_smallest_limit() {
        let kernel = Kernel::new(&[]);
        assert_eq!(kernel.gauge(None).part(), Some(800.0 / 8000.0));
        assert_eq!(kernel.gauge(Some(1000 * KIB)).part(), Some(0.8));
        // More than there is may be configured; it is not there for that.
        assert_eq!(kernel.gauge(Some(9000 * KIB)).limit_bytes(), 8000 * KIB);
        let nothing = tempfile::tempdir().unwrap();
        assert!(Gauge::new(None, Allocator::SYSTEM, nothing.path()).is_none());
    }

    #[test]
    fn what_is_live_counts_if_it_is_more() {
        let figures = || Some(AllocatorFigures { live_bytes: 900 * KIB, ..AllocatorFigures::default() });
        let allocator = Allocator { read: figures, ..Allocator::SYSTEM };
        let kernel = Kernel::new(&[]);
        let gauge = Gauge::new(Some(1000 * KIB), allocator, kernel.0.path()).unwrap();
        assert_eq!(gauge.part(), Some(0.9));
    }

    #[test]
    fn each_cgroup_up_to_the_root_binds_by_its_own_share() {
        let kernel = Kernel::new(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/memory.max", "4096000\n"),
            ("sys/fs/cgroup/a/memory.current", "4000000\n"),
            ("sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 928000\nactive_file 7\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "9999999\n"),
        ]);
        let gauge = kernel.gauge(None);
        assert_eq!(gauge.limit_bytes(), 4_096_000);
        assert_eq!(gauge.part(), Some(3_072_000.0 / 4_096_000.0));
        // Pages come and go, and so does the limit.
        kernel.say("sys/fs/cgroup/a/memory.current", "2000000\n");
        assert_eq!(gauge.part(), Some(1_072_000.0 / 4_096_000.0));
        kernel.say("sys/fs/cgroup/a/memory.max", "1072000\n");
        assert_eq!(gauge.part(), Some(1.0));
        kernel.say("sys/fs/cgroup/a/memory.max", "max\n");
        assert_eq!(gauge.part(), Some((800 * KIB) as f64 / 4_096_000.0));
    }

    #[test]
    fn version_1_has_other_names() {
        let kernel = Kernel::new(&[
            ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "3900000\n"),
            ("sys/fs/cgroup/memory/memory.stat", "inactive_file 5\ntotal_inactive_file 100000\n"),
        ]);
        assert_eq!(kernel.gauge(None).part(), Some(0.95));
    }
}
