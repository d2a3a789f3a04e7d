//! What costs more than a census: rows, files, room on the disk. Looked at less often.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use staunch_bounded::fault_point;
use staunch_store::{AccountUsage, Usage};
use tokio::sync::OwnedSemaphorePermit;

use super::Lookout;
use crate::app::App;
use crate::patience::in_time;

/// Entries of the work directory that are counted at most: a step may unpack a million files, and counting them all would tell no more.
const FILES_MAX: u64 = 20_000;
/// Homes that were put aside for the next run: a bounded supply, not something that was left.
const SPARE: &str = ".spare";

/// What was seen at the last look.
#[derive(Clone, Debug)]
pub(crate) struct Rare {
    /// Since the lookout began.
    pub(crate) at: Duration,
    /// How long the look took.
    pub(crate) took: Duration,
    /// Runs and their bytes.
    pub(crate) usage: Option<Usage>,
    /// Users and what belongs to them.
    pub(crate) accounts: Option<AccountUsage>,
    /// Files of runs.
    pub(crate) temporary: Temporary,
    /// Bytes that the disk of the work directory has left for us.
    pub(crate) free_bytes: Option<u64>,
}

/// Files in the work directory: workspaces, temporary directories, output files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Temporary {
    /// Files and directories.
    pub(crate) files: u64,
    /// Bytes of the files.
    pub(crate) bytes: u64,
    /// Whether there are more.
    pub(crate) more: bool,
}

impl Rare {
    /// Looks. The `turn` goes with the walk over the files, so that a caller that is dropped does not let another begin meanwhile.
    pub(crate) async fn look(lookout: &Lookout, app: &App, turn: Option<OwnedSemaphorePermit>) -> Self {
        let began = Instant::now();
        let usage = in_time("the store's usage", app.engine.store().usage()).await;
        let accounts = in_time("the usage of accounts", app.auth.accounts.account_usage()).await;
        let work = app.engine.work_directory().to_owned();
        let walk = move || {
            // A test makes it take long here.
            let walked = match fault_point!("lookout.walk") {
                Ok(()) => (Temporary::under(&work), free_bytes(&work)),
                Err(_) => Default::default(),
            };
            drop(turn);
            walked
        };
        let (temporary, free_bytes) = app.engine.tasks().blocking(walk).await.unwrap_or_default();
        Self { at: lookout.began.elapsed(), took: began.elapsed(), usage, accounts, temporary, free_bytes }
    }

    /// Rows by kind.
    pub(crate) fn rows(&self) -> BTreeMap<String, u64> {
        let runs = self.usage.iter().flat_map(|usage| {
            let runs = usage.runs.iter().map(|(state, rows)| (format!("runs_{state}"), *rows));
            runs.chain([("attempts_in_flight".to_owned(), usage.attempts_in_flight)])
        });
        let accounts = self.accounts.iter().flat_map(|usage| {
            let AccountUsage { users, sessions, tokens, tickets, audit_rows } = *usage;
            [("users", users), ("sessions", sessions), ("tokens", tokens), ("tickets", tickets), ("audit", audit_rows)]
        });
        runs.chain(accounts.map(|(kind, rows)| (kind.to_owned(), rows))).collect()
    }

    /// All rows, if they could be counted.
    pub(super) fn rows_total(&self) -> Option<u64> {
        self.usage.as_ref().map(|_| self.rows().values().sum())
    }

    /// Files of runs, if no run is queued or running that they may belong to.
    pub(super) fn files_left(&self) -> Option<u64> {
        let runs = &self.usage.as_ref()?.runs;
        ["queued", "running"]
            .iter()
            .all(|state| runs.get(*state).is_none_or(|runs| *runs == 0))
            .then_some(self.temporary.files)
    }

    /// Bytes of the database, its write-ahead log and the logs.
    pub(super) fn disk_bytes(&self) -> Option<u64> {
        self.usage.as_ref().map(|usage| usage.database_bytes + usage.wal_bytes + usage.log_bytes)
    }
}

impl Temporary {
    /// Counts what is under a directory, links not followed. Blocking.
    fn under(directory: &Path) -> Self {
        let mut found = Self::default();
        let mut waiting = vec![directory.to_owned()];
        while let Some(next) = waiting.pop() {
            // It may be gone by now.
            let Ok(entries) = fs::read_dir(&next) else { continue };
            for entry in entries.flatten() {
                if found.files >= FILES_MAX {
                    return Self { more: true, ..found };
                }
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() && next == directory && entry.file_name() == SPARE {
                    continue;
                }
                found.files += 1;
                if kind.is_dir() {
                    waiting.push(entry.path());
                } else if kind.is_file() {
                    found.bytes += entry.metadata().map_or(0, |metadata| metadata.len());
                }
            }
        }
        found
    }
}

fn free_bytes(directory: &Path) -> Option<u64> {
    let room = rustix::fs::statvfs(directory).ok()?;
    Some(room.f_bavail.saturating_mul(room.f_frsize))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_but_not_those_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let of = |name: &str| directory.path().join(name);
        fs::create_dir_all(of("run/tmp/0")).unwrap();
        fs::create_dir_all(of(".spare/7/tmp/0")).unwrap();
        fs::write(of("run/tmp/0/x"), "12345").unwrap();
        std::os::unix::fs::symlink("/", of("run/root")).unwrap();
        // run, tmp, 0, x, root.
        assert_eq!(Temporary::under(directory.path()), Temporary { files: 5, bytes: 5, more: false });
        assert_eq!(Temporary::under(&of("nowhere")), Temporary::default());
        assert!(free_bytes(directory.path()).unwrap() > 0);
    }

    #[test]
    fn files_are_judged_only_while_no_run_is_open() {
        let left = |runs: &[(&str, u64)]| {
            let runs = runs.iter().map(|(state, rows)| ((*state).to_owned(), *rows)).collect();
            let usage = Some(Usage { runs, ..Usage::default() });
            let temporary = Temporary { files: 3, ..Temporary::default() };
            let (at, took) = (Duration::ZERO, Duration::ZERO);
            Rare { at, took, usage, accounts: None, temporary, free_bytes: None }.files_left()
        };
        assert_eq!([left(&[]), left(&[("ended", 9)]), left(&[("queued", 0), ("running", 0)])], [Some(3); 3]);
        assert_eq!([left(&[("queued", 1)]), left(&[("running", 1)])], [None; 2]);
    }

    #[test]
    fn at_the_bound_and_over_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = |n: u64| fs::write(directory.path().join(n.to_string()), "").unwrap();
        (0..FILES_MAX).for_each(file);
        assert_eq!(Temporary::under(directory.path()), Temporary { files: FILES_MAX, bytes: 0, more: false });
        file(FILES_MAX);
        assert_eq!(Temporary::under(directory.path()), Temporary { files: FILES_MAX, bytes: 0, more: true });
    }
}
