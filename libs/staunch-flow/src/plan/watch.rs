//! A watch over a plan: keeps its own, slow and simple books, and asserts every promise at every step.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::outcome::{Outcome, RunOutcome};
use crate::workflow::{ContinueOnError, Step, StepIndex, Workflow};

use super::{Effect, Ended, Event, Plan, StepState, Why};

/// What an onlooker knows of a run.
pub(super) struct Watch {
    workflow: Arc<Workflow>,
    /// All that a step depends on, directly or not.
    ancestors: Vec<BTreeSet<usize>>,
    kept: BTreeSet<usize>,
    settled: BTreeMap<usize, (Outcome, Option<Why>)>,
    /// Own ends that were bad and not forgiven.
    bad: BTreeSet<usize>,
    /// Attempts in flight, and whether they shall be killed.
    flying: BTreeMap<usize, (u32, bool)>,
    /// Steps that started while the run was stopping.
    cleanup: BTreeSet<usize>,
    /// The end that the last event told.
    last_end: Option<(usize, u32, Ended)>,
    cancelled: bool,
    forced: bool,
    deadline: bool,
    cancel_hit: bool,
    deadline_hit: bool,
    finished: Option<RunOutcome>,
}

impl Watch {
    pub(super) fn new(workflow: Arc<Workflow>, kept: &[Event]) -> Self {
        let steps = workflow.steps.len();
        let mut ancestors = vec![BTreeSet::new(); steps];
        // As many rounds as there are steps is enough for any order in the file.
        for _ in 0..steps {
            let before = ancestors.clone();
            for (step, rules) in workflow.steps.iter().enumerate() {
                for need in rules.needs.iter().map(|need| need.step.0 as usize) {
                    ancestors[step].insert(need);
                    let further = ancestors[need].clone();
                    ancestors[step].extend(further);
                }
            }
            if before == ancestors {
                break;
            }
        }
        let kept = kept.iter().map(|event| match event {
            Event::Kept { step, .. } => step.0 as usize,
            other => panic!("{other:?} is nothing to keep"),
        });
        Self {
            ancestors,
            kept: kept.collect(),
            workflow,
            settled: BTreeMap::new(),
            bad: BTreeSet::new(),
            flying: BTreeMap::new(),
            cleanup: BTreeSet::new(),
            last_end: None,
            cancelled: false,
            forced: false,
            deadline: false,
            cancel_hit: false,
            deadline_hit: false,
            finished: None,
        }
    }

    pub(super) fn finished(&self) -> bool {
        self.finished.is_some()
    }

    /// The plan has accepted this event.
    pub(super) fn event(&mut self, event: &Event) {
        assert!(!self.finished(), "an event after the end");
        self.last_end = None;
        match event {
            Event::Ended { step, attempt, ended } => {
                self.last_end = Some((step.0 as usize, *attempt, ended.clone()));
                let (flying, _) = self.flying.remove(&(step.0 as usize)).unwrap();
                assert_eq!(flying, *attempt);
            }
            Event::CancelRequested { force } => {
                self.cancelled = true;
                self.forced |= force;
            }
            Event::DeadlinePassed => self.deadline |= !self.cancelled,
            Event::Kept { .. } => panic!("kept during the run"),
        }
    }

    /// What followed.
    pub(super) fn effects(&mut self, effects: &[Effect]) {
        for effect in effects {
            assert!(!self.finished(), "{effect:?} after the end");
            match effect {
                Effect::Ready { step, attempt, delay } => {
                    self.check_ready(step.0 as usize, *attempt, delay.is_zero());
                    self.flying.insert(step.0 as usize, (*attempt, false));
                    if self.cancelled || self.deadline {
                        self.cleanup.insert(step.0 as usize);
                    }
                }
                Effect::Kill { step, attempt, because } => {
                    let flying = self.flying.get_mut(&(step.0 as usize)).unwrap();
                    assert_eq!(*flying, (*attempt, false), "a kill of what does not fly or is being killed");
                    flying.1 = true;
                    assert!(self.forced || !self.cleanup.contains(&(step.0 as usize)), "clean-up is killed");
                    self.cancel_hit |= *because == Outcome::Cancelled;
                    self.deadline_hit |= *because == Outcome::TimedOut;
                    assert!(if *because == Outcome::Cancelled { self.cancelled } else { self.deadline });
                }
                Effect::Settled { step, outcome, why } => self.check_settled(step.0 as usize, *outcome, why.as_ref()),
                Effect::Finished { outcome } => self.check_finished(*outcome),
            }
        }
        assert!(self.flying.len() <= self.workflow.max_parallel.unwrap_or(u32::MAX) as usize, "too many in flight");
    }

    /// A step starts, or tries again.
    fn check_ready(&self, step: usize, attempt: u32, at_once: bool) {
        let rules = self.rules(step);
        assert!(!self.settled.contains_key(&step) && !self.flying.contains_key(&step));
        if attempt > 1 {
            let Some((ended, before, end)) = &self.last_end else { panic!("a retry of nothing") };
            assert_eq!((*ended, *before + 1), (step, attempt));
            assert!(attempt <= rules.retry.attempts && !self.cancelled && !self.deadline);
            assert!(matches!(end.outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Leaked));
            return;
        }
        assert!(at_once);
        for ancestor in &self.ancestors[step] {
            assert!(self.settled.contains_key(ancestor), "{step} starts before {ancestor} is over");
        }
        if !rules.condition_names_status {
            assert!(self.culprits(step).is_empty(), "{step} starts after a failure");
            let skipped = |need: usize| self.settled[&need].0 == Outcome::Skipped;
            assert!(!rules.needs.iter().any(|need| need.explicit && skipped(need.step.0 as usize)));
        }
        assert!(self.may_start(step), "{step} starts though the run is stopping");
    }

    /// Whether the state of the run lets a step start.
    fn may_start(&self, step: usize) -> bool {
        let condition = self.rules(step).condition.as_ref();
        let asks = |name| condition.is_some_and(|condition| condition.calls(name));
        match (self.forced, self.cancelled, self.deadline) {
            (true, _, _) => false,
            (_, true, _) => asks("always") || asks("cancelled"),
            (_, _, true) => asks("always") || asks("failure"),
            _ => true,
        }
    }

    /// The steps whose failure taints this one.
    fn culprits(&self, step: usize) -> BTreeSet<usize> {
        self.ancestors[step].intersection(&self.bad).copied().collect()
    }

    fn check_settled(&mut self, step: usize, outcome: Outcome, why: Option<&Why>) {
        let known = self.settled.insert(step, (outcome, why.cloned()));
        assert_eq!(known, None, "{step} settles twice");
        if self.kept.contains(&step) {
            return;
        }
        let rules = self.rules(step);
        for need in &rules.needs {
            assert!(self.settled.contains_key(&(need.step.0 as usize)), "{step} settles before its need");
        }
        let id = |id: &str| self.workflow.step(id).unwrap().0 as usize;
        match why {
            None => {
                let (ended, attempt, end) = self.last_end.clone().unwrap();
                assert_eq!((ended, end.outcome), (step, outcome));
                let stopping = self.cancelled || self.deadline;
                let tries_left = attempt < rules.retry.attempts && rules.retry.wants(outcome, end.exit_code);
                assert!(stopping || !tries_left, "{step} gives up too early");
                let forgiven = match &rules.continue_on_error {
                    ContinueOnError::No => false,
                    ContinueOnError::Yes => outcome != Outcome::Cancelled,
                    ContinueOnError::ExitCodes(codes) => {
                        outcome == Outcome::Failed && end.exit_code.is_some_and(|code| codes.contains(&code))
                    }
                };
                if outcome != Outcome::Succeeded && !forgiven {
                    self.bad.insert(step);
                }
                return;
            }
            Some(Why::ConditionError { .. }) => {
                assert_eq!(outcome, Outcome::Failed);
                self.bad.insert(step);
                return;
            }
            Some(Why::ConditionFalse) => assert!(rules.condition.is_some() && self.may_start(step)),
            Some(Why::NeedFailed { step: culprit }) => {
                assert!(!rules.condition_names_status);
                assert!(self.culprits(step).contains(&id(culprit)), "{culprit} is no culprit of {step}");
            }
            Some(Why::NeedSkipped { step: need }) => {
                let need = id(need);
                assert!(rules.needs.iter().any(|known| known.explicit && known.step.0 as usize == need));
                assert_eq!(self.settled[&need].0, Outcome::Skipped);
                assert!(self.culprits(step).is_empty(), "a failure is the better reason");
            }
            Some(Why::RunCancelled) => {
                assert!(self.cancelled && !self.may_start(step));
                self.cancel_hit = true;
            }
            Some(Why::RunTimedOut) => {
                assert!(self.deadline && !self.cancelled && !self.may_start(step));
                self.deadline_hit = true;
            }
        }
        assert_eq!(outcome, Outcome::Skipped);
    }

    fn check_finished(&mut self, outcome: RunOutcome) {
        assert_eq!(self.settled.len(), self.workflow.steps.len(), "it ends before its steps");
        assert!(self.flying.is_empty());
        let wanted = match (self.cancel_hit, self.deadline_hit, self.bad.is_empty()) {
            (true, _, _) => RunOutcome::Cancelled,
            (_, true, _) => RunOutcome::TimedOut,
            (_, _, false) => RunOutcome::Failed,
            _ => RunOutcome::Succeeded,
        };
        assert_eq!(outcome, wanted);
        self.finished = Some(outcome);
    }

    /// The plan says of itself what it has told, and holds nothing back that could go on.
    pub(super) fn compare(&self, plan: &Plan) {
        assert_eq!(plan.outcome(), self.finished);
        let flying: Vec<_> =
            self.flying.iter().map(|(step, (attempt, _))| (StepIndex(*step as u32), *attempt)).collect();
        assert_eq!(plan.in_flight().collect::<Vec<_>>(), flying);
        let room = self.flying.len() < self.workflow.max_parallel.unwrap_or(u32::MAX) as usize;
        for step in 0..self.workflow.steps.len() {
            match plan.step(StepIndex(step as u32)) {
                StepState::Waiting => {
                    assert!(!self.settled.contains_key(&step) && !self.flying.contains_key(&step));
                    let needs = &self.rules(step).needs;
                    let waits = needs.iter().any(|need| !self.settled.contains_key(&(need.step.0 as usize)));
                    assert!(waits || !room, "{step} could start");
                }
                StepState::InFlight { attempt } => assert_eq!(self.flying[&step].0, attempt),
                StepState::Settled { outcome, why, .. } => assert_eq!(self.settled[&step], (outcome, why)),
            }
        }
    }

    fn rules(&self, step: usize) -> &Step {
        &self.workflow.steps[step]
    }
}
