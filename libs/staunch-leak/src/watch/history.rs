//! What is remembered of a resource: three rings of blocks, each coarser and longer than the one before.

use std::collections::VecDeque;

use super::Sample;
use super::block::Block;

/// Length of a block in milliseconds, and blocks: an hour by ten seconds, a day by two minutes, thirty days by the hour.
const RINGS: [(u64, usize); 3] = [(10_000, 360), (120_000, 720), (3_600_000, 720)];

#[derive(Debug)]
pub(super) struct Ring {
    /// Milliseconds a block.
    length: u64,
    blocks_max: usize,
    blocks: VecDeque<Block>,
    /// The block that is being filled, and its number since the beginning of time.
    open: Option<(u64, Block)>,
}

#[derive(Debug)]
pub(super) struct History {
    rings: [Ring; 3],
    last: Option<Block>,
}

impl Ring {
    fn new((length, blocks_max): (u64, usize)) -> Self {
        Self { length, blocks_max, blocks: VecDeque::with_capacity(blocks_max), open: None }
    }

    fn push(&mut self, block: Block) {
        let number = block.at / self.length;
        match &mut self.open {
            Some((open, least)) if *open == number => *least = least.fold(block),
            open => {
                if let Some((_, full)) = open.replace((number, block)) {
                    if self.blocks.len() == self.blocks_max {
                        self.blocks.pop_front();
                    }
                    self.blocks.push_back(full);
                }
            }
        }
    }

    /// Whole blocks, the oldest first. The one that is being filled is not among them: it may hold one sample only.
    pub(super) fn blocks(&self) -> impl ExactSizeIterator<Item = &Block> {
        self.blocks.iter()
    }
}

impl History {
    pub(super) fn new() -> Self {
        Self { rings: RINGS.map(Ring::new), last: None }
    }

    /// Takes a sample in. Whether it began anew, since the runs went back.
    pub(super) fn push(&mut self, sample: Sample) -> bool {
        let block = Block::of(sample);
        let mut anew = false;
        if let Some(last) = self.last {
            if block.at < last.at {
                return false;
            }
            anew = block.runs < last.runs;
        }
        if anew {
            for ring in &mut self.rings {
                ring.blocks.clear();
                ring.open = None;
            }
        }
        self.last = Some(block);
        for ring in &mut self.rings {
            ring.push(block);
        }
        anew
    }

    /// The finest first.
    pub(super) fn rings(&self) -> &[Ring] {
        &self.rings
    }

    pub(super) fn last(&self) -> Option<&Block> {
        self.last.as_ref()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.rings.iter().map(|ring| ring.blocks.capacity() * size_of::<Block>()).sum::<usize>() + size_of::<Self>()
    }
}
