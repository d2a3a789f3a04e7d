//! Runs, their steps and attempts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use staunch_engine::{RunView, StepView};
use staunch_flow::{Outcome, RunOutcome, StepState, Why};
use staunch_store::{AttemptRow, RunRow, Timestamp};
use utoipa::ToSchema;

use super::words::{RunState, StepPhase, outcome_or_null, run_outcome_or_null};

/// A run, as lists show it. Times are RFC 3339 in UTC with milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// Its id, `run_` and 26 characters; ids sort by time.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// The exact text it runs, by SHA-256 in hexadecimal.
    pub revision: String,
    /// Where it stands.
    pub state: RunState,
    /// How it ended; null while it has not.
    #[schema(schema_with = run_outcome_or_null)]
    pub outcome: Option<RunOutcome>,
    /// Who or what started it: `api`, `cli`, `rerun`, ...
    pub trigger: String,
    /// The run it repeats.
    pub rerun_of: Option<String>,
    /// Whether somebody asked for it to be cancelled.
    pub cancel_requested: bool,
    /// Its checked inputs.
    #[schema(value_type = Object)]
    pub inputs: BTreeMap<String, Value>,
    /// When it was accepted.
    pub created_at: String,
    /// When its first step started.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// From its first step's start to its end, in milliseconds; null while it has not ended.
    pub duration_ms: Option<u64>,
}

/// A run with its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunDetail {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// Its steps, in the file's order.
    pub steps: Vec<Step>,
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// Its id.
    pub id: String,
    /// What people read instead of the id.
    pub name: Option<String>,
    /// The ids of the steps that must end first.
    pub needs: Vec<String>,
    /// Where it stands.
    pub state: StepPhase,
    /// How it ended; null while it has not.
    #[schema(schema_with = outcome_or_null)]
    pub outcome: Option<Outcome>,
    /// Whether its failure does not count (`continue-on-error`).
    pub forgiven: bool,
    /// Why, in words, where the outcome alone does not say.
    pub why: Option<String>,
    /// Its attempts, the newest last.
    pub attempts: Vec<Attempt>,
}

/// An attempt of a step, ended or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Which, from 1.
    pub attempt: u32,
    /// How often it was begun: more than once if a worker was lost.
    pub epoch: u32,
    /// Workers it lost.
    pub losses: u32,
    /// How it ended; null while it has not.
    #[schema(schema_with = outcome_or_null)]
    pub outcome: Option<Outcome>,
    /// When it started last; null while it waits.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How long it ran, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Not before this time, while it waits.
    pub due_at: Option<String>,
    /// The step's result: `exit_code`, `stdout`, `stderr`, `outputs`, ...
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
}

/// A page of runs, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunPage {
    /// The runs.
    pub items: Vec<Run>,
    /// `cursor` of the next page; null on the last.
    pub next_cursor: Option<String>,
}

impl From<&RunRow> for Run {
    fn from(row: &RunRow) -> Self {
        let head = &row.head;
        Self {
            id: head.id.to_string(),
            workflow: head.workflow.clone(),
            revision: head.revision.to_string(),
            state: row.state.into(),
            outcome: row.outcome,
            trigger: row.trigger.clone(),
            rerun_of: row.rerun_of.map(|id| id.to_string()),
            cancel_requested: row.cancel_requested,
            inputs: head.inputs.clone(),
            created_at: head.created_at.rfc3339(),
            started_at: row.started_at.map(Timestamp::rfc3339),
            ended_at: row.ended_at.map(Timestamp::rfc3339),
            duration_ms: between(row.started_at, row.ended_at),
        }
    }
}

impl From<RunView> for RunDetail {
    fn from(view: RunView) -> Self {
        Self { run: Run::from(&view.row), steps: view.steps.into_iter().map(Step::from).collect() }
    }
}

impl From<StepView> for Step {
    fn from(view: StepView) -> Self {
        let (state, outcome, forgiven, why) = match view.state {
            StepState::Waiting => (StepPhase::Waiting, None, false, None),
            StepState::InFlight { attempt } => {
                let runs = view.attempts.iter().any(|a| a.key.attempt == attempt && a.started_at.is_some());
                (if runs { StepPhase::Running } else { StepPhase::Ready }, None, false, None)
            }
            StepState::Settled { outcome, forgiven, why, .. } => {
                (StepPhase::Ended, Some(outcome), forgiven, why.as_ref().map(in_words))
            }
        };
        let attempts = view.attempts.into_iter().map(Attempt::from).collect();
        Self { id: view.id, name: view.name, needs: view.needs, state, outcome, forgiven, why, attempts }
    }
}

impl From<AttemptRow> for Attempt {
    fn from(row: AttemptRow) -> Self {
        Self {
            attempt: row.key.attempt,
            epoch: row.epoch,
            losses: row.losses,
            outcome: row.outcome,
            started_at: row.started_at.map(Timestamp::rfc3339),
            ended_at: row.ended_at.map(Timestamp::rfc3339),
            duration_ms: row.duration.map(millis),
            due_at: row.due_at.map(Timestamp::rfc3339),
            result: row.result,
        }
    }
}

/// Why a step was skipped or ended without an attempt, as people read it.
pub fn in_words(why: &Why) -> String {
    match why {
        Why::ConditionFalse => "its condition was false".to_owned(),
        Why::ConditionError { message } => format!("its condition has no value: {message}"),
        Why::NeedFailed { step } => format!("step {step:?}, which it needs, failed"),
        Why::NeedSkipped { step } => format!("step {step:?}, which it needs, was skipped"),
        Why::RunCancelled => "the run was cancelled".to_owned(),
        Why::RunTimedOut => "the run timed out".to_owned(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn between(start: Option<Timestamp>, end: Option<Timestamp>) -> Option<u64> {
    // A clock that was set back must not make a huge number of a small negative one.
    Some(u64::try_from(end?.0.saturating_sub(start?.0)).unwrap_or(0))
}
