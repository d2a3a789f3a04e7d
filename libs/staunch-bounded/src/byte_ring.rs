//! The head and the tail of a stream of bytes, and how much fell out between.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::budget::{Budget, Charge};

/// The least that is allocated at once, in bytes.
const STEP: usize = 512;

/// Keeps the first `head_max` and the last `tail_max` bytes of a stream, whatever its length.
///
/// It allocates as bytes arrive, never more than `head_max + tail_max` in all. A [charged](ByteRing::charged) one pays for
/// what it allocates before it does; where the budget refuses, it keeps less and counts the rest as lost.
///
/// ```
/// use staunch_bounded::ByteRing;
/// let mut ring = ByteRing::new(3, 4);
/// ring.push(b"abcdefghij");
/// assert_eq!(ring.head(), b"abc");
/// assert_eq!(ring.tail().collect::<Vec<_>>(), b"ghij");
/// assert_eq!(ring.lost(), 3);
/// ```
#[derive(Debug)]
pub struct ByteRing {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_max: usize,
    tail_max: usize,
    seen: u64,
    charge: Option<Charge>,
    /// After a refusal, not asked again before this many bytes were seen.
    ask_again: u64,
}

impl ByteRing {
    /// An empty ring; both bounds in bytes.
    pub fn new(head_max: usize, tail_max: usize) -> Self {
        Self::with(head_max, tail_max, None)
    }

    /// An empty ring whose allocations are paid for by `budget`, and paid back when it is dropped.
    ///
    /// ```
    /// use staunch_bounded::{Budget, ByteRing};
    /// let budget = Budget::root("captures", 1_000);
    /// let mut ring = ByteRing::charged(600, 600, &budget);
    /// ring.push(&[b'x'; 5_000]);
    /// assert!(budget.used() <= 1_000 && ring.len() <= 1_000);
    /// assert_eq!(ring.lost(), 5_000 - ring.len() as u64);
    /// drop(ring);
    /// assert_eq!(budget.used(), 0);
    /// ```
    pub fn charged(head_max: usize, tail_max: usize, budget: &Arc<Budget>) -> Self {
        // Nothing at all always fits.
        Self::with(head_max, tail_max, Some(Charge::nothing(budget)))
    }

    fn with(head_max: usize, tail_max: usize, charge: Option<Charge>) -> Self {
        let (head, tail) = (Vec::new(), VecDeque::new());
        Self { head, tail, head_max, tail_max, seen: 0, charge, ask_again: 0 }
    }

    /// Takes in the next bytes of the stream. Never fails: what finds no room is lost from the middle.
    pub fn push(&mut self, bytes: &[u8]) {
        let rest = self.push_head(bytes);
        self.push_tail(rest);
        self.seen += bytes.len() as u64;
    }

    /// Fills the head and returns what is left over.
    fn push_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        // The head is a prefix: it is closed as soon as a byte went past it.
        if self.seen > self.head.len() as u64 {
            return bytes;
        }
        let wanted = self.head.len() + bytes.len().min(self.head_max - self.head.len());
        if let Some(more) = self.growth(self.head.capacity(), wanted, self.head_max) {
            self.head.reserve_exact(self.head.capacity() + more - self.head.len());
        }
        let (first, rest) = bytes.split_at((wanted.min(self.head.capacity())) - self.head.len());
        self.head.extend_from_slice(first);
        rest
    }

    fn push_tail(&mut self, bytes: &[u8]) {
        let wanted = (self.tail.len() + bytes.len()).min(self.tail_max);
        if let Some(more) = self.growth(self.tail.capacity(), wanted, self.tail_max) {
            self.tail.reserve_exact(self.tail.capacity() + more - self.tail.len());
        }
        let room = self.tail.capacity().min(self.tail_max);
        let newest = &bytes[bytes.len().saturating_sub(room)..];
        let over = (self.tail.len() + newest.len()).saturating_sub(room);
        self.tail.drain(..over);
        self.tail.extend(newest);
    }

    /// How much an allocation of `now` may grow to hold `wanted` of at most `max` bytes; it is paid for. `None` if it need
    /// not or must not.
    fn growth(&mut self, now: usize, wanted: usize, max: usize) -> Option<usize> {
        if wanted <= now {
            return None;
        }
        let generous = now.saturating_mul(2).max(STEP).max(wanted).min(max) - now;
        let Some(charge) = &mut self.charge else {
            return Some(generous);
        };
        if self.seen < self.ask_again {
            return None;
        }
        // Doubling, then what is needed, then what is left.
        let left = usize::try_from(charge.budget().available()).unwrap_or(usize::MAX);
        for more in [generous, wanted - now, left.min(wanted - now)] {
            if more > 0 && charge.grow(more as u64).is_ok() {
                return Some(more);
            }
        }
        self.ask_again = self.seen.saturating_add(now.max(STEP) as u64);
        None
    }

    /// The first bytes of the stream.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The last bytes that are not in the head.
    pub fn tail(&self) -> impl Iterator<Item = u8> + '_ {
        self.tail.iter().copied()
    }

    /// Bytes that fell out between head and tail.
    pub fn lost(&self) -> u64 {
        self.seen - self.len() as u64
    }

    /// Bytes of the whole stream.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Bytes allocated, and paid for by a charged ring; never more than both bounds together.
    pub fn allocated(&self) -> usize {
        self.head.capacity() + self.tail.capacity()
    }

    /// Whether nothing has been pushed.
    pub fn is_empty(&self) -> bool {
        self.seen == 0
    }
}

#[cfg(test)]
mod tests;
