//! From what is remembered of a run to its plan.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use staunch_bounded::fault_point;
use staunch_flow::{Event, Plan, RunOutcome, Workflow};
use staunch_store::{Journal, RevisionId, RunHead, RunId, StoreError, Timestamp};

use crate::active::{Place, Stopping};
use crate::engine::Inner;
use crate::fault;

/// A run's plan, rebuilt.
pub(crate) struct Loaded {
    pub(crate) head: Arc<RunHead>,
    pub(crate) plan: Plan,
    pub(crate) version: u64,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) outcome: Option<RunOutcome>,
    /// Whether and how it was told to stop.
    pub(crate) stopping: Stopping,
    /// What is in flight, in the hands of this worker.
    pub(crate) ours: HashSet<Place>,
}

/// Why a plan could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// No run of this id.
    #[error("there is no run {0}")]
    UnknownRun(RunId),
    /// Its text is gone or is not a workflow (any more), or its journal does not fit: in words. Asking again does not help.
    #[error("{0}")]
    Broken(String),
    /// The store failed: asking again may help.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Inner {
    /// Rebuilds a run's plan from its journal.
    pub(crate) async fn load(&self, run: RunId) -> Result<Loaded, LoadError> {
        let journal = fault::before(fault_point!("engine.journal"), self.store.journal(run)).await?;
        let journal = journal.ok_or(LoadError::UnknownRun(run))?;
        let workflow = self.workflow(journal.head.revision).await?;
        let plan = replay(workflow, &journal)?;
        let worker = self.worker();
        let ours = journal
            .in_flight
            .iter()
            .filter(|(_, holder)| *holder == Some(worker))
            .map(|(key, _)| (key.step, key.attempt))
            .collect();
        let stopping = Stopping::of(&journal.events);
        let Journal { head, version, started_at, outcome, .. } = journal;
        Ok(Loaded { head, plan, version, started_at, outcome, stopping, ours })
    }

    /// The workflow of a revision: from the catalog, or parsed again.
    pub(crate) async fn workflow(&self, revision: RevisionId) -> Result<Arc<Workflow>, LoadError> {
        if let Some(workflow) = self.catalog.revision(revision) {
            return Ok(workflow);
        }
        let text = fault::before(fault_point!("engine.revision"), self.store.revision(revision)).await?;
        let text = text.ok_or_else(|| LoadError::Broken(format!("the text of revision {revision} is gone")))?;
        let parsed = staunch_flow::parse(text.as_bytes(), "workflow", &self.budgets());
        let Some(workflow) = parsed.workflow.map(Arc::new) else {
            let first = parsed.diagnostics.first().map_or("no reason given", |first| &first.message).to_owned();
            return Err(LoadError::Broken(format!("its workflow is not valid for this version of staunch: {first}")));
        };
        self.catalog.remember(revision, &workflow, text.len());
        Ok(workflow)
    }
}

/// The plan of a run that has not begun.
pub(crate) fn new_plan(workflow: Arc<Workflow>, head: &RunHead) -> Plan {
    Plan::new(workflow, head.inputs.clone(), &head.id.to_string(), head.id.seed())
}

/// The plan that a journal leads to.
pub(crate) fn replay(workflow: Arc<Workflow>, journal: &Journal) -> Result<Plan, LoadError> {
    let mut plan = new_plan(workflow, &journal.head);
    let kept = |event: &&Event| matches!(event, Event::Kept { .. });
    let before = journal.events.iter().take_while(kept).count();
    let (kept, rest) = journal.events.split_at(before);
    let wrong =
        |refused: staunch_flow::Refused| LoadError::Broken(format!("its journal does not fit its plan: {}", refused.0));
    for event in kept {
        plan.apply(event).map_err(wrong)?;
    }
    plan.begin();
    for event in rest {
        plan.apply(event).map_err(wrong)?;
    }
    Ok(plan)
}

/// How long ago something was, by the wall clock; zero if that runs behind.
pub(crate) fn since(then: Timestamp) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(u64::try_from(then.0).unwrap_or_default()))
}
