//! A run in this engine's hands: its plan, the attempts it holds, and what has happened but is not yet on disk.
//!
//! Nothing here waits or does IO. What happens to a run becomes a [`Change`]; [`Active::next_commit`] turns all changes there
//! are into one [`Commit`]; only when the store has recorded that does anything follow from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use staunch_bounded::Charge;
use staunch_flow::{Effect, Ended, Event, Outcome, Plan, RunOutcome, StepIndex};
use staunch_store::{AttemptEnd, AttemptKey, Claimed, Commit, Incarnation, NewAttempt, NewEvent, RunHead};
use tokio::sync::{oneshot, watch};

use crate::engine::CancelError;
use crate::load::Loaded;

/// Which attempt of which step.
pub(crate) type Place = (StepIndex, u32);

/// Tells an attempt to stop: the outcome it will have, and whether without grace.
pub(crate) type Stop = watch::Sender<Option<(Outcome, bool)>>;

/// Who asked for a cancel, and waits to hear that it is recorded.
pub(crate) type CancelReply = oneshot::Sender<Result<(), CancelError>>;

/// What has happened to a run.
pub(crate) enum Change {
    /// An attempt in our hands is over.
    Ended {
        /// As the store is told.
        end: AttemptEnd,
        /// What it wrote to `$STAUNCH_OUTPUT`.
        outputs: BTreeMap<String, String>,
    },
    /// Somebody wants it to stop.
    Cancel {
        /// Without clean-up.
        force: bool,
        /// Who.
        reply: CancelReply,
    },
    /// It holds the most, and memory is nearly gone.
    Shed {
        /// Without clean-up.
        force: bool,
    },
    /// Its time is up.
    Deadline,
}

/// How far a run was told to stop; each asks for more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stopping {
    /// Not at all.
    No,
    /// Its time was up.
    TimedOut,
    /// Somebody cancelled it; clean-up still runs.
    Cancelled,
    /// Somebody cancelled it, clean-up and all.
    Forced,
}

impl Stopping {
    /// What a run's events have told it.
    pub(crate) fn of(events: &[Event]) -> Self {
        let told = |event: &Event| match event {
            Event::DeadlinePassed => Self::TimedOut,
            Event::CancelRequested { force: false } => Self::Cancelled,
            Event::CancelRequested { force: true } => Self::Forced,
            Event::Kept { .. } | Event::Ended { .. } => Self::No,
        };
        events.iter().map(told).max().unwrap_or(Self::No)
    }
}

/// An attempt in our hands.
pub(crate) struct InHand {
    pub(crate) epoch: u32,
    /// How many attempts of its run had ended when it began.
    pub(crate) began: u64,
    pub(crate) stop: Stop,
}

/// Attempts of a run that run on while the ends of others gather: then no processor idles for it.
const CROWD: usize = 4;

/// A run in this engine's hands.
pub(crate) struct Active {
    pub(crate) head: Arc<RunHead>,
    pub(crate) plan: Plan,
    pub(crate) version: u64,
    pub(crate) attempts: BTreeMap<Place, InHand>,
    /// Attempts that the plan wants killed and that have not ended yet.
    pub(crate) doomed: BTreeMap<Place, Outcome>,
    /// Whether and how it was told to stop: what starts then is clean-up.
    pub(crate) stopping: Stopping,
    /// Claims that its plan did not know; the store is asked.
    pub(crate) parked: Vec<Claimed>,
    /// Bytes of all outputs of its steps.
    pub(crate) outputs_bytes: u64,
    /// Not in a commit yet.
    waiting: Vec<Change>,
    /// In the commit that is under way.
    committing: Vec<Change>,
    /// How many of its attempts have ended in our hands.
    pub(crate) ends: u64,
    /// Whether the last of them saw another one end while it ran.
    pub(crate) crowded: bool,
    /// Whether it waits for more ends before it commits.
    pub(crate) gathering: bool,
    #[expect(dead_code, reason = "pays for the plan for as long as that is held")]
    charge: Charge,
}

impl Active {
    pub(crate) fn new(head: Arc<RunHead>, plan: Plan, version: u64, charge: Charge) -> Self {
        let outputs = |at| plan.outputs(StepIndex(at as u32)).into_iter().flatten();
        let outputs_bytes = (0..plan.workflow().steps.len())
            .flat_map(outputs)
            .map(|(key, value)| (key.len() + value.len()) as u64)
            .sum();
        Self {
            head,
            plan,
            version,
            attempts: BTreeMap::new(),
            doomed: BTreeMap::new(),
            stopping: Stopping::No,
            parked: Vec::new(),
            outputs_bytes,
            waiting: Vec::new(),
            committing: Vec::new(),
            ends: 0,
            crowded: false,
            gathering: false,
            charge,
        }
    }

    pub(crate) fn push(&mut self, change: Change) {
        self.waiting.push(change);
    }

    /// Whether nothing of it is in our hands, so that it can be let go.
    pub(crate) fn is_idle(&self) -> bool {
        self.attempts.is_empty() && self.waiting.is_empty() && self.committing.is_empty() && self.parked.is_empty()
    }

    /// Whether it has something to commit and no commit is under way.
    pub(crate) fn wants_commit(&self) -> bool {
        self.committing.is_empty() && !self.waiting.is_empty()
    }

    /// Whether more attempts are likely to end within a moment: the last one that ended saw another end while it ran, and enough
    /// run on to keep the machine busy meanwhile. A chain of steps has one at a time and never waits, whatever runs beside it.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded && self.attempts.len() >= CROWD
    }

    /// An attempt is no longer in our hands.
    pub(crate) fn let_go(&mut self, place: Place) -> Option<InHand> {
        let hand = self.attempts.remove(&place)?;
        self.crowded = hand.began < self.ends;
        self.ends += 1;
        Some(hand)
    }

    /// One commit of all that has happened since the last one. `slots` free slots may be filled with what becomes ready; it is
    /// lowered by those that are. `None` if nothing is left to record (every change was refused).
    pub(crate) fn next_commit(&mut self, worker: Incarnation, slots: &mut u32) -> Option<Commit> {
        let mut draft = Draft { worker, commit: self.empty_commit(), slots };
        for change in std::mem::take(&mut self.waiting) {
            if let Some(change) = self.record(change, &mut draft) {
                self.committing.push(change);
            }
        }
        let commit = draft.commit;
        if commit.events.is_empty() {
            // Nothing new: who asked for what is recorded already hears so.
            self.recorded(self.version);
            return None;
        }
        Some(commit)
    }

    fn empty_commit(&self) -> Commit {
        Commit {
            run: self.head.id,
            version: self.version,
            ended: Vec::new(),
            ready: Vec::new(),
            kill: Vec::new(),
            events: Vec::new(),
            outcome: None,
        }
    }

    /// Applies a change to the plan and writes what follows into the draft. A change that the plan refuses is dropped.
    fn record(&mut self, change: Change, draft: &mut Draft<'_>) -> Option<Change> {
        match change {
            Change::Ended { end, outputs } => {
                let (step, attempt) = (end.key.step, end.key.attempt);
                let exit_code =
                    end.result.get("exit_code").and_then(Value::as_i64).and_then(|code| i32::try_from(code).ok());
                let ended = Ended { outcome: end.outcome, exit_code, outputs: outputs.clone() };
                let event = Event::Ended { step, attempt, ended };
                let body = json!({
                    "step": self.id(step), "attempt": attempt, "outcome": end.outcome, "exit_code": exit_code,
                    "log_bytes": end.log.bytes(),
                });
                self.advance(event, "step.ended", body, draft)?;
                self.doomed.remove(&(step, attempt));
                draft.commit.ended.push(end.clone());
                Some(Change::Ended { end, outputs })
            }
            Change::Cancel { force, reply } => {
                if let Some(outcome) = self.plan.outcome() {
                    // The asker may be gone; that is its business.
                    drop(reply.send(Err(CancelError::Over(outcome))));
                    return None;
                }
                let wanted = if force { Stopping::Forced } else { Stopping::Cancelled };
                if self.stopping < wanted {
                    let event = Event::CancelRequested { force };
                    self.advance(event, "run.cancel_requested", json!({ "force": force }), draft)?;
                    self.stopping = wanted;
                }
                Some(Change::Cancel { force, reply })
            }
            Change::Shed { force } => {
                let wanted = if force { Stopping::Forced } else { Stopping::Cancelled };
                if self.plan.outcome().is_some() || self.stopping >= wanted {
                    return None;
                }
                let body = json!({ "force": force, "reason": "run_memory_limit" });
                self.advance(Event::CancelRequested { force }, "run.cancel_requested", body, draft)?;
                self.stopping = wanted;
                Some(Change::Shed { force })
            }
            Change::Deadline => {
                if self.stopping == Stopping::No {
                    self.advance(Event::DeadlinePassed, "run.deadline_passed", json!({}), draft)?;
                    self.stopping = Stopping::TimedOut;
                }
                Some(Change::Deadline)
            }
        }
    }

    fn advance(&mut self, event: Event, name: &'static str, body: Value, draft: &mut Draft<'_>) -> Option<()> {
        let effects = match self.plan.apply(&event) {
            Ok(effects) => effects,
            Err(refused) => {
                tracing::debug!(run = %self.head.id, reason = refused.0, "the plan refused an event");
                return None;
            }
        };
        draft.commit.events.push(NewEvent { name, body, plan: Some(event) });
        for effect in effects {
            if let Effect::Kill { step, attempt, because } = effect {
                self.doomed.insert((step, attempt), because);
            }
            draft.follow(effect, &self.plan);
        }
        Some(())
    }

    fn id(&self, step: StepIndex) -> &str {
        &self.plan.workflow().steps[step.0 as usize].id
    }

    /// The commit is on disk: everybody who waited for it hears so.
    pub(crate) fn recorded(&mut self, version: u64) {
        self.version = version;
        for change in self.committing.drain(..) {
            if let Change::Cancel { reply, .. } = change {
                drop(reply.send(Ok(())));
            }
        }
    }

    /// The store knows better: goes on from its plan. Ends of attempts that it no longer holds for us are forgotten, all other
    /// changes happen to the new plan. Returns the attempts to be stopped, for they are no longer ours.
    pub(crate) fn rebase(&mut self, loaded: Loaded) -> Vec<InHand> {
        let Loaded { plan, version, stopping, ours, .. } = loaded;
        self.plan = plan;
        self.version = version;
        self.stopping = stopping;
        let mut changes = std::mem::take(&mut self.committing);
        changes.append(&mut self.waiting);
        changes.retain(|change| match change {
            Change::Ended { end, .. } => ours.contains(&(end.key.step, end.key.attempt)),
            Change::Cancel { .. } | Change::Shed { .. } | Change::Deadline => true,
        });
        self.waiting = changes;
        let lost = |place: &Place, _: &mut InHand| !ours.contains(place);
        self.attempts.extract_if(.., lost).map(|(_, hand)| hand).collect()
    }

    /// The run is over, and what was asked of it meanwhile came too late: whoever asked hears so.
    pub(crate) fn refuse_rest(&mut self, outcome: RunOutcome) {
        for change in self.committing.drain(..).chain(self.waiting.drain(..)) {
            if let Change::Cancel { reply, .. } = change {
                drop(reply.send(Err(CancelError::Over(outcome))));
            }
        }
    }

    /// The key of one of its attempts.
    pub(crate) fn key(&self, place: Place) -> AttemptKey {
        AttemptKey { run: self.head.id, step: place.0, attempt: place.1 }
    }
}

/// A commit being written.
struct Draft<'a> {
    worker: Incarnation,
    commit: Commit,
    slots: &'a mut u32,
}

impl Draft<'_> {
    fn follow(&mut self, effect: Effect, plan: &Plan) {
        let id = |step: StepIndex| &plan.workflow().steps[step.0 as usize].id;
        match effect {
            Effect::Ready { step, attempt, delay } => {
                let mut ready = NewAttempt { step, attempt, delay, claim_for: None };
                if delay.is_zero() && *self.slots > 0 {
                    *self.slots -= 1;
                    ready.claim_for = Some(self.worker);
                }
                self.commit.ready.push(ready);
                if attempt > 1 {
                    let body = json!({ "step": id(step), "attempt": attempt, "delay_ms": delay.as_millis() as u64 });
                    self.tell("step.retrying", body);
                }
            }
            Effect::Kill { step, attempt, because } => self.commit.kill.push((step, attempt, because)),
            Effect::Settled { step, outcome, why } => {
                let mut body = json!({ "step": id(step), "outcome": outcome });
                if let (Some(why), Some(body)) = (why, body.as_object_mut()) {
                    body.insert("reason".to_owned(), json!(why));
                }
                self.tell("step.settled", body);
            }
            Effect::Finished { outcome } => {
                self.commit.outcome = Some(outcome);
                self.tell("run.ended", json!({ "outcome": outcome }));
            }
        }
    }

    fn tell(&mut self, name: &'static str, body: Value) {
        self.commit.events.push(NewEvent { name, body, plan: None });
    }
}

/// What a run's beginning asks of the store: the same words as a commit's, for [`staunch_store::NewRun`].
pub(crate) fn beginning(plan: &Plan, effects: Vec<Effect>) -> Commit {
    let mut none = 0;
    let commit = Commit {
        run: staunch_store::RunId::generate(),
        version: 0,
        ended: Vec::new(),
        ready: Vec::new(),
        kill: Vec::new(),
        events: Vec::new(),
        outcome: None,
    };
    let mut draft = Draft { worker: Incarnation::generate(), commit, slots: &mut none };
    for effect in effects {
        draft.follow(effect, plan);
    }
    draft.commit
}

#[cfg(test)]
mod tests;
