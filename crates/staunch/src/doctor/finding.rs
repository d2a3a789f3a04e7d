//! One thing that is not as it should be.

use std::fmt;

use serde::Serialize;

/// A finding. It reads as a paragraph: what it is about, what was measured against which threshold, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What it is about, in a word or two.
    pub(crate) about: String,
    /// What was measured.
    pub(crate) measured: String,
    /// From where on it is a finding.
    pub(crate) threshold: String,
    /// What to do.
    pub(crate) advice: String,
}

impl Finding {
    /// One of these four parts.
    pub(super) fn new(
        about: impl Into<String>,
        measured: impl Into<String>,
        threshold: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { about: about.into(), measured: measured.into(), threshold: threshold.into(), advice: advice.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, measured, threshold, advice } = self;
        write!(f, "{about}: {measured}.\n  Threshold: {threshold}.\n  What to do: {advice}.")
    }
}
