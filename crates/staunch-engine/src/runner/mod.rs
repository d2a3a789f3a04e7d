//! Runs the process of an attempt, and sees to it that nothing of it outlives the attempt.
//!
//! A *keeper* is a small process (this same binary, started as `staunch __keep`) that runs one step at a time: it is the
//! step's parent and its subreaper, so whatever the step leaves behind becomes the keeper's child and belongs to that
//! step beyond doubt. Keepers are reused, so a step costs one process and not two. A keeper whose server is gone kills
//! its step at once. One thread of the server, the runner's, talks to all keepers and drains all pipes into the logs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use staunch_bounded::Budget;
use staunch_flow::Outcome;
use staunch_store::logs::LogWriter;
use staunch_store::{AttemptKey, LogPlace, StoreError};

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
    /// Told after each append to a log, so that followers wake. Called on the runner's thread: must not block.
    pub on_output: Arc<dyn Fn(AttemptKey) + Send + Sync>,
}

/// What to run.
pub struct Start {
    /// Which attempt.
    pub key: AttemptKey,
    /// Which claim of it.
    pub epoch: u32,
    /// Program and arguments. A program without `/` is looked up in the `PATH` of `env`.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory.
    pub directory: PathBuf,
    /// Killed after this long (outcome `timed_out`).
    pub timeout: Option<Duration>,
    /// Where its output goes.
    pub log: LogWriter,
}

/// How it ended. All of its processes are gone, its log is sealed.
#[derive(Debug)]
pub struct Exit {
    /// How.
    pub how: How,
    /// Set if it was killed: at its timeout, or because somebody asked.
    pub killed: Option<Outcome>,
    /// What it wrote to standard output, head and tail.
    pub stdout: Captured,
    /// What it wrote to standard error, head and tail.
    pub stderr: Captured,
    /// Processes that outlived the step's first process and were killed, by `name (pid)`; at most 20, then "and N more".
    pub left_behind: Vec<String>,
    /// Peak resident memory of its largest process, in bytes.
    pub max_rss_bytes: u64,
    /// From start to the end of its last process.
    pub duration: Duration,
    /// Where the log is; an error if it could not be written whole (the output is then short, never the step lost).
    pub log: Result<LogPlace, StoreError>,
}

/// How the first process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It could not be started: what failed, in words for the user, and the errno. `transient` errors (EAGAIN, EMFILE, ENFILE,
    /// ENOMEM) are the machine's fault, not the workflow's.
    NotStarted {
        /// Such as "`/bin/nosh`: no such file or directory (the step's shell)".
        message: String,
        /// The errno.
        errno: i32,
        /// Whether trying again later may help.
        transient: bool,
    },
    /// Its keeper died (killed from outside): its processes were killed with it.
    KeeperLost,
}

/// What is kept of a stream.
#[derive(Debug, Default)]
pub struct Captured {
    /// As text, invalid UTF-8 replaced; if bytes fell out of the middle, a line `[... N bytes left out ...]` stands there.
    pub text: String,
    /// Whether bytes fell out.
    pub truncated: bool,
    /// All bytes the step wrote to it.
    pub bytes_total: u64,
}
