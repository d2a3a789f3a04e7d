//! Counts of the HTTP face, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

/// Counts since start. Relaxed throughout: each guards no other memory and only has to be exact.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    classes: [AtomicU64; 5],
    accepted: AtomicU64,
    accept_errors: AtomicU64,
    connections: AtomicU64,
    streams: AtomicU64,
}

/// One connection that is open, counted while it lives.
#[derive(Debug)]
pub(crate) struct Open(std::sync::Arc<Tally>);

impl Tally {
    /// The classes of status, as metrics call them.
    pub(crate) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

    /// A request was answered.
    pub(crate) fn answered(&self, status: StatusCode) {
        if let Some(class) = self.classes.get(usize::from(status.as_u16() / 100).wrapping_sub(1)) {
            class.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Requests answered, by class.
    pub(crate) fn answers(&self) -> [u64; 5] {
        std::array::from_fn(|i| self.classes[i].load(Ordering::Relaxed))
    }

    /// A connection was accepted.
    pub(crate) fn accept(self: &std::sync::Arc<Self>) -> Open {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        Open(std::sync::Arc::clone(self))
    }

    /// A connection could not be accepted.
    pub(crate) fn accept_failed(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// An event stream was opened.
    pub(crate) fn stream_opened(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Accepts that failed.
    pub(crate) fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Ordering::Relaxed)
    }

    /// Connections open now.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Event streams opened.
    pub(crate) fn streams(&self) -> u64 {
        self.streams.load(Ordering::Relaxed)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
