//! Where a session is, by its key: open addressing, one cache line a look.

use super::slab::NOWHERE;

/// Slots an index begins with.
const SLOTS_MIN: usize = 16;
/// Slots an index has at most: sixteen bits of a hash say where a session belongs.
const SLOTS_MAX: usize = 1 << 16;
/// Of each four slots, three are used at most: a look then ends after a few slots.
const USED_OF_FOUR: usize = 3;
/// Sessions an index holds at most.
pub(super) const PLACES_MAX: usize = SLOTS_MAX / 4 * USED_OF_FOUR - 1;

/// Sixteen bits of a hash, and a place. No place is [`NOWHERE`] if the slot is empty.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u16,
    place: u16,
}

const EMPTY: Slot = Slot { hash: 0, place: NOWHERE };

/// A table of places by hash. Who asks compares the keys: the index holds none. Taking one out moves those behind it up, so
/// there are no graves, and it is never larger than its fullest moment asked for.
pub(super) struct Index {
    /// A power of two, or none.
    slots: Vec<Slot>,
    used: usize,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), used: 0 }
    }

    /// The place with this hash of which `is` says that it is the one.
    pub(super) fn find(&self, hash: u64, is: impl Fn(u16) -> bool) -> Option<u16> {
        self.slot_of(hash, is).map(|at| self.slots[at].place)
    }

    /// Puts in a place that is not in it.
    pub(super) fn insert(&mut self, hash: u64, place: u16) {
        if (self.used + 1) * 4 > self.slots.len() * USED_OF_FOUR {
            self.grow();
        }
        self.used += 1;
        self.put(Slot { hash: hash as u16, place });
    }

    /// Takes a place out and returns it, if there is the one.
    pub(super) fn remove(&mut self, hash: u64, is: impl Fn(u16) -> bool) -> Option<u16> {
        let mut hole = self.slot_of(hash, is)?;
        let place = self.slots[hole].place;
        let mask = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot.place == NOWHERE {
                break;
            }
            // It may move up to the hole unless the hole lies before the slot in which it belongs.
            let belongs = usize::from(slot.hash) & mask;
            if (at.wrapping_sub(belongs) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = EMPTY;
        self.used -= 1;
        Some(place)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }

    /// Bytes on the heap at most, with so many places.
    pub(super) fn bytes_max(places_max: u16) -> usize {
        let slots = (usize::from(places_max) * 4).div_ceil(USED_OF_FOUR).next_power_of_two();
        slots.max(SLOTS_MIN) * size_of::<Slot>()
    }

    fn slot_of(&self, hash: u64, is: impl Fn(u16) -> bool) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = usize::from(hash as u16) & mask;
        // A quarter of the slots is empty, so it ends.
        loop {
            let slot = self.slots[at];
            if slot.place == NOWHERE {
                return None;
            }
            if slot.hash == hash as u16 && is(slot.place) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn put(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = usize::from(slot.hash) & mask;
        while self.slots[at].place != NOWHERE {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    fn grow(&mut self) {
        let doubled = (self.slots.len() * 2).max(SLOTS_MIN);
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; doubled]);
        for slot in old {
            if slot.place != NOWHERE {
                self.put(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_index_has_a_free_quarter() {
        let mut index = Index::new();
        for place in 0..PLACES_MAX {
            index.insert((place as u64).wrapping_mul(0x9E37_79B9), place as u16);
        }
        assert_eq!(index.slots.len(), SLOTS_MAX);
        assert_eq!(index.bytes(), Index::bytes_max(PLACES_MAX as u16));
    }

    proptest! {
        /// Few hashes, so that there are long clusters, which go round the end.
        #[test]
        fn an_index_is_a_map(acts in prop::collection::vec((0..24u64, any::<bool>()), 1..200)) {
            let (mut index, mut model) = (Index::new(), HashMap::new());
            // Sessions with numbers; two in three have their hash in common with others.
            let hash = |number: u64| number / 3 + 13;
            for (number, inserts) in acts {
                let place = number as u16;
                if inserts && !model.contains_key(&number) {
                    index.insert(hash(number), place);
                    model.insert(number, place);
                } else if !inserts {
                    prop_assert_eq!(index.remove(hash(number), |other| other == place), model.remove(&number));
                }
                for number in 0..24 {
                    let found = index.find(hash(number), |other| u64::from(other) == number);
                    prop_assert_eq!(found, model.get(&number).copied());
                }
                prop_assert_eq!(index.used, model.len());
                prop_assert!(index.bytes() <= Index::bytes_max(24));
            }
        }
    }
}
