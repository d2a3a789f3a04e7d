//! Who is alive and how large: the counts of all bounded containers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::budget::Budget;

/// Why a container let go of an entry, or did not take one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It was too old.
    Expired,
    /// It was the oldest and a newer one needed room.
    Evicted,
    /// It found no room and was not taken.
    Refused,
}

/// The size of a container at a moment, its bounds, and what it has let go of since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Its name.
    pub name: &'static str,
    /// Entries held, and at most; `None` where only bytes are counted.
    pub entries: Option<(u64, u64)>,
    /// Bytes held.
    pub bytes: u64,
    /// Bytes held at most.
    pub bytes_max: u64,
    /// Entries that were let go of because they were too old.
    pub expired: u64,
    /// Entries that were let go of to make room.
    pub evicted: u64,
    /// Entries or reservations that were not taken.
    pub refused: u64,
}

/// What can be counted without stopping it.
pub trait Counted: Send + Sync {
    /// Its counts now.
    fn count(&self) -> Count;
}

/// A container's counts, kept by the container and read by whoever asks.
///
/// Relaxed throughout: these are numbers to look at, nothing is decided by them.
#[derive(Debug)]
pub struct Gauge {
    name: &'static str,
    entries_max: u64,
    bytes_max: u64,
    entries: AtomicU64,
    bytes: AtomicU64,
    expired: AtomicU64,
    evicted: AtomicU64,
    refused: AtomicU64,
}

/// All containers that are alive. It keeps none of them alive.
///
/// ```
/// use std::time::Duration;
/// use staunch_bounded::{Bounds, Budget, Census, Policy, TtlMap};
/// let census = Census::default();
/// let budget = Budget::root("captures", 1_000);
/// census.register(&budget);
/// let bounds = Bounds { entries_max: 10, bytes_max: 100, age_max: Duration::from_secs(60) };
/// let mut map = TtlMap::new("sessions", bounds, Policy::Refuse);
/// census.register(map.gauge());
/// map.insert("a", 1, 40, Duration::ZERO).unwrap();
/// let told: Vec<_> = census.counts().iter().map(|count| (count.name, count.bytes)).collect();
/// assert_eq!(told, [("captures", 0), ("sessions", 40)]);
/// drop(map);
/// assert_eq!(census.counts().len(), 1);
/// ```
#[derive(Default)]
pub struct Census {
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    all: Vec<Weak<dyn Counted>>,
    /// Members at which the dead ones are looked for next.
    prune_at: usize,
}

impl Gauge {
    /// All zero, with these bounds.
    pub fn new(name: &'static str, entries_max: u64, bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            name,
            entries_max,
            bytes_max,
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// The container holds this now.
    pub fn holds(&self, entries: u64, bytes: u64) {
        self.entries.store(entries, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// The container let go of an entry, or did not take one.
    pub fn lost_one(&self, reason: Reason) {
        let counter = match reason {
            Reason::Expired => &self.expired,
            Reason::Evicted => &self.evicted,
            Reason::Refused => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counted for Gauge {
    fn count(&self) -> Count {
        Count {
            name: self.name,
            entries: Some((self.entries.load(Ordering::Relaxed), self.entries_max)),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_max: self.bytes_max,
            expired: self.expired.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

impl Counted for Budget {
    fn count(&self) -> Count {
        Count {
            name: self.name(),
            entries: None,
            bytes: self.used(),
            bytes_max: self.limit(),
            expired: 0,
            evicted: 0,
            refused: self.refused(),
        }
    }
}

impl Census {
    /// Counts `member` from now on, for as long as it lives.
    pub fn register<C: Counted + 'static>(&self, member: &Arc<C>) {
        let mut members = self.members();
        // When the list has doubled since the dead were last taken out: constant work a registration, and never more than
        // twice as many places as there were members alive, and a few.
        if members.all.len() >= members.prune_at {
            members.all.retain(|member| member.strong_count() > 0);
            members.prune_at = (members.all.len() * 2).max(16);
        }
        let weak = Arc::downgrade(member);
        members.all.push(weak);
    }

    /// The counts of all members alive, in the order in which they registered.
    pub fn counts(&self) -> Vec<Count> {
        // The lock is not held while members are asked, and their last owner may let go meanwhile.
        let alive: Vec<Arc<dyn Counted>> = self.members().all.iter().filter_map(Weak::upgrade).collect();
        alive.iter().map(|member| member.count()).collect()
    }

    /// A poisoned lock is as good as any: the list is whole after each single call on it.
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Census {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.counts()).finish()
    }
}

#[cfg(test)]
mod tests;
