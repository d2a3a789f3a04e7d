//! Clocks: where the monotonic nanoseconds come from.

use std::time::Instant;

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

/// The clock of [`Instant`]: nanoseconds since it was made. A read takes 20 to 50 ns. Copies show the same time; two that were
/// made apart do not.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic(Instant);

impl Default for Monotonic {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Monotonic {
    fn now(&self) -> u64 {
        // 584 years fit; whoever runs longer stands still, which denies.
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
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
        let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        // Since boot, so neither part is negative and 584 years fit.
        time.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec.cast_unsigned())
    }

    #[cfg(not(target_os = "linux"))]
    fn now(&self) -> u64 {
        self.exact.now()
    }
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
