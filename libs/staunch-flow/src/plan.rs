//! One run as a pure state machine: what is ready, what is over, what must be killed.
//!
//! A step starts when all its needs are settled. What it does then follows from its *taint*: a settled step is tainted
//! if it ended badly and was not forgiven, if it was skipped because of that, or if one of its needs is tainted, even
//! if it itself ran by `always()` and succeeded. Without a status function in its `if`, a step with a tainted need is
//! skipped; with one, only the `if` decides.
//!
//! An event costs time in the number of edges it touches; a run costs O(steps + edges) in all, besides expressions.

mod bytes;
mod event;
mod graph;
#[cfg(test)]
mod notation;
mod rerun;
mod scope;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;
mod turn;
#[cfg(test)]
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::outcome::{Outcome, RunOutcome};
use crate::workflow::{Inputs, StepIndex, Workflow};

pub use event::{Effect, Ended, Event, Launch, Refused, Rerun, StepState, Why};
use graph::Graph;
use turn::Turn;

/// One run. Grows with the number of steps and with their outputs, never with time.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    workflow: Arc<Workflow>,
    graph: Arc<Graph>,
    inputs: Arc<Inputs>,
    run_id: Arc<str>,
    seed: u64,
    begun: bool,
    tracks: Vec<Track>,
    /// What a rerun keeps, until [`Plan::begin`].
    kept: BTreeMap<u32, (Outcome, BTreeMap<String, String>)>,
    /// Steps that may start but find `max_parallel` steps in flight, in the file's order.
    held: BTreeSet<u32>,
    in_flight: u32,
    unsettled: u32,
    cancel: Cancel,
    deadline: bool,
    /// Whether the cancel has killed or skipped anything, and so decides the run's outcome.
    cancel_hit: bool,
    failed: bool,
    outcome: Option<RunOutcome>,
    /// Heap bytes of the fixed part and of the outputs.
    bytes: usize,
}

/// How urgently somebody wants the run to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cancel {
    No,
    /// Clean-up steps still run.
    Gentle,
    Forced,
}

/// Where a step stands, inside.
#[derive(Clone, Debug, PartialEq)]
enum Track {
    Waiting {
        needs_left: u32,
    },
    InFlight {
        attempt: u32,
        /// Its kill has been told.
        killed: bool,
        /// It started after a cancel or the deadline: only a forced cancel kills it.
        cleanup: bool,
    },
    Settled(Arc<Settled>),
}

/// A step that is over.
#[derive(Clone, Debug, PartialEq)]
struct Settled {
    outcome: Outcome,
    forgiven: bool,
    attempts: u32,
    why: Option<Why>,
    exit_code: Option<i32>,
    outputs: BTreeMap<String, String>,
    taint: Option<Taint>,
}

impl Settled {
    /// Skipped without anything having gone wrong.
    fn skipped_benignly(&self) -> bool {
        matches!(self.why, Some(Why::ConditionFalse | Why::NeedSkipped { .. }))
    }
}

/// The mark that a failure leaves on all that depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taint {
    /// The step it comes from.
    culprit: u32,
    /// Whether a failure is among its causes, rather than a cancel alone.
    failure: bool,
}

impl Plan {
    /// A run that has not begun. `seed` decides the jitter of retries (and nothing else), so that a replay agrees.
    ///
    /// # Panics
    /// A need points to no step. [`parse`](crate::parse()) makes no such workflow, and none with a cycle, which would wait for ever.
    pub fn new(workflow: Arc<Workflow>, inputs: Inputs, run_id: &str, seed: u64) -> Self {
        let graph = Graph::new(&workflow);
        let tracks: Vec<_> =
            workflow.steps.iter().map(|step| Track::Waiting { needs_left: step.needs.len() as u32 }).collect();
        let inputs_bytes: usize = inputs.iter().map(|(name, value)| name.len() + bytes::of_json(value) + 64).sum();
        let bytes = size_of::<Self>()
            + bytes::of_workflow(&workflow)
            + graph.bytes()
            + inputs_bytes
            + run_id.len()
            // A track, its settled record, and its places in `held` and `kept`.
            + tracks.len() * (size_of::<Track>() + size_of::<Settled>() + 128);
        Self {
            unsettled: tracks.len() as u32,
            graph: Arc::new(graph),
            inputs: Arc::new(inputs),
            run_id: run_id.into(),
            workflow,
            seed,
            begun: false,
            tracks,
            kept: BTreeMap::new(),
            held: BTreeSet::new(),
            in_flight: 0,
            cancel: Cancel::No,
            deadline: false,
            cancel_hit: false,
            failed: false,
            outcome: None,
            bytes,
        }
    }

    /// Begins the run, after any [`Event::Kept`]. Call it once (a second call does nothing); a replay calls it again.
    pub fn begin(&mut self) -> Vec<Effect> {
        if self.begun {
            return Vec::new();
        }
        self.begun = true;
        let mut turn = Turn::new(self);
        turn.begin();
        turn.finish()
    }

    /// What follows from an event. Every effect is told once.
    ///
    /// A cancel or a deadline that has been told before has no effect; neither has a deadline after a cancel: the run
    /// is ending, and its clean-up steps are bounded by their own timeouts.
    ///
    /// # Errors
    /// [`Refused`] if the event cannot be; nothing has changed then.
    pub fn apply(&mut self, event: &Event) -> Result<Vec<Effect>, Refused> {
        self.check(event)?;
        let mut turn = Turn::new(self);
        match event {
            Event::Kept { step, outcome, outputs } => turn.keep(step.0, *outcome, outputs),
            Event::Ended { step, attempt, ended } => turn.ended(step.0, *attempt, ended),
            Event::CancelRequested { force } => turn.cancel(*force),
            Event::DeadlinePassed => turn.deadline(),
        }
        Ok(turn.finish())
    }

    /// Where a step stands. A step that is not in the workflow waits for ever.
    pub fn step(&self, step: StepIndex) -> StepState {
        match self.tracks.get(step.0 as usize) {
            None | Some(Track::Waiting { .. }) => StepState::Waiting,
            Some(Track::InFlight { attempt, .. }) => StepState::InFlight { attempt: *attempt },
            Some(Track::Settled(settled)) => StepState::Settled {
                outcome: settled.outcome,
                forgiven: settled.forgiven,
                attempts: settled.attempts,
                why: settled.why.clone(),
            },
        }
    }

    /// The attempts that are ready, running or waiting for their retry's delay, in the file's order.
    pub fn in_flight(&self) -> impl Iterator<Item = (StepIndex, u32)> {
        (0..).zip(&self.tracks).filter_map(|(step, track)| match track {
            Track::InFlight { attempt, .. } => Some((StepIndex(step), *attempt)),
            _ => None,
        })
    }

    /// How the run ended, if it has.
    pub fn outcome(&self) -> Option<RunOutcome> {
        self.outcome
    }

    /// The outputs of a settled step.
    pub fn outputs(&self, step: StepIndex) -> Option<&BTreeMap<String, String>> {
        self.settled(step.0).map(|settled| &settled.outputs)
    }

    /// The workflow.
    pub fn workflow(&self) -> &Arc<Workflow> {
        &self.workflow
    }

    /// Heap bytes it holds, for its charge: an estimate from above. Counts the workflow too, though others may share it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the event can be, now.
    fn check(&self, event: &Event) -> Result<(), Refused> {
        let refuse = |message: String| Err(Refused(message));
        let known = |step: StepIndex| match self.workflow.steps.get(step.0 as usize) {
            Some(step) => Ok(&step.id),
            None => Err(Refused(format!("there is no step number {}", step.0))),
        };
        if self.outcome.is_some() {
            return refuse("the run is over".to_owned());
        }
        if let Event::Kept { step, .. } = event {
            let id = known(*step)?;
            return match (self.begun, self.kept.contains_key(&step.0)) {
                (false, false) => Ok(()),
                (true, _) => refuse(format!("step `{id}` cannot be kept: the run has begun")),
                (false, true) => refuse(format!("step `{id}` is kept already")),
            };
        }
        if !self.begun {
            return refuse("the run has not begun".to_owned());
        }
        let Event::Ended { step, attempt, ended } = event else { return Ok(()) };
        let id = known(*step)?;
        match &self.tracks[step.0 as usize] {
            Track::InFlight { attempt: current, .. } if current != attempt => {
                refuse(format!("attempt {attempt} of step `{id}` is not in flight, attempt {current} is"))
            }
            Track::InFlight { .. } if ended.outcome == Outcome::Skipped => {
                refuse(format!("attempt {attempt} of step `{id}` cannot end as skipped: it was ready"))
            }
            Track::InFlight { .. } => Ok(()),
            Track::Waiting { .. } => refuse(format!("step `{id}` is not in flight: it waits")),
            Track::Settled(_) => refuse(format!("step `{id}` is not in flight: it is over")),
        }
    }

    fn settled(&self, step: u32) -> Option<&Settled> {
        match self.tracks.get(step as usize)? {
            Track::Settled(settled) => Some(settled),
            _ => None,
        }
    }

    /// Whether a cancel or the deadline is winding the run down.
    fn stopping(&self) -> bool {
        self.cancel != Cancel::No || self.deadline
    }
}
