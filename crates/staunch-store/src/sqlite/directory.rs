//! The data directory: one process at a time, on a disk of this machine, with room.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use staunch_bounded::fault_point;

use crate::error::StoreError;
use crate::fault::at;

/// How long an answer about free space is believed.
const FLOOR_CACHE: Duration = Duration::from_millis(500);

/// A server that was killed a moment ago may still be held by a child that it was just starting, which has a copy of every open
/// file until it is its own program. Its successor waits so long before it believes that the server lives.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// File systems on which locks or shared memory do not work across machines (statfs(2)).
const NETWORK: [(i64, &str); 8] = [
    (0x6969, "NFS"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x517B, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x00C3_6400, "Ceph"),
    (0x5346_414F, "AFS"),
];

/// A data directory held by this process, until it is released or dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Device and inode of the lock file.
    place: (u64, u64),
    free_min: u64,
    /// When free space was last looked up, and whether it was enough. Held for a statvfs(2) at most.
    room: Mutex<Option<(Instant, Option<u64>)>>,
    /// Keeps the flock(2); `None` once released.
    lock: Mutex<Option<File>>,
}

impl Directory {
    /// Makes `path` if need be and locks it. `free_min` is the floor of free bytes on its disk.
    ///
    /// # Errors
    /// Another process holds it; it cannot be written; it is on a network file system and `force` is not set.
    pub(super) fn hold(path: &Path, free_min: u64, force: bool) -> Result<Self, StoreError> {
        let refused = |what: &str, error: &dyn std::fmt::Display| {
            StoreError::DataDirectory(format!("the data directory {} cannot be {what}: {error}", path.display()))
        };
        // For its user alone: hashes of passwords are in it.
        at("store.directory.make", || DirBuilder::new().recursive(true).mode(0o700).create(path))
            .map_err(|error| refused("made", &error))?;
        if !force {
            refuse_network(path)?;
        }
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join("lock"));
        let mut lock = at("store.directory.open", open).map_err(|error| refused("written", &error))?;
        fault_point!("store.directory.lock").map_err(|fault| refused("locked", &fault))?;
        let patient_until = Instant::now() + LOCK_PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < patient_until => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::WouldBlock) => return Err(held(path, &mut lock)),
                Err(TryLockError::Error(error)) => return Err(refused("locked", &error)),
            }
        }
        // The pid only serves the message above; the lock is what counts.
        at("store.directory.pid", || {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        })
        .map_err(|error| refused("written", &error))?;
        let about = at("store.directory.about", || lock.metadata()).map_err(|error| refused("read", &error))?;
        let place = (about.dev(), about.ino());
        Ok(Self { path: path.to_path_buf(), place, free_min, room: Mutex::new(None), lock: Mutex::new(Some(lock)) })
    }

    /// Lets another process have it. Only when nothing here is used any more.
    pub(super) fn release(&self) {
        // Poison is impossible to meet: nothing panics while this is held.
        drop(self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
    }

    /// The database's file.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("staunch.db")
    }

    /// The write-ahead log's file.
    pub(super) fn wal(&self) -> PathBuf {
        self.path.join("staunch.db-wal")
    }

    /// Whether what is accepted now will be found again: SQLite goes on in a file that nobody can open any more after it was
    /// removed or moved away, and says nothing. One stat(2).
    ///
    /// # Errors
    /// The directory was removed, moved or replaced since it was locked.
    pub(super) fn is_there(&self) -> Result<(), StoreError> {
        let about = at("store.directory.look", || fs::metadata(self.path.join("lock")));
        let place = about.map(|about| (about.dev(), about.ino()));
        if place.is_ok_and(|place| place == self.place) {
            return Ok(());
        }
        Err(StoreError::DataDirectory(format!(
            "the data directory {} was removed, moved or replaced while the server runs: put it back, or stop the server",
            self.path.display()
        )))
    }

    /// Whether the disk is above its floor; the answer may be half a second old.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn above_floor(&self) -> Result<(), StoreError> {
        if self.free_min == 0 {
            return Ok(());
        }
        let now = Instant::now();
        // A poisoned lock only means that a thread died in statvfs: the value is replaced whole.
        let mut room = self.room.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let free = match *room {
            Some((at, free)) if now.duration_since(at) < FLOOR_CACHE => free,
            _ => {
                let free = self.free(matches!(*room, Some((_, None))));
                *room = Some((now, free));
                free
            }
        };
        match free {
            Some(free) if free < self.free_min => Err(StoreError::NoSpace(format!(
                "{free} bytes are free on the disk of {}, and {} are to stay free",
                self.path.display(),
                self.free_min
            ))),
            _ => Ok(()),
        }
    }

    /// Free bytes; `None` if the system does not say, which is told unless it was `known` already. Nobody is refused for that: what
    /// does not fit is refused when it is written.
    fn free(&self, known: bool) -> Option<u64> {
        let about = at("store.directory.free", || Ok(rustix::fs::statvfs(&self.path)?));
        if let (Err(error), false) = (&about, known) {
            let path = self.path.display();
            tracing::warn!(%error, "how much is free on the disk of {path} cannot be told; its floor is not kept");
        }
        about.ok().map(|about| about.f_bavail.saturating_mul(about.f_frsize))
    }
}

fn held(path: &Path, lock: &mut File) -> StoreError {
    let mut pid = String::new();
    // Whoever holds the lock wrote its pid; if that cannot be read, the message does without.
    let known = lock.take(20).read_to_string(&mut pid).is_ok() && pid.trim().parse::<u32>().is_ok();
    let by = if known { format!("process {}", pid.trim()) } else { "another process".to_owned() };
    StoreError::DataDirectory(format!(
        "the data directory {} is in use by {by}: stop it, or choose another directory with --data",
        path.display()
    ))
}

fn refuse_network(path: &Path) -> Result<(), StoreError> {
    let kind = rustix::fs::statfs(path).map(|stat| stat.f_type);
    match kind.ok().and_then(network_name) {
        Some(name) => Err(StoreError::DataDirectory(format!(
            "the data directory {} is on a network file system ({name}), where a database can be destroyed: choose a local disk",
            path.display()
        ))),
        None => Ok(()),
    }
}

fn network_name(kind: impl Into<i64>) -> Option<&'static str> {
    let kind = kind.into();
    NETWORK.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use staunch_leak::fault::{Manners, all_faults_then};

    use super::{Directory, network_name};
    use crate::StoreError;

    #[test]
    fn a_held_directory_is_refused_with_the_pid_and_free_after_drop() {
        let place = tempfile::tempdir().unwrap();
        let held = Directory::hold(place.path(), 0, false).unwrap();
        let refused = Directory::hold(place.path(), 0, false).unwrap_err().to_string();
        assert!(refused.contains(&format!("in use by process {}", std::process::id())), "{refused}");
        drop(held);
        Directory::hold(place.path(), 0, false).unwrap();
    }

    #[test]
    fn a_directory_that_is_removed_moved_or_replaced_is_told() {
        let root = tempfile::tempdir().unwrap();
        let (path, aside) = (root.path().join("data"), root.path().join("aside"));
        let held = Directory::hold(&path, 0, false).unwrap();
        held.is_there().unwrap();
        std::fs::rename(&path, &aside).unwrap();
        let refused = held.is_there().unwrap_err();
        assert!(matches!(&refused, StoreError::DataDirectory(text) if text.contains("data was removed")), "{refused}");
        let other = Directory::hold(&path, 0, false).unwrap();
        other.is_there().unwrap();
        held.is_there().unwrap_err();
        std::fs::remove_dir_all(&path).unwrap();
        other.is_there().unwrap_err();
        std::fs::rename(&aside, &path).unwrap();
        held.is_there().unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = Directory::hold(&file.join("below"), 0, false).unwrap_err();
        assert!(matches!(&refused, StoreError::DataDirectory(text) if text.contains("below")), "{refused}");
    }

    staunch_leak::alone! {
        /// Whatever fails, the directory is nobody's afterwards; if free space cannot be told, that is known, and nobody is refused.
        fn ground_g5_a_directory_that_cannot_be_held_is_free() {
            std::panic::set_hook(Box::new(|_| {}));
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("data");
            let scenario = || {
                let held = Directory::hold(&path, 1, false)?;
                held.is_there()?;
                held.above_floor()?;
                let told = matches!(*held.room.lock().unwrap(), Some((_, None)));
                if told { Err(StoreError::NoSpace("not known".to_owned())) } else { Ok(()) }
            };
            let check = || Directory::hold(&path, 1, false).unwrap().above_floor().unwrap();
            let options = staunch_leak::Options::default().files_under(place.path());
            let swept = all_faults_then(&options, Manners::default(), scenario, check);
            assert_eq!(swept.unwrap_or_else(|broken| panic!("{broken}")).points, 7);
        }
    }

    #[test]
    fn network_file_systems_are_known_by_their_magic() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0x6573_5546), Some("FUSE"));
        assert_eq!(network_name(0xEF53), None, "ext4");
    }

    #[test]
    fn the_floor_is_refused_below_and_taken_above() {
        let place = tempfile::tempdir().unwrap();
        Directory::hold(place.path(), 1, false).unwrap().above_floor().unwrap();
        let starved = Directory::hold(place.path(), u64::MAX, false).unwrap();
        assert!(matches!(starved.above_floor(), Err(StoreError::NoSpace(_))));
    }
}
