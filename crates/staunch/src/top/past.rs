//! The last values of a number, for a curve of it.

use std::collections::VecDeque;

/// As many as a wide terminal has columns: ten minutes, at a look a second.
const VALUES_MAX: usize = 600;

/// The last values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past(VecDeque<u64>);

impl Past {
    /// Adds one; the oldest goes.
    pub(crate) fn push(&mut self, value: u64) {
        if self.0.len() == VALUES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    /// The newest that fit into so many columns, above the least of them, so that a curve shows what changes.
    pub(super) fn curve(&self, columns: usize) -> Vec<u64> {
        let shown = || self.0.iter().skip(self.0.len().saturating_sub(columns));
        let least = shown().min().copied().unwrap_or(0);
        // One more, so that the least is seen too.
        shown().map(|value| value - least + 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_the_curve_stands_on_the_least() {
        let mut past = Past::default();
        assert_eq!(past.curve(5), [0; 0]);
        (0..1_000).for_each(|value| past.push(value));
        assert_eq!((past.0.len(), past.0[0]), (VALUES_MAX, 400));
        assert_eq!(past.curve(3), [1, 2, 3]);
        assert_eq!(past.curve(5_000).len(), VALUES_MAX);
    }
}
