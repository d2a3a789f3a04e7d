//! How pressed the process is for memory, and what the engine does about it.
//!
//! Somebody else measures, and tells the level by [`crate::Engine::press`]; the loop looks at it where it decides. A level is left at a lower
//! pressure than it is entered at, so that an action that helps is not taken back at once.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// How pressed the process is. Each level does what those before it do, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not at all.
    #[default]
    Calm,
    /// Caches are dropped, and none is filled.
    Trim,
    /// Half as many steps run at once.
    Slow,
    /// Nothing new begins: runs are accepted and stay queued. Those that have begun go on.
    Refuse,
    /// The run that is most over its share is cancelled, one after the other.
    Shed,
}

impl Level {
    /// All, from the bottom.
    pub const ALL: [Self; 5] = [Self::Calm, Self::Trim, Self::Slow, Self::Refuse, Self::Shed];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Trim => "trim",
            Self::Slow => "slow",
            Self::Refuse => "refuse",
            Self::Shed => "shed",
        }
    }

    /// At which part of the limit it is entered, and below which it is left.
    const fn bounds(self) -> (f64, f64) {
        match self {
            Self::Calm => (f64::NEG_INFINITY, f64::NEG_INFINITY),
            Self::Trim => (0.75, 0.70),
            Self::Slow => (0.85, 0.80),
            Self::Refuse => (0.92, 0.87),
            Self::Shed => (0.97, 0.92),
        }
    }

    /// The level after this one at that part of the limit: the highest that is entered there, or else the highest that is not left.
    #[must_use]
    pub fn next(self, part: f64) -> Self {
        let entered = Self::ALL.into_iter().rev().find(|level| part >= level.bounds().0).unwrap_or(Self::Calm);
        let kept = Self::ALL.into_iter().rev().find(|level| *level <= self && part >= level.bounds().1);
        entered.max(kept.unwrap_or(Self::Calm))
    }
}

/// The level, for all to see.
#[derive(Debug, Default)]
pub struct Pressure {
    // Relaxed throughout: whoever acts on a level that has just changed is as right as a moment ago.
    level: AtomicU8,
    shed: AtomicU64,
}

impl Pressure {
    /// The level now.
    pub fn level(&self) -> Level {
        Level::ALL.get(usize::from(self.level.load(Ordering::Relaxed))).copied().unwrap_or(Level::Shed)
    }

    /// Runs cancelled for their memory, since start.
    pub fn shed_total(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// Sets the level; whether that is another.
    pub(crate) fn set(&self, level: Level) -> bool {
        self.level.swap(level as u8, Ordering::Relaxed) != level as u8
    }

    /// So many steps may run at once, of `most`.
    pub(crate) fn steps(&self, most: u32) -> u32 {
        if self.level() >= Level::Slow { (most / 2).max(1) } else { most }
    }

    /// Whether runs may begin.
    pub(crate) fn lets_begin(&self) -> bool {
        self.level() < Level::Refuse
    }

    /// A run was cancelled for its memory.
    pub(crate) fn note_shed(&self) {
        self.shed.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Level::{self, Calm, Refuse, Shed, Slow, Trim};

    #[test]
    fn each_level_is_entered_at_its_bound_and_left_below_a_lower_one() {
        // Below, at and over each bound, up and down.
        let walk = [
            (0.0, Calm),
            (0.749, Calm),
            (0.75, Trim),
            (0.849, Trim),
            (0.85, Slow),
            (0.919, Slow),
            (0.92, Refuse),
            (0.969, Refuse),
            (0.97, Shed),
            (1.5, Shed),
            (0.92, Shed),
            (0.919, Refuse),
            (0.87, Refuse),
            (0.869, Slow),
            (0.80, Slow),
            (0.799, Trim),
            (0.70, Trim),
            (0.699, Calm),
            // And in one leap.
            (0.99, Shed),
            (0.10, Calm),
            (0.93, Refuse),
            (0.75, Trim),
        ];
        let mut level = Level::default();
        for (part, expected) in walk {
            level = level.next(part);
            assert_eq!(level, expected, "at {part}");
        }
    }

    #[test]
    fn a_part_that_is_no_number_is_no_pressure() {
        assert_eq!(Calm.next(f64::NAN), Calm);
        assert_eq!(Shed.next(f64::NAN), Calm);
    }
}
