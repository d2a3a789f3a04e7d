//! What goes into a plan and what comes out: events, effects, and where a step stands.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::outcome::{Outcome, RunOutcome};
use crate::workflow::StepIndex;

/// What has happened to a run. The store keeps these in order; replaying them rebuilds the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A rerun keeps this step's result from an earlier run. Only before any other event.
    Kept {
        /// The step.
        step: StepIndex,
        /// What the earlier run had.
        outcome: Outcome,
        /// Its outputs then.
        outputs: BTreeMap<String, String>,
    },
    /// An attempt is over.
    Ended {
        /// The step.
        step: StepIndex,
        /// Which attempt, from 1.
        attempt: u32,
        /// How.
        ended: Ended,
    },
    /// Somebody wants the run to stop. Steps in flight are killed, and of those that wait only steps whose `if` names
    /// `always()` or `cancelled()` still run, the others are skipped once their needs are over. With `force`, which may
    /// follow, these clean-up steps are killed too and nothing more starts.
    CancelRequested {
        /// Skip the clean-up steps too.
        force: bool,
    },
    /// The workflow-level timeout ran out. As a cancel, with `failure()` instead of `cancelled()`.
    DeadlinePassed,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Never `skipped`.
    pub outcome: Outcome,
    /// The exit code, unless it died by a signal or never ran.
    pub exit_code: Option<i32>,
    /// What it wrote to `$STAUNCH_OUTPUT`.
    pub outputs: BTreeMap<String, String>,
}

/// What shall be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// This attempt may start after `delay`. Each (step, attempt) is made ready once.
    Ready {
        /// The step.
        step: StepIndex,
        /// Which attempt, from 1.
        attempt: u32,
        /// How long to wait first (a retry's backoff).
        delay: Duration,
    },
    /// This attempt, ready or running, shall be killed; it still has to end by an [`Event::Ended`].
    Kill {
        /// The step.
        step: StepIndex,
        /// Which attempt.
        attempt: u32,
        /// What its outcome will be: `cancelled` or `timed_out`.
        because: Outcome,
    },
    /// This step is over: its outcome is final. Told exactly once a step.
    Settled {
        /// The step.
        step: StepIndex,
        /// How.
        outcome: Outcome,
        /// Why, where the outcome alone does not say.
        why: Option<Why>,
    },
    /// The run is over. Told exactly once, last.
    Finished {
        /// How.
        outcome: RunOutcome,
    },
}

/// Why a step was skipped, or ended without an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// Its `if` was false.
    ConditionFalse,
    /// Its `if` has no value.
    ConditionError {
        /// The error in words.
        message: String,
    },
    /// A step before it (named) failed.
    NeedFailed {
        /// The id of the step that failed.
        step: String,
    },
    /// A step it names in `needs:` was skipped.
    NeedSkipped {
        /// The id of that step.
        step: String,
    },
    /// The run was cancelled.
    RunCancelled,
    /// The run timed out.
    RunTimedOut,
}

/// An event that cannot be: an attempt that is not in flight, a second end, an event after the run is over.
/// The plan is unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq)]
pub enum StepState {
    /// Its needs are not over yet, or `max-parallel` holds it back.
    Waiting,
    /// An attempt is ready or running.
    InFlight {
        /// Which, from 1.
        attempt: u32,
    },
    /// It is over.
    Settled {
        /// How.
        outcome: Outcome,
        /// Whether its failure does not count (`continue-on-error`).
        forgiven: bool,
        /// Attempts made.
        attempts: u32,
        /// Why, where the outcome alone does not say.
        why: Option<Why>,
    },
}

/// What to start for one attempt: every expression evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Program and arguments, the script last.
    pub argv: Vec<String>,
    /// Environment from the file: workflow's, then step's, later ones win.
    pub env: Vec<(String, String)>,
    /// Where, relative to the workspace.
    pub working_directory: Option<String>,
    /// The attempt's timeout.
    pub timeout: Option<Duration>,
}

/// What a rerun runs again. Everything that depends on it, and everything that had not succeeded, runs again too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// What did not succeed.
    Failed,
    /// This step.
    From(StepIndex),
}
