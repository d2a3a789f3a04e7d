//! What the server may use of the memory, and whether its limits fit into that.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use staunch_engine::Limits;

use crate::config::{Origin, Setting};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::bytes;

/// So much memory may be used, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// How much, in bytes.
    pub(super) bytes: u64,
    /// Who says so.
    pub(super) by: String,
}

/// Finds out: the configuration, else the tightest of this process's cgroups, else the machine. `root` is `/`, or a test's.
pub(super) fn grant(configured: &Setting<Option<u64>>, root: &Path) -> Option<Grant> {
    if let Setting { value: Some(bytes), origin } = configured {
        let by = if *origin == Origin::Default { "memory_bytes".to_owned() } else { format!("memory_bytes, {origin}") };
        return Some(Grant { bytes: *bytes, by });
    }
    let machine = machine(root).map(|bytes| Grant { bytes, by: "the machine's memory".to_owned() });
    // A cgroup without a limit reads as a number beyond any machine in version 1.
    let cgroup = cgroup(root).filter(|cgroup| machine.as_ref().is_none_or(|machine| cgroup.bytes < machine.bytes));
    cgroup.or(machine)
}

/// The limits' sum, a line a holder, checked against the grant.
pub(super) fn check(limits: &Limits, grant: Option<&Grant>) -> Result<String, Failure> {
    let sum = limits.memory_bytes_max();
    let mut text = String::new();
    // Writing to a string never fails.
    for (holder, most) in limits.memory() {
        writeln!(text, "{:>12}  {holder}", bytes(most)).unwrap_or_default();
    }
    let Some(grant) = grant else {
        write!(text, "{:>12}  in all", bytes(sum)).unwrap_or_default();
        return Ok(text);
    };
    write!(text, "{:>12}  in all, of {} ({})", bytes(sum), bytes(grant.bytes), grant.by).unwrap_or_default();
    if sum > grant.bytes {
        let message = format!("the limits sum to more memory than there is:\n{text}");
        return Err(Failure::new(Exit::Refused, message).hint("lower some under [limits], or raise memory_bytes"));
    }
    Ok(text)
}

fn machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The tightest limit from this process's cgroup up to the root: each of them binds.
fn cgroup(root: &Path) -> Option<Grant> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let limits = text.lines().filter_map(|line| {
        // `0::/path` in version 2, `5:memory:/path` in version 1 (cgroups(7)).
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        match controllers {
            "" => tightest(&root.join("sys/fs/cgroup"), path, &["memory.max", "memory.high"]),
            other if other.split(',').any(|name| name == "memory") => {
                tightest(&root.join("sys/fs/cgroup/memory"), path, &["memory.limit_in_bytes"])
            }
            _ => None,
        }
    });
    limits.min().map(|bytes| Grant { bytes, by: "the cgroup's limit".to_owned() })
}

fn tightest(mount: &Path, path: &str, files: &[&str]) -> Option<u64> {
    // In a container the path may be the host's, which is not there; the mount itself is then the container's own cgroup.
    let own = mount.join(path.trim_start_matches('/'));
    let groups = own.ancestors().take_while(|group| group.starts_with(mount));
    let files = groups.flat_map(|group| files.iter().map(|file| group.join(file)));
    files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()).min()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn root(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        let path = directory.path().to_owned();
        (directory, path)
    }

    fn unset() -> Setting<Option<u64>> {
        Setting { value: None, origin: Origin::Default }
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:        8000000 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_configuration_comes_first() {
        let (_kept, root) = root(&[MEMINFO]);
        let configured = Setting { value: Some(5), origin: Origin::Flag("--x") };
        assert_eq!(grant(&configured, &root).expect("granted").bytes, 5);
    }

    #[test]
    fn the_tightest_cgroup_above_counts() {
        let (_kept, root) = root(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/memory.max", "3000\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
        ]);
        assert_eq!(grant(&unset(), &root), Some(Grant { bytes: 3000, by: "the cgroup's limit".to_owned() }));
    }

    #[test]
    fn where_the_kernel_slows_down_is_a_limit_too() {
        let of = |max, high| {
            let group = ("proc/self/cgroup", "0::/a\n");
            let (_kept, root) =
                root(&[MEMINFO, group, ("sys/fs/cgroup/a/memory.max", max), ("sys/fs/cgroup/a/memory.high", high)]);
            grant(&unset(), &root).expect("granted").bytes
        };
        assert_eq!([of("3000\n", "2000\n"), of("3000\n", "4000\n"), of("max\n", "2000\n")], [2000, 3000, 2000]);
    }

    #[test]
    fn version_1_and_a_container_whose_path_is_the_hosts() {
        let (_kept, root) = root(&[
            MEMINFO,
            ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "4096\n"),
        ]);
        assert_eq!(grant(&unset(), &root).expect("granted").bytes, 4096);
    }

    #[test]
    fn no_cgroup_or_one_beyond_the_machine_leaves_the_machine() {
        let machine = Some(Grant { bytes: 8_000_000 << 10, by: "the machine's memory".to_owned() });
        let (_kept, plain) = root(&[MEMINFO]);
        assert_eq!(grant(&unset(), &plain), machine);
        let unlimited = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        let (_kept, huge) = root(&[MEMINFO, ("proc/self/cgroup", "4:memory:/\n"), unlimited]);
        assert_eq!(grant(&unset(), &huge), machine);
        let (_kept, nothing) = root(&[]);
        assert_eq!(grant(&unset(), &nothing), None);
    }

    #[test]
    fn limits_below_at_and_over_the_grant() {
        let limits = Limits::default();
        let sum = limits.memory_bytes_max();
        let checked = |bytes| check(&limits, Some(&Grant { bytes, by: "a test".to_owned() }));
        assert!(checked(sum + 1).is_ok());
        assert!(checked(sum).is_ok());
        let refused = checked(sum - 1).expect_err("refused");
        assert_eq!(refused.exit, Exit::Refused);
        // A line a holder, so that the reader sees what to lower.
        assert_eq!(refused.message.lines().count(), limits.memory().len() + 2);
    }
}
