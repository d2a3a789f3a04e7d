//! How a step ended.

use std::io;
use std::time::Duration;

use staunch_bounded::Charge;
use staunch_flow::Outcome;
use staunch_store::{LogPlace, StoreError};

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
    /// Peak resident memory of its largest process, in bytes. Never below a keeper's own, about 3 MB: a new process counts
    /// what it was forked from.
    pub max_rss_bytes: u64,
    /// From start to the end of its last process.
    pub duration: Duration,
    /// Where the log is. Output that the disk refused while the step ran is a gap in it; an error means that it could not be
    /// sealed (it then is where it was, and the step is over all the same).
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
    /// Pays for the text.
    pub charge: Option<Charge>,
}

impl How {
    /// It could not be started, because of an errno.
    pub(super) fn not_started(message: String, errno: i32) -> Self {
        let transient = matches!(errno, libc::EAGAIN | libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS);
        Self::NotStarted { message, errno, transient }
    }

    /// It could not be started, because the server lacked `what`.
    pub(super) fn without(what: &str, error: &io::Error) -> Self {
        Self::not_started(format!("{what}: {error}"), error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl Exit {
    /// Nothing of it ran.
    pub(crate) fn nothing(how: How, killed: Option<Outcome>) -> Self {
        Self {
            how,
            killed,
            stdout: Captured::default(),
            stderr: Captured::default(),
            left_behind: Vec::new(),
            max_rss_bytes: 0,
            duration: Duration::ZERO,
            log: Ok(LogPlace::Nowhere),
        }
    }
}
