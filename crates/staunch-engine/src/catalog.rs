//! The workflows that can be run: parsed once, by name and by revision.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use staunch_bounded::{Gauge, Reason};
use staunch_flow::{Diagnostic, Workflow};
use staunch_store::RevisionId;

/// What a parsed workflow holds for each byte of its text, from above: steps, templates and names are small objects
/// around slices of it. Measured on the examples it is 4 to 7.
pub(crate) const HEAP_BYTES_PER_TEXT_BYTE: u64 = 8;
/// And besides, whatever its text.
const HEAP_BYTES_MIN: u64 = 4_096;

/// Parsed workflows by name, and a bounded number by revision.
#[derive(Debug)]
pub struct Catalog {
    // Std locks: held for a look-up or an insert, never over an await.
    names: RwLock<Names>,
    revisions: Mutex<Revisions>,
    gauge: Arc<Gauge>,
}

#[derive(Debug, Default)]
struct Names {
    known: BTreeMap<String, Arc<Known>>,
    broken: BTreeMap<String, Vec<Diagnostic>>,
}

/// A cache: what falls out is read from the store and parsed again.
#[derive(Debug)]
struct Revisions {
    bytes_max: u64,
    bytes: u64,
    uses: u64,
    /// Whether it may be filled.
    open: bool,
    parsed: HashMap<RevisionId, Parsed>,
    gauge: Arc<Gauge>,
}

#[derive(Debug)]
struct Parsed {
    workflow: Arc<Workflow>,
    bytes: u64,
    used: u64,
}

/// A workflow that is known by name.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// The file it comes from, relative to the workflows directory.
    pub file: Option<String>,
    /// Its current revision.
    pub revision: RevisionId,
    /// The workflow.
    pub workflow: Arc<Workflow>,
    /// Warnings about the file.
    pub warnings: Vec<Diagnostic>,
}

impl Catalog {
    /// An empty catalog that holds at most about `bytes_max` bytes of workflows by revision.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let gauge = Gauge::new("workflows", bytes_max / HEAP_BYTES_MIN, bytes_max);
        let (parsed, told) = (HashMap::new(), Arc::clone(&gauge));
        let revisions = Revisions { bytes_max, bytes: 0, uses: 0, open: true, parsed, gauge: told };
        Self { names: RwLock::default(), revisions: Mutex::new(revisions), gauge }
    }

    /// The workflow of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Known>> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).known.get(name).cloned()
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<Arc<Known>> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).known.values().cloned().collect()
    }

    /// Files that have errors: the file's name and what is wrong. Their workflows keep their last good revision.
    pub fn broken(&self) -> Vec<(String, Vec<Diagnostic>)> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.broken.iter().map(|(file, diagnostics)| (file.clone(), diagnostics.clone())).collect()
    }

    /// The known name nearest to one that is not known.
    pub fn nearest(&self, name: &str) -> Option<String> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        nearest(name, names.known.keys().map(String::as_str))
    }

    /// Makes a workflow the current one of its name.
    pub(crate) fn put(&self, known: Known, text_bytes: usize) {
        self.remember(known.revision, &known.workflow, text_bytes);
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.known.insert(known.name.clone(), Arc::new(known));
    }

    /// Forgets a name.
    pub(crate) fn remove(&self, name: &str) {
        self.names.write().unwrap_or_else(PoisonError::into_inner).known.remove(name);
    }

    /// Says what is wrong with a file; nothing is wrong with it if `diagnostics` is empty.
    pub(crate) fn set_broken(&self, file: &str, diagnostics: Vec<Diagnostic>) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if diagnostics.is_empty() {
            names.broken.remove(file);
        } else {
            names.broken.insert(file.to_owned(), diagnostics);
        }
    }

    /// The workflow of a revision, if it is at hand.
    pub(crate) fn revision(&self, id: RevisionId) -> Option<Arc<Workflow>> {
        let mut revisions = self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        revisions.uses += 1;
        let now = revisions.uses;
        let parsed = revisions.parsed.get_mut(&id)?;
        parsed.used = now;
        Some(Arc::clone(&parsed.workflow))
    }

    /// Keeps the workflow of a revision at hand, instead of those that were used longest ago if it must.
    pub(crate) fn remember(&self, id: RevisionId, workflow: &Arc<Workflow>, text_bytes: usize) {
        let bytes = text_bytes as u64 * HEAP_BYTES_PER_TEXT_BYTE + HEAP_BYTES_MIN;
        let mut revisions = self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        if !revisions.open || bytes > revisions.bytes_max || revisions.parsed.contains_key(&id) {
            return;
        }
        while revisions.bytes + bytes > revisions.bytes_max {
            // Linear, but only when the cache is full and a text is new: rare, and a few hundred entries.
            let oldest = revisions.parsed.iter().min_by_key(|(_, parsed)| parsed.used).map(|(id, _)| *id);
            let Some(gone) = oldest.and_then(|id| revisions.parsed.remove(&id)) else { break };
            revisions.bytes -= gone.bytes;
            revisions.gauge.lost_one(Reason::Evicted);
        }
        revisions.uses += 1;
        revisions.bytes += bytes;
        let used = revisions.uses;
        revisions.parsed.insert(id, Parsed { workflow: Arc::clone(workflow), bytes, used });
        revisions.tell();
    }

    /// Keeps workflows of earlier revisions at hand from now on, or forgets them and keeps none.
    pub(crate) fn keep(&self, open: bool) {
        let mut revisions = self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        revisions.open = open;
        if !open {
            // A new one: what was allocated for the largest number of them goes too.
            revisions.parsed = HashMap::new();
            revisions.bytes = 0;
            revisions.tell();
        }
    }

    /// The counts of those by revision. Those by name are the same ones while they are at hand here, and have a bound of their own:
    /// the files of one directory, read at the start.
    pub(crate) fn counted(&self) -> &Arc<Gauge> {
        &self.gauge
    }

    /// Bytes of workflows at hand, by the estimate that bounds them.
    pub fn bytes(&self) -> u64 {
        self.revisions.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

impl Revisions {
    fn tell(&self) {
        self.gauge.holds(self.parsed.len() as u64, self.bytes);
    }
}

/// The nearest of `names` that could have been meant by `name`.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let close = |other: &str| strsim::jaro_winkler(name, other);
    names
        .map(|other| (close(other), other))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other.to_owned())
}
