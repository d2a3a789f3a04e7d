//! The bounds of what is remembered.

/// Bounds of a store and of its logs. The engine's `limits.rs` fills this in from the one table of limits.
#[derive(Clone, Copy, Debug)]
pub struct StoreLimits {
    /// Runs that are queued or running at once; one more is refused.
    pub runs_open_max: u64,
    /// Writes waiting for the writer thread; one more waits for room, at most `write_wait_ms_max`.
    pub writes_queued_max: usize,
    /// Page cache of the writer, in KiB.
    pub writer_cache_kib: u32,
    /// Page cache of each of the four readers, in KiB.
    pub reader_cache_kib: u32,
    /// Events of one run; the run is failed beyond.
    pub events_per_run_max: u64,
    /// Bytes of one revision's text.
    pub revision_bytes_max: usize,
    /// Log bytes of one attempt on disk: head 25 %, tail 75 %.
    pub log_bytes_max: u64,
    /// A sealed log up to this size (framed) is kept in the database instead of a file.
    pub log_inline_bytes_max: usize,
    /// New runs are refused when less than this is free on the disk, in bytes.
    pub disk_free_bytes_min: u64,
    /// How long an idempotency key is remembered, in seconds.
    pub idempotency_seconds: u64,
}
