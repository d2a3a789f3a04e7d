//! When the time of runs with a `timeout` is up: one entry a run, not one timer.

use std::collections::{BTreeSet, HashMap};

use staunch_store::RunId;
use tokio::time::Instant;

/// Deadlines by time and by run. An entry for each run that has a time limit, has started and is not over, in memory or not:
/// at most `runs_open_max`, some 100 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    by_time: BTreeSet<(Instant, RunId)>,
    by_run: HashMap<RunId, Instant>,
}

impl Deadlines {
    /// Sets a run's deadline; one that is set already stays.
    pub(crate) fn set(&mut self, run: RunId, at: Instant) {
        let set = *self.by_run.entry(run).or_insert(at);
        self.by_time.insert((set, run));
    }

    /// The run has none any more.
    pub(crate) fn remove(&mut self, run: RunId) {
        if let Some(at) = self.by_run.remove(&run) {
            self.by_time.remove(&(at, run));
        }
    }

    /// The nearest.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// A run whose time is up; it has no deadline any more.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<RunId> {
        let (_, run) = *self.by_time.first().filter(|(at, _)| *at <= now)?;
        self.remove(run);
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use staunch_store::RunId;
    use tokio::time::Instant;

    use super::Deadlines;

    #[test]
    fn the_first_deadline_of_a_run_stays_and_each_comes_once_in_order() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (one, two, three) = (RunId::generate(), RunId::generate(), RunId::generate());
        let mut deadlines = Deadlines::default();
        deadlines.set(one, at(5));
        deadlines.set(two, at(3));
        deadlines.set(three, at(4));
        deadlines.set(one, at(1));
        deadlines.remove(three);
        deadlines.remove(three);
        assert_eq!(deadlines.next(), Some(at(3)));
        assert_eq!(deadlines.pop(at(2)), None);
        assert_eq!(deadlines.pop(at(9)), Some(two));
        assert_eq!(deadlines.pop(at(9)), Some(one));
        assert_eq!(deadlines.pop(at(9)), None);
        assert!(deadlines.by_time.is_empty() && deadlines.by_run.is_empty());
    }
}
