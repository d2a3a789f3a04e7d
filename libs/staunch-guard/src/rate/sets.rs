//! All sets of a table, whatever locks them, and the counters beside them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use staunch_bounded::{Count, Counted};

use super::decision::{Allowed, Decision, Denied, NeverFits, Receipt};
use super::hash::{Hasher, Key};
use super::quota::Quota;
use super::set::{Charge, Charged, Gone, Latch, SET_BYTES, Set, WAYS};
use super::table::Stats;

/// Stripes of the counters: enough that threads which hit different sets seldom share a line, 8 KiB in all.
const STRIPES: usize = 64;

/// The table behind [`crate::Table`], with any [`Latch`].
///
/// All atomics are relaxed: the counters are numbers to look at, and `resets` is read and written under the lock of the set
/// that it is about.
pub(crate) struct Sets<L = Set> {
    name: &'static str,
    quota: Quota,
    hasher: Hasher,
    sets: Box<[L]>,
    stripes: Box<[Stripe]>,
    /// Slots in use; counted after the lock is let go of.
    live: AtomicU64,
    /// Keys that were reset: a receipt from before is void.
    resets: AtomicU64,
    swept: AtomicU64,
    /// The set that the next sweep begins at.
    cursor: AtomicUsize,
}

/// Counters on lines of their own.
#[derive(Default)]
#[repr(align(128))]
struct Stripe {
    admitted: AtomicU64,
    denied: AtomicU64,
    degraded_denials: AtomicU64,
    hot_evictions: AtomicU64,
}

fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl<L: Latch> Sets<L> {
    /// `sets` is a power of two.
    pub(crate) fn new(name: &'static str, quota: Quota, sets: usize, key: [u64; 2]) -> Self {
        Self {
            name,
            quota,
            hasher: Hasher::new(key),
            sets: (0..sets).map(|_| L::empty()).collect(),
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            live: AtomicU64::new(0),
            resets: AtomicU64::new(0),
            swept: AtomicU64::new(0),
            cursor: AtomicUsize::new(0),
        }
    }

    pub(crate) fn quota(&self) -> &Quota {
        &self.quota
    }

    /// The set of a key and its tag, which is not 0.
    #[inline]
    fn place(&self, key: &Key<'_>) -> (usize, u64) {
        let [first, second] = self.hasher.hash(key);
        // The number of sets is a power of two.
        (first as usize & (self.sets.len() - 1), second | 1)
    }

    #[inline]
    pub(crate) fn check(&self, key: &Key<'_>, cost: u32, now: u64) -> Result<Decision, NeverFits> {
        if cost > self.quota.burst() {
            return Err(NeverFits { cost, burst: self.quota.burst() });
        }
        // Within the tolerance, since the cost is at most the burst.
        Ok(self.charge(key, u64::from(cost) * self.quota.interval_nanos(), now))
    }

    /// Charges nanoseconds, at most the tolerance.
    #[inline]
    pub(crate) fn charge(&self, key: &Key<'_>, nanos: u64, now: u64) -> Decision {
        let interval = self.quota.interval_nanos();
        let (set, tag) = self.place(key);
        let charge = Charge { tag, nanos, tolerance: self.quota.tolerance_nanos(), now };
        let (charged, resets) =
            self.sets[set].with(|slots| (slots.charge(charge), self.resets.load(Ordering::Relaxed)));
        let stripe = &self.stripes[set % STRIPES];
        match charged {
            Charged::Yes { room, made_room } => {
                if nanos > 0 {
                    one(&stripe.admitted);
                }
                self.settle(stripe, made_room);
                let receipt = Receipt { set, tag, charge: nanos, at: now, resets };
                Decision::Allow(Allowed { room, interval, receipt })
            }
            Charged::No { retry, degraded } => {
                one(&stripe.denied);
                if degraded {
                    one(&stripe.degraded_denials);
                }
                Decision::Deny(Denied { retry: Duration::from_nanos(retry), degraded })
            }
        }
    }

    #[inline]
    fn settle(&self, stripe: &Stripe, made_room: Option<Gone>) {
        match made_room {
            Some(Gone::Empty) => one(&self.live),
            Some(Gone::Hot) => one(&stripe.hot_evictions),
            Some(Gone::Fresh) | None => {}
        }
    }

    pub(crate) fn penalize(&self, key: &Key<'_>, cost: u32, now: u64) {
        let (set, tag) = self.place(key);
        let nanos = u64::from(cost).saturating_mul(self.quota.interval_nanos());
        let charge = Charge { tag, nanos, tolerance: self.quota.tolerance_nanos(), now };
        let gone = self.sets[set].with(|slots| slots.penalize(charge));
        self.settle(&self.stripes[set % STRIPES], gone);
    }

    pub(crate) fn refund(&self, receipt: &Receipt, now: impl FnOnce() -> u64) -> bool {
        let Some(set) = self.sets.get(receipt.set) else { return false };
        set.with(|slots| {
            let valid = receipt.resets == self.resets.load(Ordering::Relaxed);
            // Read under the lock: an older time than that of a charge in between would give back too much.
            valid && slots.refund(receipt.tag, receipt.charge, receipt.at, now())
        })
    }

    pub(crate) fn reset(&self, key: &Key<'_>) -> bool {
        let (set, tag) = self.place(key);
        let was_here = self.sets[set].with(|slots| {
            one(&self.resets);
            slots.reset(tag)
        });
        if was_here {
            self.live.fetch_sub(1, Ordering::Relaxed);
        }
        was_here
    }

    pub(crate) fn sweep(&self, now: u64, sets_max: usize) -> u64 {
        let count = sets_max.min(self.sets.len());
        // Two sweepers take turns on different slices.
        let from = self.cursor.fetch_add(count, Ordering::Relaxed);
        let mut freed = 0;
        for at in 0..count {
            freed += self.sets[from.wrapping_add(at) & (self.sets.len() - 1)].with(|slots| slots.sweep(now));
        }
        self.live.fetch_sub(freed, Ordering::Relaxed);
        self.swept.fetch_add(freed, Ordering::Relaxed);
        freed
    }

    pub(crate) fn stats(&self, now: u64) -> Stats {
        let mut stats = Stats { slots: self.slots(), bytes: self.bytes(), ..Stats::default() };
        for set in &self.sets {
            let look = set.with(|slots| slots.look(now));
            stats.live += look.live;
            stats.hot += look.hot;
            stats.degraded_sets += u64::from(look.degraded);
        }
        stats.admitted = self.sum(|stripe| &stripe.admitted);
        stats.denied = self.sum(|stripe| &stripe.denied);
        stats.degraded_denials = self.sum(|stripe| &stripe.degraded_denials);
        stats.hot_evictions = self.sum(|stripe| &stripe.hot_evictions);
        stats
    }

    fn sum(&self, counter: impl Fn(&Stripe) -> &AtomicU64) -> u64 {
        self.stripes.iter().map(|stripe| counter(stripe).load(Ordering::Relaxed)).sum()
    }

    /// A sweep may take a key off the count before the thread that brought it has put it on: never below zero.
    fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed).cast_signed().max(0).cast_unsigned()
    }

    pub(crate) fn slots(&self) -> u64 {
        (self.sets.len() * WAYS) as u64
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.sets.len() * SET_BYTES + STRIPES * size_of::<Stripe>()) as u64
    }

    #[cfg(test)]
    pub(crate) fn poke(&self, key: &Key<'_>, on: impl FnOnce(&mut super::set::Slots)) {
        self.sets[self.place(key).0].with(on);
    }
}

impl<L: Latch> Counted for Sets<L> {
    fn count(&self) -> Count {
        Count {
            name: self.name,
            entries: Some((self.live(), self.slots())),
            bytes: self.bytes(),
            bytes_max: self.bytes(),
            expired: self.swept.load(Ordering::Relaxed),
            evicted: self.sum(|stripe| &stripe.hot_evictions),
            refused: self.sum(|stripe| &stripe.degraded_denials),
        }
    }
}

#[cfg(test)]
mod tests;
