//! Where a run's files are while it lives: `<work>/<run>/`, with its workspace, the temporary directories of its attempts and the
//! files behind their `$STAUNCH_OUTPUT`.
//!
//! Making and removing directories is most of what a trivial run costs the disk (ext4 looks for a new inode past all that
//! were freed in the last seconds). So a home that no step has touched is not removed but put aside, under `.spare`, for the
//! next run: two renames instead of eight calls.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use staunch_bounded::fault_point;
use staunch_store::RunId;

/// Homes put aside, at most.
const SPARE_MAX: usize = 64;

/// Homes that wait to be removed, at most: there are more only if the disk refuses to remove any. The next start tries again.
const OVER_MAX: usize = 4_096;

/// Where they are.
const SPARE: &str = ".spare";

/// The work directory of an engine.
#[derive(Debug)]
pub(crate) struct Work {
    directory: PathBuf,
    /// Steps run here instead of in a workspace of their run (a local run).
    workspace: Option<PathBuf>,
    /// A home that was made so long ago shows every later change in its marks.
    old_after: Duration,
    // Held over the few calls that make or put aside a home; a file system would take them one at a time anyway.
    homes: Mutex<Homes>,
}

/// The homes that this life of the engine knows.
#[derive(Debug, Default)]
struct Homes {
    /// Of runs whose steps have started: as many as runs are in the loop's hands or wait for a retry.
    open: HashMap<RunId, Home>,
    /// Of runs that are over, to be removed: the next first. At most [`OVER_MAX`], if none can be.
    over: VecDeque<RunId>,
    /// Put aside: untouched.
    spare: Vec<(PathBuf, Marks)>,
    /// How many were ever put aside: names the next.
    count: u64,
}

/// The directory of a run.
#[derive(Debug, Default)]
struct Home {
    /// Whether it was made whole. If not there may be a part of it, which goes with the run.
    is_whole: bool,
    /// Whether the temporary directory of this number is in use.
    taken: Vec<bool>,
    /// How its directories looked when they were made; `None` if an earlier life made them.
    marks: Option<Marks>,
    /// Whether a look at the marks alone tells that nothing was touched.
    is_old: bool,
}

/// What `stat` says of the directories of a new home: the home itself, `tmp`, `tmp/0` and, unless it is elsewhere, the workspace.
type Marks = Vec<Mark>;

/// What changes of a directory when anything is done to it or in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    mode: u32,
    owner: (u32, u32),
    /// Its ctime; the mtime of the home itself, whose ctime its renames change.
    changed: (i64, i64),
}

/// The place of `tmp/0` among them.
const TMP_0: usize = 2;

/// A file system may count time in ticks of some milliseconds: what was made longer ago than any tick shows every later change. A
/// second besides, since ages are counted from whole seconds.
const OLD_AFTER: Duration = Duration::from_millis(1_100);

/// The places of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub(crate) workspace: PathBuf,
    pub(crate) temporary: PathBuf,
    pub(crate) output: PathBuf,
    run: RunId,
    number: usize,
    /// How the temporary directory looks as long as nobody touches it, if that can be told by a look.
    mark: Option<Mark>,
}

impl Work {
    pub(crate) fn new(directory: PathBuf, workspace: Option<PathBuf>) -> Self {
        Self { directory, workspace, old_after: OLD_AFTER, homes: Mutex::default() }
    }

    /// Where all of them are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether a step of the run has started in this life, so that [`Work::take`] has little to do.
    pub(crate) fn has_home(&self, run: RunId) -> bool {
        self.homes().open.get(&run).is_some_and(|home| home.is_whole)
    }

    /// The run is over: what it has here is to be removed, see [`Work::clear`]. Nothing is kept for a run that has nothing here.
    pub(crate) fn end(&self, run: RunId) {
        let mut homes = self.homes();
        if homes.open.contains_key(&run) && homes.over.len() < OVER_MAX {
            homes.over.push_back(run);
        }
    }

    /// Removes what runs that are over have here. What cannot be removed waits for the next call. Blocking.
    pub(crate) fn clear(&self) {
        let mut left = self.homes().over.len();
        while left > 0
            && let Some(run) = self.next_over()
        {
            left -= 1;
            match self.remove(run) {
                Ok(()) => self.homes().over.retain(|over| *over != run),
                Err(error) => tracing::warn!(%run, %error, "a workspace could not be removed; it is tried again"),
            }
        }
    }

    /// The first of those to be removed. It stays among them, as the last, until it is: even a panic loses none.
    fn next_over(&self) -> Option<RunId> {
        let mut homes = self.homes();
        let run = homes.over.pop_front()?;
        homes.over.push_back(run);
        Some(run)
    }

    /// Removes what is put aside: nothing is left in the work directory but homes of runs that go on in a later life. Blocking.
    pub(crate) fn close(&self) {
        self.homes().spare.clear();
        let point = fault_point!("workspace.close").map_err(io::Error::from);
        if let Err(error) = point.and_then(|()| remove_tree(&self.directory.join(SPARE))) {
            tracing::warn!(%error, "spare workspaces could not be removed");
        }
    }

    /// The places of one attempt of a run, made if need be: the temporary directory is empty, there is no output file. Blocking.
    pub(crate) fn take(&self, run: RunId) -> io::Result<Places> {
        let mut homes = self.homes();
        if homes.open.get(&run).is_none_or(|home| !home.is_whole) {
            // Entered before it is made, so that what there is of it goes with the run even if the rest cannot be made.
            homes.open.insert(run, Home::default());
            let home = self.make_home(run, &mut homes)?;
            homes.open.insert(run, home);
        }
        let path = self.path(run);
        let Some(home) = homes.open.get_mut(&run) else { return Err(ErrorKind::NotFound.into()) };
        let number = home.taken.iter().position(|taken| !taken).unwrap_or(home.taken.len());
        let temporary = path.join("tmp").join(number.to_string());
        if number == home.taken.len() {
            fault_point!("workspace.temporary")?;
            // With its parents: a step may have removed them, and the next of its run is not to pay for it.
            fs::create_dir_all(&temporary)?;
            home.taken.push(true);
        } else {
            home.taken[number] = true;
        }
        let mark = home.marks.as_ref().filter(|_| home.is_old && number == 0).map(|marks| marks[TMP_0]);
        let workspace = self.workspace.clone().unwrap_or_else(|| path.join("workspace"));
        Ok(Places { mark, workspace, temporary, output: path.join(format!("output.{number}")), run, number })
    }

    /// The attempt is over: what it left besides its workspace is removed. Blocking. If that fails the places are not used again,
    /// and go with the run.
    pub(crate) fn give_back(&self, places: &Places) -> io::Result<()> {
        if !places.are_clean() {
            fault_point!("workspace.empty")?;
            match fs::symlink_metadata(&places.output) {
                Ok(about) if about.is_dir() => remove_tree(&places.output)?,
                Ok(_) => fs::remove_file(&places.output)?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            match remove_tree(&places.temporary) {
                // A step that cleans up after itself, maybe a bit too much.
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => fs::create_dir_all(&places.temporary)?,
            }
            // It is another directory now.
            if let Some(home) = self.homes().open.get_mut(&places.run) {
                home.marks = None;
            }
        }
        if let Some(home) = self.homes().open.get_mut(&places.run) {
            home.taken[places.number] = false;
        }
        Ok(())
    }

    /// Removes all of a run, or puts it aside if nobody has touched it. Blocking.
    fn remove(&self, run: RunId) -> io::Result<()> {
        let path = self.path(run);
        let mut homes = self.homes();
        if let Some(Home { marks: Some(marks), is_old, .. }) = homes.open.remove(&run)
            && homes.spare.len() < SPARE_MAX
            && self.is_untouched(&path, &marks, is_old)
        {
            homes.count += 1;
            let aside = self.directory.join(SPARE).join(homes.count.to_string());
            let point = fault_point!("workspace.aside").map_err(io::Error::from);
            if point.and_then(|()| fs::rename(&path, &aside)).is_ok() {
                homes.spare.push((aside, marks));
                return Ok(());
            }
        }
        drop(homes);
        fault_point!("workspace.remove")?;
        match remove_tree(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the directories of runs that are not in `open`, and what was put aside: what an earlier life left; those of runs in
    /// `open` go with their runs. To be called before any run starts. Blocking. How many runs' it removed.
    pub(crate) fn sweep(&self, open: &HashSet<RunId>) -> io::Result<u64> {
        let mut removed = 0;
        fault_point!("workspace.sweep")?;
        for entry in fs::read_dir(&self.directory)? {
            let Some(run) = entry?.file_name().to_str().and_then(|name| name.parse::<RunId>().ok()) else { continue };
            if open.contains(&run) {
                // Whether or not a step of it starts in this life.
                self.homes().open.insert(run, Home::default());
            } else {
                remove_tree(&self.path(run))?;
                removed += 1;
            }
        }
        let spare = self.directory.join(SPARE);
        match remove_tree(&spare) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(spare)?;
        Ok(removed)
    }

    fn make_home(&self, run: RunId, homes: &mut Homes) -> io::Result<Home> {
        let path = self.path(run);
        if let Some((aside, marks)) = homes.spare.pop() {
            let point = fault_point!("workspace.reuse").map_err(io::Error::from);
            if point.and_then(|()| fs::rename(&aside, &path)).is_ok() {
                let is_old = marks.iter().all(|mark| mark.is_older_than(self.old_after));
                return Ok(Home { is_whole: true, taken: vec![false], marks: Some(marks), is_old });
            }
            // An earlier life has made this run a home.
            homes.spare.push((aside, marks));
        }
        fault_point!("workspace.make")?;
        let new = match fs::create_dir(&path) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        let temporary = path.join("tmp");
        if !new && temporary.exists() {
            remove_tree(&temporary)?;
        }
        if self.workspace.is_none() {
            fault_point!("workspace.fill")?;
            fs::create_dir_all(path.join("workspace"))?;
        }
        fault_point!("workspace.temporary_first")?;
        fs::create_dir_all(temporary.join("0"))?;
        let marks = if new { Some(self.marks(&path)?) } else { None };
        Ok(Home { is_whole: true, taken: vec![false], marks, is_old: false })
    }

    /// Whether a home is as it was made: no directory changed, nothing is in them.
    fn is_untouched(&self, path: &Path, marks: &Marks, is_old: bool) -> bool {
        if !self.marks(path).is_ok_and(|now| now == *marks) {
            return false;
        }
        let holds = if self.workspace.is_none() { 2 } else { 1 };
        // The home itself has only its mtime to tell, and anybody can set that back.
        count(path) == Some(holds)
            && (is_old
                || count(&path.join("tmp")) == Some(1)
                    && is_empty(&path.join("tmp/0"))
                    && (self.workspace.is_some() || is_empty(&path.join("workspace"))))
    }

    fn marks(&self, path: &Path) -> io::Result<Marks> {
        let about = fs::symlink_metadata(path)?;
        let home = Mark { changed: (about.mtime(), about.mtime_nsec()), ..Mark::from(&about) };
        let names = if self.workspace.is_none() { &["tmp", "tmp/0", "workspace"][..] } else { &["tmp", "tmp/0"] };
        let inside = names.iter().map(|name| fs::symlink_metadata(path.join(name)).map(|about| Mark::from(&about)));
        std::iter::once(Ok(home)).chain(inside).collect()
    }

    fn path(&self, run: RunId) -> PathBuf {
        self.directory.join(run.to_string())
    }

    fn homes(&self) -> MutexGuard<'_, Homes> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// Whether an attempt has left nothing besides its workspace: two looks, no change, so that they never wait for the disk.
    pub(crate) fn are_clean(&self) -> bool {
        let untouched = |mark| fs::symlink_metadata(&self.temporary).is_ok_and(|about| Mark::from(&about) == mark);
        self.mark.map_or_else(|| is_empty(&self.temporary), untouched)
            && fs::symlink_metadata(&self.output).is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }
}

impl Mark {
    fn is_older_than(&self, age: Duration) -> bool {
        let changed = UNIX_EPOCH + Duration::from_secs(self.changed.0.max(0).unsigned_abs());
        // A clock that was set back says no, which only costs a closer look.
        SystemTime::now().duration_since(changed).is_ok_and(|now| now >= age)
    }
}

impl From<&fs::Metadata> for Mark {
    fn from(about: &fs::Metadata) -> Self {
        Self { mode: about.mode(), owner: (about.uid(), about.gid()), changed: (about.ctime(), about.ctime_nsec()) }
    }
}

/// How many entries a directory has; `None` if it cannot be read or is none.
fn count(path: &Path) -> Option<usize> {
    // A link is none: who follows it would clean up elsewhere.
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_dir)?;
    Some(fs::read_dir(path).ok()?.take(3).count())
}

fn is_empty(path: &Path) -> bool {
    count(path) == Some(0)
}

/// Removes a tree even where a step took away its own right to enter a directory of it.
fn remove_tree(root: &Path) -> io::Result<()> {
    let denied = |error: &io::Error| error.kind() == ErrorKind::PermissionDenied;
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
mod tests;
