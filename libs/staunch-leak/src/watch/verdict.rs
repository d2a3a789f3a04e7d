//! What the watch says of a resource.

use std::fmt;
use std::time::Duration;

use super::bounds::Unit;
use super::trend::Estimate;

/// What a resource does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// There is not enough to say anything. Not a pass.
    Insufficient,
    /// It does not grow, with the bound that the verdict shows.
    Stable,
    /// It grows below a cap at which it will stop by itself.
    Filling,
    /// It grew over the last window.
    Growing,
    /// It grew over a window, and again over what came after it.
    Leak,
}

impl State {
    /// All of them, for metrics that show each as 0 or 1.
    pub const ALL: [Self; 5] = [Self::Insufficient, Self::Stable, Self::Filling, Self::Growing, Self::Leak];

    /// Its name, as in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Insufficient => "insufficient",
            Self::Stable => "stable",
            Self::Filling => "filling",
            Self::Growing => "growing",
            Self::Leak => "leak",
        }
    }
}

/// A resource's state, and how sure that is.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The resource.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// What it does.
    pub state: State,
    /// The value last seen.
    pub value: u64,
    /// Growth a completed run, if runs were completed: with `upper`, what a stable resource grows by at most, at 99 %.
    pub per_run: Option<Estimate>,
    /// Growth a day.
    pub per_day: Option<Estimate>,
    /// How long the judged window was.
    pub window: Duration,
    /// Whether only samples without work in flight were used.
    pub quiescent: bool,
    /// When it will reach its limit if it goes on like this; only while it grows.
    pub until_limit: Option<Duration>,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One line, as in `live: leak, 16.0 B/run (15.9 to 16.1 at 99 %), limit in 3 h`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.state)?;
        let unit = if self.unit == Unit::Bytes { " B" } else { "" };
        let rate = self.per_run.map(|rate| (rate, "run")).or(self.per_day.map(|rate| (rate, "day")));
        if let Some((rate, per)) = rate {
            match self.state {
                State::Insufficient => {}
                State::Stable => write!(f, ", at most {:.3}{unit}/{per} at 99 %", rate.upper.max(0.0))?,
                _ => write!(f, ", {:.3}{unit}/{per} ({:.3} to {:.3} at 99 %)", rate.slope, rate.lower, rate.upper)?,
            }
        }
        match self.until_limit {
            Some(left) => write!(f, ", limit in {:.1} h", left.as_secs_f64() / 3_600.0),
            None => Ok(()),
        }
    }
}
