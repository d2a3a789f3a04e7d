//! What a process counts itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use staunch_bounded::Budget;

/// Counts by name.
pub type Counts = BTreeMap<String, u64>;

/// Something that can be asked for counts.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use staunch_leak::{Census, census::Probe};
/// let rows = Arc::new(AtomicU64::new(3));
/// let seen = Arc::clone(&rows);
/// let probes = [Probe::one("rows", move || seen.load(Ordering::SeqCst))];
/// let before = Census::take(None, &probes);
/// rows.store(5, Ordering::SeqCst);
/// assert_eq!(Census::take(None, &probes).since(&before).to_string(), "count rows: 3 -> 5 (+2)");
/// ```
pub struct Probe {
    read: Box<dyn Fn(&mut Counts)>,
}

impl Probe {
    /// One count.
    pub fn one(name: impl Into<String>, read: impl Fn() -> u64 + 'static) -> Self {
        let name = name.into();
        Self::many(move |counts| {
            counts.insert(name.clone(), read());
        })
    }

    /// Any number of counts, written into the map: tasks by kind, rows by table.
    pub fn many(read: impl Fn(&mut Counts) + 'static) -> Self {
        Self { read: Box::new(read) }
    }

    /// Bytes held on a budget.
    pub fn budget(budget: &Arc<Budget>) -> Self {
        let budget = Arc::clone(budget);
        Self::one(format!("bytes on budget {}", budget.name()), move || budget.used())
    }

    /// Entries and bytes of all members of a [`staunch_bounded::Census`]: containers and budgets. Those of one name are added.
    pub fn bounded(census: &Arc<staunch_bounded::Census>) -> Self {
        let census = Arc::clone(census);
        Self::many(move |counts| {
            for member in census.counts() {
                *counts.entry(format!("bytes of {}", member.name)).or_default() += member.bytes;
                if let Some((entries, _)) = member.entries {
                    *counts.entry(format!("entries of {}", member.name)).or_default() += entries;
                }
            }
        })
    }

    pub(crate) fn read(&self, counts: &mut Counts) {
        (self.read)(counts);
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = Counts::new();
        self.read(&mut counts);
        f.debug_tuple("Probe").field(&counts).finish()
    }
}
