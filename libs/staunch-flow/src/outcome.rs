//! How a step and a run can end.

use serde::{Deserialize, Serialize};

/// How a step, or one attempt of it, ended. The words stand in files, in the API and in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its process ended with exit code 0.
    Succeeded,
    /// Its process ended with another exit code or by a signal, or it could not be started.
    Failed,
    /// It was killed at its `timeout`, or at the run's.
    TimedOut,
    /// The run was cancelled before or while it ran.
    Cancelled,
    /// It never started: its `if` was false, or a need stood in the way. Only a step can be skipped, not an attempt.
    Skipped,
    /// It ended, but left processes behind, and the workflow says `left-behind: fail`.
    Leaked,
    /// Its worker was lost, and `on-lost` or the limit on losses forbids another try.
    Interrupted,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// No step failed, or those that did had `continue-on-error`.
    Succeeded,
    /// A step failed, leaked, timed out or was interrupted.
    Failed,
    /// The workflow-level `timeout` ran out.
    TimedOut,
    /// Somebody cancelled it while steps were left to run.
    Cancelled,
}

impl Outcome {
    /// All of them, each at the place of its discriminant.
    pub const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Skipped,
        Self::Leaked,
        Self::Interrupted,
    ];

    /// The word for it, as written in JSON and in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Leaked => "leaked",
            Self::Interrupted => "interrupted",
        }
    }
}

impl RunOutcome {
    /// All of them, each at the place of its discriminant.
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::TimedOut, Self::Cancelled];

    /// The word for it, as written in JSON and in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn all_stand_at_the_place_of_their_discriminant() {
        assert!(Outcome::ALL.iter().enumerate().all(|(at, outcome)| *outcome as usize == at));
        assert!(RunOutcome::ALL.iter().enumerate().all(|(at, outcome)| *outcome as usize == at));
    }

    #[test]
    fn the_words_are_those_of_the_serialized_form() {
        for outcome in [
            Outcome::Succeeded,
            Outcome::Failed,
            Outcome::TimedOut,
            Outcome::Cancelled,
            Outcome::Skipped,
            Outcome::Leaked,
            Outcome::Interrupted,
        ] {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.word());
        }
        for outcome in [RunOutcome::Succeeded, RunOutcome::Failed, RunOutcome::TimedOut, RunOutcome::Cancelled] {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.word());
        }
    }
}
