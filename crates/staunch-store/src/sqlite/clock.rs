//! The store's clock: one that never runs backwards and never stands still.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::id::Timestamp;

/// Where the writer reads the wall clock. Tests turn the hands themselves.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970 UTC; may jump either way.
    fn wall(&self) -> Timestamp;
    /// Time since some fixed moment; never jumps.
    fn steady(&self) -> Duration;
}

/// The clock of the machine.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

/// A clock that moves only by hand.
#[derive(Debug)]
pub struct HandClock {
    ms: AtomicI64,
}

/// Turns a wall clock that may be set back into times that only grow. Lives on the writer thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    last: Timestamp,
    read_at: Duration,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn steady(&self) -> Duration {
        self.start.elapsed()
    }
}

impl HandClock {
    /// A clock that stands at `ms`.
    pub fn new(ms: i64) -> Self {
        Self { ms: AtomicI64::new(ms) }
    }

    /// Moves the hands on.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        // Relaxed: a lone number; whoever must see it was told by a channel, which orders it.
        self.ms.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn wall(&self) -> Timestamp {
        // Relaxed: as in `advance`.
        Timestamp(self.ms.load(Ordering::Relaxed))
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.wall().0).unwrap_or(0))
    }
}

impl Times {
    /// Times that go on from `last`, the newest one an earlier life of the store told.
    pub(super) fn after(last: Timestamp, clock: &dyn Clock) -> Self {
        Self { last, read_at: clock.steady() }
    }

    /// The time now. If the wall clock stands behind what was told before, time goes on from there at its usual pace,
    /// so that what is due in five seconds is due in five seconds.
    pub(super) fn now(&mut self, clock: &dyn Clock) -> Timestamp {
        let steady = clock.steady();
        let passed = i64::try_from(steady.saturating_sub(self.read_at).as_millis()).unwrap_or(0);
        let wall = clock.wall();
        if wall < self.last {
            self.last = Timestamp(self.last.0.saturating_add(passed));
            // Only whole milliseconds are used up; the rest counts next time.
            self.read_at += Duration::from_millis(u64::try_from(passed).unwrap_or(0));
        } else {
            self.last = wall;
            self.read_at = steady;
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, HandClock, Times};
    use crate::id::Timestamp;
    use std::time::Duration;

    struct SetBack(i64, u64);

    impl Clock for SetBack {
        fn wall(&self) -> Timestamp {
            Timestamp(self.0)
        }

        fn steady(&self) -> Duration {
            Duration::from_millis(self.1)
        }
    }

    #[test]
    fn a_clock_set_back_neither_runs_backwards_nor_stands_still() {
        let mut times = Times::after(Timestamp(0), &SetBack(10_000, 0));
        assert_eq!(times.now(&SetBack(10_000, 0)), Timestamp(10_000));
        assert_eq!(times.now(&SetBack(2_000, 500)), Timestamp(10_500));
        assert_eq!(times.now(&SetBack(2_500, 1_000)), Timestamp(11_000));
        assert_eq!(times.now(&SetBack(11_500, 1_200)), Timestamp(11_500));
    }

    #[test]
    fn a_hand_clock_moves_only_by_hand() {
        let clock = HandClock::new(5);
        assert_eq!(clock.wall(), Timestamp(5));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.wall(), Timestamp(1_005));
        assert_eq!(clock.steady(), Duration::from_millis(1_005));
    }
}
