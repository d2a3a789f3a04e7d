//! The progress line of a run, on a terminal.

use std::collections::BTreeSet;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::news::News;

/// Running steps that are named; more are only counted.
const NAMED_MAX: usize = 3;

/// The line at the bottom: how many steps are over, which run, since when. Drawn on standard error.
pub(super) struct Progress {
    bar: ProgressBar,
    running: BTreeSet<String>,
}

impl Progress {
    /// For a run of so many steps.
    pub(super) fn new(steps: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner:.cyan} {pos}/{len} steps  {elapsed}  {msg:.dim}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, running: BTreeSet::new() }
    }

    /// Minds one piece of news.
    pub(super) fn news(&mut self, news: &News) {
        match news {
            News::Started { step, .. } => {
                self.running.insert(step.clone());
            }
            News::Ended { step, .. } => {
                self.running.remove(step);
            }
            News::Settled { step, .. } => {
                self.running.remove(step);
                self.bar.inc(1);
            }
            News::Output { .. } | News::Retrying { .. } | News::LeftOut { .. } | News::Over(_) => return,
        }
        let named = self.running.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = self.running.len().saturating_sub(NAMED_MAX);
        self.bar.set_message(if more > 0 { format!("{named} and {more} more") } else { named });
    }

    /// Prints something above the line.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Turns the spinner.
    pub(super) fn tick(&self) {
        self.bar.tick();
    }

    /// Takes the line away.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
