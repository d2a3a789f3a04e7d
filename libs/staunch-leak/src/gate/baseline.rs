//! What a quiet process held before the rounds.

use std::time::Instant;

use super::options::Options;
use crate::alloc::{Tally, tally};
use crate::census::{Census, Difference};

/// Looks in a row that must agree before a process counts as quiet.
const EQUAL_LOOKS: usize = 3;

/// What the process held.
#[derive(Debug)]
pub(crate) struct Baseline {
    census: Census,
    /// Read after the census was taken, and so with it: what it takes itself is in both counts that are compared.
    tally: Tally,
}

impl Baseline {
    fn now(options: &Options) -> Self {
        let census = options.census();
        // Only what is compared; how many allocations there were is not.
        let tally = if options.memory { Tally { allocations: 0, ..tally() } } else { Tally::default() };
        Self { census, tally }
    }

    /// Looks until three looks in a row agree, or for `settle_max`: then the last one is as good as any, and the comparison
    /// will tell.
    pub(crate) fn settled(options: &Options) -> Self {
        let begun = Instant::now();
        let mut last = Self::now(options);
        let mut equal = 1;
        while equal < EQUAL_LOOKS && begun.elapsed() < options.settle_max {
            (options.pause.0)();
            equal = if last.difference(options).is_empty() { equal + 1 } else { 1 };
            if equal == 1 {
                // The old one is dropped first, so that exactly one is alive whenever memory is read.
                drop(last);
                last = Self::now(options);
            }
        }
        last
    }

    /// Looks until all is as it was.
    ///
    /// # Errors
    /// It was not within `settle_max`; this is what was left.
    pub(crate) fn compare(&self, options: &Options) -> Result<(), Difference> {
        let begun = Instant::now();
        loop {
            let difference = self.difference(options);
            if difference.is_empty() {
                return Ok(());
            }
            if begun.elapsed() >= options.settle_max {
                return Err(difference);
            }
            drop(difference);
            (options.pause.0)();
        }
    }

    /// Looks until nothing is more than it was; that something is less does not matter.
    ///
    /// # Errors
    /// As [`Baseline::compare`].
    #[cfg(feature = "faults")]
    pub(crate) fn compare_growth(&self, options: &Options) -> Result<(), Difference> {
        let begun = Instant::now();
        loop {
            let difference = self.difference(options);
            if !difference.has_growth() {
                return Ok(());
            }
            if begun.elapsed() >= options.settle_max {
                return Err(difference);
            }
            drop(difference);
            (options.pause.0)();
        }
    }

    /// The same, of everything but bytes and blocks.
    ///
    /// # Errors
    /// As [`Baseline::compare`].
    #[cfg(feature = "faults")]
    pub(crate) fn compare_without_memory(&self, options: &Options) -> Result<(), Difference> {
        let begun = Instant::now();
        loop {
            let difference = options.census().since(&self.census);
            if difference.is_empty() {
                return Ok(());
            }
            if begun.elapsed() >= options.settle_max {
                return Err(difference);
            }
            (options.pause.0)();
        }
    }

    fn difference(&self, options: &Options) -> Difference {
        // Memory first: the new census is not in it yet.
        let tally = if options.memory { Tally { allocations: 0, ..tally() } } else { Tally::default() };
        options.census().since(&self.census).with_memory(self.tally, tally)
    }
}
