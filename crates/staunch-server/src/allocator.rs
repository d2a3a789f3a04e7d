//! What the binary tells the server of its allocator: only the binary knows which one it has.

use std::fmt;
use std::io;

/// The process's allocator: what it is called, what it holds, and how to get a heap profile of it. Plain functions, so that the
/// server knows no allocator and its tests bring one of their own.
#[derive(Clone, Copy)]
pub struct Allocator {
    /// Its name: `jemalloc`, `system`.
    pub name: &'static str,
    /// What it holds now, or `None` if it cannot say. Called once a second, on a thread of the runtime: it must not block and
    /// should take some microseconds at most.
    pub read: fn() -> Option<AllocatorFigures>,
    /// A heap profile now, gzipped in the format of pprof; `None` if there is none to be had. Called on a thread that may block, at
    /// most once at a time by the server, and fails if another is being taken.
    pub profile: Option<fn() -> io::Result<Vec<u8>>>,
    /// From two profiles of this process, `(base, now)`, to at most so many lines `12.3 MiB more in alloc::site`, the site that
    /// grew most first. Called on a thread that may block.
    pub grown: Option<Grown>,
}

/// What tells which sites grew between two profiles, in at most so many lines.
pub type Grown = fn(base: &[u8], now: &[u8], lines_max: usize) -> io::Result<Vec<String>>;

/// What an allocator holds, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocatorFigures {
    /// Asked for and not given back: `stats.allocated`.
    pub live_bytes: u64,
    /// In pages of which some part is live: `stats.active`.
    pub active_bytes: u64,
    /// In pages that are backed by memory, what is kept for later included: `stats.resident`.
    pub resident_bytes: u64,
    /// Address space that is kept without memory behind it: `stats.retained`.
    pub retained_bytes: u64,
    /// What the allocator's own tables take: `stats.metadata`.
    pub metadata_bytes: u64,
}

impl Allocator {
    /// The system's allocator, which says nothing of what it holds.
    pub const SYSTEM: Self = Self { name: "system", read: || None, profile: None, grown: None };
}

impl Default for Allocator {
    fn default() -> Self {
        Self::SYSTEM
    }
}

impl fmt::Debug for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Allocator").field(&self.name).finish()
    }
}

/// By name: a process has one allocator, and the addresses of functions say nothing.
impl PartialEq for Allocator {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Allocator {}
