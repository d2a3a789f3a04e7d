//! When a heap profile is worth taking. Pure: the time comes in as an argument.

use std::time::Duration;

/// Why a profile is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// To compare later ones with.
    Base,
    /// Memory has begun to grow, by the verdict.
    Growing,
    /// There is more of it than there was at any profile of the last hour.
    HighWater,
}

impl Reason {
    /// Its word in file names and answers.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Growing => "growing",
            Self::HighWater => "high_water",
        }
    }
}

/// After the start: by then caches and pools have what they need.
const BASE_AFTER: Duration = Duration::from_secs(10 * 60);
/// Between two profiles at least.
const PAUSE: Duration = Duration::from_secs(10 * 60);
/// After so long the mark falls back to what there is: else one peak would hide all later ones (the habit of CockroachDB).
const MARK_LASTS: Duration = Duration::from_secs(3_600);
/// A new mark is so much above the last, and a tenth of that: less is not worth a file.
const RISE_BYTES: u64 = 1 << 20;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct HighWater {
    mark: Option<(u64, Duration)>,
    taken: Duration,
    grew: bool,
}

impl HighWater {
    /// Whether a profile is due, `at` so long after the start, with so many bytes live, growing or not. It counts as taken then.
    pub(crate) fn due(&mut self, at: Duration, live: u64, grows: bool) -> Option<Reason> {
        let reason = self.reason(at, live, grows);
        if reason.is_some() {
            self.mark = Some((live, at));
            self.taken = at;
            // Only what was taken for it settles it: growth that is seen during a pause is still due after it.
            self.grew = grows;
        }
        reason
    }

    fn reason(&mut self, at: Duration, live: u64, grows: bool) -> Option<Reason> {
        let Some((mark, since)) = self.mark else { return (at >= BASE_AFTER).then_some(Reason::Base) };
        self.grew &= grows;
        if at.saturating_sub(since) >= MARK_LASTS {
            self.mark = Some((live, at));
        }
        if at.saturating_sub(self.taken) < PAUSE {
            return None;
        }
        if grows && !self.grew {
            return Some(Reason::Growing);
        }
        (live > mark + mark / 10 + RISE_BYTES).then_some(Reason::HighWater)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    /// What is due at each (minute, MiB live, grows).
    fn told(story: &[(u64, u64, bool)]) -> Vec<Option<Reason>> {
        let mut high = HighWater::default();
        story.iter().map(|(minute, live, grows)| high.due(minutes(*minute), live * MIB, *grows)).collect()
    }

    #[test]
    fn the_base_comes_once_the_start_is_over() {
        assert_eq!(
            told(&[(0, 10, false), (9, 10, true), (10, 10, false), (21, 10, false)]),
            [None, None, Some(Reason::Base), None]
        );
    }

    #[test]
    fn growth_is_told_once_until_it_ends_and_never_within_the_pause() {
        assert_eq!(
            told(&[(10, 10, false), (15, 10, true), (20, 10, true), (31, 10, true), (45, 10, false), (50, 10, true),]),
            [Some(Reason::Base), None, Some(Reason::Growing), None, None, Some(Reason::Growing)]
        );
    }

    #[test]
    fn a_mark_is_a_tenth_and_a_mebibyte_higher_and_lasts_an_hour() {
        let at_the_bound = [(10, 100, false), (25, 111, false)];
        assert_eq!(told(&at_the_bound), [Some(Reason::Base), None]);
        assert_eq!(told(&[(10, 100, false), (25, 112, false)]), [Some(Reason::Base), Some(Reason::HighWater)]);
        // The peak of 300 is forgotten after an hour, and what follows is seen again.
        let peak = [(10, 100, false), (25, 300, false), (40, 120, false), (90, 120, false), (95, 140, false)];
        assert_eq!(told(&peak), [Some(Reason::Base), Some(Reason::HighWater), None, None, Some(Reason::HighWater)]);
    }
}
