//! Live bytes and blocks, counted in shards.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Shards: up to so many threads count without meeting. More share, which is slower and as exact. A power of two.
const SHARDS: usize = 64;

/// What is live, and what there was in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes that were allocated and not freed, as they were asked for.
    pub bytes: u64,
    /// Blocks that were allocated and not freed.
    pub blocks: u64,
    /// Allocations since the process began; one that moved or grew in place counts as one more.
    pub allocations: u64,
}

/// Two cache lines, since processors fetch them in pairs.
#[repr(align(128))]
struct Shard {
    /// Wraps: a thread may free what another allocated. Only the sum over all shards means something.
    bytes: AtomicU64,
    taken: AtomicU64,
    returned: AtomicU64,
}

impl Shard {
    const fn new() -> Self {
        Self { bytes: AtomicU64::new(0), taken: AtomicU64::new(0), returned: AtomicU64::new(0) }
    }
}

static SHARDS_OF_ALL: [Shard; SHARDS] = [const { Shard::new() }; SHARDS];
static NEXT: AtomicU32 = AtomicU32::new(0);

const UNSET: u32 = u32::MAX;

thread_local! {
    /// A constant first value and no destructor: reading it neither allocates nor fails, not even in a thread that ends.
    static MINE: Cell<u32> = const { Cell::new(UNSET) };
}

/// The thread's shard. Threads take them in turn and share when there are more, so additions are atomic. Relaxed, here and
/// below: the counts guard no other memory.
fn shard() -> &'static Shard {
    let mut mine = MINE.get();
    if mine == UNSET {
        mine = NEXT.fetch_add(1, Ordering::Relaxed) & (SHARDS as u32 - 1);
        MINE.set(mine);
    }
    &SHARDS_OF_ALL[mine as usize % SHARDS]
}

pub(super) fn taken(bytes: usize) {
    let shard = shard();
    shard.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    shard.taken.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn returned(bytes: usize) {
    let shard = shard();
    shard.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    shard.returned.fetch_add(1, Ordering::Relaxed);
}

/// The counts of all threads. Exact if nobody allocates or frees meanwhile; all zero unless [`Counting`](super::Counting) is
/// the global allocator. Costs a few hundred nanoseconds and allocates nothing.
pub fn tally() -> Tally {
    let mut all = (0u64, 0u64, 0u64);
    for shard in &SHARDS_OF_ALL {
        all.0 = all.0.wrapping_add(shard.bytes.load(Ordering::Relaxed));
        all.1 = all.1.wrapping_add(shard.taken.load(Ordering::Relaxed));
        all.2 = all.2.wrapping_add(shard.returned.load(Ordering::Relaxed));
    }
    // A free that was seen before its allocation, while others are at work, must not look like eighteen exabytes.
    let bytes = if all.0 > i64::MAX as u64 { 0 } else { all.0 };
    Tally { bytes, blocks: all.1.saturating_sub(all.2), allocations: all.1 }
}

/// Whether [`Counting`](super::Counting) is this program's global allocator.
///
/// ```
/// assert!(!staunch_leak::alloc::is_counting()); // it was not installed here
/// ```
pub fn is_counting() -> bool {
    // The standard library allocates before `main`, so a count of none means that nobody counts.
    tally().allocations > 0
}
