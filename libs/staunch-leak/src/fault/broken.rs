//! What a sweep says.

use std::fmt;

use crate::census::Difference;

/// A sweep went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Points that a run passes: fault points, or polls.
    pub points: u64,
    /// Runs that were made to fail: each point, in each manner.
    pub runs: u64,
}

/// What is wrong at a point.
#[derive(Clone, Debug, PartialEq)]
pub enum Blame {
    /// A run passes no point: nothing was tested.
    NoPoints,
    /// The scenario fails when nothing is made to fail.
    Unprovoked(String),
    /// Something is left.
    Leaked(Difference),
    /// The scenario said that all is well, though it was made to fail.
    Swallowed,
    /// It panicked, though it was made to fail by an error.
    Panicked(String),
    /// The point was not reached this time: two runs do not pass the same points.
    Unsteady,
    /// It took longer than it may.
    Hung,
    /// The check after it failed.
    Check(String),
}

/// A sweep stopped at a point.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// Which point, from 0.
    pub at: u64,
    /// Its name, where it has one.
    pub point: Option<&'static str>,
    /// How it was made to fail.
    pub manner: &'static str,
    /// What is wrong.
    pub blame: Blame,
}

impl fmt::Display for Swept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "swept {} points in {} runs", self.points, self.runs)
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPoints => f.write_str("there are no points, so nothing was swept"),
            Self::Unprovoked(error) => write!(f, "it fails by itself: {error}"),
            Self::Leaked(difference) => write!(f, "it left something behind:\n{difference}"),
            Self::Swallowed => f.write_str("it said that all is well: the error was swallowed"),
            Self::Panicked(message) => write!(f, "it panicked: {message}"),
            Self::Unsteady => f.write_str("this time the point was not reached: runs differ"),
            Self::Hung => f.write_str("it did not end in time"),
            Self::Check(message) => write!(f, "the check after it failed: {message}"),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at point {}", self.manner, self.at)?;
        if let Some(name) = self.point {
            write!(f, " ({name})")?;
        }
        write!(f, ": {}", self.blame)
    }
}

impl std::error::Error for Broken {}
