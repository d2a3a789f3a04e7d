//! What a runner needs to know.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use staunch_bounded::Budget;
use staunch_store::AttemptKey;

/// What a runner needs to know.
pub struct RunnerConfig {
    /// Program and arguments that become a keeper, such as `["/proc/self/exe", "__keep"]`.
    pub keeper: Vec<OsString>,
    /// Steps at once; one more waits.
    pub steps_max: usize,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// After the step's first process ended, how long its other processes may take to end by themselves before they count
    /// as left behind.
    pub settle: Duration,
    /// How long a keeper without work is kept.
    pub keeper_idle: Duration,
    /// What is kept of each stream for the result, in bytes: half head, half tail.
    pub capture_bytes_max: usize,
    /// Pays for captured output.
    pub budget: Arc<Budget>,
    /// Bytes of a `$STAUNCH_OUTPUT` file that are read; a larger one fails the step.
    pub output_file_bytes_max: u64,
    /// Whether somebody follows this run, so that its output is to be seen at once. Called on the runner's thread: must not block.
    pub is_watched: Arc<dyn Fn(AttemptKey) -> bool + Send + Sync>,
    /// Told once the runner's thread has panicked: all steps are killed by then, and none runs any more.
    pub on_panic: Arc<dyn Fn() + Send + Sync>,
    /// Told after each append to a log, so that followers wake. Called on the runner's thread: must not block.
    pub on_output: Arc<dyn Fn(AttemptKey) + Send + Sync>,
}
