//! Follows the workflows directory: its files are the source of truth, the store keeps every text that was one.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::Watcher;
use staunch_flow::{Budgets, Diagnostic, Severity, Span};
use staunch_store::{NewRevision, Store, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, Known};

/// A change is looked at this long after it was noticed, so that a file is not read while an editor writes it.
const QUIET: Duration = Duration::from_millis(100);

/// The directory is read again this often even if nothing was noticed: notices get lost (network mounts, overflow).
const RESCAN: Duration = Duration::from_secs(60);

/// What is remembered of a file, to see that it changed.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

/// The workflows directory, as last seen.
pub(crate) struct Directory {
    path: PathBuf,
    files_max: usize,
    budgets: Budgets,
    seen: BTreeMap<String, Seen>,
}

struct Seen {
    stamp: Stamp,
    /// The workflow's name, if the file ever had no errors.
    name: Option<String>,
}

/// A file that is new or has changed.
struct Changed {
    file: String,
    stamp: Stamp,
    bytes: Vec<u8>,
}

impl Directory {
    pub(crate) fn new(path: PathBuf, files_max: usize, budgets: Budgets) -> Self {
        Self { path, files_max, budgets, seen: BTreeMap::new() }
    }

    /// Reads what has changed and brings the catalog and the store up to date. Returns how many files were new or changed.
    ///
    /// # Errors
    /// The store's. What was not stored is tried again at the next call.
    pub(crate) async fn scan(&mut self, catalog: &Catalog, store: &dyn Store) -> Result<usize, StoreError> {
        let (changed, gone) = match self.look() {
            Ok(found) => found,
            Err(error) => {
                let text = format!("the workflows directory cannot be read: {error}");
                catalog.set_broken(".", vec![fault("unreadable_directory", text)]);
                return Ok(0);
            }
        };
        catalog.set_broken(".", Vec::new());
        for file in gone {
            let seen = self.seen.remove(&file);
            catalog.set_broken(&file, Vec::new());
            if let Some(name) = seen.and_then(|seen| seen.name) {
                store.retire(&name).await?;
                catalog.remove(&name);
                tracing::info!(workflow = name, file, "workflow removed");
            }
        }
        let count = changed.len();
        for change in changed {
            self.take_in(change, catalog, store).await?;
        }
        Ok(count)
    }

    /// What is new or changed, and what is gone. Blocking, but only for as long as reading some small files takes.
    fn look(&self) -> std::io::Result<(Vec<Changed>, Vec<String>)> {
        let mut names: Vec<String> = fs::read_dir(&self.path)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| is_workflow(name))
            .collect();
        names.sort();
        names.truncate(self.files_max);
        let gone = self.seen.keys().filter(|file| names.binary_search(file).is_err()).cloned().collect();
        let changed = names.into_iter().filter_map(|file| self.read_if_changed(file)).collect();
        Ok((changed, gone))
    }

    fn read_if_changed(&self, file: String) -> Option<Changed> {
        use std::os::unix::fs::MetadataExt;

        let path = self.path.join(&file);
        let about = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let stamp = Stamp { modified: about.modified().ok(), bytes: about.len(), inode: about.ino() };
        if self.seen.get(&file).is_some_and(|seen| seen.stamp == stamp) {
            return None;
        }
        // One byte more than allowed is enough for the parser to say that it is too large.
        let mut bytes = Vec::new();
        fs::File::open(&path).ok()?.take(self.budgets.bytes_max as u64 + 1).read_to_end(&mut bytes).ok()?;
        Some(Changed { file, stamp, bytes })
    }

    async fn take_in(&mut self, change: Changed, catalog: &Catalog, store: &dyn Store) -> Result<(), StoreError> {
        let Changed { file, stamp, bytes } = change;
        let parsed = staunch_flow::parse(&bytes, stem(&file), &self.budgets);
        let before = self.seen.get(&file).and_then(|seen| seen.name.clone());
        let Some(workflow) = parsed.workflow else {
            let errors = parsed.diagnostics.len();
            let before = match before {
                None => self.bring_back(&file, catalog, store).await?,
                name => name,
            };
            match &before {
                Some(_) => tracing::warn!(file, errors, "workflow file has errors: its last good text stays in use"),
                None => tracing::warn!(file, errors, "workflow file has errors and no good text yet"),
            }
            catalog.set_broken(&file, parsed.diagnostics);
            self.seen.insert(file, Seen { stamp, name: before });
            return Ok(());
        };
        let other =
            self.seen.iter().find(|(other, seen)| **other != file && seen.name.as_ref() == Some(&workflow.name));
        if let Some((other, _)) = other {
            let text = format!("the name `{}` is taken by the file {other}", workflow.name);
            catalog.set_broken(&file, vec![fault("duplicate_name", text)]);
            self.seen.insert(file, Seen { stamp, name: None });
            return Ok(());
        }
        // The parser takes only UTF-8, so this is no loss.
        let text: Arc<str> = String::from_utf8_lossy(&bytes).into();
        let name = workflow.name.clone();
        let revision = store.publish(NewRevision { name: name.clone(), text, file: Some(file.clone()) }).await?;
        if let Some(old) = before.filter(|old| *old != name) {
            store.retire(&old).await?;
            catalog.remove(&old);
        }
        catalog.set_broken(&file, Vec::new());
        let known = Known {
            name: name.clone(),
            file: Some(file.clone()),
            revision,
            workflow: Arc::new(workflow),
            warnings: parsed.diagnostics,
        };
        catalog.put(known, bytes.len());
        tracing::info!(workflow = name, file, "workflow loaded");
        self.seen.insert(file, Seen { stamp, name: Some(name) });
        Ok(())
    }

    /// A file has errors that had none in an earlier life: the store still has its last good text. Returns the workflow's name.
    async fn bring_back(&self, file: &str, catalog: &Catalog, store: &dyn Store) -> Result<Option<String>, StoreError> {
        let rows = store.workflows().await?;
        let Some(row) = rows.into_iter().find(|row| row.file.as_deref() == Some(file)) else { return Ok(None) };
        let taken = self.seen.values().any(|seen| seen.name.as_ref() == Some(&row.name));
        let Some(text) = store.revision(row.revision).await?.filter(|_| !taken) else { return Ok(None) };
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
        catalog.put(known, text.len());
        Ok(Some(row.name))
    }

    /// Follows the directory until the token ends.
    pub(crate) async fn follow(mut self, catalog: Arc<Catalog>, store: Arc<dyn Store>, token: CancellationToken) {
        let noticed = Arc::new(Notify::new());
        let bell = Arc::clone(&noticed);
        let watcher = notify::recommended_watcher(move |_| bell.notify_one());
        // Without a watcher (no inotify instances left) the rescan alone follows it.
        let _watcher = watcher.and_then(|mut watcher| {
            watcher.watch(&self.path, notify::RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = noticed.notified() => tokio::select! {
                    () = token.cancelled() => return,
                    () = tokio::time::sleep(QUIET) => {}
                },
                () = tokio::time::sleep(RESCAN) => {}
            }
            if let Err(error) = self.scan(&catalog, &*store).await {
                tracing::warn!(%error, "workflows could not be stored; trying again");
            }
        }
    }
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
