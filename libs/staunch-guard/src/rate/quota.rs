//! A quota: how much one key may take over time, as GCRA counts it.

use std::time::Duration;

mod text;

pub use text::QuotaTextError;

/// `count` requests in each `window`, of which `burst` at once.
///
/// Counted by GCRA, the generic cell rate algorithm (ITU-T I.371, appendix A) in its virtual-scheduling form: one number a
/// key, the theoretical arrival time (TAT). With the interval `T = ceil(window / count)`, a request of cost `n` at `t` is
/// admitted if `max(TAT, t) + n * T - t <= burst * T`, and TAT becomes `max(TAT, t) + n * T`. A denial changes nothing.
///
/// In the long run `count` a window are admitted; in one unlucky window [up to](Self::worst_case_in_window)
/// `burst + count - 1`. A second burst is not possible before the first has been paid for.
///
/// ```
/// use std::time::Duration;
/// use staunch_guard::Quota;
/// let login = Quota::new(5, Duration::from_secs(60)).unwrap();
/// assert_eq!(login.interval(), Duration::from_secs(12));
/// assert_eq!(login.worst_case_in_window(), 9);
/// assert_eq!(Quota::new(0, Duration::from_secs(60)).unwrap_err().to_string(), "a quota admits at least 1 request a window, not 0");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    count: u32,
    burst: u32,
    window: u64,
    /// T, in nanoseconds; at least 1.
    interval: u64,
    /// B * T, in nanoseconds; below [`TOLERANCE_END`].
    tolerance: u64,
}

/// What no quota can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// The count is 0.
    #[error("a quota admits at least 1 request a window, not 0")]
    NoCount,
    /// The burst is 0.
    #[error("a burst is at least 1 request, not 0")]
    NoBurst,
    /// The window is shorter than a millisecond.
    #[error("a window lasts at least 1 ms, not {0:?}")]
    WindowTooShort(Duration),
    /// Emptying a whole burst would take longer than 2^62 ns, which is 146 years.
    #[error("{burst} requests at {count} in {window:?} take longer than 146 years: shorten the window or the burst")]
    TooLong {
        /// Requests a window.
        count: u32,
        /// Requests at once.
        burst: u32,
        /// The window.
        window: Duration,
    },
}

/// Times stay below 2^63 ns and tolerances below 2^62, so that sums of the two fit into 64 bits.
const TOLERANCE_END: u64 = 1 << 62;

/// A shorter window than this is a mistake in the unit, and finer than the coarse clock's tick.
const WINDOW_MIN: Duration = Duration::from_millis(1);

impl Quota {
    /// `count` requests in each `window`, all of them at once if need be.
    ///
    /// # Errors
    /// [`QuotaError`] if `count` is 0, `window` is below 1 ms or beyond 146 years.
    pub fn new(count: u32, window: Duration) -> Result<Self, QuotaError> {
        Self::with_burst(count, window, count)
    }

    /// `count` requests in each `window`, at most `burst` of them at once.
    ///
    /// The interval is rounded up to whole nanoseconds, so it is never zero and never too generous.
    ///
    /// # Errors
    /// [`QuotaError`] if `count` or `burst` is 0, `window` is below 1 ms, or `burst` intervals last beyond 146 years.
    pub fn with_burst(count: u32, window: Duration, burst: u32) -> Result<Self, QuotaError> {
        if count == 0 {
            return Err(QuotaError::NoCount);
        }
        if burst == 0 {
            return Err(QuotaError::NoBurst);
        }
        if window < WINDOW_MIN {
            return Err(QuotaError::WindowTooShort(window));
        }
        let too_long = QuotaError::TooLong { count, burst, window };
        let nanos = u64::try_from(window.as_nanos()).ok().filter(|nanos| *nanos < TOLERANCE_END).ok_or(too_long)?;
        let interval = nanos.div_ceil(u64::from(count));
        let tolerance = interval.checked_mul(u64::from(burst)).filter(|nanos| *nanos < TOLERANCE_END);
        Ok(Self { count, burst, window: nanos, interval, tolerance: tolerance.ok_or(too_long)? })
    }

    /// The same window with `factor` times the count and the burst: the quota of a whole network.
    ///
    /// # Errors
    /// [`QuotaError`] if `factor` is 0, or the product is beyond the bounds of [`Quota::with_burst`]. Counts saturate.
    pub fn times(&self, factor: u32) -> Result<Self, QuotaError> {
        Self::with_burst(self.count.saturating_mul(factor), self.window(), self.burst.saturating_mul(factor))
    }

    /// Requests a window.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Requests at once; also the largest cost of one request.
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// The window.
    pub fn window(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    /// The time in which one request is paid for.
    pub fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// The time after which a key that took all it could is as good as new: `burst` intervals.
    pub fn tolerance(&self) -> Duration {
        Duration::from_nanos(self.tolerance)
    }

    /// The most requests of one key that are admitted in some half-open window: `burst + count - 1` where `count` divides
    /// the window. The first `burst` at once after a rest, then one each interval.
    pub fn worst_case_in_window(&self) -> u64 {
        u64::from(self.burst) + self.window.div_ceil(self.interval) - 1
    }

    pub(crate) fn interval_nanos(&self) -> u64 {
        self.interval
    }

    pub(crate) fn tolerance_nanos(&self) -> u64 {
        self.tolerance
    }
}

#[cfg(test)]
mod tests;
