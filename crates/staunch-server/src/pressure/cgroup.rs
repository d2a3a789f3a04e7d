//! The memory of this process's cgroups: what they hold and what they may.

use std::fs;
use std::path::{Path, PathBuf};

/// A cgroup, whether it has a limit or not: it may get one at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cgroup {
    directory: PathBuf,
    names: &'static Names,
}

/// How its files are called.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    /// Files with limits; the smallest holds.
    limits: &'static [&'static str],
    used: &'static str,
    /// Keys in `memory.stat` of what the kernel takes back before it kills: pages of files that were read or written, used lately or not,
    /// and caches of its own.
    reclaimed: &'static [&'static str],
}

const V2: &Names = &Names {
    // Above `high` the kernel makes its processes wait until they hardly move, which is no better than the end.
    limits: &["memory.max", "memory.high"],
    used: "memory.current",
    reclaimed: &["inactive_file", "active_file", "slab_reclaimable"],
};
/// Version 1 tells nothing of the kernel's caches.
const V1: &Names = &Names {
    limits: &["memory.limit_in_bytes"],
    used: "memory.usage_in_bytes",
    reclaimed: &["total_inactive_file", "total_active_file"],
};

impl Cgroup {
    /// Those of this process, from its own to the root's: each that has a limit binds. `root` is `/`, or a test's.
    pub(super) fn all(root: &Path) -> Vec<Self> {
        let text = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let groups = text.lines().filter_map(|line| {
            // `0::/path` in version 2, `5:memory:/path` in version 1 (cgroups(7)).
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            match controllers {
                "" => Some((root.join("sys/fs/cgroup"), path, V2)),
                other if other.split(',').any(|name| name == "memory") => {
                    Some((root.join("sys/fs/cgroup/memory"), path, V1))
                }
                _ => None,
            }
        });
        groups.flat_map(|(mount, path, names)| Self::along(&mount, path, names)).collect()
    }

    fn along(mount: &Path, path: &str, names: &'static Names) -> Vec<Self> {
        // In a container the path may be the host's, which is not there; the mount itself is then the container's own cgroup.
        let own = mount.join(path.trim_start_matches('/'));
        let groups = own.ancestors().take_while(|group| group.starts_with(mount));
        groups.filter(|group| group.is_dir()).map(|group| Self { directory: group.to_owned(), names }).collect()
    }

    /// What it may hold now, in bytes; `None`: as much as it likes.
    pub(super) fn limit_bytes(&self) -> Option<u64> {
        // "max" is no number; a number beyond any machine is no limit either, but such a part of it that it never matters.
        self.names.limits.iter().filter_map(|limit| number(&self.directory.join(limit))).min()
    }

    /// What it holds, without what the kernel takes back before it kills, in bytes.
    pub(super) fn held_bytes(&self) -> Option<u64> {
        let used = number(&self.directory.join(self.names.used))?;
        let stat = fs::read_to_string(self.directory.join("memory.stat")).unwrap_or_default();
        let lines = stat.lines().filter_map(|line| line.split_once(' '));
        let reclaimed = lines.filter(|(key, _)| self.names.reclaimed.contains(key));
        let reclaimed: u64 = reclaimed.filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok()).sum();
        Some(used.saturating_sub(reclaimed))
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
