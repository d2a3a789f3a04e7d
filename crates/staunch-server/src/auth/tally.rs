//! Counts of authentication, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// A session has begun.
    Begun,
    /// The name or the password was wrong.
    Failed,
    /// There was no room for a session.
    Full,
}

/// Counts since start. Relaxed throughout: lone numbers for people.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    logins: [AtomicU64; Self::LOGINS.len()],
    reads_refused: AtomicU64,
}

impl Tally {
    /// The outcomes of logins, as metrics call them.
    pub(crate) const LOGINS: [&str; 3] = ["begun", "failed", "full"];

    /// A login ended so.
    pub(crate) fn login(&self, outcome: Login) {
        self.logins[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Logins, by outcome.
    pub(crate) fn logins(&self) -> [u64; 3] {
        std::array::from_fn(|i| self.logins[i].load(Ordering::Relaxed))
    }

    /// A page of another site wanted to read.
    pub(crate) fn read_refused(&self) {
        self.reads_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How often one did.
    pub(crate) fn reads_refused(&self) -> u64 {
        self.reads_refused.load(Ordering::Relaxed)
    }
}
