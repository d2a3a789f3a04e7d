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
/// Between two profiles at least, and after one that failed.
const PAUSE: Duration = Duration::from_secs(10 * 60);
/// After so long the mark falls back to what there is: else one peak would hide all later ones (the habit of CockroachDB).
const MARK_LASTS: Duration = Duration::from_secs(3_600);
/// A new mark is so much above the last, and a tenth of that: less is not worth a file.
const RISE_BYTES: u64 = 1 << 20;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct HighWater {
    /// Bytes live at the newest profile, and when.
    mark: Option<(u64, Duration)>,
    /// When the last profile was kept, or failed.
    tried: Option<Duration>,
    /// Whether the growth that is seen has its profile.
    grew: bool,
}

impl HighWater {
    /// Whether a profile is due, `at` so long after the start, with so many bytes live, growing or not. It stays due until one is
    /// [kept](Self::kept).
    pub(crate) fn due(&mut self, at: Duration, live: u64, grows: bool) -> Option<Reason> {
        let rests = self.tried.is_some_and(|tried| at.saturating_sub(tried) < PAUSE);
        let Some((mark, since)) = self.mark else { return (at >= BASE_AFTER && !rests).then_some(Reason::Base) };
        self.grew &= grows;
        if at.saturating_sub(since) >= MARK_LASTS {
            self.mark = Some((live, at));
        }
        if rests {
            return None;
        }
        if grows && !self.grew {
            return Some(Reason::Growing);
        }
        (live > mark + mark / 10 + RISE_BYTES).then_some(Reason::HighWater)
    }

    /// The profile that was due was kept.
    pub(crate) fn kept(&mut self, reason: Reason, at: Duration, live: u64, grows: bool) {
        self.mark = Some((live, at));
        self.tried = Some(at);
        // Only what was taken beside a base settles growth: what is seen at the base or during a pause is still due after it.
        self.grew = grows && reason != Reason::Base;
    }

    /// It was not: after a pause it is due again.
    pub(crate) fn failed(&mut self, at: Duration) {
        self.tried = Some(at);
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
        let tell = |(minute, live, grows): &(u64, u64, bool)| {
            let (at, live) = (minutes(*minute), live * MIB);
            let due = high.due(at, live, *grows);
            due.into_iter().for_each(|reason| high.kept(reason, at, live, *grows));
            due
        };
        story.iter().map(tell).collect()
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
    fn what_grows_from_the_start_has_its_profile_after_the_base() {
        assert_eq!(
            told(&[(10, 10, true), (15, 10, true), (21, 10, true), (40, 10, true)]),
            [Some(Reason::Base), None, Some(Reason::Growing), None]
        );
    }

    #[test]
    fn what_could_not_be_kept_is_due_again_after_a_pause() {
        let mut high = HighWater::default();
        let mut due = |minute, live, grows| high.due(minutes(minute), live * MIB, grows);
        assert_eq!(due(10, 10, false), Some(Reason::Base));
        high.failed(minutes(10));
        let mut due = |minute, live, grows| high.due(minutes(minute), live * MIB, grows);
        assert_eq!([due(15, 10, false), due(20, 10, false)], [None, Some(Reason::Base)]);
        high.kept(Reason::Base, minutes(20), 10 * MIB, false);
        // Neither the growth nor the mark is settled by a profile that is not there.
        assert_eq!(high.due(minutes(31), 20 * MIB, true), Some(Reason::Growing));
        high.failed(minutes(31));
        assert_eq!(high.due(minutes(40), 20 * MIB, true), None);
        assert_eq!(high.due(minutes(41), 20 * MIB, true), Some(Reason::Growing));
        assert_eq!(high.due(minutes(42), 20 * MIB, false), Some(Reason::HighWater));
        high.kept(Reason::HighWater, minutes(42), 20 * MIB, true);
        assert_eq!(high.due(minutes(60), 20 * MIB, true), None, "the high water was taken while it grew");
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
