//! One set of the table: seven keys, and the floor for all that are not among them.

use std::sync::{Mutex, PoisonError};

/// Keys a set holds. With the lock and the floor they fill two cache lines, which processors fetch together.
pub(crate) const WAYS: usize = 7;

/// The keys of a set and their theoretical arrival times (TAT), in nanoseconds.
///
/// Tag and TAT stand side by side: the lock, the floor and the first three slots fill one cache line, and a table of the size
/// that is recommended seldom has more than three keys in a set, so most checks fetch one line and not two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    /// The largest TAT that was ever let go of here. A key that is not here has used up at most this much.
    pub(crate) floor: u64,
    slots: [Slot; WAYS],
}

/// A tag of 0 is an empty slot, whose TAT is 0. A slot whose TAT has passed is as good as empty: its key is
/// indistinguishable from one that never came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    tag: u64,
    tat: u64,
}

/// What a charge needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Charge {
    /// Not 0.
    pub(crate) tag: u64,
    /// Cost times interval, in nanoseconds; at most `tolerance`. 0 only looks.
    pub(crate) nanos: u64,
    /// Burst times interval, in nanoseconds.
    pub(crate) tolerance: u64,
    pub(crate) now: u64,
}

/// What became of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charged {
    /// Admitted.
    Yes {
        /// Nanoseconds of tolerance that are left.
        room: u64,
        /// What was let go of for it; `None` if the key was here or the cost was 0.
        made_room: Option<Gone>,
    },
    /// Denied.
    No {
        /// Nanoseconds until it fits.
        retry: u64,
        /// The key was not here and the floor denied it.
        degraded: bool,
    },
}

/// What a newcomer displaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Nothing: the slot was empty.
    Empty,
    /// A key whose TAT had passed.
    Fresh,
    /// A key that still owed time: the floor keeps its debt.
    Hot,
}

/// What a look at a set finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Slots in use.
    pub(crate) live: u64,
    /// Slots whose TAT has not passed.
    pub(crate) hot: u64,
    /// Whether the floor lies ahead.
    pub(crate) degraded: bool,
}

/// A lock around [`Slots`]. The product has one, [`Set`]; the model checker brings its own.
pub(crate) trait Latch: Send + Sync {
    /// Around an empty set.
    fn empty() -> Self;
    /// Runs `on` alone with the set.
    fn with<R>(&self, on: impl FnOnce(&mut Slots) -> R) -> R;
}

/// A set behind its lock, alone on its two cache lines.
#[repr(align(128))]
pub(crate) struct Set(Mutex<Slots>);

/// 128 bytes for 7 keys: 18.3 bytes a key.
pub(crate) const SET_BYTES: usize = 128;
const _: () = assert!(size_of::<Set>() == SET_BYTES, "a set fills two cache lines and no more");

impl Latch for Set {
    fn empty() -> Self {
        Self(Mutex::new(Slots::default()))
    }

    #[inline]
    fn with<R>(&self, on: impl FnOnce(&mut Slots) -> R) -> R {
        // A poisoned lock is as good as any: nothing below can panic between two writes that belong together.
        on(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Slots {
    #[inline]
    fn find(&self, tag: u64) -> Option<usize> {
        self.slots.iter().position(|slot| slot.tag == tag)
    }

    /// The slot that goes when one has to: the smallest TAT, which is an empty or fresh one whenever there is one.
    #[inline]
    fn least(&self) -> usize {
        let mut least = 0;
        for at in 1..WAYS {
            if self.slots[at].tat < self.slots[least].tat {
                least = at;
            }
        }
        least
    }

    /// Admits and charges, or changes nothing.
    #[inline]
    pub(crate) fn charge(&mut self, charge: Charge) -> Charged {
        let Charge { tag, nanos, tolerance, now } = charge;
        let found = self.find(tag);
        let base = match found {
            Some(at) => self.slots[at].tat,
            // It may be one that was let go of, and whatever it owed then is at most the floor.
            None => self.floor,
        };
        // Not `max(base, now) + nanos`: at the end of time that would saturate and admit.
        let ahead = base.saturating_sub(now).saturating_add(nanos);
        if ahead > tolerance {
            return Charged::No { retry: ahead - tolerance, degraded: found.is_none() };
        }
        let room = tolerance - ahead;
        if nanos == 0 {
            return Charged::Yes { room, made_room: None };
        }
        let (at, made_room) = match found {
            Some(at) => (at, None),
            None => {
                let (at, gone) = self.make_room(tag, now);
                (at, Some(gone))
            }
        };
        self.slots[at].tat = now.saturating_add(ahead);
        Charged::Yes { room, made_room }
    }

    /// A slot for a newcomer: every TAT that is let go of raises the floor.
    #[inline]
    fn make_room(&mut self, tag: u64, now: u64) -> (usize, Gone) {
        let at = self.least();
        let Slot { tag: old, tat } = self.slots[at];
        let gone = match (old, tat > now) {
            (0, _) => Gone::Empty,
            (_, false) => Gone::Fresh,
            (_, true) => Gone::Hot,
        };
        self.floor = self.floor.max(tat);
        self.slots[at].tag = tag;
        (at, gone)
    }

    /// Charges whether or not it fits, but never beyond what a full burst would have left: the key waits `tolerance` at most.
    pub(crate) fn penalize(&mut self, charge: Charge) -> Option<Gone> {
        let Charge { tag, nanos, tolerance, now } = charge;
        let found = self.find(tag);
        let base = found.map_or(self.floor, |at| self.slots[at].tat);
        let most = now.saturating_add(tolerance);
        // A `now` that is older than the charges before it must not lower what is owed.
        let tat = base.max(now).saturating_add(nanos).min(most).max(base);
        let (at, gone) = match found {
            Some(at) => (at, None),
            None => {
                let (at, gone) = self.make_room(tag, now);
                (at, Some(gone))
            }
        };
        self.slots[at].tat = tat;
        gone
    }

    /// Gives back what is left of a charge at `now`, if its key is still here.
    pub(crate) fn refund(&mut self, tag: u64, nanos: u64, charged_at: u64, now: u64) -> bool {
        // What has drained since would be drained twice if it were given back.
        let left = nanos.saturating_sub(now.saturating_sub(charged_at));
        match self.find(tag) {
            Some(at) if left > 0 => {
                self.slots[at].tat = self.slots[at].tat.saturating_sub(left);
                true
            }
            _ => false,
        }
    }

    /// Forgets a key that is here. The floor stays: it is the debt of others.
    pub(crate) fn reset(&mut self, tag: u64) -> bool {
        let Some(at) = self.find(tag) else { return false };
        self.slots[at] = Slot::default();
        true
    }

    /// Empties the slots whose TAT has passed; returns how many.
    pub(crate) fn sweep(&mut self, now: u64) -> u64 {
        let mut freed = 0;
        for slot in &mut self.slots {
            if slot.tag != 0 && slot.tat <= now {
                self.floor = self.floor.max(slot.tat);
                *slot = Slot::default();
                freed += 1;
            }
        }
        freed
    }

    /// Counts what is here.
    pub(crate) fn look(&self, now: u64) -> Look {
        let live = self.slots.iter().filter(|slot| slot.tag != 0).count() as u64;
        let hot = self.slots.iter().filter(|slot| slot.tat > now).count() as u64;
        Look { live, hot, degraded: self.floor > now }
    }
}
