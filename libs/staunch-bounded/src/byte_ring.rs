//! The head and the tail of a stream of bytes, and how much fell out between.

use std::collections::VecDeque;

/// Keeps the first `head_max` and the last `tail_max` bytes of a stream, whatever its length.
#[derive(Debug)]
pub struct ByteRing {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_max: usize,
    tail_max: usize,
    seen: u64,
}

impl ByteRing {
    /// An empty ring; it allocates as bytes arrive, never more than `head_max + tail_max` (both in bytes).
    pub fn new(head_max: usize, tail_max: usize) -> Self {
        Self { head: Vec::new(), tail: VecDeque::new(), head_max, tail_max, seen: 0 }
    }

    /// Takes in the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(self.head_max - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.tail_max)..];
        let over = (self.tail.len() + rest.len()).saturating_sub(self.tail_max);
        self.tail.drain(..over);
        self.tail.extend(rest);
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
        self.seen - (self.head.len() + self.tail.len()) as u64
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether nothing has been pushed.
    pub fn is_empty(&self) -> bool {
        self.seen == 0
    }
}
