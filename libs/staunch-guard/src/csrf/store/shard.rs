//! One shard of the store: what one lock guards.

use super::index::Index;
use super::slab::{Key, Slab};
use crate::csrf::token::{Drawn, Secret, Token};
use crate::csrf::verdict::Verdict;

/// Too old sessions that an issue takes out, so that a store nobody sweeps shrinks by itself: each issue adds one at most.
const POPS_AN_ISSUE: usize = 2;

/// What a shard has done since it was made.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) issued: u64,
    pub(super) expired: u64,
    pub(super) evicted: u64,
    pub(super) refused: u64,
}

/// Some of the sessions, found by key, and listed by newest issue.
pub(super) struct Shard {
    index: Index,
    slab: Slab,
    ttl: u32,
    evicts: bool,
    /// The latest time seen: a clock that goes back revives nobody and keeps the list in order.
    latest: u32,
    pub(super) tally: Tally,
}

impl Shard {
    pub(super) fn new(sessions_max: u16, ttl: u32, evicts: bool) -> Self {
        let (index, slab) = (Index::new(), Slab::new(sessions_max));
        Self { index, slab, ttl, evicts, latest: 0, tally: Tally::default() }
    }

    /// Gives a new secret to a session; `None` if there is no room for it.
    pub(super) fn issue(&mut self, key: Key, now: u32, drawn: &Drawn) -> Option<Token> {
        let now = self.advance(now);
        self.expire(now, POPS_AN_ISSUE);
        let place = match self.find(key) {
            Some(place) => {
                self.slab.refresh(place);
                place
            }
            None => self.admit(key)?,
        };
        self.tally.issued += 1;
        Some(self.slab.ring_mut(place).put(now, drawn))
    }

    /// The newest secret of a session, if it is young enough to be shown again, under a new mask; else a new one.
    pub(super) fn current(&mut self, key: Key, now: u32, drawn: &Drawn) -> Option<Token> {
        let now = self.advance(now);
        let place = self.find(key);
        let again = place.and_then(|place| self.slab.ring(place).reuse(now, self.ttl, drawn));
        again.or_else(|| self.issue(key, now, drawn))
    }

    pub(super) fn verify(&mut self, key: Key, secret: &Secret, now: u32) -> Verdict {
        let now = self.advance(now);
        match self.find(key) {
            Some(place) => self.slab.ring(place).verify_secret(secret, now, self.ttl),
            None => Verdict::Invalid,
        }
    }

    /// Takes a session out. One lookup and one removal under one lock.
    pub(super) fn revoke(&mut self, key: Key) -> bool {
        let slab = &self.slab;
        let removed = self.index.remove(key[0], |place| slab.key(place) == key, |place| slab.key(place)[0]);
        let Some(place) = removed else { return false };
        self.slab.give_back(place);
        true
    }

    /// Takes out at most `max` sessions all of whose secrets are too old, and says how many. Looks at no other, but one.
    pub(super) fn expire(&mut self, now: u32, max: usize) -> usize {
        let now = self.advance(now);
        let mut taken = 0;
        while taken < max
            && let Some((place, issued)) = self.slab.oldest()
            && now - issued >= self.ttl
        {
            self.revoke(self.slab.key(place));
            taken += 1;
        }
        self.tally.expired += taken as u64;
        taken
    }

    /// Gives memory back if no session is held.
    pub(super) fn release(&mut self) {
        if self.slab.len() == 0 {
            self.slab.release();
            self.index = Index::new();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// How many secrets of a session are live.
    pub(super) fn live(&mut self, key: Key, now: u32) -> usize {
        let now = self.advance(now);
        self.find(key).map_or(0, |place| self.slab.ring(place).live(now, self.ttl))
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.slab.bytes() + self.index.bytes()
    }

    /// Bytes on the heap at most, with so many sessions.
    pub(super) fn bytes_max(sessions_max: u16) -> usize {
        Slab::bytes_max(sessions_max) + Index::bytes_max(sessions_max)
    }

    /// Entries looked at since it was made.
    #[cfg(test)]
    pub(super) fn touched(&self) -> u64 {
        self.slab.touched.get()
    }

    fn admit(&mut self, key: Key) -> Option<u16> {
        if self.slab.is_full() {
            match self.slab.oldest() {
                Some((oldest, _)) if self.evicts => {
                    self.revoke(self.slab.key(oldest));
                    self.tally.evicted += 1;
                }
                _ => {
                    self.tally.refused += 1;
                    return None;
                }
            }
        }
        let place = self.slab.take(key)?;
        let slab = &self.slab;
        self.index.insert(key[0], place, |place| slab.key(place)[0]);
        Some(place)
    }

    fn find(&self, key: Key) -> Option<u16> {
        self.index.find(key[0], |place| self.slab.key(place) == key)
    }

    fn advance(&mut self, now: u32) -> u32 {
        self.latest = self.latest.max(now);
        self.latest
    }
}
