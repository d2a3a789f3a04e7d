//! How the process ends: every exit code there is, and what it means.

use std::process::ExitCode;

use staunch_flow::RunOutcome;

/// An exit code. `docs/cli.md` shows this table, and a test keeps the two the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Ok = 0,
    /// The run failed, or the command itself did.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The workflow file has errors.
    InvalidWorkflow = 3,
    /// There is no such workflow, run, step, user, token or file.
    NotFound = 4,
    /// The server does not let us: no credentials, wrong ones, or too small a role.
    NotAllowed = 5,
    /// The server does not answer.
    Unreachable = 6,
    /// The run timed out, or `--timeout` ran out.
    TimedOut = 7,
    /// A bound refused it: a queue, a disk or the memory is full.
    Refused = 8,
    /// The run was cancelled by somebody else.
    Cancelled = 9,
    /// Stopped by Ctrl-C (SIGINT), SIGTERM or SIGHUP.
    Interrupted = 130,
}

impl Exit {
    /// All of them, in order.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 11] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::InvalidWorkflow,
        Self::NotFound,
        Self::NotAllowed,
        Self::Unreachable,
        Self::TimedOut,
        Self::Refused,
        Self::Cancelled,
        Self::Interrupted,
    ];

    /// A check that cannot tell, as programs of that kind have it: 2.
    pub(crate) const CANNOT_TELL: Self = Self::Usage;

    /// The number the shell sees.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// What it means, as the manual says it.
    #[cfg(test)]
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "all went well; a run that was waited for succeeded",
            Self::Failed => "the run failed, or the command itself did",
            Self::Usage => "the command line, an input or the configuration is wrong",
            Self::InvalidWorkflow => "the workflow file has errors",
            Self::NotFound => "there is no such workflow, run, step, user, token or file",
            Self::NotAllowed => "not allowed: no token or session, a wrong or revoked one, or one that may not do this",
            Self::Unreachable => "the server does not answer",
            Self::TimedOut => "the run timed out, or `--timeout` ran out",
            Self::Refused => "a bound refused it: a queue, the disk or memory is full",
            Self::Cancelled => "the run was cancelled by somebody else",
            Self::Interrupted => "stopped by Ctrl-C (SIGINT), SIGTERM or SIGHUP",
        }
    }

    /// What a run's outcome means for the shell.
    pub(crate) const fn of(outcome: RunOutcome) -> Self {
        match outcome {
            RunOutcome::Succeeded => Self::Ok,
            RunOutcome::Failed => Self::Failed,
            RunOutcome::TimedOut => Self::TimedOut,
            RunOutcome::Cancelled => Self::Cancelled,
        }
    }

    /// The table of the manual, in Markdown.
    #[cfg(test)]
    pub(crate) fn table() -> String {
        let rows = Self::ALL.iter().map(|exit| format!("| {} | {} |\n", exit.code(), exit.meaning()));
        std::iter::once("| code | meaning |\n|---:|---|\n".to_owned()).chain(rows).collect()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
