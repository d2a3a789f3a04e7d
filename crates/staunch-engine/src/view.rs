//! A run as people look at it: its row, its plan and its attempts, put together.

use std::collections::HashMap;

use staunch_bounded::fault_point;
use staunch_store::{AttemptRow, Results, RunId, StoreError};

use crate::engine::{RunView, StepView};
use crate::fault;
use crate::inner::Inner;
use crate::load::LoadError;

impl Inner {
    pub(crate) async fn view(&self, run: RunId, results: Results) -> Result<Option<RunView>, StoreError> {
        let Some(row) = fault::before(fault_point!("engine.run"), self.store.run(run)).await? else { return Ok(None) };
        let plan = match self.load(run).await {
            Ok(loaded) => loaded.plan,
            // It was swept between the two reads.
            Err(LoadError::UnknownRun(_)) => return Ok(None),
            Err(LoadError::Store(error)) => return Err(error),
            Err(LoadError::Broken(message)) => return Err(StoreError::Damaged(message)),
        };
        let mut attempts: HashMap<u32, Vec<AttemptRow>> = HashMap::new();
        for attempt in fault::before(fault_point!("engine.attempts"), self.store.attempts(run, results)).await? {
            attempts.entry(attempt.key.step.0).or_default().push(attempt);
        }
        let steps = &plan.workflow().steps;
        let view = steps.iter().zip(0..).map(|(step, at)| StepView {
            id: step.id.clone(),
            name: step.name.clone(),
            needs: step.needs.iter().map(|need| steps[need.step.0 as usize].id.clone()).collect(),
            state: plan.step(staunch_flow::StepIndex(at)),
            attempts: attempts.remove(&at).unwrap_or_default(),
        });
        Ok(Some(RunView { row, steps: view.collect() }))
    }
}
