//! The gauge: which part of what it may hold this process holds.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cgroup::Cgroup;
use super::granted::Granted;
use crate::allocator::Allocator;

/// Which part of its limit the process holds: 1 is all. `None`: that cannot be told now.
pub(super) type Part = dyn Fn() -> Option<f64> + Send + Sync;

/// What a server goes by when memory gets scarce. Tests bring a gauge of their own.
#[derive(Clone)]
pub struct Ceiling {
    /// Read four times a second, on a thread of the runtime: it must not wait for anything but the kernel's own files.
    pub part: Arc<Part>,
    /// What the process may use: a run that holds less than a hundredth of it is not cancelled for its memory, since that would give
    /// nothing back. Where nothing tells, any run is.
    pub granted: Granted,
    /// Gives unused memory back to the kernel; whether it could. Called on a thread that may block.
    pub purge: Option<fn() -> bool>,
}

/// Finds out from the kernel and the allocator.
#[derive(Debug)]
pub struct Gauge {
    root: PathBuf,
    /// The smaller of what was configured and what the machine has; neither changes.
    fixed_bytes: Option<u64>,
    allocator: Allocator,
    cgroups: Vec<Cgroup>,
}

impl Gauge {
    /// A gauge against the smallest of `configured`, each cgroup's limit at the time and the machine's memory. `root` is `/`, or a
    /// test's. `None`: nothing says how much there is.
    pub fn new(configured: Option<u64>, allocator: Allocator, root: &Path) -> Option<Self> {
        let machine = kib(&root.join("proc/meminfo"), "MemTotal:");
        let fixed_bytes = configured.into_iter().chain(machine).min();
        let gauge = Self { root: root.to_owned(), fixed_bytes, allocator, cgroups: Cgroup::all(root) };
        gauge.limit_bytes().is_some_and(|limit| limit > 0).then_some(gauge)
    }

    /// What the process may hold now, in bytes; `None`: nothing says that any more.
    pub fn limit_bytes(&self) -> Option<u64> {
        self.smallest(&self.limits())
    }

    /// The limits of all cgroups now, in their order.
    fn limits(&self) -> Vec<Option<u64>> {
        self.cgroups.iter().map(Cgroup::limit_bytes).collect()
    }

    fn smallest(&self, limits: &[Option<u64>]) -> Option<u64> {
        limits.iter().copied().flatten().chain(self.fixed_bytes).min()
    }

    /// The largest of: what is live, and what is resident and swapped out, of the limit; and what each cgroup holds of its own limit,
    /// without what the kernel takes back by itself. A cgroup's share counts what steps hold too.
    pub fn part(&self) -> Option<f64> {
        let status = self.root.join("proc/self/status");
        let resident = Some(kib(&status, "VmRSS:")? + kib(&status, "VmSwap:").unwrap_or(0));
        let live = (self.allocator.read)().map(|figures| figures.live_bytes);
        let limits = self.limits();
        let part = |held: u64, limit: u64| held as f64 / limit.max(1) as f64;
        let own = part([resident, live].into_iter().flatten().max()?, self.smallest(&limits)?);
        let limited = self.cgroups.iter().zip(limits);
        let shares = limited.filter_map(|(group, limit)| Some((limit?, group.held_bytes()?)));
        Some(shares.map(|(limit, held)| part(held, limit)).fold(own, f64::max))
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
        assert_eq!(kernel.gauge(Some(9000 * KIB)).limit_bytes(), Some(8000 * KIB));
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
            (
                "sys/fs/cgroup/a/memory.stat",
                "anon 1\nfile 5\ninactive_file 900000\nactive_file 20000\nslab_reclaimable 8000\nslab_unreclaimable 6\n",
            ),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "9999999\n"),
        ]);
        let gauge = kernel.gauge(None);
        assert_eq!(gauge.limit_bytes(), Some(4_096_000));
        assert_eq!(gauge.part(), Some(3_072_000.0 / 4_096_000.0));
        // Pages come and go, and so does the limit.
        kernel.say("sys/fs/cgroup/a/memory.current", "2000000\n");
        assert_eq!(gauge.part(), Some(1_072_000.0 / 4_096_000.0));
        kernel.say("sys/fs/cgroup/a/memory.max", "1072000\n");
        assert_eq!((gauge.part(), gauge.limit_bytes()), (Some(1.0), Some(1_072_000)));
        // Of less than the process itself holds: its part is the larger one.
        kernel.say("sys/fs/cgroup/a/memory.current", "928000\n");
        assert_eq!(gauge.part(), Some((800 * KIB) as f64 / 1_072_000.0));
        kernel.say("sys/fs/cgroup/a/memory.max", "max\n");
        assert_eq!((gauge.part(), gauge.limit_bytes()), (Some(0.1), Some(8000 * KIB)));
        // One that had none gets one.
        kernel.say("sys/fs/cgroup/a/b/memory.max", "19999998\n");
        assert_eq!(gauge.part(), Some(9_999_999.0 / 19_999_998.0));
    }

    #[test]
    fn where_the_kernel_slows_down_is_a_limit_too() {
        let kernel = Kernel::new(&[
            ("proc/self/cgroup", "0::/a\n"),
            ("sys/fs/cgroup/a/memory.max", "4000000\n"),
            ("sys/fs/cgroup/a/memory.high", "2000000\n"),
            ("sys/fs/cgroup/a/memory.current", "1900000\n"),
        ]);
        let gauge = kernel.gauge(None);
        assert_eq!((gauge.part(), gauge.limit_bytes()), (Some(0.95), Some(2_000_000)));
        kernel.say("sys/fs/cgroup/a/memory.high", "max\n");
        assert_eq!((gauge.part(), gauge.limit_bytes()), (Some(0.475), Some(4_000_000)));
    }

    #[test]
    fn version_1_has_other_names() {
        let kernel = Kernel::new(&[
            ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "3900000\n"),
            (
                "sys/fs/cgroup/memory/memory.stat",
                "inactive_file 5\ntotal_inactive_file 70000\ntotal_active_file 30000\n",
            ),
        ]);
        assert_eq!(kernel.gauge(None).part(), Some(0.95));
    }
}
