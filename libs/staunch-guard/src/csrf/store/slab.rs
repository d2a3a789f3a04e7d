//! The sessions of one shard, in the order in which they were last issued a token.

use zeroize::Zeroize;

use crate::csrf::ring::Ring;

/// No place.
pub(super) const NOWHERE: u16 = u16::MAX;
/// Sessions a chunk holds at most: 32 KiB. Measured with 100,000 sessions: a look is a third slower with chunks of 64, whose pages
/// lie apart, and slower again with chunks above 128 KiB, which an allocator puts at pages of their own. Chunks do not move when
/// there are more of them, so no copy of a secret stays behind.
const CHUNK: usize = 256;

/// A session's key: a keyed hash of its id, so that ids are neither kept nor concatenated, and all are equally long.
pub(super) type Key = [u64; 2];

/// A session: its key and its secrets. 128 bytes, in two cache lines side by side.
#[derive(Default)]
#[repr(align(128))]
struct Entry {
    key: Key,
    ring: Ring,
}

/// Neighbours in the list by newest issue. 4 bytes, apart from the entries: moving one to the end of the list then touches no
/// other entry. In a free place `newer` is the next free one.
#[derive(Clone, Copy)]
struct Link {
    newer: u16,
    older: u16,
}

/// Places for at most `places_max` sessions, and a list through those that are taken.
pub(super) struct Slab {
    chunks: Vec<Box<[Entry]>>,
    /// One a place; they hold no secret, so they may move.
    links: Vec<Link>,
    places_max: u16,
    len: u16,
    free: u16,
    oldest: u16,
    newest: u16,
    /// Entries looked at or changed since it was made: what tests count in place of time.
    #[cfg(test)]
    pub(super) touched: std::cell::Cell<u64>,
}

impl Slab {
    /// No place taken, none allocated. `places_max` is below 65,535.
    pub(super) fn new(places_max: u16) -> Self {
        Self {
            chunks: Vec::new(),
            links: Vec::new(),
            places_max: places_max.min(NOWHERE - 1),
            len: 0,
            free: NOWHERE,
            oldest: NOWHERE,
            newest: NOWHERE,
            #[cfg(test)]
            touched: std::cell::Cell::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= self.places_max
    }

    /// The session that was issued a token longest ago, and when.
    pub(super) fn oldest(&self) -> Option<(u16, u32)> {
        (self.oldest != NOWHERE).then(|| (self.oldest, self.ring(self.oldest).newest_issued().unwrap_or(0)))
    }

    pub(super) fn key(&self, place: u16) -> Key {
        self.entry(place).key
    }

    pub(super) fn ring(&self, place: u16) -> &Ring {
        &self.entry(place).ring
    }

    pub(super) fn ring_mut(&mut self, place: u16) -> &mut Ring {
        &mut self.entry_mut(place).ring
    }

    /// Takes a place for `key`, at the newest end; its ring is empty, and is to be given a secret. `None` if all are taken.
    pub(super) fn take(&mut self, key: Key) -> Option<u16> {
        if self.is_full() {
            return None;
        }
        if self.free == NOWHERE {
            self.add_chunk();
        }
        let place = self.free;
        self.free = self.link(place).newer;
        self.entry_mut(place).key = key;
        self.append(place);
        self.len += 1;
        Some(place)
    }

    /// Gives a place back, its secrets overwritten. It must be taken.
    pub(super) fn give_back(&mut self, place: u16) {
        self.unlink(place);
        let free = self.free;
        let entry = self.entry_mut(place);
        entry.key.zeroize();
        entry.ring.clear();
        self.link_mut(place).newer = free;
        self.free = place;
        self.len -= 1;
    }

    /// The place was issued a token now: it moves to the newest end.
    pub(super) fn refresh(&mut self, place: u16) {
        if self.newest != place {
            self.unlink(place);
            self.append(place);
        }
    }

    /// Gives all memory back if no place is taken.
    pub(super) fn release(&mut self) {
        if self.len == 0 {
            self.chunks = Vec::new();
            self.links = Vec::new();
            self.free = NOWHERE;
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let entries: usize = self.chunks.iter().map(|chunk| chunk.len() * size_of::<Entry>()).sum();
        let table = self.chunks.capacity() * size_of::<Box<[Entry]>>();
        entries + table + self.links.capacity() * size_of::<Link>()
    }

    /// Bytes on the heap at most, with so many places.
    pub(super) fn bytes_max(places_max: u16) -> usize {
        // A vector doubles, and has room for four from the first on.
        let chunks = usize::from(places_max).div_ceil(CHUNK).next_power_of_two().max(4);
        let table = chunks * size_of::<Box<[Entry]>>();
        usize::from(places_max) * (size_of::<Entry>() + size_of::<Link>()) + table
    }

    fn add_chunk(&mut self) {
        let first = self.links.len();
        let count = CHUNK.min(usize::from(self.places_max) - first);
        self.chunks.push(std::iter::repeat_with(Entry::default).take(count).collect());
        // The first place of the chunk is the next to be taken.
        self.links.reserve_exact(count);
        self.links.extend((1..=count).map(|next| {
            let newer = if next < count { (first + next) as u16 } else { NOWHERE };
            Link { newer, older: NOWHERE }
        }));
        self.free = first as u16;
    }

    fn append(&mut self, place: u16) {
        let older = self.newest;
        *self.link_mut(place) = Link { newer: NOWHERE, older };
        match older {
            NOWHERE => self.oldest = place,
            older => self.link_mut(older).newer = place,
        }
        self.newest = place;
    }

    fn unlink(&mut self, place: u16) {
        let Link { newer, older } = *self.link(place);
        match older {
            NOWHERE => self.oldest = newer,
            older => self.link_mut(older).newer = newer,
        }
        match newer {
            NOWHERE => self.newest = older,
            newer => self.link_mut(newer).older = older,
        }
    }

    fn entry(&self, place: u16) -> &Entry {
        #[cfg(test)]
        self.touched.set(self.touched.get() + 1);
        &self.chunks[usize::from(place) / CHUNK][usize::from(place) % CHUNK]
    }

    fn entry_mut(&mut self, place: u16) -> &mut Entry {
        #[cfg(test)]
        self.touched.set(self.touched.get() + 1);
        &mut self.chunks[usize::from(place) / CHUNK][usize::from(place) % CHUNK]
    }

    fn link(&self, place: u16) -> &Link {
        &self.links[usize::from(place)]
    }

    fn link_mut(&mut self, place: u16) -> &mut Link {
        &mut self.links[usize::from(place)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_takes_132_bytes() {
        assert_eq!((size_of::<Entry>(), size_of::<Link>()), (128, 4));
    }

    /// Below, at and over the border of a chunk and the bound, and all memory back.
    #[test]
    fn places_below_at_and_over_a_chunk_and_the_bound_and_back_to_zero() {
        let mut slab = Slab::new(258);
        assert_eq!(slab.bytes(), 0);
        for n in 0..258u16 {
            assert_eq!(slab.take([u64::from(n); 2]), Some(n));
            let sizes: Vec<usize> = slab.chunks.iter().map(|chunk| chunk.len()).collect();
            assert_eq!(sizes, [256, 2][..1 + usize::from(n) / 256], "{n}");
        }
        assert_eq!((slab.take([999; 2]), slab.len(), slab.is_full()), (None, 258, true));
        assert!(slab.bytes() <= Slab::bytes_max(258));
        slab.release();
        assert_eq!(slab.len(), 258);
        slab.refresh(0);
        for n in (1..258).chain([0]) {
            assert_eq!(slab.oldest(), Some((n, 0)));
            assert_eq!(slab.key(n), [u64::from(n); 2]);
            slab.give_back(n);
        }
        assert_eq!((slab.oldest(), slab.len()), (None, 0));
        slab.release();
        assert_eq!(slab.bytes(), 0);
    }
}
