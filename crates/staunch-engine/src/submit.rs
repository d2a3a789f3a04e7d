//! How a run is accepted: checked, planned, and on disk before anybody hears of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use staunch_bounded::fault_point;
use staunch_flow::{Effect, Event, Plan, StepIndex, Workflow};
use staunch_store::{
    IdempotencyKey, NewEvent, NewRevision, NewRun, RevisionId, RunHead, RunId, StoreError, Submitted, Timestamp,
};

use crate::active::beginning;
use crate::catalog::nearest;
use crate::engine::{Rerun, Submission, SubmitError, Target};
use crate::fault;
use crate::inner::Inner;
use crate::load::{LoadError, new_plan};

/// What a run is made from.
struct Accepted {
    workflow: Arc<Workflow>,
    name: String,
    revision: RevisionId,
    inputs: BTreeMap<String, Value>,
    trigger: String,
    rerun_of: Option<RunId>,
    kept: Vec<Event>,
    key: Option<IdempotencyKey>,
}

impl Inner {
    pub(crate) async fn submit(&self, submission: Submission) -> Result<Submitted, SubmitError> {
        let Submission { target, inputs, trigger, key } = submission;
        let (name, revision, workflow) = match target {
            Target::Name(name) => {
                let known = self.catalog.get(&name);
                let known =
                    known.ok_or_else(|| SubmitError::UnknownWorkflow { nearest: self.catalog.nearest(&name), name })?;
                (known.name.clone(), known.revision, Arc::clone(&known.workflow))
            }
            Target::Text { text, stem } => self.publish(text, &stem).await?,
        };
        let inputs = workflow.inputs(&inputs).map_err(SubmitError::Inputs)?;
        self.accept(Accepted { workflow, name, revision, inputs, trigger, rerun_of: None, kept: Vec::new(), key }).await
    }

    async fn publish(&self, text: Arc<str>, stem: &str) -> Result<(String, RevisionId, Arc<Workflow>), SubmitError> {
        let parsed = staunch_flow::parse(text.as_bytes(), stem, &self.budgets());
        let workflow = parsed.workflow.map(Arc::new).ok_or(SubmitError::Invalid(parsed.diagnostics))?;
        let (name, bytes) = (workflow.name.clone(), text.len());
        let revision = NewRevision { name: name.clone(), text, file: None };
        let revision = fault::before(fault_point!("engine.publish"), self.store.publish(revision)).await?;
        self.catalog.remember(revision, &workflow, bytes);
        Ok((name, revision, workflow))
    }

    pub(crate) async fn rerun(
        &self,
        run: RunId,
        which: Rerun,
        key: Option<IdempotencyKey>,
    ) -> Result<Submitted, SubmitError> {
        let loaded = self.load(run).await.map_err(|error| match error {
            LoadError::UnknownRun(run) => SubmitError::UnknownRun(run),
            LoadError::Store(error) => SubmitError::Store(error),
            LoadError::Broken(message) => SubmitError::Store(StoreError::Damaged(message)),
        })?;
        if loaded.outcome.is_none() {
            return Err(SubmitError::NotOver);
        }
        let workflow = Arc::clone(loaded.plan.workflow());
        let kept = match which {
            Rerun::All => Vec::new(),
            Rerun::Failed => loaded.plan.rerun_keeps(staunch_flow::Rerun::Failed),
            Rerun::From(step) => loaded.plan.rerun_keeps(staunch_flow::Rerun::From(find(&workflow, step)?)),
        };
        let head = &loaded.head;
        self.accept(Accepted {
            workflow,
            name: head.workflow.clone(),
            revision: head.revision,
            inputs: head.inputs.clone(),
            trigger: "rerun".to_owned(),
            rerun_of: Some(run),
            kept,
            key,
        })
        .await
    }

    async fn accept(&self, accepted: Accepted) -> Result<Submitted, SubmitError> {
        if self.tasks.token().is_cancelled() {
            return Err(SubmitError::Stopping);
        }
        let Accepted { workflow, name, revision, inputs, trigger, rerun_of, kept, key } = accepted;
        let id = RunId::generate();
        // Only its id and inputs matter to the plan; the store says when it was accepted.
        let head = RunHead { id, workflow: name, revision, inputs, created_at: Timestamp(0) };
        let mut plan = new_plan(workflow, &head);
        let (mut events, effects) =
            begin(&mut plan, kept).map_err(|why| SubmitError::Store(StoreError::Damaged(why)))?;
        let first = beginning(&plan, effects);
        events.extend(first.events);
        let RunHead { workflow, inputs, .. } = head;
        let run = NewRun {
            id,
            workflow,
            revision,
            inputs,
            trigger,
            rerun_of,
            ready: first.ready,
            events,
            outcome: first.outcome,
        };
        let submitted = fault::before(fault_point!("engine.submit"), self.store.submit(run, key)).await;
        // Even if the answer got lost: it may have been accepted.
        self.hint.notify_one();
        let submitted = fault::after(submitted, || fault_point!("engine.submit_answer"))?;
        Ok(submitted)
    }
}

/// Begins a plan, with what it keeps of an earlier run.
fn begin(plan: &mut Plan, kept: Vec<Event>) -> Result<(Vec<NewEvent>, Vec<Effect>), String> {
    let mut events = Vec::with_capacity(kept.len());
    let mut effects = Vec::new();
    for event in kept {
        effects.extend(plan.apply(&event).map_err(|refused| refused.0)?);
        if let Event::Kept { step, outcome, .. } = &event {
            let id = &plan.workflow().steps[step.0 as usize].id;
            events.push(NewEvent {
                name: "step.kept",
                body: json!({ "step": id, "outcome": outcome }),
                plan: Some(event),
            });
        }
    }
    effects.extend(plan.begin());
    Ok((events, effects))
}

fn find(workflow: &Workflow, step: String) -> Result<StepIndex, SubmitError> {
    let ids = workflow.steps.iter().map(|step| step.id.as_str());
    workflow.step(&step).ok_or_else(|| SubmitError::UnknownStep { nearest: nearest(&step, ids), step })
}
