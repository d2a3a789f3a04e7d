//! The logs of a data directory.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fault::at;
use crate::id::{AttemptKey, RunId};
use crate::record::LogPlace;
use crate::{StoreError, StoreLimits};

use super::layout::{Kept, Layout};
use super::name::{Form, LogName, run_directory};
use super::raw::{Live, RawFile};
use super::sealed::{self, SealedFile};
use super::source::Source;
use super::writer::LogWriter;

/// How often making a file is tried anew when somebody removes its empty directory in between.
const MAKE_TRIES: u32 = 16;

/// The logs of a data directory.
#[derive(Debug)]
pub struct Logs {
    root: PathBuf,
    layout: Layout,
    inline_bytes_max: u64,
    /// What the writers of this process have made readable. One entry a writer, so as many as there are running steps.
    live: Mutex<HashMap<LogName, Arc<Live>>>,
    /// Bytes of all files. Relaxed: it guards nothing.
    usage: AtomicU64,
    /// Bytes that may still be written before the disk is full.
    #[cfg(test)]
    pub(super) room: AtomicU64,
}

impl Logs {
    /// Opens the logs under `directory`, making it if need be, and counts what is there. Blocking.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(directory: PathBuf, limits: StoreLimits) -> Result<Arc<Self>, StoreError> {
        let failed = |e| disk_error("open the directory of logs", &e);
        at("log.open", || fs::create_dir_all(&directory)).map_err(failed)?;
        let usage = at("log.open.count", || bytes_below(&directory)).map_err(failed)?;
        Ok(Arc::new(Self {
            root: directory,
            layout: Layout::for_cap(limits.log_bytes_max),
            inline_bytes_max: limits.log_inline_bytes_max as u64,
            live: Mutex::default(),
            usage: AtomicU64::new(usage),
            #[cfg(test)]
            room: AtomicU64::new(u64::MAX),
        }))
    }

    /// Begins the log of one claim of an attempt. No file is made before the first flush. One writer a claim: what a
    /// former one of the same name left behind is overwritten.
    pub fn writer(self: &Arc<Self>, attempt: AttemptKey, epoch: u32) -> LogWriter {
        let name = LogName { attempt, epoch };
        let live = Arc::new(Live::default());
        self.lives().insert(name, Arc::clone(&live));
        LogWriter::new(Place { logs: Arc::clone(self), name, live })
    }

    /// Bytes on disk of all logs, by the lengths of their files. Counted when opened and kept exact from then on.
    pub fn usage_bytes(&self) -> u64 {
        self.usage.load(Ordering::Relaxed)
    }

    /// Removes all logs of a run that is over. There may be none. Blocking.
    ///
    /// # Errors
    /// The disk refuses, or a step of the run is still writing.
    pub fn remove(&self, run: RunId) -> Result<(), StoreError> {
        if self.lives().keys().any(|name| name.attempt.run == run) {
            return Err(StoreError::Failed(format!("a step of {run} still writes its log")));
        }
        let directory = self.root.join(run_directory(run));
        let removed = at("log.remove", || fs::read_dir(&directory)).and_then(|mut files| {
            files.try_for_each(|file| self.remove_file(&file?.path()))?;
            at("log.remove.directory", || fs::remove_dir(&directory))
        });
        self.remove_if_empty(directory.parent().unwrap_or(&self.root));
        match removed {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(disk_error("remove the logs of a run", &e)),
            _ => Ok(()),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn inline_bytes_max(&self) -> u64 {
        self.inline_bytes_max
    }

    /// A poisoned lock is as good as any: the map is whole after each single call on it.
    fn lives(&self) -> MutexGuard<'_, HashMap<LogName, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_live(&self, name: LogName) -> bool {
        self.lives().contains_key(&name)
    }

    /// Whether a writer of this process has made something readable behind `cursor`. A look at memory, so that who follows a
    /// silent attempt pays for no thread and no disk. No for an attempt that is over: its log is read when its end is told.
    pub fn is_ahead(&self, attempt: AttemptKey, epoch: u32, cursor: u64) -> bool {
        self.lives().get(&LogName { attempt, epoch }).is_some_and(|live| live.end() > cursor)
    }

    /// A writer is gone. A newer one of the same name stays.
    fn forget(&self, name: LogName, live: &Arc<Live>) {
        let mut lives = self.lives();
        if lives.get(&name).is_some_and(|newest| Arc::ptr_eq(newest, live)) {
            lives.remove(&name);
        }
    }

    /// Where a log's blocks are to be had. `None` as a place is a log that is not sealed, as far as the caller knows.
    pub(super) fn source<'a>(&self, name: LogName, place: Option<&'a LogPlace>) -> Result<Source<'a>, StoreError> {
        let failed = |e: io::Error| disk_error("read a log", &e);
        let raw = match place {
            Some(LogPlace::Nowhere) => return Ok(Source::Nowhere),
            Some(LogPlace::Inline(bytes)) => return Ok(Source::Inline(bytes)),
            Some(LogPlace::File { .. }) => None,
            None => open_if_there(&self.root.join(name.path(Form::Raw))).map_err(failed)?,
        };
        if let Some(file) = raw {
            // Asked after the file was opened: its writer was known here before it made the file.
            let live = self.lives().get(&name).cloned();
            let raw = RawFile::open(Arc::new(file), live).map_err(failed)?;
            return Ok(raw.map_or(Source::Nowhere, Source::Raw));
        }
        match open_if_there(&self.root.join(name.path(Form::Sealed))).map_err(failed)? {
            Some(file) => Ok(Source::Sealed(SealedFile::open(file).map_err(failed)?)),
            None if place.is_some() => Err(StoreError::Damaged("the file of a log is gone".into())),
            None => Ok(Source::Nowhere),
        }
    }

    /// Makes the raw file of a log, empty.
    pub(super) fn make_raw(&self, name: LogName) -> io::Result<File> {
        let path = self.root.join(name.path(Form::Raw));
        let file = self.make(&path, OpenOptions::new().read(true).write(true).create(true).truncate(false))?;
        let old = file.metadata()?.len();
        if old > 0 {
            at("log.create.cut", || file.set_len(0))?;
            self.count_removed(old);
        }
        Ok(file)
    }

    fn make(&self, path: &Path, options: &OpenOptions) -> io::Result<File> {
        let mut tries = 0;
        loop {
            match at("log.create", || options.open(path)) {
                Err(e) if e.kind() == io::ErrorKind::NotFound && tries < MAKE_TRIES => tries += 1,
                made => return made,
            }
            match at("log.create.directory", || fs::create_dir_all(path.parent().unwrap_or(&self.root))) {
                // The run's last other log was just sealed and took the directory along: once more.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                made => made?,
            }
        }
    }

    /// Writes the sealed file of a log; it is on disk when this returns, and whole or not there at all if it fails.
    pub(super) fn write_sealed(
        &self,
        name: LogName,
        kept: &Kept,
        load: impl FnMut(u64, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<u64> {
        let temporary = self.root.join(name.path(Form::Temporary));
        let file = self.make(&temporary, OpenOptions::new().write(true).create(true).truncate(true))?;
        let unfinished = Unfinished { path: Some(&temporary) };
        let path = self.root.join(name.path(Form::Sealed));
        let mut out = Out { logs: self, file };
        let bytes = sealed::write(&mut out, kept, load)?;
        at("log.seal.sync", || out.file.sync_data())?;
        at("log.seal.rename", || fs::rename(&temporary, &path))?;
        unfinished.finish();
        self.usage.fetch_add(bytes, Ordering::Relaxed);
        // The run's directory may be new, and so may the day's.
        for directory in path.ancestors().skip(1).take(3) {
            at("log.seal.directory", || File::open(directory)?.sync_all())?;
        }
        Ok(bytes)
    }

    /// Removes the raw file of a log, and its directory if it was the last in it.
    pub(super) fn remove_raw(&self, name: LogName) -> io::Result<()> {
        let path = self.root.join(name.path(Form::Raw));
        self.remove_file(&path)?;
        self.remove_if_empty(path.parent().unwrap_or(&self.root));
        Ok(())
    }

    pub(super) fn remove_file(&self, path: &Path) -> io::Result<()> {
        let bytes = fs::symlink_metadata(path)?.len();
        at("log.unlink", || fs::remove_file(path))?;
        self.count_removed(bytes);
        Ok(())
    }

    /// Removes `directory` unless something is in it. If the disk refuses, it is tried again at the next start.
    pub(super) fn remove_if_empty(&self, directory: &Path) {
        if directory == self.root {
            return;
        }
        // Some file systems say of what is not empty that it exists.
        let is_usual = |e: &io::Error| {
            use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotFound};
            matches!(e.kind(), AlreadyExists | DirectoryNotEmpty | NotFound)
        };
        match at("log.rmdir", || fs::remove_dir(directory)) {
            Err(error) if !is_usual(&error) => {
                let directory = directory.display();
                tracing::warn!(%error, "the empty directory {directory} cannot be removed");
            }
            _ => {}
        }
    }

    pub(super) fn count_added(&self, bytes: u64) {
        self.usage.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_removed(&self, bytes: u64) {
        // Saturating: somebody else may have put a file here that was never counted.
        self.usage.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |usage| Some(usage.saturating_sub(bytes))).ok();
    }

    /// What of `bytes` goes to the disk now: all, but in tests of a full one.
    #[cfg_attr(not(test), expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "a seam for tests"))]
    pub(super) fn admit<'a>(&self, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        #[cfg(test)]
        {
            // As a full disk does it: as much as fits, and then an error.
            let take = |room: u64| Some(room.saturating_sub(bytes.len() as u64));
            let had = self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).unwrap_or(0);
            match usize::try_from(had).unwrap_or(usize::MAX).min(bytes.len()) {
                0 => Err(io::ErrorKind::StorageFull.into()),
                room => Ok(&bytes[..room]),
            }
        }
        #[cfg(not(test))]
        Ok(bytes)
    }
}

/// A file that is removed again unless it is finished, be it after an error or a panic. It was never counted.
struct Unfinished<'a> {
    path: Option<&'a Path>,
}

impl Unfinished<'_> {
    fn finish(mut self) {
        self.path = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let Some(path) = self.path else { return };
        if let Err(error) = at("log.seal.forget", || fs::remove_file(path)) {
            let path = path.display();
            tracing::warn!(%error, "{path} is unfinished and cannot be removed; the next start will");
        }
    }
}

/// A file that is written from front to back.
struct Out<'a> {
    logs: &'a Logs,
    file: File,
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        at("log.seal.write", || self.file.write(self.logs.admit(bytes)?))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A writer's place among those of its process, until it is gone.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) logs: Arc<Logs>,
    pub(super) name: LogName,
    pub(super) live: Arc<Live>,
}

impl Drop for Place {
    /// Apart from the writer's own drop, which writes: were that to panic, the place would be taken for ever.
    fn drop(&mut self) {
        self.logs.forget(self.name, &self.live);
    }
}

fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    match at("log.read.open", || File::open(path)) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Sum of the lengths of all files below. Directories are read as they come, three deep.
fn bytes_below(directory: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        sum += if kind.is_dir() { bytes_below(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

/// What the disk said, as an error of the store.
pub(super) fn disk_error(what: &str, e: &io::Error) -> StoreError {
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::NoSpace(format!("cannot {what}: {e}"))
        }
        io::ErrorKind::InvalidData => StoreError::Damaged(format!("cannot {what}: {e}")),
        _ => StoreError::Failed(format!("cannot {what}: {e}")),
    }
}
