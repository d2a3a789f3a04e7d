//! Follows the workflows directory: its files are the source of truth, the store keeps every text that was one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::Watcher;
use staunch_bounded::fault_point;
use staunch_flow::{Budgets, Diagnostic, Severity, Span, Workflow};
use staunch_store::{NewRevision, Store, StoreError, WorkflowRow};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, Known};
use crate::fault;
use crate::inner::budgets;
use crate::limits::Limits;

/// A change is looked at this long after it was noticed, so that a file is not read while an editor writes it.
const QUIET: Duration = Duration::from_millis(100);

/// The directory is read again this often even if nothing was noticed: notices get lost (network mounts, overflow).
const RESCAN: Duration = Duration::from_secs(60);

/// And this often while that is all there is: the directory is away or cannot be watched, or the store refused a workflow.
const RESCAN_BLIND: Duration = Duration::from_secs(2);

/// What is remembered of a file, to see that it changed.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    /// The inode's change, seconds and nanoseconds: another mode, owner or text of the same length and time shows here.
    changed: (i64, i64),
    bytes: u64,
    inode: u64,
}

impl Stamp {
    fn of(about: &fs::Metadata) -> Self {
        Self {
            modified: about.modified().ok(),
            changed: (about.ctime(), about.ctime_nsec()),
            bytes: about.len(),
            inode: about.ino(),
        }
    }
}

/// The workflows directory, as last seen.
pub(crate) struct Directory {
    path: PathBuf,
    files_max: usize,
    /// Bytes of all files that are taken in.
    bytes_max: u64,
    budgets: Budgets,
    seen: BTreeMap<String, Seen>,
    /// Names whose file has another or is gone: to be retired unless another file has them.
    freed: BTreeSet<String>,
}

#[derive(Default)]
struct Seen {
    /// Of what was taken in. `None`: it is read at each scan, whether it changes or not.
    stamp: Option<Stamp>,
    /// The name of the workflow that is known from this file, by its last good text.
    name: Option<String>,
    /// The name that its last good text asks for. It differs from `name` while another file has that.
    wants: Option<String>,
    /// Whether the store was asked for a good text of it from an earlier life.
    asked: bool,
}

/// A file that is new or has changed.
struct Changed {
    file: String,
    stamp: Stamp,
    /// Or why it cannot be read.
    bytes: io::Result<Vec<u8>>,
}

/// A text without errors.
struct Good {
    file: String,
    stamp: Stamp,
    bytes: Vec<u8>,
    workflow: Workflow,
    warnings: Vec<Diagnostic>,
}

/// What a look at the directory found.
struct Found {
    changed: Vec<Changed>,
    gone: Vec<String>,
    /// Files beyond those that may be.
    beyond: usize,
}

impl Directory {
    pub(crate) fn new(path: PathBuf, limits: &Limits) -> Self {
        let (files_max, bytes_max) = (limits.workflows_max as usize, limits.workflows_bytes_max);
        Self { path, files_max, bytes_max, budgets: budgets(limits), seen: BTreeMap::new(), freed: BTreeSet::new() }
    }

    /// Reads what has changed and brings the catalog and the store up to date. Returns how many files were new or changed.
    ///
    /// # Errors
    /// The store's. What was not stored is tried again at the next call.
    pub(crate) async fn scan(&mut self, catalog: &Catalog, store: &dyn Store) -> Result<usize, StoreError> {
        let Found { changed, gone, beyond } = match self.look() {
            Ok(found) => found,
            Err(error) => {
                let text = format!("the workflows directory cannot be read: {error}");
                catalog.set_broken(".", vec![fault("unreadable_directory", text)]);
                return Ok(0);
            }
        };
        let too_many = || {
            format!(
                "{beyond} files are left out: more than {} (workflows_max), or more than {} bytes in all (workflows_bytes_max)",
                self.files_max, self.bytes_max
            )
        };
        catalog.set_broken(".", (beyond > 0).then(|| fault("too_many_files", too_many())).into_iter().collect());
        for file in gone {
            self.freed.extend(self.seen.remove(&file).and_then(|seen| seen.name));
            catalog.set_broken(&file, Vec::new());
        }
        let count = changed.len();
        let mut parsed = Vec::with_capacity(count);
        for change in changed {
            parsed.extend(self.parse(change, catalog));
        }
        // Only now is it known who wants which name, so that files may swap theirs.
        for good in parsed {
            self.take_in(good, catalog, store).await?;
        }
        self.bring_back(catalog, store).await?;
        self.retire_freed(catalog, store).await?;
        Ok(count)
    }

    /// What is new or changed, and what is gone. Blocking, but only for as long as reading some small files takes.
    fn look(&self) -> io::Result<Found> {
        fault_point!("catalog.list")?;
        let mut names: Vec<String> = fs::read_dir(&self.path)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| is_workflow(name))
            .collect();
        names.sort();
        let found = names.len();
        names.truncate(self.files_max);
        let mut bytes = 0;
        names.retain(|name| {
            let size =
                fs::metadata(self.path.join(name)).map_or(0, |about| about.len().min(self.budgets.bytes_max as u64));
            let fits = bytes + size <= self.bytes_max;
            bytes += if fits { size } else { 0 };
            fits
        });
        let beyond = found - names.len();
        let gone = self.seen.keys().filter(|file| names.binary_search(file).is_err()).cloned().collect();
        let changed = names.into_iter().filter_map(|file| self.read_if_changed(file)).collect();
        Ok(Found { changed, gone, beyond })
    }

    fn read_if_changed(&self, file: String) -> Option<Changed> {
        let path = self.path.join(&file);
        // A link to nowhere, or to itself: what can be told is about the link.
        let about = fs::metadata(&path).or_else(|_| fs::symlink_metadata(&path)).ok()?;
        let stamp = Stamp::of(&about);
        if self.seen.get(&file).is_some_and(|seen| seen.stamp.as_ref() == Some(&stamp)) {
            return None;
        }
        // One byte more than allowed is enough for the parser to say that it is too large.
        let bytes = read(&path, self.budgets.bytes_max as u64 + 1);
        Some(Changed { file, stamp, bytes })
    }

    /// Notes what a file asks for. `None`: it has errors.
    fn parse(&mut self, change: Changed, catalog: &Catalog) -> Option<Good> {
        let Changed { file, stamp, bytes } = change;
        let seen = self.seen.entry(file.clone()).or_default();
        let readable = bytes.is_ok();
        let (diagnostics, good) = match bytes {
            Err(error) => (vec![fault("unreadable_file", format!("the file cannot be read: {error}"))], None),
            Ok(bytes) => {
                let parsed = staunch_flow::parse(&bytes, stem(&file), &self.budgets);
                (parsed.diagnostics, parsed.workflow.map(|workflow| (bytes, workflow)))
            }
        };
        let Some((bytes, workflow)) = good else {
            seen.wants.clone_from(&seen.name);
            // What could not be read, for want of descriptors say, is read at each scan until it can.
            seen.stamp = readable.then_some(stamp);
            let errors = diagnostics.len();
            match &seen.name {
                Some(_) => tracing::warn!(file, errors, "workflow file has errors: its last good text stays in use"),
                None => tracing::warn!(file, errors, "workflow file has errors"),
            }
            catalog.set_broken(&file, diagnostics);
            return None;
        };
        seen.wants = Some(workflow.name.clone());
        seen.stamp = None;
        Some(Good { file, stamp, bytes, workflow, warnings: diagnostics })
    }

    async fn take_in(&mut self, good: Good, catalog: &Catalog, store: &dyn Store) -> Result<(), StoreError> {
        let Good { file, stamp, bytes, workflow, warnings } = good;
        let name = workflow.name.clone();
        if let Some(owner) = self.owner_before(&file, &name) {
            let text = format!("the name `{name}` is taken by the file {owner}");
            catalog.set_broken(&file, vec![fault("duplicate_name", text)]);
            return Ok(());
        }
        // The parser takes only UTF-8, so this is no loss.
        let text: Arc<str> = String::from_utf8_lossy(&bytes).into();
        let revision = NewRevision { name: name.clone(), text, file: Some(file.clone()) };
        let revision = fault::before(fault_point!("catalog.publish"), store.publish(revision)).await?;
        catalog.set_broken(&file, Vec::new());
        let workflow = Arc::new(workflow);
        let known = Known { name: name.clone(), file: Some(file.clone()), revision, workflow, warnings };
        catalog.put(known, bytes.len());
        tracing::info!(workflow = name, file, "workflow loaded");
        // A file that had the name wants another by now.
        for seen in self.seen.values_mut().filter(|seen| seen.name.as_ref() == Some(&name)) {
            seen.name = None;
        }
        if let Some(seen) = self.seen.get_mut(&file) {
            self.freed.extend(seen.name.replace(name));
            seen.stamp = Some(stamp);
        }
        Ok(())
    }

    /// The other file that has this name, or comes before this one in asking for it.
    fn owner_before(&self, file: &str, name: &str) -> Option<&str> {
        let has = |seen: &Seen| seen.name.as_deref() == Some(name);
        let mine = self.seen.get(file).is_some_and(has);
        let rival = |(other, seen): &(&String, &Seen)| {
            other.as_str() != file
                && seen.wants.as_deref() == Some(name)
                && (has(seen) || !mine && other.as_str() < file)
        };
        // Of several the one that has it.
        self.seen.iter().filter(rival).min_by_key(|(_, seen)| !has(seen)).map(|(other, _)| other.as_str())
    }

    /// Forgets names that no file has any more.
    async fn retire_freed(&mut self, catalog: &Catalog, store: &dyn Store) -> Result<(), StoreError> {
        while let Some(name) = self.freed.first().cloned() {
            if self.seen.values().all(|seen| seen.name.as_ref() != Some(&name)) {
                fault::before(fault_point!("catalog.retire"), store.retire(&name)).await?;
                catalog.remove(&name);
                tracing::info!(workflow = name, "workflow removed");
            }
            self.freed.remove(&name);
        }
        Ok(())
    }

    /// Retires workflows whose files went while nobody looked. To be called once, after the first scan.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn retire_unseen(&self, catalog: &Catalog, store: &dyn Store) -> Result<(), StoreError> {
        if !self.path.is_dir() {
            // It may come back, with all its files.
            return Ok(());
        }
        for row in fault::before(fault_point!("catalog.workflows"), store.workflows()).await? {
            if row.file.is_some() && catalog.get(&row.name).is_none() {
                store.retire(&row.name).await?;
            }
        }
        Ok(())
    }

    /// Files that were broken already when this life began go on with their last good text, which the store has.
    async fn bring_back(&mut self, catalog: &Catalog, store: &dyn Store) -> Result<(), StoreError> {
        let is_lost = |seen: &Seen| seen.name.is_none() && seen.wants.is_none() && !seen.asked;
        if !self.seen.values().any(is_lost) {
            return Ok(());
        }
        let rows = store.workflows().await?;
        let lost: Vec<String> =
            self.seen.iter().filter(|(_, seen)| is_lost(seen)).map(|(file, _)| file.clone()).collect();
        for file in lost {
            let row = rows.iter().find(|row| row.file.as_ref() == Some(&file));
            let known = match row.filter(|row| self.owner_before(&file, &row.name).is_none()) {
                Some(row) => self.last_good(&file, row, store).await?,
                None => None,
            };
            let Some(seen) = self.seen.get_mut(&file) else { continue };
            seen.asked = true;
            if let Some((known, bytes)) = known {
                tracing::warn!(file, workflow = known.name, "its last good text stays in use");
                seen.name = Some(known.name.clone());
                seen.wants.clone_from(&seen.name);
                catalog.put(known, bytes);
            }
        }
        Ok(())
    }

    async fn last_good(
        &self,
        file: &str,
        row: &WorkflowRow,
        store: &dyn Store,
    ) -> Result<Option<(Known, usize)>, StoreError> {
        let Some(text) = store.revision(row.revision).await? else { return Ok(None) };
        let parsed = staunch_flow::parse(text.as_bytes(), stem(file), &self.budgets);
        // A text that an older version took and this one does not is none.
        let Some(workflow) = parsed.workflow.filter(|workflow| workflow.name == row.name) else { return Ok(None) };
        let known = Known {
            name: row.name.clone(),
            file: Some(file.to_owned()),
            revision: row.revision,
            workflow: Arc::new(workflow),
            warnings: parsed.diagnostics,
        };
        Ok(Some((known, text.len())))
    }

    /// Follows the directory until the token ends.
    pub(crate) async fn follow(mut self, catalog: Arc<Catalog>, store: Arc<dyn Store>, token: CancellationToken) {
        let noticed = Arc::new(Notify::new());
        let bell = Arc::clone(&noticed);
        let mut watcher = notify::recommended_watcher(move |_| bell.notify_one()).ok();
        let mut watched = None;
        loop {
            // Under its name there may be another directory by now (moved away, made anew, a link that points elsewhere), and
            // a watch stays on the old one.
            let place = identity(&self.path);
            if place.is_none() || place != watched {
                watched = watcher.as_mut().and_then(|watcher| watch(watcher, &self.path).ok()).and(place);
            }
            // After the watch is on, so that nothing falls between.
            let scanned = self.scan(&catalog, &*store).await;
            if let Err(error) = &scanned {
                tracing::warn!(%error, "workflows could not be stored; trying again");
            }
            let rescan = if watched.is_some() && scanned.is_ok() { RESCAN } else { RESCAN_BLIND };
            tokio::select! {
                () = token.cancelled() => return,
                () = noticed.notified() => tokio::select! {
                    () = token.cancelled() => return,
                    () = tokio::time::sleep(QUIET) => {}
                },
                () = tokio::time::sleep(rescan) => {}
            }
        }
    }
}

/// Which directory a path leads to now: device and inode.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|about| (about.dev(), about.ino()))
}

/// Watches the directory that is now at a path, and no longer one that was.
fn watch(watcher: &mut impl Watcher, path: &Path) -> notify::Result<()> {
    // It fails if there was none, or if its watch went with it.
    watcher.unwatch(path).unwrap_or_default();
    watcher.watch(path, notify::RecursiveMode::NonRecursive)
}

/// At most `bytes_max` bytes of a regular file. Nothing else is opened, and nothing waited for: a pipe has no end.
fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let regular = |about: fs::Metadata| {
        if about.is_file() { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")) }
    };
    fault_point!("catalog.read")?;
    regular(fs::metadata(path)?)?;
    // It may have become a pipe since.
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    regular(file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_workflow(name: &str) -> bool {
    !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml"))
}

fn stem(file: &str) -> &str {
    Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or(file)
}

/// Something wrong with a file as a whole.
fn fault(code: &'static str, message: String) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Error,
        span: Span { start: 0, end: 0, line: 1, column: 1 },
        message,
        help: None,
    }
}

#[cfg(test)]
mod tests;
