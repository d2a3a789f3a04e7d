//! How often a stream is written: at once after a rest, at a steady pace under a flood.

use std::time::Duration;

use tokio::time::Instant;

/// Rounds that may follow each other at once before the pace begins.
const BURST: u32 = 8;

/// A round each `step`, and [`BURST`] on credit: GCRA, with one time as its whole state.
#[derive(Debug)]
pub(super) struct Pace {
    step: Duration,
    due: Instant,
}

impl Pace {
    /// A pace that begins with all its credit.
    pub(super) fn new(step: Duration, now: Instant) -> Self {
        Self { step, due: now }
    }

    /// When the next round may be. It counts as done then.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        let due = self.due.max(now);
        self.due = due + self.step;
        now.max(due.checked_sub(self.step * (BURST - 1)).unwrap_or(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_a_flood_is_paced() {
        let start = Instant::now();
        let step = Duration::from_millis(50);
        let mut pace = Pace::new(step, start);
        for _ in 0..BURST {
            assert_eq!(pace.next(start), start);
        }
        assert_eq!(pace.next(start), start + step);
        assert_eq!(pace.next(start + step), start + 2 * step);
        // A rest gives the credit back, and no more than that.
        let later = start + Duration::from_secs(60);
        for _ in 0..BURST {
            assert_eq!(pace.next(later), later);
        }
        assert_eq!(pace.next(later), later + step);
    }
}
