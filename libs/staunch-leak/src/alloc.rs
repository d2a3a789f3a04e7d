//! An allocator over the system's that counts what is live.

mod live;
mod site;
mod stack;
mod tally;

use std::alloc::{GlobalAlloc, Layout, System};

pub use live::{Recording, record};
pub use site::Site;
pub use tally::{Tally, is_counting, tally};

/// The system's allocator, counted. Install it in a test binary; a program that must be fast in every nanosecond asks its
/// own allocator instead.
///
/// Counting is exact when nobody allocates meanwhile, and costs two loads and stores in a cache line of the thread's own for each
/// call (`examples/alloc_speed.rs` measures it). While a [`record`]ing runs, each call also takes a lock
/// and walks the stack, which costs microseconds.
///
/// ```
/// #[global_allocator]
/// static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();
///
/// let before = staunch_leak::alloc::tally();
/// let held = vec![0u8; 100];
/// let after = staunch_leak::alloc::tally();
/// assert_eq!((after.bytes - before.bytes, after.blocks - before.blocks), (100, 1));
/// drop(held);
/// assert_eq!(staunch_leak::alloc::tally().bytes, before.bytes);
/// ```
#[derive(Debug, Default)]
pub struct Counting;

impl Counting {
    /// The allocator, for `#[global_allocator]`.
    pub const fn new() -> Self {
        Self
    }
}

// SAFETY: every call is handed to the system's allocator as it came, and its answer is handed back; what is done beside it
// reads neither the block nor the layout's memory, does not unwind, and does not allocate through this allocator but for
// allocations that are counted like any other (`live` and `stack` say how recursion is kept out).
#[expect(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        let block = unsafe { System.alloc(layout) };
        taken(block, layout.size());
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the system's.
        let block = unsafe { System.alloc_zeroed(layout) };
        taken(block, layout.size());
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // Before the system may give the address to somebody else.
        returned(block, layout.size());
        // SAFETY: the block came from `System` with this layout, since all of ours do.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Forgotten before and remembered after, for the same reason; if it fails the old block lives on.
        live::forget(block);
        // SAFETY: the block came from `System` with this layout, and the caller keeps the contract of `realloc`.
        let moved = unsafe { System.realloc(block, layout, size) };
        if moved.is_null() {
            live::remember(block, layout.size());
        } else {
            tally::returned(layout.size());
            taken(moved, size);
        }
        moved
    }
}

fn taken(block: *mut u8, bytes: usize) {
    // A refusal holds nothing.
    if !block.is_null() {
        tally::taken(bytes);
        live::remember(block, bytes);
    }
}

fn returned(block: *mut u8, bytes: usize) {
    live::forget(block);
    tally::returned(bytes);
}

#[cfg(test)]
mod tests;
