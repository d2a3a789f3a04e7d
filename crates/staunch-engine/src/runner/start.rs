//! What to run.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use staunch_store::AttemptKey;
use staunch_store::logs::LogWriter;

/// What to run.
///
/// Linux takes at most 128 KiB in one argument or variable, and about 2 MiB in all: a longer script goes to the shell by a file.
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
