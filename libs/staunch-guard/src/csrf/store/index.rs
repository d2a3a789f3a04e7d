//! Where a session is, by its key: open addressing in three bytes a slot.

/// Slots an index begins with.
const SLOTS_MIN: usize = 16;
/// Of each eight slots, seven are used at most: a look still ends within a line or two, and the index of 100,000 sessions takes
/// 400 KB, which stays in a processor's own cache where their entries do not.
const USED_OF_EIGHT: usize = 7;
/// The tag of a slot that holds nothing.
const EMPTY: u8 = 0;

/// A table of places by hash. It holds no keys: who asks compares them, and tells the hash of a place where it is needed.
/// Taking one out moves those behind it up, so there are no graves, and it is never larger than its fullest moment asked for.
pub(super) struct Index {
    /// A piece of the hash of each slot's session, or [`EMPTY`]. Apart from the places, so that a look reads few lines.
    tags: Vec<u8>,
    /// As many: a power of two, or none.
    places: Vec<u16>,
    used: usize,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { tags: Vec::new(), places: Vec::new(), used: 0 }
    }

    /// The place with this hash of which `is` says that it is the one.
    pub(super) fn find(&self, hash: u64, is: impl Fn(u16) -> bool) -> Option<u16> {
        self.slot_of(hash, is).map(|at| self.places[at])
    }

    /// Puts in a place that is not in it. `hash_of` tells the hash of those that are.
    pub(super) fn insert(&mut self, hash: u64, place: u16, hash_of: impl Fn(u16) -> u64) {
        if (self.used + 1) * 8 > self.tags.len() * USED_OF_EIGHT {
            self.grow(hash_of);
        }
        self.used += 1;
        self.put(hash, place);
    }

    /// Takes a place out and returns it, if there is the one. `hash_of` tells the hash of those that are in it.
    pub(super) fn remove(&mut self, hash: u64, is: impl Fn(u16) -> bool, hash_of: impl Fn(u16) -> u64) -> Option<u16> {
        let mut hole = self.slot_of(hash, is)?;
        let place = self.places[hole];
        let mask = self.tags.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            if self.tags[at] == EMPTY {
                break;
            }
            // It may move up to the hole unless the hole lies before the slot in which it belongs.
            let belongs = hash_of(self.places[at]) as usize & mask;
            if (at.wrapping_sub(belongs) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.tags[hole] = self.tags[at];
                self.places[hole] = self.places[at];
                hole = at;
            }
        }
        self.tags[hole] = EMPTY;
        self.used -= 1;
        Some(place)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.tags.capacity() + self.places.capacity() * size_of::<u16>()
    }

    /// Bytes on the heap at most, with so many places.
    pub(super) fn bytes_max(places_max: u16) -> usize {
        let slots = (usize::from(places_max) * 8).div_ceil(USED_OF_EIGHT).next_power_of_two();
        slots.max(SLOTS_MIN) * (1 + size_of::<u16>())
    }

    fn slot_of(&self, hash: u64, is: impl Fn(u16) -> bool) -> Option<usize> {
        let mask = self.tags.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        // An eighth of the slots is empty, so it ends.
        loop {
            let tag = self.tags[at];
            if tag == EMPTY {
                return None;
            }
            if tag == tag_of(hash) && is(self.places[at]) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn put(&mut self, hash: u64, place: u16) {
        let mask = self.tags.len() - 1;
        let mut at = hash as usize & mask;
        while self.tags[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.tags[at] = tag_of(hash);
        self.places[at] = place;
    }

    fn grow(&mut self, hash_of: impl Fn(u16) -> u64) {
        let doubled = (self.tags.len() * 2).max(SLOTS_MIN);
        let tags = std::mem::replace(&mut self.tags, vec![EMPTY; doubled]);
        let places = std::mem::replace(&mut self.places, vec![0; doubled]);
        for (tag, place) in tags.into_iter().zip(places) {
            if tag != EMPTY {
                self.put(hash_of(place), place);
            }
        }
    }
}

/// The high end of a hash, of which slots are the low one; never [`EMPTY`].
fn tag_of(hash: u64) -> u8 {
    ((hash >> 56) as u8).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn spread(place: u16) -> u64 {
        u64::from(place).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn an_index_below_at_and_over_seven_eighths_and_at_its_largest() {
        let mut index = Index::new();
        for (places, slots) in [(0, 0), (1, 16), (14, 16), (15, 32), (28, 32), (29, 64), (u16::MAX, 131_072)] {
            for place in index.used as u16..places {
                index.insert(spread(place), place, spread);
            }
            assert_eq!((index.tags.len(), index.places.len()), (slots, slots), "{places}");
            assert!(index.bytes() <= Index::bytes_max(places));
        }
        assert_eq!(index.find(spread(77), |place| place == 77), Some(77));
    }

    proptest! {
        /// Few hashes, so that there are long clusters, which go round the end.
        #[test]
        fn an_index_is_a_map(acts in prop::collection::vec((0..24u16, any::<bool>()), 1..200)) {
            let (mut index, mut model) = (Index::new(), HashMap::new());
            // Sessions with numbers; three each have their hash in common.
            let hash = |number: u16| u64::from(number / 3 + 13);
            for (number, inserts) in acts {
                if inserts && !model.contains_key(&number) {
                    index.insert(hash(number), number, hash);
                    model.insert(number, number);
                } else if !inserts {
                    prop_assert_eq!(index.remove(hash(number), |other| other == number, hash), model.remove(&number));
                }
                for number in 0..24 {
                    let found = index.find(hash(number), |other| other == number);
                    prop_assert_eq!(found, model.get(&number).copied());
                }
                prop_assert_eq!(index.used, model.len());
                prop_assert!(index.bytes() <= Index::bytes_max(24));
            }
        }
    }
}
