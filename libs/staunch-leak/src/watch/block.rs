//! Samples of a stretch of time, folded.

use super::Sample;

/// The least that was seen in a stretch of time, which is where a sawtooth has its teeth's roots (QuestDB's finding: follow
/// the bottom of each cycle). Quiescent samples, if there was one, else all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Block {
    /// Milliseconds, when the least was seen.
    pub(super) at: u64,
    /// Runs by then.
    pub(super) runs: u64,
    pub(super) value: u64,
    pub(super) quiescent: bool,
}

impl Block {
    pub(super) fn of(sample: Sample) -> Self {
        let at = u64::try_from(sample.at.as_millis()).unwrap_or(u64::MAX);
        Self { at, runs: sample.runs, value: sample.value, quiescent: sample.quiescent }
    }

    /// Both in one: quiescent ones come first, then the lesser, then the earlier.
    pub(super) fn fold(self, other: Self) -> Self {
        match (self.quiescent, other.quiescent) {
            (true, false) => self,
            (false, true) => other,
            _ if other.value < self.value => other,
            _ => self,
        }
    }
}
