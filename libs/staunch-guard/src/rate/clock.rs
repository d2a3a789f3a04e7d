//! Clocks: where the monotonic nanoseconds come from.

/// A monotonic clock, in nanoseconds since a moment of its own choice.
///
/// It must not run backwards between two reads of which one happened before the other, on whatever threads. Who reads it and
/// then waits for a lock brings a time that is a little old; that makes a limiter stricter and never looser (the proof is at
/// [`crate::Table`]).
pub trait Clock: Send + Sync {
    /// Nanoseconds now.
    fn now(&self) -> u64;
}

/// Any closure is a clock: a test passes one that it moves by hand.
impl<F: Fn() -> u64 + Send + Sync> Clock for F {
    fn now(&self) -> u64 {
        self()
    }
}

/// The exact clock: on Linux `CLOCK_MONOTONIC` (`clock_gettime(2)`), elsewhere the time of [`std::time::Instant`] since it was
/// made. A read takes 15 to 40 ns. Copies show the same time; elsewhere than on Linux, two that were made apart do not.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(target_os = "linux", derive(Default))]
pub struct Monotonic {
    #[cfg(not(target_os = "linux"))]
    since: std::time::Instant,
}

#[cfg(not(target_os = "linux"))]
impl Default for Monotonic {
    fn default() -> Self {
        Self { since: std::time::Instant::now() }
    }
}

impl Clock for Monotonic {
    #[cfg(target_os = "linux")]
    #[inline]
    fn now(&self) -> u64 {
        read(rustix::time::ClockId::Monotonic)
    }

    #[cfg(not(target_os = "linux"))]
    fn now(&self) -> u64 {
        // 584 years fit; whoever runs longer stands still, which denies.
        u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The time of the kernel's last tick, on Linux `CLOCK_MONOTONIC_COARSE` (see `clock_gettime(2)`); elsewhere the same as
/// [`Monotonic`].
///
/// It steps each 1 to 10 ms (the kernel's `CONFIG_HZ`) and a read takes about 4 ns, a tenth of what the exact clock costs
/// where the counter of the processor is virtual. All that the limiter promises it promises of *this* clock's times. Since a
/// reading is at most one tick old, and the error does not add up, at most `B + (D + tick) / T` requests of one key are
/// admitted in a stretch `D` of real time instead of `B + D / T`; a denial may last one tick longer. Windows of a second
/// and more do not notice. For windows of a few milliseconds take [`Monotonic`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Coarse {
    #[cfg(not(target_os = "linux"))]
    exact: Monotonic,
}

impl Clock for Coarse {
    #[cfg(target_os = "linux")]
    #[inline]
    fn now(&self) -> u64 {
        read(rustix::time::ClockId::MonotonicCoarse)
    }

    #[cfg(not(target_os = "linux"))]
    fn now(&self) -> u64 {
        self.exact.now()
    }
}

/// Nanoseconds since the machine started. `Instant` would subtract and check for 10 ns more.
#[cfg(target_os = "linux")]
#[inline]
fn read(clock: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    // Neither part is negative, and 584 years fit.
    time.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_do_not_run_backwards() {
        let exact = Monotonic::default();
        let coarse = Coarse::default();
        let (mut a, mut b) = (exact.now(), coarse.now());
        for _ in 0..10_000 {
            let (c, d) = (exact.now(), coarse.now());
            assert!(c >= a && d >= b, "{a} {c} {b} {d}");
            (a, b) = (c, d);
        }
        assert_eq!((|| 7).now(), 7);
    }
}
