//! The steps of a run: between ids, as clients say, and places in the workflow, as events say.

use std::sync::Arc;

use staunch_engine::Known;
use staunch_flow::StepIndex;
use staunch_store::{LogPlace, Results, RunId, RunRow};

use crate::app::App;
use crate::problem::{Code, Refusal};

/// The ids of the steps of one run, in the file's order.
#[derive(Clone, Debug)]
pub(crate) enum Steps {
    /// The run is of a workflow's current revision: nothing is copied.
    Known(Arc<Known>),
    /// It is of an older one, or of a text that came with it.
    Ids(Vec<String>),
}

/// An attempt that has begun, and where its log is.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    /// Which, from 1.
    pub(crate) attempt: u32,
    /// Which claim of it.
    pub(crate) epoch: u32,
    /// Where its log is, if it is over.
    pub(crate) place: Option<LogPlace>,
}

impl Steps {
    /// The steps of a run.
    pub(crate) async fn of(app: &App, row: &RunRow) -> Result<Self, Refusal> {
        let head = &row.head;
        if let Some(known) = app.engine.catalog().get(&head.workflow).filter(|known| known.revision == head.revision) {
            return Ok(Self::Known(known));
        }
        let text = app.engine.text(head.revision).await?;
        let text = text.ok_or_else(|| Refusal::internal(format_args!("the text of {} is gone", head.id)))?;
        let (engine, stem) = (app.engine.clone(), head.workflow.clone());
        let parsed = app.blocking(move || engine.validate(text.as_bytes(), &stem)).await?;
        // It was valid when the run was accepted; limits may have been lowered since.
        let workflow = parsed.workflow.ok_or_else(|| Refusal::internal("the run's workflow no longer parses"))?;
        Ok(Self::Ids(workflow.steps.into_iter().map(|step| step.id).collect()))
    }

    /// The id of a step.
    pub(crate) fn id(&self, index: usize) -> Option<&str> {
        match self {
            Self::Known(known) => known.workflow.steps.get(index).map(|step| step.id.as_str()),
            Self::Ids(ids) => ids.get(index).map(String::as_str),
        }
    }

    /// The place of a step.
    pub(crate) fn index(&self, id: &str) -> Result<StepIndex, Refusal> {
        let place = match self {
            Self::Known(known) => known.workflow.step(id),
            Self::Ids(ids) => ids.iter().position(|known| known == id).map(|i| StepIndex(i as u32)),
        };
        place.ok_or_else(|| Refusal::new(Code::UnknownStep).detail(format_args!("the run has no step {id:?}")))
    }
}

/// A run, or the refusal that there is none.
pub(crate) async fn run(app: &App, id: RunId) -> Result<RunRow, Refusal> {
    app.engine.store().run(id).await?.ok_or_else(|| unknown_run(id))
}

/// The attempts of some steps of a run that have begun, by step and attempt.
pub(crate) async fn begun(app: &App, run: RunId, wanted: &[StepIndex]) -> Result<Vec<(StepIndex, Begun)>, Refusal> {
    let rows = app.engine.store().attempts(run, Results::Nothing).await?;
    let wanted = rows.into_iter().filter(|row| row.epoch > 0 && wanted.contains(&row.key.step));
    Ok(wanted
        .map(|row| {
            let place = row.outcome.is_some().then_some(row.log);
            (row.key.step, Begun { attempt: row.key.attempt, epoch: row.epoch, place })
        })
        .collect())
}

/// There is no such run.
pub(crate) fn unknown_run(id: RunId) -> Refusal {
    Refusal::new(Code::UnknownRun).detail(format_args!("there is no run {id}"))
}
