//! What the files of logs are called.

use std::path::PathBuf;

use staunch_flow::StepIndex;

use crate::id::{AttemptKey, RunId};

/// Names a log: one claim of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogName {
    /// The attempt.
    pub attempt: AttemptKey,
    /// Which claim of it.
    pub epoch: u32,
}

/// The forms in which a log lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Being written, or left behind by a writer that died.
    Raw,
    /// Compressed, whole and final.
    Sealed,
    /// A sealed file that is not finished.
    Temporary,
}

impl Form {
    fn ending(self) -> &'static str {
        match self {
            Self::Raw => ".log",
            Self::Sealed => ".log.zst",
            Self::Temporary => ".log.zst.tmp",
        }
    }
}

/// The directory of a run's logs, relative to that of all logs: `<yyyymmdd>/<run>`, by the time in the run's id. An id
/// without one has `x` and two hexadecimal digits instead.
pub(super) fn run_directory(run: RunId) -> PathBuf {
    let day = run
        .0
        .get_timestamp()
        .and_then(|time| jiff::Timestamp::from_second(i64::try_from(time.to_unix().0).ok()?).ok())
        .map_or_else(|| format!("x{:02x}", run.0.as_bytes()[0]), |time| time.strftime("%Y%m%d").to_string());
    PathBuf::from(day).join(run.to_string())
}

impl LogName {
    /// Its file, relative to the directory of all logs.
    pub(super) fn path(self, form: Form) -> PathBuf {
        run_directory(self.attempt.run).join(self.file(form))
    }

    fn file(self, form: Form) -> String {
        format!("{}.{}.{}{}", self.attempt.step.0, self.attempt.attempt, self.epoch, form.ending())
    }

    /// The log that `file` of a run's directory belongs to; `None` if it is none of ours.
    pub(super) fn parse(run: RunId, file: &str) -> Option<(Self, Form)> {
        let form = [Form::Temporary, Form::Sealed, Form::Raw].into_iter().find(|form| file.ends_with(form.ending()))?;
        let mut numbers = file.strip_suffix(form.ending())?.split('.').map(str::parse::<u32>);
        let mut number = || numbers.next()?.ok();
        let (step, attempt, epoch) = (StepIndex(number()?), number()?, number()?);
        let name = Self { attempt: AttemptKey { run, step, attempt }, epoch };
        // Only the exact spelling: `+1.1.1.log` is not a file of ours.
        (name.file(form) == file).then_some((name, form))
    }
}
