//! The sessions of one shard, in the order in which they were last issued a token.

use zeroize::Zeroize;

use crate::csrf::ring::Ring;

/// No place.
pub(super) const NOWHERE: u16 = u16::MAX;
/// Sessions a chunk holds: 8 KiB. Chunks do not move when there are more of them, so no copy of a secret stays behind.
const CHUNK: usize = 64;

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

struct Chunk {
    entries: Box<[Entry]>,
    links: Box<[Link]>,
}

/// Places for at most `places_max` sessions, and a list through those that are taken.
pub(super) struct Slab {
    chunks: Vec<Chunk>,
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
            self.free = NOWHERE;
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.len() * chunk_bytes() + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// Bytes on the heap at most, with so many places.
    pub(super) fn bytes_max(places_max: u16) -> usize {
        let chunks = usize::from(places_max).div_ceil(CHUNK);
        // A vector doubles, and has room for four from the first on.
        chunks * chunk_bytes() + chunks.next_power_of_two().max(4) * size_of::<Chunk>()
    }

    fn add_chunk(&mut self) {
        let first = self.chunks.len() * CHUNK;
        let entries = std::iter::repeat_with(Entry::default).take(CHUNK).collect();
        // The first place of the chunk is the next to be taken. Those beyond the bound of the last chunk are never reached,
        // as `take` asks for the bound first.
        let links = (1..=CHUNK).map(|next| {
            let newer = if next < CHUNK { (first + next) as u16 } else { NOWHERE };
            Link { newer, older: NOWHERE }
        });
        self.chunks.push(Chunk { entries, links: links.collect() });
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
        &self.chunks[usize::from(place) / CHUNK].entries[usize::from(place) % CHUNK]
    }

    fn entry_mut(&mut self, place: u16) -> &mut Entry {
        #[cfg(test)]
        self.touched.set(self.touched.get() + 1);
        &mut self.chunks[usize::from(place) / CHUNK].entries[usize::from(place) % CHUNK]
    }

    fn link(&self, place: u16) -> &Link {
        &self.chunks[usize::from(place) / CHUNK].links[usize::from(place) % CHUNK]
    }

    fn link_mut(&mut self, place: u16) -> &mut Link {
        &mut self.chunks[usize::from(place) / CHUNK].links[usize::from(place) % CHUNK]
    }
}

fn chunk_bytes() -> usize {
    CHUNK * (size_of::<Entry>() + size_of::<Link>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_takes_132_bytes() {
        assert_eq!((size_of::<Entry>(), size_of::<Link>(), chunk_bytes()), (128, 4, 64 * 132));
    }

    /// A chunk's worth below, at and over its border, and all memory back.
    #[test]
    fn places_below_at_and_over_a_chunk_and_the_bound_and_back_to_zero() {
        let mut slab = Slab::new(65);
        assert_eq!(slab.bytes(), 0);
        for n in 0..65u16 {
            assert_eq!(slab.take([u64::from(n); 2]), Some(n));
            assert_eq!(slab.chunks.len(), usize::from(n) / CHUNK + 1);
        }
        assert_eq!((slab.take([99; 2]), slab.len(), slab.is_full()), (None, 65, true));
        assert!(slab.bytes() <= Slab::bytes_max(65));
        slab.release();
        assert_eq!(slab.len(), 65);
        slab.refresh(0);
        for n in (1..65).chain([0]) {
            assert_eq!(slab.oldest(), Some((n, 0)));
            slab.give_back(n);
        }
        assert_eq!((slab.oldest(), slab.len()), (None, 0));
        slab.release();
        assert_eq!(slab.bytes(), 0);
    }
}
