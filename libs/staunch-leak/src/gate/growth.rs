//! What a gate found.

use std::fmt;

use super::baseline::Baseline;
use super::options::Options;
use crate::alloc::{Site, record};
use crate::census::Difference;

/// Sites that are printed, most bytes first.
const SITES_SHOWN: usize = 10;

/// Everything is as it was, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flat {
    /// Over so many runs of the body.
    pub rounds: usize,
}

/// The process holds more than it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Over so many runs of the body.
    pub rounds: usize,
    /// What is more.
    pub difference: Difference,
    /// Where blocks were allocated that stayed when the body was run once more as often; those with a block or more a round
    /// first. Empty if memory did not grow.
    pub sites: Vec<Site>,
    /// What is to be known besides.
    pub remark: Option<String>,
}

impl Growth {
    pub(super) fn located(options: &Options, difference: Difference, mut body: impl FnMut()) -> Self {
        let rounds = options.rounds;
        let mut growth = Self { rounds, difference, sites: Vec::new(), remark: None };
        if !growth.difference.has_memory() {
            return growth;
        }
        // Twice: what a first recording sets up, and the baseline, shall not be in the second.
        drop(record());
        let baseline = Baseline::settled(options);
        let Some(recording) = record() else {
            growth.remark = Some("no sites: somebody else is recording".to_owned());
            return growth;
        };
        for _ in 0..rounds {
            body();
        }
        // The difference is dropped at once, so that it is not among what is live.
        let grew_again = baseline.compare(options).is_err();
        growth.sites = recording.sites();
        let overflow = recording.overflow();
        drop(recording);
        // A site that keeps one block, say of a cache that it replaces each time, is no leak; it is shown last.
        growth.sites.sort_by_key(|site| std::cmp::Reverse((site.blocks >= rounds as u64, site.bytes)));
        growth.remark = if !grew_again {
            Some(format!("it did not grow again in {rounds} more rounds: a late warm-up? Then `warm_ups` must be more"))
        } else if overflow > 0 {
            Some(format!("{overflow} blocks more found no room in the recording"))
        } else {
            None
        };
        growth
    }

    pub(super) fn unsteady(options: &Options, difference: Difference) -> Self {
        let remark = Some("it became less each time: the process is not quiet".to_owned());
        Self { rounds: options.rounds, difference, sites: Vec::new(), remark }
    }
}

impl fmt::Display for Flat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no growth over {} rounds", self.rounds)
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "growth over {} rounds:", self.rounds)?;
        for change in &self.difference.changes {
            write!(f, "\n  {change}")?;
        }
        if let Some(remark) = &self.remark {
            write!(f, "\n  ({remark})")?;
        }
        for site in self.sites.iter().take(SITES_SHOWN) {
            write!(f, "\n  still live after {} more rounds: {site}", self.rounds)?;
        }
        match self.sites.len().saturating_sub(SITES_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more sites"),
        }
    }
}

impl std::error::Error for Growth {}
