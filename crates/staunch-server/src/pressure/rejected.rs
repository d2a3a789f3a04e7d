//! Runs that were not accepted, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::problem::Code;

/// The reasons, as metrics call them.
const REASONS: [(Code, &str); 4] = [
    (Code::MemoryPressure, "memory_pressure"),
    (Code::Full, "full"),
    (Code::NoSpace, "no_space"),
    (Code::Stopping, "stopping"),
];

/// Counts since start.
#[derive(Debug, Default)]
pub(crate) struct Rejected([AtomicU64; REASONS.len()]);

impl Rejected {
    /// A run was refused. What is the client's own fault is not counted.
    pub(super) fn note(&self, code: Code) {
        if let Some(place) = REASONS.iter().position(|(reason, _)| *reason == code) {
            // Relaxed: a counter, it orders nothing.
            self.0[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many, by reason.
    pub(crate) fn counts(&self) -> [(&'static str, u64); REASONS.len()] {
        std::array::from_fn(|place| (REASONS[place].1, self.0[place].load(Ordering::Relaxed)))
    }
}
