//! Setting the directory of logs in order after a start.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::StoreError;
use crate::fault::at;
use crate::id::RunId;

use super::directory::{Logs, disk_error};
use super::name::{Form, LogName, run_directory};
use super::raw::RawFile;

/// What a recovery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Files that were removed: of attempts nobody remembers, unfinished ones, raw ones that were sealed already.
    pub removed: u64,
    /// Raw files whose writers had died that were sealed.
    pub sealed: u64,
    /// Raw files that could not be sealed (a full disk, say). They stay readable and are tried again at the next start.
    pub left: u64,
}

impl Logs {
    /// To be called once at start-up: removes the files of logs that `remembered` does not know and files that were never
    /// finished, and seals what writers that died left behind (it reads with no place). Logs with a writer are left
    /// alone, and so are files that are not ours. Blocking; memory for one name and one frame at a time.
    ///
    /// # Errors
    /// `remembered` fails, or the disk cannot be read.
    pub fn recover(
        &self,
        remembered: &mut dyn FnMut(LogName) -> Result<bool, StoreError>,
    ) -> Result<Recovered, StoreError> {
        let mut done = Recovered::default();
        let mut visit = |run: RunId, path: &Path| {
            each_entry(path, &mut |file| {
                let name = file.file_name();
                match name.to_str().and_then(|name| LogName::parse(run, name)) {
                    Some((name, form)) if !self.is_live(name) => {
                        self.recover_file(name, form, &file.path(), remembered, &mut done)
                    }
                    _ => Ok(()),
                }
            })
        };
        each_entry(self.root(), &mut |day| {
            if !day.file_type().is_ok_and(|kind| kind.is_dir()) {
                return Ok(());
            }
            each_entry(&day.path(), &mut |entry| {
                let name = entry.file_name();
                let Some(run) = name.to_str().and_then(|name| name.parse::<RunId>().ok()) else { return Ok(()) };
                if entry.path() != self.root().join(run_directory(run)) {
                    return Ok(());
                }
                visit(run, &entry.path())?;
                self.remove_if_empty(&entry.path());
                Ok(())
            })?;
            self.remove_if_empty(&day.path());
            Ok(())
        })?;
        Ok(done)
    }

    fn recover_file(
        &self,
        name: LogName,
        form: Form,
        path: &Path,
        remembered: &mut dyn FnMut(LogName) -> Result<bool, StoreError>,
        done: &mut Recovered,
    ) -> Result<(), StoreError> {
        let stale = match form {
            Form::Temporary => true,
            Form::Sealed => !remembered(name)?,
            Form::Raw => !remembered(name)? || self.root().join(name.path(Form::Sealed)).exists(),
        };
        if stale {
            self.remove_file(path).map_err(failed)?;
            done.removed += 1;
        } else if form == Form::Raw {
            match self.seal_left_behind(name, path) {
                Ok(true) => done.sealed += 1,
                Ok(false) => done.removed += 1,
                Err(e) => {
                    tracing::warn!(log = %path.display(), error = %e, "a log could not be sealed");
                    done.left += 1;
                }
            }
        }
        Ok(())
    }

    /// Seals a raw file that has no writer. Whether there was anything in it.
    fn seal_left_behind(&self, name: LogName, path: &Path) -> io::Result<bool> {
        let raw = RawFile::open(Arc::new(at("log.recover.open", || fs::File::open(path))?), None)?;
        let any = raw.is_some();
        if let Some(mut raw) = raw {
            let kept = raw.kept().clone();
            self.write_sealed(name, &kept, |block, into| {
                into.extend_from_slice(raw.load(block)?.unwrap_or_default());
                Ok(())
            })?;
        }
        self.remove_raw(name)?;
        Ok(any)
    }
}

fn each_entry(directory: &Path, visit: &mut dyn FnMut(&DirEntry) -> Result<(), StoreError>) -> Result<(), StoreError> {
    for entry in at("log.recover", || fs::read_dir(directory)).map_err(failed)? {
        visit(&entry.map_err(failed)?)?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(e: io::Error) -> StoreError {
    disk_error("set the logs in order", &e)
}
