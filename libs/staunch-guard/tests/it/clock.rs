//! A clock that a test moves by hand, for us and for the oracle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Nanoseconds, whatever was set last. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub(crate) struct HandClock(Arc<AtomicU64>);

impl HandClock {
    pub(crate) fn set(&self, nanos: u64) {
        self.0.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(crate) fn nanos(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl staunch_guard::Clock for HandClock {
    fn now(&self) -> u64 {
        self.nanos()
    }
}

impl governor::clock::Clock for HandClock {
    type Instant = governor::nanos::Nanos;

    fn now(&self) -> Self::Instant {
        self.nanos().into()
    }
}
