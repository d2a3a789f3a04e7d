//! How a gate measures.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::alloc::is_counting;
use crate::census::{Census, Counts, Probe};

/// How often a body runs, what is compared, and how long what was told to end may take.
///
/// ```
/// use staunch_leak::Options;
/// let options = Options::default().rounds(1_000).counter("rows", || 0).files_under(std::env::temp_dir().join("mine"));
/// assert_eq!((options.warm_ups, options.rounds), (3, 1_000));
/// ```
#[derive(Debug)]
pub struct Options {
    /// Runs before the baseline: pools, capacities and lazy statics reach their size. 3 by default.
    pub warm_ups: usize,
    /// Runs that are measured. 20 by default.
    pub rounds: usize,
    /// How long the process may take to become quiet, 5 s by default. Only a process that is not quiet takes it.
    pub settle_max: Duration,
    /// Whether live bytes and blocks are compared; by default they are.
    pub memory: bool,
    /// The directory whose files are compared, if any.
    pub directory: Option<PathBuf>,
    /// Who is asked for counts.
    pub probes: Vec<Probe>,
    /// What is done between two looks at a process that is not quiet yet.
    pub(crate) pause: Pause,
}

/// Lets others run for a moment. What is waited for is a condition, with a bound; this only keeps the looks from taking the
/// processor from whoever is to become quiet.
pub(crate) struct Pause(pub(crate) Box<dyn Fn()>);

/// Between two looks.
pub(crate) const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

impl fmt::Debug for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pause")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            warm_ups: 3,
            rounds: 20,
            settle_max: Duration::from_secs(5),
            memory: true,
            directory: None,
            probes: Vec::new(),
            pause: Pause(Box::new(|| std::thread::park_timeout(BETWEEN_LOOKS))),
        }
    }
}

impl Options {
    /// Runs before the baseline.
    pub fn warm_ups(mut self, warm_ups: usize) -> Self {
        self.warm_ups = warm_ups;
        self
    }

    /// Runs that are measured; at least one.
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds.max(1);
        self
    }

    /// How long the process may take to become quiet.
    pub fn settle_max(mut self, settle_max: Duration) -> Self {
        self.settle_max = settle_max;
        self
    }

    /// Gives up after 100 ms on a process that is not quiet: for tests that expect a leak and would wait for its end in vain.
    pub fn brief(self) -> Self {
        self.settle_max(Duration::from_millis(100))
    }

    /// Compares no bytes and blocks: for a program whose allocator is another.
    pub fn without_memory(mut self) -> Self {
        self.memory = false;
        self
    }

    /// Compares how many files and directories there are under this one.
    pub fn files_under(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Compares a count of the caller's: rows, permits, tasks.
    pub fn counter(mut self, name: impl Into<String>, read: impl Fn() -> u64 + 'static) -> Self {
        self.probes.push(Probe::one(name, read));
        self
    }

    /// Compares counts by name: tasks by kind, rows by table.
    pub fn counters(mut self, read: impl Fn(&mut Counts) + 'static) -> Self {
        self.probes.push(Probe::many(read));
        self
    }

    /// Compares bytes and entries of every bounded container and budget that is registered.
    pub fn bounded(mut self, census: &Arc<staunch_bounded::Census>) -> Self {
        self.probes.push(Probe::bounded(census));
        self
    }

    /// Compares what is held on a budget.
    pub fn budget(mut self, budget: &Arc<staunch_bounded::Budget>) -> Self {
        self.probes.push(Probe::budget(budget));
        self
    }

    /// Does this between two looks, in place of waiting for two milliseconds: a runtime that keeps closed sockets until it turns
    /// again, say, is to be turned. It should take about as long.
    ///
    /// ```
    /// let options = staunch_leak::Options::default().between_looks(std::thread::yield_now);
    /// # drop(options);
    /// ```
    pub fn between_looks(mut self, pause: impl Fn() + 'static) -> Self {
        self.pause = Pause(Box::new(pause));
        self
    }

    /// A gate that is blind must not pass.
    pub(crate) fn must_see(&self) {
        assert!(
            is_counting() || !self.memory,
            "staunch_leak::Counting is not the global allocator of this program, so the gate cannot see memory"
        );
    }

    pub(crate) fn census(&self) -> Census {
        Census::take(self.directory.as_deref(), &self.probes)
    }
}
