//! The heap profiles that are kept, a few files in the data directory.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use staunch_leak::watch::State;

use super::high_water::{HighWater, Reason};
use super::{Lookout, lock};
use crate::allocator::{Allocator, Grown};
use crate::app::App;

/// Files that are kept: the base, and the newest others.
const FILES_MAX: usize = 5;
/// Sites of growth that the log names.
const SITES_MAX: usize = 5;
/// What a profile is called until it is whole.
const PART: &str = ".heap.part";

/// A profile that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The name of its file: `heap-SECONDS-REASON.pb.gz`, so that names are in the order of time.
    pub(crate) file: String,
    /// Its size.
    pub(crate) bytes: u64,
}

/// All that are kept, and when the next is due.
#[derive(Debug)]
pub(super) struct Profiles {
    high: Mutex<HighWater>,
    shelf: Option<Arc<Shelf>>,
}

/// The directory.
#[derive(Debug)]
struct Shelf {
    directory: PathBuf,
    /// By name, so by age.
    // Held to copy or change a few names, never while a file is read or written: handlers ask for it.
    all: Mutex<Vec<Kept>>,
    /// What this process's profiles are compared with.
    // Held while a profile is taken and written: one thread writes.
    base: Mutex<Option<String>>,
}

impl Profiles {
    /// What is in the directory already counts too. Blocking, once.
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        let shelf = directory.map(|directory| Arc::new(Shelf::new(directory)));
        Self { high: Mutex::default(), shelf }
    }

    /// Those that are kept, the newest first.
    pub(super) fn kept(&self) -> Vec<Kept> {
        self.shelf.iter().flat_map(|shelf| lock(&shelf.all).clone()).rev().collect()
    }
}

impl Kept {
    /// Why it was taken.
    pub(crate) fn reason(&self) -> &str {
        self.file.trim_end_matches(".pb.gz").rsplit('-').next().unwrap_or_default()
    }
}

impl Lookout {
    /// Takes a profile if one is due, and says in the log which sites grew since the base.
    pub(super) async fn profile(&self, app: &App) {
        let (Some(take), Some(shelf)) = (self.allocator.profile, &self.profiles.shelf) else { return };
        let (live, grows) = self.memory_seen();
        let Some(live) = live else { return };
        let at = self.hurried(self.began.elapsed());
        let Some(reason) = lock(&self.profiles.high).due(at, live, grows) else { return };
        let (shelf, Allocator { grown, .. }) = (Arc::clone(shelf), self.allocator);
        let taken = app.engine.tasks().blocking(move || shelf.keep(reason, take, grown)).await;
        match taken {
            Some(Ok(_)) => lock(&self.profiles.high).kept(reason, at, live, grows),
            _ => lock(&self.profiles.high).failed(at),
        }
        match taken {
            Some(Ok((file, sites))) if reason != Reason::Base => {
                tracing::warn!(
                    live_bytes = live,
                    file,
                    reason = reason.word(),
                    sites = sites.join("; "),
                    "a heap profile was kept; what grew since the base:"
                );
            }
            Some(Ok((file, _))) => tracing::info!(file, "a heap profile was kept to compare later ones with"),
            Some(Err(error)) => tracing::warn!("a heap profile could not be kept: {error}"),
            None => {}
        }
    }
}

impl Lookout {
    /// Live bytes at the last census, and whether what nothing answers for grows by the last verdict. A store that fills is no reason.
    fn memory_seen(&self) -> (Option<u64>, bool) {
        let seen = self.seen_now();
        let grows =
            seen.verdicts.iter().any(|verdict| verdict.name == "unattributed" && verdict.state >= State::Growing);
        (seen.live_bytes, grows)
    }
}

impl Shelf {
    fn new(directory: PathBuf) -> Self {
        // Of a process that was killed; usually there is none.
        fs::remove_file(directory.join(PART)).unwrap_or_default();
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        let mut all: Vec<Kept> = entries
            .filter_map(|entry| {
                let file = entry.file_name().into_string().ok()?;
                let ours = file.starts_with("heap-") && file.ends_with(".pb.gz");
                Some(Kept { bytes: entry.metadata().ok()?.len(), file }).filter(|_| ours)
            })
            .collect();
        all.sort_by(|a, b| a.file.cmp(&b.file));
        Self { directory, all: Mutex::new(all), base: Mutex::default() }
    }

    /// Takes a profile and keeps it; its file, and which sites grew since the base. Blocking.
    fn keep(
        &self,
        reason: Reason,
        take: fn() -> io::Result<Vec<u8>>,
        grown: Option<Grown>,
    ) -> io::Result<(String, Vec<String>)> {
        let mut base = lock(&self.base);
        let profile = take()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        // Names grow even if the clock does not.
        let newest = lock(&self.all).last().and_then(|kept| kept.file.split('-').nth(1)?.parse::<u64>().ok());
        let number = newest.map_or(now, |newest| now.max(newest + 1));
        let file = format!("heap-{number:010}-{}.pb.gz", reason.word());
        write(&self.directory, &file, &profile)?;
        lock(&self.all).push(Kept { file: file.clone(), bytes: profile.len() as u64 });
        if reason == Reason::Base {
            *base = Some(file.clone());
        }
        // First of all: the bound holds whatever becomes of the comparison.
        self.forget(base.as_deref());
        let sites = match grown {
            Some(grown) if reason != Reason::Base => self.compare(&mut base, &profile, grown),
            _ => Vec::new(),
        };
        Ok((file, sites))
    }

    /// Which sites grew since the base; none if there is no base, or they cannot be compared. A base that cannot be read is none from
    /// now on.
    fn compare(&self, base: &mut Option<String>, profile: &[u8], grown: Grown) -> Vec<String> {
        let Some(file) = base.as_deref() else { return Vec::new() };
        let before = match fs::read(self.directory.join(file)) {
            Ok(before) => before,
            Err(error) => {
                tracing::warn!(file, "the heap profile to compare with cannot be read: {error}");
                *base = None;
                return Vec::new();
            }
        };
        let sites = grown(&before, profile, SITES_MAX);
        sites.unwrap_or_else(|error| {
            tracing::warn!(file, "a heap profile cannot be compared with this one: {error}");
            Vec::new()
        })
    }

    /// Removes the oldest beyond the bound, but not the base of this life.
    fn forget(&self, base: Option<&str>) {
        loop {
            let gone = {
                let mut all = lock(&self.all);
                let oldest = all.iter().position(|kept| base != Some(&kept.file));
                match oldest {
                    Some(oldest) if all.len() > FILES_MAX => all.remove(oldest),
                    _ => return,
                }
            };
            match fs::remove_file(self.directory.join(&gone.file)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(file = gone.file, "an old heap profile stays: {error}");
                }
                _ => {}
            }
        }
    }
}

/// Writes a file that is there whole or not at all, for the eyes of the server's user only.
fn write(directory: &Path, file: &str, bytes: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let part = directory.join(PART);
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)
        .and_then(|mut open| open.write_all(bytes))
        .and_then(|()| fs::rename(&part, directory.join(file)));
    if written.is_err() {
        fs::remove_file(&part).unwrap_or_default();
    }
    written
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Barrier, mpsc};
    use std::thread;

    use super::*;

    fn names(shelf: &Shelf) -> Vec<String> {
        let mut found: Vec<_> = fs::read_dir(&shelf.directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        found
    }

    #[test]
    fn the_base_and_the_newest_four_stay() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(directory.path().join("profiles"));
        let take = || Ok(b"profile".to_vec());
        let (base, sites) = shelf.keep(Reason::Base, take, None).unwrap();
        assert!(base.ends_with("-base.pb.gz") && sites.is_empty(), "{base}");
        let others: Vec<_> = (0..9).map(|_| shelf.keep(Reason::HighWater, take, None).unwrap().0).collect();
        let kept = [&[base][..], &others[5..]].concat();
        assert_eq!(names(&shelf), kept);
        let mode = fs::metadata(shelf.directory.join(&kept[0])).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // The next life counts them, and has a base of its own.
        let next = Shelf::new(shelf.directory.clone());
        assert_eq!(lock(&next.all).len(), FILES_MAX);
        let (base, _) = next.keep(Reason::Base, take, None).unwrap();
        assert_eq!(names(&next), [&others[5..], &[base]].concat());
    }

    #[test]
    fn growth_is_told_against_the_base() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(directory.path().to_owned());
        let grown: Grown = |base, now, lines_max| Ok(vec![format!("{base:?} {now:?} {lines_max}")]);
        shelf.keep(Reason::Base, || Ok(vec![1]), Some(grown)).unwrap();
        let (file, sites) = shelf.keep(Reason::Growing, || Ok(vec![2]), Some(grown)).unwrap();
        assert_eq!(sites, ["[1] [2] 5"]);
        assert_eq!(Kept { file, bytes: 1 }.reason(), "growing");
    }

    #[test]
    fn what_cannot_be_compared_is_kept_and_bounded_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(directory.path().to_owned());
        let take = || Ok(vec![1]);
        let fails: Grown = |_, _, _| Err(io::Error::other("no profile"));
        let (base, _) = shelf.keep(Reason::Base, take, Some(fails)).unwrap();
        for _ in 0..2 * FILES_MAX {
            let (_, sites) = shelf.keep(Reason::HighWater, take, Some(fails)).unwrap();
            assert!(sites.is_empty());
        }
        assert_eq!((names(&shelf).len(), &names(&shelf)[0]), (FILES_MAX, &base));
        // A base that is gone is none, and keeps no place.
        fs::remove_file(directory.path().join(base)).unwrap();
        let grown: Grown = |_, _, _| Ok(vec!["a site".to_owned()]);
        for _ in 0..2 * FILES_MAX {
            let (_, sites) = shelf.keep(Reason::HighWater, take, Some(grown)).unwrap();
            assert!(sites.is_empty());
        }
        assert_eq!((names(&shelf).len(), lock(&shelf.all).len()), (FILES_MAX, FILES_MAX));
    }

    #[test]
    fn whoever_asks_does_not_wait_for_a_profile_to_be_taken() {
        static TAKING: Barrier = Barrier::new(2);
        let directory = tempfile::tempdir().unwrap();
        let profiles = Arc::new(Profiles::new(Some(directory.path().to_owned())));
        let shelf = Arc::clone(profiles.shelf.as_ref().unwrap());
        let take = || {
            // Once it has begun, and again to go on.
            TAKING.wait();
            TAKING.wait();
            Ok(vec![1])
        };
        let keeps = thread::spawn(move || shelf.keep(Reason::Base, take, None).unwrap());
        TAKING.wait();
        let (told, answer) = mpsc::sync_channel(1);
        let asked = Arc::clone(&profiles);
        let asks = thread::spawn(move || told.send(asked.kept().len()).unwrap());
        let kept = answer.recv_timeout(Duration::from_secs(20));
        TAKING.wait();
        keeps.join().unwrap();
        asks.join().unwrap();
        assert_eq!((kept, profiles.kept().len()), (Ok(0), 1));
    }

    #[test]
    fn what_fails_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(directory.path().to_owned());
        let failed = shelf.keep(Reason::Growing, || Err(io::Error::other("no")), None);
        assert!(failed.is_err() && names(&shelf).is_empty());
        // What a killed process left is gone at the next start.
        fs::write(directory.path().join(PART), "half").unwrap();
        Shelf::new(directory.path().to_owned());
        assert!(names(&shelf).is_empty());
        // A directory that is none.
        let blocked = Shelf::new(directory.path().join("file"));
        fs::write(directory.path().join("file"), "").unwrap();
        assert!(blocked.keep(Reason::Base, || Ok(vec![1]), None).is_err());
        assert!(lock(&blocked.all).is_empty());
    }
}
