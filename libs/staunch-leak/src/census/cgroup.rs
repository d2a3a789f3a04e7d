//! What the process's cgroup may use of memory, and what happened when it wanted more. Version 2 only.

use std::fs;
use std::path::{Path, PathBuf};

use super::pressure::Pressure;

/// The cgroup that this process is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    directory: PathBuf,
}

/// Its memory.
///
/// ```
/// use staunch_leak::census::{Cgroup, GroupMemory};
/// let root = std::path::Path::new("/");
/// // On a machine without version 2, or outside of any group, there is none.
/// let memory: Option<GroupMemory> = Cgroup::of_process(root).and_then(|group| group.memory());
/// assert!(memory.is_none_or(|memory| memory.current > 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupMemory {
    /// Bytes used now, the page cache of its files included.
    pub current: u64,
    /// Bytes above which the kernel kills; `None` if there is no such bound.
    pub max: Option<u64>,
    /// Bytes above which the kernel slows down; `None` if there is no such bound.
    pub high: Option<u64>,
    /// What happened at the bounds, since the group was made.
    pub events: GroupEvents,
}

/// What happened in a group, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupEvents {
    /// It was reclaimed below its protection.
    pub low: u64,
    /// It was slowed down at `memory.high`.
    pub high: u64,
    /// It was about to exceed `memory.max`.
    pub max: u64,
    /// An allocation was about to fail there.
    pub oom: u64,
    /// A process of it was killed for that.
    pub oom_kill: u64,
}

impl GroupEvents {
    /// Each by its name in `memory.events`.
    pub const fn named(&self) -> [(&'static str, u64); 5] {
        [("low", self.low), ("high", self.high), ("max", self.max), ("oom", self.oom), ("oom_kill", self.oom_kill)]
    }
}

impl Cgroup {
    /// The group of this process, by what is mounted under `root` (`/`, but for tests). `None` if there is no version 2, or the
    /// process is in its root, which accounts for nothing.
    pub fn of_process(root: &Path) -> Option<Self> {
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
        let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let mounts = ["sys/fs/cgroup", "sys/fs/cgroup/unified"].map(|mount| root.join(mount));
        // In a container the path may be the host's, which is not there; the mount itself is then the container's own group.
        let places = mounts.iter().flat_map(|mount| [mount.join(path), mount.clone()]);
        let directory = places.into_iter().find(|place| place.join("memory.current").is_file())?;
        Some(Self { directory })
    }

    /// Its memory now, from four small files. `None` if they cannot be read any more.
    pub fn memory(&self) -> Option<GroupMemory> {
        let number = |name: &str| self.text(name)?.trim().parse::<u64>().ok();
        let events = self.text("memory.events").unwrap_or_default();
        let event = |name: &str| {
            let mut lines = events.lines().filter_map(|line| line.split_once(' '));
            lines.find(|(found, _)| *found == name).and_then(|(_, count)| count.parse().ok()).unwrap_or(0)
        };
        Some(GroupMemory {
            current: number("memory.current")?,
            max: number("memory.max"),
            high: number("memory.high"),
            events: GroupEvents {
                low: event("low"),
                high: event("high"),
                max: event("max"),
                oom: event("oom"),
                oom_kill: event("oom_kill"),
            },
        })
    }

    /// How long its processes waited for memory.
    pub fn pressure(&self) -> Option<Pressure> {
        Pressure::read(&self.directory.join("memory.pressure"))
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.directory.join(name)).ok()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A machine with these files, in a directory that goes with it.
    struct Machine(PathBuf);

    impl Machine {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("staunch-cgroup-{}-{name}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_group_is_found_and_read() {
        let machine = Machine::new(
            "whole",
            &[
                ("proc/self/cgroup", "3:cpu:/x\n0::/system.slice/staunch.service\n"),
                ("sys/fs/cgroup/system.slice/staunch.service/memory.current", "1000\n"),
                ("sys/fs/cgroup/system.slice/staunch.service/memory.max", "2000\n"),
                ("sys/fs/cgroup/system.slice/staunch.service/memory.high", "max\n"),
                (
                    "sys/fs/cgroup/system.slice/staunch.service/memory.events",
                    "low 0\nhigh 4\nmax 3\noom 2\noom_kill 1\n",
                ),
            ],
        );
        let memory = Cgroup::of_process(&machine.0).unwrap().memory().unwrap();
        let events = GroupEvents { low: 0, high: 4, max: 3, oom: 2, oom_kill: 1 };
        assert_eq!(memory, GroupMemory { current: 1_000, max: Some(2_000), high: None, events });
        assert_eq!(events.named().map(|(name, _)| name), ["low", "high", "max", "oom", "oom_kill"]);
    }

    #[test]
    fn a_container_whose_path_is_the_hosts_and_a_hybrid_are_found_too() {
        let inside = ("proc/self/cgroup", "0::/docker/abc\n");
        let container = Machine::new("container", &[inside, ("sys/fs/cgroup/memory.current", "7\n")]);
        assert_eq!(Cgroup::of_process(&container.0).unwrap().memory().unwrap().current, 7);
        let hybrid = Machine::new("hybrid", &[inside, ("sys/fs/cgroup/unified/docker/abc/memory.current", "8\n")]);
        assert_eq!(Cgroup::of_process(&hybrid.0).unwrap().memory().unwrap().current, 8);
    }

    #[test]
    fn the_root_and_version_1_have_none() {
        let root = Machine::new("root", &[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/cgroup.procs", "1\n")]);
        assert_eq!(Cgroup::of_process(&root.0), None);
        let old = Machine::new("old", &[("proc/self/cgroup", "4:memory:/x\n")]);
        assert_eq!(Cgroup::of_process(&old.0), None);
    }
}
