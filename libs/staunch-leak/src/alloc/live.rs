//! Blocks that were allocated while a recording ran and have not been freed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::site::Site;
use super::stack::Stack;

/// Places of the table: 6 MiB of a program that records, untouched and so not resident in one that does not. A power of two.
const PLACES: usize = 1 << 15;
/// Blocks that are remembered at once: seven eighths, so that a search ends soon.
const BLOCKS_MAX: usize = PLACES / 8 * 7;

#[derive(Clone, Copy)]
struct Block {
    /// 0 is nobody's.
    address: usize,
    bytes: usize,
    stack: Stack,
}

const NOBODY: Block = Block { address: 0, bytes: 0, stack: Stack::EMPTY };

/// Open addressing with linear probing, in a static, since it must not allocate.
struct Table {
    places: [Block; PLACES],
    len: usize,
    overflow: u64,
}

static RECORDING: AtomicBool = AtomicBool::new(false);
static TABLE: Mutex<Table> = Mutex::new(Table { places: [NOBODY; PLACES], len: 0, overflow: 0 });

thread_local! {
    /// Set while this thread is in this file, so that what is allocated by walking a stack is not recorded: that would
    /// recurse, and the lock is not for two.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// A recording that runs. Dropping it ends it.
#[must_use = "a recording that is dropped at once records nothing"]
#[derive(Debug)]
pub struct Recording(());

/// Remembers from now on where each block is allocated, in every thread, until it is freed. `None` if another recording runs.
///
/// At most 28,672 blocks at once; those beyond are counted, see [`Recording::overflow`]. A process that forks and allocates in
/// between `fork` and `exec` must not record meanwhile; the standard library's `Command` does not allocate there.
///
/// ```
/// #[global_allocator]
/// static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
///
/// let recording = staunch_leak::alloc::record().unwrap();
/// let held = vec![0u8; 1_234];
/// let sites = recording.sites();
/// drop(recording);
/// let site = sites.iter().find(|site| site.bytes == 1_234).unwrap();
/// assert_eq!(site.blocks, 1);
/// # drop(held);
/// ```
pub fn record() -> Option<Recording> {
    // The first walk sets things up that stay: better here than between two counts.
    let _stack = Stack::here();
    if RECORDING.load(Ordering::SeqCst) {
        return None;
    }
    busy(|| table().clear());
    // SeqCst: once a test, and a recording that begins a moment late would miss a block.
    RECORDING.compare_exchange(false, true, Ordering::SeqCst, Ordering::SeqCst).ok().map(|_| Recording(()))
}

impl Recording {
    /// Where the blocks that are live now were allocated, most bytes first. Slow: the stacks are named.
    pub fn sites(&self) -> Vec<Site> {
        // The lock is held while the map allocates, so nothing may be recorded in this thread; other threads wait. And reading
        // debug information allocates hundreds of thousands of blocks, which nobody asked about.
        busy(|| {
            let mut counts: BTreeMap<Stack, (u64, u64)> = BTreeMap::new();
            for block in table().places.iter().filter(|block| block.address != 0) {
                let count = counts.entry(block.stack).or_default();
                *count = (count.0 + block.bytes as u64, count.1 + 1);
            }
            let named = counts.into_iter().map(|(stack, (bytes, blocks))| Site::new(bytes, blocks, stack.frames()));
            let mut sites: Vec<Site> = named.collect();
            sites.sort_by_key(|site| std::cmp::Reverse((site.bytes, site.blocks)));
            sites
        })
    }

    /// Blocks for which there was no room in the table.
    pub fn overflow(&self) -> u64 {
        busy(|| table().overflow)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        RECORDING.store(false, Ordering::SeqCst);
    }
}

#[inline]
pub(super) fn remember(block: *mut u8, bytes: usize) {
    // Relaxed: a load of a line that hardly ever changes; a block more or less at the beginning is no matter.
    if RECORDING.load(Ordering::Relaxed) {
        remember_slowly(block as usize, bytes);
    }
}

#[inline]
pub(super) fn forget(block: *mut u8) {
    if RECORDING.load(Ordering::Relaxed) && !BUSY.get() {
        busy(|| table().remove(block as usize));
    }
}

#[inline(never)]
fn remember_slowly(address: usize, bytes: usize) {
    if !BUSY.get() {
        BUSY.set(true);
        let stack = Stack::here();
        table().insert(Block { address, bytes, stack });
        BUSY.set(false);
    }
}

/// Runs it with this thread's allocations unrecorded.
fn busy<T>(inside: impl FnOnce() -> T) -> T {
    let before = BUSY.replace(true);
    let done = inside();
    BUSY.set(before);
    done
}

/// A poisoned lock is as good as any: nothing panics while it is held, short of a failed allocation, which aborts.
fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    fn clear(&mut self) {
        if self.len > 0 {
            self.places.fill(NOBODY);
        }
        self.len = 0;
        self.overflow = 0;
    }

    /// Where an address belongs. Blocks are aligned to 16, and a multiplication spreads the rest (Knuth, vol. 3, 6.4).
    fn home(address: usize) -> usize {
        ((address >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) & (PLACES - 1)
    }

    /// Its place, or the free one where a search for it ends. There is one, as an eighth is kept free.
    fn find(&self, address: usize) -> usize {
        let mut at = Self::home(address);
        while self.places[at].address != 0 && self.places[at].address != address {
            at = (at + 1) & (PLACES - 1);
        }
        at
    }

    fn insert(&mut self, block: Block) {
        let at = self.find(block.address);
        if self.places[at].address == 0 {
            if self.len >= BLOCKS_MAX {
                self.overflow += 1;
                return;
            }
            self.len += 1;
        }
        self.places[at] = block;
    }

    /// Moves those behind it up, so that no search ends at the gap (Knuth, vol. 3, 6.4, algorithm R).
    fn remove(&mut self, address: usize) {
        let mut gap = self.find(address);
        if self.places[gap].address == 0 {
            return;
        }
        self.len -= 1;
        let mut at = gap;
        loop {
            self.places[gap].address = 0;
            loop {
                at = (at + 1) & (PLACES - 1);
                let found = self.places[at].address;
                if found == 0 {
                    return;
                }
                // How far it is from its home to where it stands, and to the gap: it may move up unless that is before home.
                let home = Self::home(found);
                let moved = at.wrapping_sub(home) & (PLACES - 1);
                if moved >= at.wrapping_sub(gap) & (PLACES - 1) {
                    break;
                }
            }
            self.places[gap] = self.places[at];
            gap = at;
        }
    }
}
