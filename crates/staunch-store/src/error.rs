//! What can go wrong when remembering.

use std::time::Duration;

use staunch_bounded::Fault;

/// Why an operation of a store failed. Nothing was changed, except where [`StoreError::Unknown`] says so.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A bound of the store is met; it may be better later.
    #[error("{what} is full ({limit} at most)")]
    Full {
        /// The bound, such as `queued runs`.
        what: &'static str,
        /// Its limit.
        limit: u64,
        /// When to ask again.
        retry_after: Duration,
    },
    /// The disk has no room (ENOSPC, EDQUOT or the free-disk floor).
    #[error("the disk has no room: {0}")]
    NoSpace(String),
    /// The idempotency key was used with another body.
    #[error("this idempotency key was used for another request")]
    KeyReused,
    /// The store is closed or its writer is gone.
    #[error("the store is closed")]
    Closed,
    /// The data directory is in use by another process, or cannot be used.
    #[error("{0}")]
    DataDirectory(String),
    /// The database or a file says something it cannot.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The outcome of a commit is not known: read back before deciding.
    #[error("the outcome of the commit is unknown: {0}")]
    Unknown(String),
    /// Anything else the disk or the database reports.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// What a test made fail, as any failure of the disk. Without the feature `faults` there is none.
impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault.to_string())
    }
}
