//! Live bytes and blocks, counted in shards.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Threads that get a shard of their own, in the order in which they first allocate; they never give it back, as a thread's end
/// is no place for an allocator to run code. Later ones share the last, which is slower and as exact. 512 KiB, of which only
/// what was used is resident.
const SHARDS: usize = 4_096;

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
/// Threads that have allocated.
static THREADS: AtomicUsize = AtomicUsize::new(0);

const UNSET: usize = usize::MAX;
const SHARED: usize = SHARDS - 1;

thread_local! {
    /// A constant first value and no destructor: reading it neither allocates nor fails, not even in a thread that ends.
    static MINE: Cell<usize> = const { Cell::new(UNSET) };
}

/// The thread's shard. Relaxed, here and below: the counts guard no other memory.
#[inline]
fn mine() -> usize {
    match MINE.get() {
        UNSET => claim(),
        mine => mine,
    }
}

#[cold]
fn claim() -> usize {
    let mine = THREADS.fetch_add(1, Ordering::Relaxed).min(SHARED);
    MINE.set(mine);
    mine
}

/// The owner alone writes its shard, so a load and a store do, which cost a tenth of an atomic addition.
#[inline]
fn add(shard: usize, counter: &AtomicU64, amount: u64) {
    if shard == SHARED {
        counter.fetch_add(amount, Ordering::Relaxed);
    } else {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }
}

#[inline]
pub(super) fn taken(bytes: usize) {
    let mine = mine();
    let shard = &SHARDS_OF_ALL[mine];
    add(mine, &shard.bytes, bytes as u64);
    add(mine, &shard.taken, 1);
}

#[inline]
pub(super) fn returned(bytes: usize) {
    let mine = mine();
    let shard = &SHARDS_OF_ALL[mine];
    add(mine, &shard.bytes, (bytes as u64).wrapping_neg());
    add(mine, &shard.returned, 1);
}

/// The counts of all threads. Exact if nobody allocates or frees meanwhile; all zero unless [`Counting`](super::Counting) is
/// the global allocator. Costs nanoseconds a thread that there ever was and allocates nothing.
pub fn tally() -> Tally {
    let mut all = (0u64, 0u64, 0u64);
    let used = THREADS.load(Ordering::Relaxed).min(SHARDS);
    for shard in &SHARDS_OF_ALL[..used] {
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
