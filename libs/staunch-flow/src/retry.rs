//! When to try a step again.

use std::time::Duration;

/// The `retry:` of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Attempts in all, the first one included; at least 1, at most 100.
    pub attempts: u32,
    /// How long to wait, and how the wait grows.
    pub backoff: Backoff,
    /// Only these exit codes are tried again; empty means any failure is. A timeout counts as a failure without a code.
    pub on_exit_codes: Vec<i32>,
}

/// The wait before a further attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// The wait before the second attempt.
    pub delay: Duration,
    /// What the wait is multiplied by after each attempt; at least 1.
    pub factor: f64,
    /// The wait never exceeds this.
    pub max_delay: Duration,
    /// Whether the wait is drawn between half of itself and itself, so that runs that failed together part.
    pub jitter: bool,
}
