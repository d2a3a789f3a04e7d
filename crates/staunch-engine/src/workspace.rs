//! Where a run's files are while it lives: `<work>/<run>/`, with its workspace and, for each attempt, a temporary directory and
//! the file behind `$STAUNCH_OUTPUT`.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use staunch_flow::StepIndex;
use staunch_store::RunId;

/// The work directory of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    directory: PathBuf,
    /// Steps run here instead of in a workspace of their run (a local run).
    workspace: Option<PathBuf>,
}

/// The places of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) workspace: PathBuf,
    pub(crate) temporary: PathBuf,
    pub(crate) output: PathBuf,
}

impl Work {
    pub(crate) fn new(directory: PathBuf, workspace: Option<PathBuf>) -> Self {
        Self { directory, workspace }
    }

    /// The places of an attempt; nothing is made yet.
    pub(crate) fn places(&self, run: RunId, step: StepIndex, attempt: u32, epoch: u32) -> Places {
        let home = self.run(run);
        let name = format!("{}.{attempt}.{epoch}", step.0);
        Places {
            workspace: self.workspace.clone().unwrap_or_else(|| home.join("workspace")),
            temporary: home.join("tmp").join(&name),
            output: home.join(format!("output.{name}")),
        }
    }

    /// Makes the places of an attempt. Blocking.
    pub(crate) fn make(&self, places: &Places) -> io::Result<()> {
        // The common case after a run's first attempt is one mkdir.
        let made = fs::create_dir(&places.temporary);
        if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            if self.workspace.is_none() {
                fs::create_dir_all(&places.workspace)?;
            }
            // The directory of all temporary ones comes after the workspace: another step of the run that can make its own in
            // it thereby knows that the workspace is there.
            fs::create_dir_all(&places.temporary)
        } else {
            made
        }
    }

    /// Removes what one attempt leaves besides its workspace. Blocking.
    pub(crate) fn clear(places: &Places) -> io::Result<()> {
        // An empty directory, the common case, is one call.
        match fs::remove_dir(&places.temporary) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => remove_tree(&places.temporary)?,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match fs::remove_file(&places.output) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes all of a run. Blocking.
    pub(crate) fn remove(&self, run: RunId) -> io::Result<()> {
        let home = self.run(run);
        // Empty directories, the common case, are a call each.
        if self.workspace.is_none()
            && fs::remove_dir(home.join("workspace")).is_ok()
            && fs::remove_dir(home.join("tmp")).is_ok()
            && fs::remove_dir(&home).is_ok()
        {
            return Ok(());
        }
        match remove_tree(&home) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the directories of runs that are not in `open`: what a killed server left. Blocking. How many it removed.
    pub(crate) fn sweep(&self, open: &HashSet<RunId>) -> io::Result<u64> {
        let mut removed = 0;
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            other => other?,
        };
        for entry in entries {
            let run = entry?.file_name().to_str().and_then(|name| name.parse::<RunId>().ok());
            if let Some(run) = run.filter(|run| !open.contains(run)) {
                self.remove(run)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn run(&self, run: RunId) -> PathBuf {
        self.directory.join(run.to_string())
    }
}

/// Removes a tree even where a step took away its own right to enter a directory of it.
fn remove_tree(root: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    match fs::remove_dir_all(root) {
        Err(error) if denied(&error) => {
            let mut todo = vec![root.to_path_buf()];
            while let Some(directory) = todo.pop() {
                fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
                for entry in fs::read_dir(&directory)? {
                    let entry = entry?;
                    if entry.file_type()?.is_dir() {
                        todo.push(entry.path());
                    }
                }
            }
            fs::remove_dir_all(root)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::HashSet;
    use std::fs;

    use staunch_flow::StepIndex;
    use staunch_store::RunId;

    use super::Work;

    #[test]
    fn an_attempt_leaves_nothing_but_its_workspace_and_a_run_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let work = Work::new(root.path().join("work"), None);
        let run = RunId::generate();
        let places = work.places(run, StepIndex(0), 1, 1);
        work.make(&places).unwrap();
        fs::write(places.workspace.join("kept"), "x").unwrap();
        fs::create_dir(places.temporary.join("deep")).unwrap();
        fs::write(places.temporary.join("deep/file"), "x").unwrap();
        fs::write(&places.output, "k=v").unwrap();
        Work::clear(&places).unwrap();
        assert!(!places.temporary.exists() && !places.output.exists() && places.workspace.join("kept").exists());
        Work::clear(&places).unwrap();
        work.remove(run).unwrap();
        work.remove(run).unwrap();
        assert_eq!(fs::read_dir(&work.directory).unwrap().count(), 0);
    }

    #[test]
    fn steps_that_start_together_all_find_the_workspace() {
        let root = tempfile::tempdir().unwrap();
        let work = Work::new(root.path().join("work"), None);
        for _ in 0..50 {
            let run = RunId::generate();
            std::thread::scope(|scope| {
                let late = work.places(run, StepIndex(1), 1, 1);
                scope.spawn(|| work.make(&work.places(run, StepIndex(0), 1, 1)).unwrap());
                // The worst moment: the first step has begun to make the run's directories and is not done.
                while !work.run(run).exists() {
                    std::hint::spin_loop();
                }
                work.make(&late).unwrap();
                assert!(late.workspace.is_dir() && late.temporary.is_dir());
            });
            work.remove(run).unwrap();
        }
    }

    #[test]
    fn a_sweep_removes_what_no_open_run_owns_and_leaves_strangers_alone() {
        let root = tempfile::tempdir().unwrap();
        let work = Work::new(root.path().to_path_buf(), None);
        let (open, over) = (RunId::generate(), RunId::generate());
        for run in [open, over] {
            work.make(&work.places(run, StepIndex(0), 1, 1)).unwrap();
        }
        fs::write(root.path().join("a stranger"), "x").unwrap();
        assert_eq!(work.sweep(&HashSet::from([open])).unwrap(), 1);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_local_run_keeps_the_callers_directory() {
        let root = tempfile::tempdir().unwrap();
        let here = root.path().join("here");
        fs::create_dir(&here).unwrap();
        let work = Work::new(root.path().join("work"), Some(here.clone()));
        let run = RunId::generate();
        let places = work.places(run, StepIndex(0), 1, 1);
        assert_eq!(places.workspace, here);
        work.make(&places).unwrap();
        work.remove(run).unwrap();
        assert!(here.exists() && !places.temporary.exists());
    }
}
