//! When to try a step again.

use std::time::Duration;

use crate::outcome::Outcome;

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

impl Retry {
    /// Whether an attempt that ended so is worth another one, as far as its end goes.
    pub(crate) fn wants(&self, outcome: Outcome, exit_code: Option<i32>) -> bool {
        let code = match outcome {
            Outcome::Failed | Outcome::Leaked => exit_code,
            Outcome::TimedOut => None,
            // A lost worker has its own limit, and who cancels wants an end.
            Outcome::Succeeded | Outcome::Cancelled | Outcome::Skipped | Outcome::Interrupted => return false,
        };
        self.on_exit_codes.is_empty() || code.is_some_and(|code| self.on_exit_codes.contains(&code))
    }
}

impl Backoff {
    /// The wait after attempt number `attempt` (from 1) has failed. `drawn` is any number; it decides the jitter.
    pub(crate) fn after(&self, attempt: u32, drawn: u64) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        // `max` also takes care of a factor that is not a number, `try_from` of a product that is too large.
        let seconds = self.delay.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(self.max_delay).min(self.max_delay);
        if !self.jitter {
            return wait;
        }
        // The upper 53 bits make a number in [0, 1) without rounding.
        let fraction = (drawn >> 11) as f64 / (1_u64 << 53) as f64;
        wait.mul_f64(0.5 + fraction / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn backoff(jitter: bool) -> Backoff {
        Backoff { delay: secs(5), factor: 2.0, max_delay: secs(60), jitter }
    }

    #[test]
    fn waits_grow_up_to_the_longest() {
        let waits: Vec<_> = (1..=6).map(|attempt| backoff(false).after(attempt, 0).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert_eq!(backoff(false).after(u32::MAX, 0), secs(60));
    }

    #[test]
    fn jitter_lies_between_half_and_all() {
        assert_eq!(backoff(true).after(2, 0), secs(5));
        assert!(backoff(true).after(2, u64::MAX) <= secs(10));
        assert!(backoff(true).after(2, u64::MAX) > Duration::from_millis(9_999));
        assert_eq!(backoff(true).after(2, 1 << 63), Duration::from_millis(7_500));
    }

    #[test]
    fn odd_factors_do_no_harm() {
        for factor in [f64::NAN, f64::NEG_INFINITY, -3.0, 0.0, 0.5] {
            assert_eq!(Backoff { factor, ..backoff(false) }.after(9, 0), secs(5), "{factor}");
        }
        assert_eq!(Backoff { factor: f64::INFINITY, ..backoff(false) }.after(2, 0), secs(60));
        let zero = Backoff { delay: Duration::ZERO, factor: f64::INFINITY, ..backoff(true) };
        assert_eq!(zero.after(1, u64::MAX), Duration::ZERO);
        assert!(zero.after(2, u64::MAX) <= secs(60));
        let longest = Backoff { delay: Duration::MAX, max_delay: Duration::MAX, ..backoff(true) };
        assert!(longest.after(100, 0) >= Duration::MAX / 2 - secs(1));
    }

    #[test]
    fn exit_codes_choose_what_is_tried_again() {
        let any = Retry { attempts: 3, backoff: backoff(false), on_exit_codes: vec![] };
        let some = Retry { on_exit_codes: vec![7, 75], ..any.clone() };
        for (outcome, code, by_any, by_some) in [
            (Outcome::Failed, Some(1), true, false),
            (Outcome::Failed, Some(75), true, true),
            (Outcome::Failed, None, true, false),
            (Outcome::TimedOut, None, true, false),
            (Outcome::TimedOut, Some(7), true, false),
            (Outcome::Leaked, Some(7), true, true),
            (Outcome::Leaked, Some(0), true, false),
            (Outcome::Succeeded, Some(0), false, false),
            (Outcome::Cancelled, Some(7), false, false),
            (Outcome::Interrupted, None, false, false),
        ] {
            assert_eq!(
                (any.wants(outcome, code), some.wants(outcome, code)),
                (by_any, by_some),
                "{outcome:?} {code:?}"
            );
        }
    }
}
