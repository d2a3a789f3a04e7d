//! From the engine's and the store's errors to refusals.

use std::fmt::Write;
use std::time::Duration;

use staunch_engine::{CancelError, SubmitError};
use staunch_flow::{Diagnostic, InputError, Severity};
use staunch_store::{BadId, StoreError};

use super::{Code, Refusal};
use crate::wire::ProblemDetail;

/// A restart takes about this long.
const RESTART: Duration = Duration::from_secs(5);

impl From<SubmitError> for Refusal {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::UnknownWorkflow { ref nearest, .. } => {
                Self::new(Code::UnknownWorkflow).detail(with_nearest(&error, nearest.as_deref()))
            }
            SubmitError::UnknownRun(_) => Self::new(Code::UnknownRun).detail(error),
            SubmitError::UnknownStep { ref nearest, .. } => {
                Self::new(Code::UnknownStep).detail(with_nearest(&error, nearest.as_deref()))
            }
            SubmitError::NotOver => Self::new(Code::RunNotOver),
            SubmitError::Inputs(errors) => {
                Self::new(Code::InvalidInputs).errors(errors.into_iter().map(ProblemDetail::from).collect())
            }
            SubmitError::Invalid(diagnostics) => Self::new(Code::InvalidWorkflow).errors(
                diagnostics.into_iter().filter(|d| d.severity == Severity::Error).map(ProblemDetail::from).collect(),
            ),
            SubmitError::Stopping => Self::new(Code::Stopping).retry_after(RESTART),
            SubmitError::Store(error) => error.into(),
        }
    }
}

impl From<CancelError> for Refusal {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::UnknownRun(_) => Self::new(Code::UnknownRun).detail(error),
            CancelError::Over(_) => Self::new(Code::RunOver).detail(error),
            CancelError::Stopping => Self::new(Code::Stopping).retry_after(RESTART),
            CancelError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full { retry_after, .. } => Self::new(Code::Full).detail(&error).retry_after(retry_after),
            // The text names a place of the disk: that is the operator's business.
            StoreError::NoSpace(_) => Self::new(Code::NoSpace),
            StoreError::KeyReused => Self::new(Code::KeyReused),
            StoreError::Closed => Self::new(Code::Stopping).retry_after(RESTART),
            StoreError::Unknown(_) => Self::new(Code::OutcomeUnknown).keep(error),
            _ => Self::internal(error),
        }
    }
}

impl From<BadId> for Refusal {
    fn from(error: BadId) -> Self {
        Self::new(Code::InvalidId).detail(error)
    }
}

impl From<InputError> for ProblemDetail {
    fn from(error: InputError) -> Self {
        let pointer = Some(format!("/inputs/{}", escape(&error.input)));
        Self { pointer, message: error.message, ..Self::default() }
    }
}

impl From<Diagnostic> for ProblemDetail {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            pointer: None,
            line: Some(diagnostic.span.line),
            column: Some(diagnostic.span.column),
            message: diagnostic.message,
            help: diagnostic.help,
        }
    }
}

/// One reference token of a JSON pointer (RFC 6901 §3).
pub(crate) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

fn with_nearest(error: &SubmitError, nearest: Option<&str>) -> String {
    let mut text = error.to_string();
    if let Some(nearest) = nearest {
        // Writing into a String cannot fail.
        let _ = write!(text, ", did you mean {nearest:?}?");
    }
    text
}
