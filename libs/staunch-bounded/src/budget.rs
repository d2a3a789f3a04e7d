//! A counted limit, and a held part of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A named limit in bytes with a live count against it. A child's charges count against its parent too.
///
/// The limit is never passed, whoever reserves at the same time: a reservation adds to the count only where the sum stays
/// within the limit, first here, then at the parent, and takes it back here if the parent refuses. In that moment another
/// reservation may be refused that would have fitted a moment later; the error is always on this side.
///
/// A budget outlives its charges, since each of them keeps it alive, and its children keep it alive too.
///
/// ```
/// use staunch_bounded::Budget;
/// let process = Budget::root("process", 1_000);
/// let run = Budget::child("run", 100, &process);
/// let held = run.try_reserve(60).unwrap();
/// assert_eq!((run.used(), process.used()), (60, 60));
/// assert!(run.try_reserve(60).is_err());
/// drop(held);
/// assert_eq!((run.used(), process.used()), (0, 0));
/// ```
#[derive(Debug)]
pub struct Budget {
    name: &'static str,
    limit: AtomicU64,
    used: AtomicU64,
    peak: AtomicU64,
    refused: AtomicU64,
    parent: Option<Arc<Self>>,
}

/// A held part of a [`Budget`]. It lives inside what it pays for; dropping it pays back.
#[must_use = "a charge that is dropped at once pays for nothing"]
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: u64,
}

/// A reservation was refused. Nothing is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverBudget {
    /// The budget that refused: the one asked, or the nearest parent without room.
    pub budget: &'static str,
    /// Its limit, in bytes.
    pub limit: u64,
    /// What was in use, in bytes.
    pub used: u64,
    /// What was asked for, in bytes.
    pub asked: u64,
    /// How far above the budget that was asked the refusing one stands: 0 is itself, 1 its parent. So a run's own limit
    /// (asking again does not help) is told from pressure in the whole process (it may be better later).
    pub above: u32,
}

impl OverBudget {
    /// Whether it could ever be granted: the request is not larger than the whole limit.
    pub fn could_fit(&self) -> bool {
        self.asked <= self.limit
    }
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "budget {} is full: {} of {} bytes in use, {} asked for",
            self.budget, self.used, self.limit, self.asked
        )
    }
}

impl std::error::Error for OverBudget {}

impl Budget {
    /// A budget that counts against nothing else. `limit` in bytes.
    pub fn root(name: &'static str, limit: u64) -> Arc<Self> {
        Arc::new(Self::new(name, limit, None))
    }

    /// A budget whose charges count against `parent` as well. `limit` in bytes; it may exceed the parent's.
    pub fn child(name: &'static str, limit: u64, parent: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self::new(name, limit, Some(Arc::clone(parent))))
    }

    fn new(name: &'static str, limit: u64, parent: Option<Arc<Self>>) -> Self {
        Self {
            name,
            limit: AtomicU64::new(limit),
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            parent,
        }
    }

    /// Takes `bytes` from this budget and all above it, or nothing from any.
    ///
    /// # Errors
    /// [`OverBudget`] names the budget without room.
    pub fn try_reserve(self: &Arc<Self>, bytes: u64) -> Result<Charge, OverBudget> {
        self.ask(bytes)?;
        Ok(Charge { budget: Arc::clone(self), bytes })
    }

    /// What somebody asks for, and what a sweep over all reservations can refuse; what a child takes is its parent's concern.
    fn ask(&self, bytes: u64) -> Result<(), OverBudget> {
        if crate::fault_point!("budget.reserve").is_err() {
            let (limit, used) = (self.limit(), self.used());
            return Err(OverBudget { budget: self.name, limit, used, asked: bytes, above: 0 });
        }
        self.take(bytes)
    }

    fn take(&self, bytes: u64) -> Result<(), OverBudget> {
        if cfg!(staunch_unaccounted) {
            return Ok(());
        }
        let limit = self.limit.load(Ordering::Relaxed);
        // Relaxed throughout: the count guards no other memory, it only has to be exact.
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|sum| *sum <= limit)
        });
        let used = match taken {
            Ok(used) => used,
            Err(used) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(OverBudget { budget: self.name, limit, used, asked: bytes, above: 0 });
            }
        };
        if let Some(parent) = &self.parent
            && let Err(refusal) = parent.take(bytes)
        {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(OverBudget { above: refusal.above + 1, ..refusal });
        }
        let used = used + bytes;
        // A look is cheap, a write is not, and new peaks are few.
        if used > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(used, Ordering::Relaxed);
        }
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        if cfg!(staunch_unaccounted) {
            return;
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(parent) = &self.parent {
            parent.give_back(bytes);
        }
    }

    /// Its name, as shown in metrics.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Bytes held now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The most bytes ever held at once.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Its limit, in bytes.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Sets another limit, in bytes. What is held stays held; below that nothing more is granted until enough is paid back.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes that can be reserved now, here and in all above.
    pub fn available(&self) -> u64 {
        let own = self.limit().saturating_sub(self.used());
        self.parent.as_ref().map_or(own, |parent| own.min(parent.available()))
    }

    /// The budget it counts against as well.
    pub fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// How often it refused for itself (a parent's refusal counts at the parent).
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Bytes of all budgets that closed with a rest.
static RESTS: AtomicU64 = AtomicU64::new(0);

impl Budget {
    /// Bytes that budgets of this process were found to hold when they closed: 0, or there is a bug. A program looks at its end, and a
    /// server all the time; where debug assertions are on, such a budget panics besides.
    ///
    /// ```
    /// use staunch_bounded::Budget;
    /// drop(Budget::root("process", 1_000).try_reserve(60));
    /// assert_eq!(Budget::rest_bytes(), 0);
    /// ```
    pub fn rest_bytes() -> u64 {
        RESTS.load(Ordering::Relaxed)
    }
}

impl Drop for Budget {
    /// A budget that closes with a rest was paid back too little or too much: a bug in this file, as each charge keeps its
    /// budget alive; or a charge that was forgotten.
    fn drop(&mut self) {
        let used = *self.used.get_mut();
        RESTS.fetch_add(used, Ordering::Relaxed);
        debug_assert!(used == 0 || std::thread::panicking(), "budget {} closed with {used} bytes held", self.name);
    }
}

impl Charge {
    /// A charge of 0 bytes, to grow: it cannot be refused.
    pub fn nothing(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The budget it is held on.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Holds `more` bytes besides.
    ///
    /// # Errors
    /// [`OverBudget`]; what was held is still held.
    pub fn grow(&mut self, more: u64) -> Result<(), OverBudget> {
        self.budget.ask(more)?;
        self.bytes += more;
        Ok(())
    }

    /// Pays back all but `bytes`; nothing happens if it holds no more than that.
    pub fn shrink_to(&mut self, bytes: u64) {
        if let Some(rest) = self.bytes.checked_sub(bytes) {
            self.budget.give_back(rest);
            self.bytes = bytes;
        }
    }

    /// Parts with `bytes` of it, which live on in the returned charge.
    ///
    /// # Panics
    /// If it holds less than `bytes`.
    pub fn split(&mut self, bytes: u64) -> Self {
        assert!(bytes <= self.bytes, "cannot split {bytes} bytes off a charge of {}", self.bytes);
        self.bytes -= bytes;
        Self { budget: Arc::clone(&self.budget), bytes }
    }

    /// Takes over what `other` holds.
    ///
    /// # Panics
    /// If it is on another budget.
    pub fn merge(&mut self, mut other: Self) {
        assert!(Arc::ptr_eq(&self.budget, &other.budget), "charges of two budgets cannot be merged");
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests;
