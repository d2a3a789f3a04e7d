//! Temporary directories of our own, and what is left of them after a kill.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use staunch_bounded::fault_point;
use tempfile::TempDir;

use crate::failure::Failure;

/// A directory younger than this is let be: its owner may be about to lock it.
const YOUNG: Duration = Duration::from_secs(60);

/// Entries of the directory of all temporary files that are looked at.
const LOOKED_AT_MAX: usize = 10_000;

/// Makes a temporary directory. On the way it removes those with the same prefix whose owner was killed, so that a machine on which
/// many runs are killed does not fill up.
pub(crate) fn temporary(prefix: &str) -> Result<TempDir, Failure> {
    let all = std::env::temp_dir();
    let made = fault_point!("serve.temporary").map_err(std::io::Error::from);
    let made = made.and_then(|()| tempfile::Builder::new().prefix(prefix).tempdir_in(&all));
    let made = made.map_err(|error| Failure::file("make a directory in", &all, &error))?;
    if let Ok(own) = fs::symlink_metadata(made.path()) {
        sweep(&all, prefix, &own);
    }
    Ok(made)
}

/// Removes what nobody holds. What cannot be looked at or removed stays for the next time: this is a courtesy.
fn sweep(all: &Path, prefix: &str, own: &Metadata) {
    let Ok(entries) = fs::read_dir(all) else { return };
    let ours = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(prefix.as_bytes());
    for entry in entries.take(LOOKED_AT_MAX).flatten().filter(|entry| ours(&entry.file_name())) {
        if is_left(&entry.path(), own) {
            fs::remove_dir_all(entry.path()).unwrap_or_default();
        }
    }
}

/// Whether a directory is one of this user's, is not young, and has a lock that nobody holds.
fn is_left(path: &Path, own: &Metadata) -> bool {
    // Not followed: somebody else may have put a link there.
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok());
    let old = age.is_some_and(|age| age >= YOUNG);
    let mine = metadata.is_dir() && metadata.uid() == own.uid();
    // The store's lock file; its lock goes with the process that held it.
    old && mine && File::open(path.join("lock")).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// A directory as a killed process leaves it; its lock, to be held or not.
    fn left(all: &Path, name: &str, age: Duration) -> File {
        let path = all.join(name);
        fs::create_dir(&path).expect("made");
        let lock = File::create(path.join("lock")).expect("made");
        File::open(&path).and_then(|path| path.set_modified(SystemTime::now() - age)).expect("aged");
        lock
    }

    #[test]
    fn only_what_is_old_ours_and_held_by_nobody_goes() {
        let all = tempfile::tempdir().expect("a directory");
        let own = fs::symlink_metadata(all.path()).expect("there");
        drop(left(all.path(), "p-left", 2 * YOUNG));
        drop(left(all.path(), "p-young", YOUNG / 2));
        drop(left(all.path(), "q-other", 2 * YOUNG));
        let held = left(all.path(), "p-held", 2 * YOUNG);
        held.lock().expect("locked");
        fs::create_dir(all.path().join("p-unlocked")).expect("made");
        std::os::unix::fs::symlink(all.path().join("q-other"), all.path().join("p-link")).expect("linked");
        sweep(all.path(), "p-", &own);
        let mut names: Vec<_> =
            fs::read_dir(all.path()).expect("read").map(|entry| entry.expect("read").file_name()).collect();
        names.sort();
        assert_eq!(names, ["p-held", "p-link", "p-unlocked", "p-young", "q-other"]);
        drop(held);
        sweep(all.path(), "p-", &own);
        assert!(!all.path().join("p-held").exists());
    }
}
