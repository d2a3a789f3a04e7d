//! The memory of this process's cgroups: what they hold and what they may.

use std::fs;
use std::path::{Path, PathBuf};

/// A cgroup that has a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cgroup {
    directory: PathBuf,
    names: Names,
    limit_bytes: u64,
}

/// How its files are called.
type Names = &'static [&'static str; 3];

/// Version 2: limit, use, and the key in `memory.stat` of what the kernel takes back by itself.
const V2: Names = &["memory.max", "memory.current", "inactive_file "];
/// Version 1.
const V1: Names = &["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "];

impl Cgroup {
    /// Those of this process that have a limit, from its own to the root's: each of them binds. `root` is `/`, or a test's.
    pub(super) fn limited(root: &Path) -> Vec<Self> {
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

    fn along(mount: &Path, path: &str, names: Names) -> Vec<Self> {
        // In a container the path may be the host's, which is not there; the mount itself is then the container's own cgroup.
        let own = mount.join(path.trim_start_matches('/'));
        let groups = own.ancestors().take_while(|group| group.starts_with(mount));
        let limited = groups.filter_map(|group| {
            // "max" is no number; a number beyond any machine is no limit either, but such a part of it that it never matters.
            let limit_bytes = number(&group.join(names[0]))?;
            Some(Self { directory: group.to_owned(), names, limit_bytes })
        });
        limited.collect()
    }

    /// What it may hold, in bytes.
    pub(super) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// What it holds, without what the kernel takes back by itself, in bytes. The limit is read again: it may be changed meanwhile.
    pub(super) fn read(&mut self) -> Option<u64> {
        self.limit_bytes = number(&self.directory.join(self.names[0])).unwrap_or(u64::MAX);
        let current = number(&self.directory.join(self.names[1]))?;
        let stat = fs::read_to_string(self.directory.join("memory.stat")).unwrap_or_default();
        let inactive = stat.lines().find_map(|line| line.strip_prefix(self.names[2])?.trim().parse::<u64>().ok());
        Some(current.saturating_sub(inactive.unwrap_or(0)))
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
