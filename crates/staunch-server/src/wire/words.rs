//! The closed sets of words.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Accepted; nothing of it has started.
    Queued,
    /// At least one step has started.
    Running,
    /// Over; see its outcome.
    Ended,
}

/// Where a step of a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepPhase {
    /// Its needs are not over, or `max-parallel` holds it back.
    Waiting,
    /// An attempt may start as soon as a slot is free and its wait is over.
    Ready,
    /// An attempt runs.
    Running,
    /// Over; see its outcome.
    Ended,
}

impl RunState {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

impl From<staunch_store::RunState> for RunState {
    fn from(state: staunch_store::RunState) -> Self {
        match state {
            staunch_store::RunState::Queued => Self::Queued,
            staunch_store::RunState::Running => Self::Running,
            staunch_store::RunState::Ended => Self::Ended,
        }
    }
}

impl From<RunState> for staunch_store::RunState {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Queued => Self::Queued,
            RunState::Running => Self::Running,
            RunState::Ended => Self::Ended,
        }
    }
}

impl StepPhase {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

/// The schema of a step's outcome, or null: the words stand in `staunch_flow::Outcome`.
pub(super) fn outcome_or_null() -> RefOr<Schema> {
    word_or_null(&["succeeded", "failed", "timed_out", "cancelled", "skipped", "leaked", "interrupted"])
}

/// The schema of a run's outcome, or null: the words stand in `staunch_flow::RunOutcome`.
pub(super) fn run_outcome_or_null() -> RefOr<Schema> {
    word_or_null(&["succeeded", "failed", "timed_out", "cancelled"])
}

fn word_or_null(words: &[&str]) -> RefOr<Schema> {
    let values = words.iter().map(|word| Value::from(*word)).chain([Value::Null]);
    Object::builder()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(values))
        .build()
        .into()
}
