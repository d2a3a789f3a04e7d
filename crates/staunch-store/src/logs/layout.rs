//! Where the blocks of a log lie in its raw file.

use std::ops::Range;

use super::frame::BLOCK;

/// The head is `head` blocks in order; after it the blocks take turns in a ring of `slots`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    head: u32,
    slots: u32,
}

/// Which blocks of a log are there: `0..count` without the hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The blocks that fell out; empty, or between head and tail.
    pub(super) hole: Range<u64>,
    /// Blocks ever begun.
    pub(super) count: u64,
}

impl Layout {
    /// `None` if there is no head or no slot.
    pub(super) fn new(head: u32, slots: u32) -> Option<Self> {
        (head > 0 && slots > 0).then_some(Self { head, slots })
    }

    /// A quarter of `bytes_max` for the head, the rest for the tail, in whole blocks, at least one each. One slot comes on
    /// top for the block being written, so that the file stays within `bytes_max` (at least two blocks) and a block.
    pub(super) fn for_cap(bytes_max: u64) -> Self {
        let blocks = u32::try_from(bytes_max / BLOCK).unwrap_or(u32::MAX / 2).max(2);
        let head = (blocks / 4).max(1);
        Self { head, slots: blocks - head + 1 }
    }

    pub(super) fn head(self) -> u32 {
        self.head
    }

    pub(super) fn slots(self) -> u32 {
        self.slots
    }

    /// Where in the file a block lies, counted in blocks.
    pub(super) fn physical(self, block: u64) -> u64 {
        let (head, slots) = (u64::from(self.head), u64::from(self.slots));
        if block < head { block } else { head + (block - head) % slots }
    }

    /// Which blocks are there once `count` have been begun.
    pub(super) fn kept(self, count: u64) -> Kept {
        let head = u64::from(self.head);
        let tail = count.saturating_sub(u64::from(self.slots)).max(head);
        Kept { hole: head..tail, count }
    }
}

impl Kept {
    /// None at all.
    pub(super) fn none() -> Self {
        Self { hole: 0..0, count: 0 }
    }

    /// The first block at or after `block` that is there.
    pub(super) fn at_or_after(&self, block: u64) -> Option<u64> {
        let block = if self.hole.contains(&block) { self.hole.end } else { block };
        (block < self.count).then_some(block)
    }

    /// The last block before `block` that is there.
    pub(super) fn before(&self, block: u64) -> Option<u64> {
        let last = block.min(self.count).checked_sub(1)?;
        if self.hole.contains(&last) { self.hole.start.checked_sub(1) } else { Some(last) }
    }

    /// How many blocks are there.
    pub(super) fn len(&self) -> u64 {
        self.count - (self.hole.end - self.hole.start).min(self.count)
    }

    /// The place of `block` among those that are there.
    pub(super) fn index(&self, block: u64) -> u64 {
        if block >= self.hole.end { block - (self.hole.end - self.hole.start) } else { block }
    }
}
