//! What a rerun of a finished run need not do again.

use crate::outcome::Outcome;
use crate::workflow::StepIndex;

use super::{Event, Plan, Rerun};

impl Plan {
    /// The steps that a rerun keeps, in the file's order, as the events that tell a new plan of the same workflow.
    ///
    /// A step is kept if it succeeded, was forgiven or was skipped by its own condition, and if nothing it depends on
    /// runs again.
    pub fn rerun_keeps(&self, rerun: Rerun) -> Vec<Event> {
        let mut again = vec![false; self.tracks.len()];
        let mut news: Vec<u32> = (0..again.len() as u32)
            .filter(|&step| rerun == Rerun::From(StepIndex(step)) || !self.is_worth_keeping(step))
            .collect();
        for &step in &news {
            again[step as usize] = true;
        }
        while let Some(step) = news.pop() {
            for &successor in self.graph.successors(step) {
                if !std::mem::replace(&mut again[successor as usize], true) {
                    news.push(successor);
                }
            }
        }
        let kept = (0..again.len() as u32).filter(|&step| !again[step as usize]);
        kept.filter_map(|step| {
            let settled = self.settled(step)?;
            Some(Event::Kept { step: StepIndex(step), outcome: settled.outcome, outputs: settled.outputs.clone() })
        })
        .collect()
    }

    fn is_worth_keeping(&self, step: u32) -> bool {
        self.settled(step).is_some_and(|settled| {
            settled.outcome == Outcome::Succeeded || settled.forgiven || settled.skipped_benignly()
        })
    }
}
