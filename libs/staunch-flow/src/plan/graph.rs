//! Who needs a step, and which step has an id: found once, shared by all clones of a plan.

use crate::workflow::Workflow;

/// Successor lists in one array, and the ids in order.
#[derive(Debug, PartialEq)]
pub(super) struct Graph {
    /// `successors[starts[n]..starts[n + 1]]` need step n.
    starts: Vec<u32>,
    successors: Vec<u32>,
    /// Step numbers, sorted by their ids.
    by_id: Vec<u32>,
}

impl Graph {
    pub(super) fn new(workflow: &Workflow) -> Self {
        let steps = &workflow.steps;
        let mut starts = vec![0_u32; steps.len() + 1];
        for need in steps.iter().flat_map(|step| &step.needs) {
            starts[need.step.0 as usize + 1] += 1;
        }
        for step in 0..steps.len() {
            starts[step + 1] += starts[step];
        }
        let mut next = starts.clone();
        let mut successors = vec![0; starts[steps.len()] as usize];
        for (number, step) in (0..).zip(steps) {
            for need in &step.needs {
                let place = &mut next[need.step.0 as usize];
                successors[*place as usize] = number;
                *place += 1;
            }
        }
        let mut by_id: Vec<u32> = (0..steps.len() as u32).collect();
        by_id.sort_by_key(|&number| &steps[number as usize].id);
        Self { starts, successors, by_id }
    }

    /// The steps that need `step`, in the file's order.
    pub(super) fn successors(&self, step: u32) -> &[u32] {
        let step = step as usize;
        &self.successors[self.starts[step] as usize..self.starts[step + 1] as usize]
    }

    /// The step with this id.
    pub(super) fn step(&self, workflow: &Workflow, id: &str) -> Option<u32> {
        let place = self.by_id.binary_search_by(|&number| workflow.steps[number as usize].id.as_str().cmp(id)).ok()?;
        Some(self.by_id[place])
    }

    /// Heap bytes.
    pub(super) fn bytes(&self) -> usize {
        (self.starts.len() + self.successors.len() + self.by_id.len()) * size_of::<u32>()
    }
}
