//! The table: what all keys of one policy have used, in fixed memory.

use std::fmt;

use staunch_bounded::{Count, Counted};

use super::decision::{Decision, NeverFits, Receipt};
use super::hash::Key;
use super::quota::Quota;
use super::sets::Sets;

/// What all keys of one [`Quota`] have used: a hash table of fixed size that never loses a debt.
///
/// # Memory
/// `sets` times 128 bytes, taken at construction, never more and never less: a lock, a floor and seven slots of a 64-bit tag
/// and a 64-bit time, 18.3 bytes a key. No call allocates. No key is kept, only 128 bits of its keyed hash, of which 64 choose
/// the set and 63 are the tag; two keys of a set share a tag with probability 2^-63, and then share one quota.
///
/// # When a set is full
/// *Floor inheritance.* A newcomer takes the slot with the smallest theoretical arrival time (TAT). The set's floor rises to
/// the TAT that is let go of, and a key that is not in the set starts at `max(floor, now)` instead of at nothing. So, whatever
/// the flood:
///
/// * **No key is ever admitted beyond its own quota.** Let `R` be the TAT of a key as its admitted requests alone make it. A
///   key in the set has a TAT of at least `R`, one outside has `R` at most the floor. Both hold at the start; an admission adds
///   the same to both sides; a newcomer starts at `max(floor, now)`, at least `max(R, now)`; whoever goes leaves a floor at
///   least as high as its TAT. Nothing here needs the times to come in order: a thread may bring an older `now`.
/// * **Newcomers live.** Neither a TAT nor the floor is ever more than one burst ahead, and a denied newcomer stores nothing:
///   it is admitted after [`retry`](crate::Denied::retry) if its set discards no busy key meanwhile.
/// * **A flood is limited itself.** One set admits at most `8 * (burst + D / interval)` in a time `D`, whatever the number of
///   keys: the seven slots and the floor are eight buckets that drain at the common rate.
///
/// The slot of a full set that goes is the idea of the Space-Saving sketch (Metwally, Agrawal, El Abbadi 2005); the floor is
/// what makes it exact for each key.
///
/// ```
/// use std::time::Duration;
/// use staunch_guard::{Decision, Key, Quota, Table};
/// let quota = Quota::new(5, Duration::from_secs(60)).unwrap();
/// let table = Table::new("login", quota, 64).unwrap();
/// let alice = Key::Bytes(b"alice");
/// for _ in 0..5 {
///     assert!(table.check(&alice, 1, 0).unwrap().is_allowed());
/// }
/// let Decision::Deny(denied) = table.check(&alice, 1, 0).unwrap() else { panic!() };
/// assert_eq!(denied.retry, Duration::from_secs(12));
/// ```
pub struct Table(Sets);

/// What a table holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Slots in use.
    pub live: u64,
    /// Slots whose key still owes time.
    pub hot: u64,
    /// Slots there are.
    pub slots: u64,
    /// Bytes held, from construction to drop.
    pub bytes: u64,
    /// Sets whose floor lies ahead: newcomers there pay for others. Above 1 % the table is too small.
    pub degraded_sets: u64,
    /// Requests admitted, ever. Cost 0 does not count.
    pub admitted: u64,
    /// Requests denied, ever.
    pub denied: u64,
    /// Of these, keys that had used nothing and were denied by the floor.
    pub degraded_denials: u64,
    /// Keys let go of while they still owed time.
    pub hot_evictions: u64,
}

/// Why a table cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The number of sets is no power of two, or out of bounds.
    #[error("a table has a power of two of sets, at most {SETS_MAX}, not {0}")]
    Sets(usize),
    /// The system gave no random bytes for the hash key.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// 2 GiB a table: beyond it a number was mistyped.
const SETS_MAX: usize = 1 << 24;

impl Table {
    /// An empty table of `sets` sets, seven keys each. `name` is shown by a census.
    ///
    /// Take four times as many slots as keys are expected to owe time at once: then one set in 2,000 overflows.
    ///
    /// # Errors
    /// [`TableError`] if `sets` is not a power of two from 1 to 2^24, or the system has no randomness.
    pub fn new(name: &'static str, quota: Quota, sets: usize) -> Result<Self, TableError> {
        if !sets.is_power_of_two() || sets > SETS_MAX {
            return Err(TableError::Sets(sets));
        }
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| TableError::NoRandomness)?;
        let key = u128::from_le_bytes(bytes);
        Ok(Self(Sets::new(name, quota, sets, [key as u64, (key >> 64) as u64])))
    }

    /// Its quota.
    pub fn quota(&self) -> &Quota {
        self.0.quota()
    }

    /// Admits a request of `key` at `now` (nanoseconds of a monotonic clock) and charges `cost`, or denies it and changes
    /// nothing. Cost 0 only looks, see [`peek`](Self::peek).
    ///
    /// # Errors
    /// [`NeverFits`] if the cost is above the burst: it would be denied for ever.
    #[inline]
    pub fn check(&self, key: &Key<'_>, cost: u32, now: u64) -> Result<Decision, NeverFits> {
        self.0.check(key, cost, now)
    }

    /// What is left to `key`, without charging. A denial means that even cost 0 has to wait, because the key was penalized or
    /// `now` is old.
    pub fn peek(&self, key: &Key<'_>, now: u64) -> Decision {
        self.0.charge(key, 0, now)
    }

    /// Gives back what a receipt charged, less what has drained since; whether there was anything to give back.
    ///
    /// `now` is read under the lock of the set. It must not be older than the time of any charge to the key before.
    #[expect(clippy::needless_pass_by_value, reason = "a receipt that was used is gone")]
    pub fn refund(&self, receipt: Receipt, now: impl FnOnce() -> u64) -> bool {
        self.0.refund(&receipt, now)
    }

    /// For a limiter, which answers for giving back once.
    pub(crate) fn give_back(&self, receipt: &Receipt, now: impl FnOnce() -> u64) -> bool {
        self.0.refund(receipt, now)
    }

    /// Forgets what `key` has used; whether the table knew it. In a set that has let go of busy keys, the floor stays, since it
    /// is the debt of others: the key then starts from there. All receipts from before become void.
    pub fn reset(&self, key: &Key<'_>) -> bool {
        self.0.reset(key)
    }

    /// Charges `cost` whether or not it fits, up to a whole burst from `now`: for a request that turned out to be worse than it
    /// looked. The key never waits longer than for a burst it took itself.
    pub fn penalize(&self, key: &Key<'_>, cost: u32, now: u64) {
        self.0.penalize(key, cost, now);
    }

    /// Empties slots whose key owes nothing, in the next `sets_max` sets; returns how many. One lock at a time.
    ///
    /// It is a courtesy to those who read the counts: nothing depends on it. Every five minutes in slices of 256 sets is plenty.
    pub fn sweep(&self, now: u64, sets_max: usize) -> u64 {
        self.0.sweep(now, sets_max)
    }

    /// Counts everything, one set after the other: about 20 ns a set.
    pub fn stats(&self, now: u64) -> Stats {
        self.0.stats(now)
    }

    /// Slots: the most keys it can tell apart at once.
    pub fn slots(&self) -> u64 {
        self.0.slots()
    }

    /// Bytes it holds from construction to drop.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

/// `expired` are the swept, `evicted` the busy keys let go of, `refused` the newcomers that a floor denied.
impl Counted for Table {
    fn count(&self) -> Count {
        self.0.count()
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("count", &self.count()).finish_non_exhaustive()
    }
}
