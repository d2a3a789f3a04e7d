//! The handle: submit, cancel, rerun, watch, close.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use staunch_bounded::Census;
use staunch_flow::{Diagnostic, InputError, RunOutcome, StepState};
use staunch_store::{
    AttemptRow, IdempotencyKey, Logs, Results, RevisionId, RunId, RunRow, Store, StoreError, Submitted,
};

use tokio::sync::oneshot;

use crate::catalog::Catalog;
use crate::event::Command;
use crate::feed::Feed;
pub(crate) use crate::inner::Inner;
use crate::limits::Limits;
use crate::pressure::{Level, Pressure};
use crate::tasks::Tasks;

/// A loop that has not turned for so long is stuck: it turns every second, and a turn takes microseconds.
const STUCK: Duration = Duration::from_secs(30);

/// What an engine needs to know.
pub struct EngineConfig {
    /// The bounds.
    pub limits: Limits,
    /// Where runs get their workspaces and temporary files: `<data>/work`.
    pub work_directory: PathBuf,
    /// The workflows directory, followed while the engine lives; `None`: workflows come by [`Target::Text`] only.
    pub workflows_directory: Option<PathBuf>,
    /// What becomes a keeper.
    pub keeper: Vec<OsString>,
    /// Environment of every step, under the workflow's. A server gives PATH, HOME, LANG; a local run the caller's.
    pub base_env: Vec<(OsString, OsString)>,
    /// Steps run here (a local run: the invoking directory); `None`: each run has a fresh workspace.
    pub workspace: Option<PathBuf>,
    /// How long this worker's claims hold without renewal. An embedded store's directory is locked, so nobody else can want
    /// them: a year will do, even where a laptop sleeps for weeks.
    pub lease: Duration,
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

/// What to run.
#[derive(Clone, Debug)]
pub enum Target {
    /// The current revision of this workflow.
    Name(String),
    /// This text; its name is in it, or else this stem.
    Text {
        /// The text.
        text: Arc<str>,
        /// The file's stem.
        stem: String,
    },
}

/// A run to be accepted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What to run.
    pub target: Target,
    /// What it is given; strings are accepted for numbers and booleans.
    pub inputs: BTreeMap<String, Value>,
    /// Who or what started it: `api`, `cli`, ...
    pub trigger: String,
    /// The client's Idempotency-Key.
    pub key: Option<IdempotencyKey>,
}

/// Which steps of a run are run again, in a new run of the same revision and inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// All.
    All,
    /// Those that did not succeed, and all that depend on them.
    Failed,
    /// This one and all that depend on it.
    From(String),
}

/// Why a submission was refused.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// No workflow of this name; perhaps another was meant.
    #[error("there is no workflow {name:?}")]
    UnknownWorkflow {
        /// As given.
        name: String,
        /// The nearest name there is.
        nearest: Option<String>,
    },
    /// No run of this id.
    #[error("there is no run {0}")]
    UnknownRun(RunId),
    /// No step of this id in the run to be rerun.
    #[error("the workflow has no step {step:?}")]
    UnknownStep {
        /// As given.
        step: String,
        /// The nearest id there is.
        nearest: Option<String>,
    },
    /// The run to be rerun is not over.
    #[error("the run is not over yet")]
    NotOver,
    /// The inputs do not fit.
    #[error("the inputs do not fit")]
    Inputs(Vec<InputError>),
    /// The text is not a workflow.
    #[error("the workflow has errors")]
    Invalid(Vec<Diagnostic>),
    /// The engine is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a cancel was refused.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// No run of this id.
    #[error("there is no run {0}")]
    UnknownRun(RunId),
    /// It is over already.
    #[error("the run is over already: {}", .0.word())]
    Over(RunOutcome),
    /// The engine is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why runs are not accepted and executed.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    /// The server is asked to stop.
    #[error("the server is stopping")]
    Stopping,
    /// The dispatch loop does not turn: since when, in words.
    #[error("{0}")]
    Stuck(String),
    /// Memory is so scarce that runs are refused.
    #[error("memory is nearly gone: new runs are refused")]
    Pressed,
    /// The store takes no writes. Its text may name a place of the disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an engine could not begin.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A directory, a thread or a process could not be had.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        error: std::io::Error,
    },
}

/// A run with its steps, as `runs show` has it.
#[derive(Clone, Debug)]
pub struct RunView {
    /// The run.
    pub row: RunRow,
    /// Its steps, in the file's order.
    pub steps: Vec<StepView>,
}

/// A step of a run.
#[derive(Clone, Debug)]
pub struct StepView {
    /// Its id.
    pub id: String,
    /// What people read instead.
    pub name: Option<String>,
    /// The ids of the steps it needs.
    pub needs: Vec<String>,
    /// Where it stands.
    pub state: StepState,
    /// Its attempts, the newest last.
    pub attempts: Vec<AttemptRow>,
}

/// What the engine holds now.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EngineStats {
    /// Steps that run now.
    pub steps_active: u64,
    /// Plans in memory.
    pub plans: u64,
    /// Keeper processes.
    pub keepers: u64,
    /// Tasks alive.
    pub tasks: u64,
    /// Attempts started, since start.
    pub attempts_started_total: u64,
    /// Attempts ended, by outcome word, since start.
    pub attempts_ended_total: BTreeMap<&'static str, u64>,
    /// Runs ended, by outcome word, since start.
    pub runs_ended_total: BTreeMap<&'static str, u64>,
    /// Results dropped because the claim was no longer held, since start.
    pub stale_total: u64,
    /// Steps that left processes behind, since start.
    pub left_behind_total: u64,
    /// Budgets: name, bytes used, limit.
    pub budgets: Vec<(&'static str, u64, u64)>,
    /// Time since the dispatch loop last turned.
    pub dispatch_idle: Duration,
}

/// What was left when all was closed: all zero, or something leaked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CloseCount {
    /// Tasks still alive.
    pub tasks: u64,
    /// Child processes still alive.
    pub children: u64,
    /// Bytes still held on budgets, and bytes that others were closed with.
    pub budget_bytes: u64,
}

impl Engine {
    /// Begins: takes over what an earlier life left, starts the loop and the runner, reads the workflows directory.
    ///
    /// # Errors
    /// The store, a directory, a thread or a process cannot be had.
    pub async fn open(config: EngineConfig, store: Arc<dyn Store>, logs: Arc<Logs>) -> Result<Self, EngineError> {
        crate::open::open(config, store, logs).await.map(|inner| Self { inner })
    }

    /// Accepts a run: it is on disk when this returns.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was accepted then.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, SubmitError> {
        self.inner.submit(submission).await
    }

    /// Runs steps of an earlier run again, as a new run.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was accepted then.
    pub async fn rerun(&self, run: RunId, which: Rerun, key: Option<IdempotencyKey>) -> Result<Submitted, SubmitError> {
        self.inner.rerun(run, which, key).await
    }

    /// Asks a run to stop: steps in flight are killed, clean-up steps (`if: always()`, `cancelled()`) still run, unless `force`.
    /// It is recorded when this returns; the run ends later. Asking twice is no error.
    ///
    /// # Errors
    /// [`CancelError`]
    pub async fn cancel(&self, run: RunId, force: bool) -> Result<(), CancelError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Cancel { run, force, reply };
        self.inner.commands.send(command).await.map_err(|_| CancelError::Stopping)?;
        answer.await.unwrap_or(Err(CancelError::Stopping))
    }

    /// A run with its steps, and with its attempts' results as `results` says.
    ///
    /// # Errors
    /// The store's; a run whose workflow or journal can no longer be read is [`StoreError::Damaged`].
    pub async fn view(&self, run: RunId, results: Results) -> Result<Option<RunView>, StoreError> {
        self.inner.view(run, results).await
    }

    /// Registers what the engine holds memory on.
    pub fn register(&self, census: &Census) {
        census.register(&self.inner.plans);
        census.register(&self.inner.captures);
        census.register(self.inner.catalog.counted());
        self.inner.store.register(census);
    }

    /// Parses a text without running it.
    pub fn validate(&self, text: &[u8], stem: &str) -> staunch_flow::Parsed {
        staunch_flow::parse(text, stem, &self.inner.budgets())
    }

    /// The text of a revision.
    ///
    /// # Errors
    /// The store's.
    pub async fn text(&self, revision: RevisionId) -> Result<Option<Arc<str>>, StoreError> {
        self.inner.store.revision(revision).await
    }

    /// Whether runs are accepted and executed: the store takes writes, the loop turns, memory is not nearly gone. While it is only
    /// scarce ([`Level::Refuse`]) runs are accepted, and wait: that counts as ready.
    ///
    /// # Errors
    /// Why not.
    pub async fn ready(&self) -> Result<(), Unready> {
        if self.inner.tasks.token().is_cancelled() {
            return Err(Unready::Stopping);
        }
        self.turns().map_err(Unready::Stuck)?;
        if self.inner.pressure.level() >= Level::Shed {
            return Err(Unready::Pressed);
        }
        Ok(self.inner.store.writable().await?)
    }

    /// Whether the dispatch loop turns, as it does every second at least.
    ///
    /// # Errors
    /// Since when it has not, in words.
    pub fn turns(&self) -> Result<(), String> {
        turns(self.inner.stats().dispatch_idle)
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// What is remembered, for reading.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// What steps said.
    pub fn logs(&self) -> &Arc<Logs> {
        &self.inner.logs
    }

    /// Where runs have their workspaces and temporary files.
    pub fn work_directory(&self) -> &Path {
        self.inner.work.directory()
    }

    /// The workflows that can be run.
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// Who wants to know.
    pub fn feed(&self) -> &Feed {
        &self.inner.feed
    }

    /// The tasks of this process.
    pub fn tasks(&self) -> &Tasks {
        &self.inner.tasks
    }

    /// How pressed for memory it believes the process to be.
    pub fn pressure(&self) -> &Pressure {
        &self.inner.pressure
    }

    /// Says how pressed the process is, and acts on it: see [`Level`].
    pub fn press(&self, level: Level) {
        self.inner.catalog.keep(level < Level::Trim);
        if self.inner.pressure.set(level) {
            // More may run now, or begin; if it is less, looking costs nothing.
            self.inner.hint.notify_one();
        }
    }

    /// Cancels the run that holds the most memory for its steps, of those that hold `least` bytes or more; one that was told to stop
    /// already, and does not, is killed if there is no other. Its events say `run_memory_limit`. Returns which it was; `None` if there
    /// is no such run. Blocks a thread for some milliseconds.
    pub async fn shed(&self, least: u64) -> Option<RunId> {
        self.inner.shed(least).await
    }

    /// What it holds now.
    pub fn stats(&self) -> EngineStats {
        self.inner.stats()
    }

    /// Stops: nothing more is claimed; running steps get `drain_seconds`, then TERM, grace, KILL, and go back to the queue without
    /// a loss; logs are sealed, tasks joined, the store closed; then counts.
    pub async fn close(&self) -> CloseCount {
        self.inner.close().await
    }
}

fn turns(idle: Duration) -> Result<(), String> {
    if idle <= STUCK { Ok(()) } else { Err(format!("the dispatch loop has not turned for {} s", idle.as_secs())) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{STUCK, turns};

    #[test]
    fn a_loop_that_has_not_turned_for_long_is_stuck() {
        assert_eq!(turns(STUCK - Duration::from_millis(1)), Ok(()));
        assert_eq!(turns(STUCK), Ok(()));
        let stuck = turns(STUCK + Duration::from_secs(1));
        assert_eq!(stuck, Err("the dispatch loop has not turned for 31 s".to_owned()));
    }
}
