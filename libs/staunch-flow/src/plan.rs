//! One run as a pure state machine: what is ready, what is over, what must be killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expr::ExprError;
use crate::outcome::{Outcome, RunOutcome};
use crate::workflow::{Inputs, StepIndex, Workflow};

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
    /// Somebody wants the run to stop. The first time, steps in flight are killed and steps whose `if` names
    /// `always()` or `cancelled()` still run; with `force` nothing more starts.
    CancelRequested {
        /// Skip the clean-up steps too.
        force: bool,
    },
    /// The workflow-level timeout ran out.
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

/// One run. Grows with the number of steps and with their outputs, never with time.
#[derive(Clone, Debug)]
pub struct Plan {
    workflow: Arc<Workflow>,
}

impl Plan {
    /// A run that has not begun. `seed` decides the jitter of retries (and nothing else), so that a replay agrees.
    pub fn new(workflow: Arc<Workflow>, _inputs: Inputs, _run_id: &str, _seed: u64) -> Self {
        Self { workflow }
    }

    /// Begins the run, after any [`Event::Kept`]. Call it once; a replay calls it again.
    pub fn begin(&mut self) -> Vec<Effect> {
        Vec::new()
    }

    /// What follows from an event. Every effect is told once.
    ///
    /// # Errors
    /// [`Refused`] if the event cannot be; nothing has changed then.
    pub fn apply(&mut self, _event: &Event) -> Result<Vec<Effect>, Refused> {
        Ok(Vec::new())
    }

    /// What to start for an attempt of `step` that is in flight.
    ///
    /// # Errors
    /// An expression in `env` or `working-directory` has no value: the attempt fails with that message.
    pub fn launch(&self, step: StepIndex) -> Result<Launch, ExprError> {
        Ok(Launch {
            argv: self.workflow.steps[step.0 as usize].shell.argv.clone(),
            env: Vec::new(),
            working_directory: None,
            timeout: None,
        })
    }

    /// Where a step stands.
    pub fn step(&self, _step: StepIndex) -> StepState {
        StepState::Waiting
    }

    /// How the run ended, if it has.
    pub fn outcome(&self) -> Option<RunOutcome> {
        None
    }

    /// The outputs of a settled step.
    pub fn outputs(&self, _step: StepIndex) -> Option<&BTreeMap<String, String>> {
        None
    }

    /// The workflow.
    pub fn workflow(&self) -> &Arc<Workflow> {
        &self.workflow
    }

    /// Heap bytes it holds, for its charge: an estimate from above.
    pub fn bytes(&self) -> usize {
        0
    }
}

/// The scope an expression of `step` sees, as JSON.
#[expect(dead_code, reason = "the face shows where scopes are made")]
fn scope(_plan: &Plan, _step: StepIndex) -> Value {
    Value::Null
}
