//! The work that follows from one event: settle, pass it on to those who need it, start what may start.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::outcome::{Outcome, RunOutcome};
use crate::workflow::{ContinueOnError, Step, StepIndex};

use super::{Cancel, Effect, Ended, Plan, Settled, Taint, Track, Why, bytes};

/// One event's work on a plan. A queue instead of recursion: a chain of 5,000 skipped steps needs no stack.
pub(super) struct Turn<'p> {
    plan: &'p mut Plan,
    effects: Vec<Effect>,
    /// Settled steps whose successors do not know yet.
    news: VecDeque<u32>,
}

impl<'p> Turn<'p> {
    pub(super) fn new(plan: &'p mut Plan) -> Self {
        Self { plan, effects: Vec::new(), news: VecDeque::new() }
    }

    /// Remembers what a rerun keeps; [`Turn::begin`] settles it.
    pub(super) fn keep(&mut self, step: u32, outcome: Outcome, outputs: &BTreeMap<String, String>) {
        self.plan.kept.insert(step, (outcome, outputs.clone()));
        self.plan.bytes += bytes::of_outputs(outputs);
    }

    pub(super) fn begin(&mut self) {
        let kept = std::mem::take(&mut self.plan.kept);
        let skipped = |step: u32| kept.get(&step).is_some_and(|(outcome, _)| *outcome == Outcome::Skipped);
        let whys: Vec<Option<Why>> =
            kept.keys().map(|&step| skipped(step).then(|| self.why_kept_skipped(step, skipped))).collect();
        for ((step, (outcome, outputs)), why) in kept.into_iter().zip(whys) {
            self.plan.bytes -= bytes::of_outputs(&outputs);
            let forgiven = is_failure(outcome) && self.step(step).continue_on_error != ContinueOnError::No;
            self.settle(step, End { outcome, forgiven, why, outputs, ..End::default() });
        }
        for step in 0..self.plan.tracks.len() as u32 {
            if matches!(self.plan.tracks[step as usize], Track::Waiting { needs_left: 0 }) {
                self.decide(step);
            }
        }
    }

    /// The event does not say why a kept step was skipped; only what was skipped benignly is worth keeping.
    fn why_kept_skipped(&self, step: u32, skipped: impl Fn(u32) -> bool) -> Why {
        match self.step(step).needs.iter().find(|need| need.explicit && skipped(need.step.0)) {
            Some(need) => Why::NeedSkipped { step: self.step(need.step.0).id.clone() },
            None => Why::ConditionFalse,
        }
    }

    pub(super) fn ended(&mut self, step: u32, attempt: u32, ended: &Ended) {
        let Ended { outcome, exit_code, ref outputs } = *ended;
        let rules = self.step(step);
        if !self.plan.stopping() && attempt < rules.retry.attempts && rules.retry.wants(outcome, exit_code) {
            let delay = rules.retry.backoff.after(attempt, draw(self.plan.seed, step, attempt));
            self.plan.tracks[step as usize] = Track::InFlight { attempt: attempt + 1, killed: false, cleanup: false };
            self.effects.push(Effect::Ready { step: StepIndex(step), attempt: attempt + 1, delay });
            return;
        }
        let forgiven = match &rules.continue_on_error {
            ContinueOnError::No => false,
            ContinueOnError::Yes => is_failure(outcome),
            ContinueOnError::ExitCodes(codes) => {
                outcome == Outcome::Failed && exit_code.is_some_and(|code| codes.contains(&code))
            }
        };
        let end = End { outcome, forgiven, attempts: attempt, why: None, exit_code, outputs: outputs.clone() };
        self.settle(step, end);
    }

    pub(super) fn cancel(&mut self, force: bool) {
        let wish = if force { Cancel::Forced } else { Cancel::Gentle };
        if self.plan.cancel >= wish {
            return;
        }
        self.plan.cancel = wish;
        self.plan.cancel_hit |= self.stop(Outcome::Cancelled, force);
    }

    pub(super) fn deadline(&mut self) {
        if self.plan.stopping() {
            return;
        }
        self.plan.deadline = true;
        // It cannot miss: while a run is not stopping, something is in flight.
        self.stop(Outcome::TimedOut, false);
    }

    /// Kills what is in flight, except clean-up steps unless `force`; whether that hit anything.
    ///
    /// What waits for a need is skipped no sooner than its needs are settled: else a clean-up step at the end of a list
    /// would start while the step at its head is still being killed.
    fn stop(&mut self, because: Outcome, force: bool) -> bool {
        let before = self.effects.len();
        for step in 0..self.plan.tracks.len() as u32 {
            if let Track::InFlight { attempt, killed: false, cleanup } = self.plan.tracks[step as usize]
                && (force || !cleanup)
            {
                self.plan.tracks[step as usize] = Track::InFlight { attempt, killed: true, cleanup };
                self.effects.push(Effect::Kill { step: StepIndex(step), attempt, because });
            }
        }
        let hit = self.effects.len() > before;
        // What was about to start was decided before the run's status changed.
        for step in std::mem::take(&mut self.plan.held) {
            self.decide(step);
        }
        hit
    }

    /// Why a step does not start any more since a cancel or the deadline, unless its `if` makes it a clean-up step.
    fn stopped(&self, step: u32) -> Option<Why> {
        let condition = &self.step(step).condition;
        let asks_for = |function| condition.as_ref().is_some_and(|condition| condition.calls(function));
        match self.plan.cancel {
            Cancel::Forced => Some(Why::RunCancelled),
            Cancel::Gentle => (!asks_for("always") && !asks_for("cancelled")).then_some(Why::RunCancelled),
            Cancel::No if self.plan.deadline => {
                (!asks_for("always") && !asks_for("failure")).then_some(Why::RunTimedOut)
            }
            Cancel::No => None,
        }
    }

    /// All needs of a waiting step are settled: it is skipped, fails by its condition, or may start.
    fn decide(&mut self, step: u32) {
        let skip = |why| End { outcome: Outcome::Skipped, why: Some(why), ..End::default() };
        if let Some(why) = self.stopped(step) {
            return self.settle(step, skip(why));
        }
        let rules = self.step(step);
        if !rules.condition_names_status {
            if let Some(taint) = self.plan.taint_of_needs(step) {
                let culprit = self.step(taint.culprit).id.clone();
                return self.settle(step, skip(Why::NeedFailed { step: culprit }));
            }
            let skipped = |need: u32| self.plan.settled(need).is_some_and(Settled::skipped_benignly);
            if let Some(need) = rules.needs.iter().find(|need| need.explicit && skipped(need.step.0)) {
                let need = self.step(need.step.0).id.clone();
                return self.settle(step, skip(Why::NeedSkipped { step: need }));
            }
        }
        match self.plan.condition(step) {
            Ok(true) => {
                self.plan.held.insert(step);
            }
            Ok(false) => self.settle(step, skip(Why::ConditionFalse)),
            Err(error) => {
                let why = Some(Why::ConditionError { message: error.to_string() });
                self.settle(step, End { outcome: Outcome::Failed, why, ..End::default() });
            }
        }
    }

    /// Ends a step for good.
    fn settle(&mut self, step: u32, end: End) {
        let End { outcome, forgiven, attempts, why, exit_code, outputs } = end;
        let plan = &mut *self.plan;
        let bad = is_bad(outcome) && !forgiven;
        let (cancelled, out_of_time) = (why == Some(Why::RunCancelled), why == Some(Why::RunTimedOut));
        let inherited = plan.taint_of_needs(step);
        let taint = if bad || cancelled || out_of_time {
            let failure = is_failure(outcome) || inherited.is_some_and(|taint| taint.failure);
            Some(Taint { culprit: step, failure })
        } else {
            inherited
        };
        plan.failed |= bad;
        plan.cancel_hit |= cancelled;
        plan.unsettled -= 1;
        if matches!(plan.tracks[step as usize], Track::InFlight { .. }) {
            plan.in_flight -= 1;
        }
        plan.bytes += bytes::of_outputs(&outputs) + why.as_ref().map_or(0, bytes::of_why);
        self.effects.push(Effect::Settled { step: StepIndex(step), outcome, why: why.clone() });
        let settled = Settled { outcome, forgiven, attempts, why, exit_code, outputs, taint };
        plan.tracks[step as usize] = Track::Settled(settled.into());
        self.news.push_back(step);
    }

    /// Passes on the news, starts what may start, and ends the run when all is settled.
    pub(super) fn finish(mut self) -> Vec<Effect> {
        while let Some(settled) = self.news.pop_front() {
            let graph = Arc::clone(&self.plan.graph);
            for &step in graph.successors(settled) {
                if let Track::Waiting { needs_left } = &mut self.plan.tracks[step as usize] {
                    *needs_left -= 1;
                    if *needs_left == 0 {
                        self.decide(step);
                    }
                }
            }
        }
        let plan = self.plan;
        let cleanup = plan.stopping();
        let room = plan.workflow.max_parallel.map_or(u32::MAX, |max| max.max(1));
        while plan.in_flight < room
            && let Some(step) = plan.held.pop_first()
        {
            plan.in_flight += 1;
            plan.tracks[step as usize] = Track::InFlight { attempt: 1, killed: false, cleanup };
            self.effects.push(Effect::Ready { step: StepIndex(step), attempt: 1, delay: Duration::ZERO });
        }
        if plan.begun && plan.unsettled == 0 {
            let outcome = match (plan.cancel_hit, plan.deadline, plan.failed) {
                (true, _, _) => RunOutcome::Cancelled,
                (_, true, _) => RunOutcome::TimedOut,
                (_, _, true) => RunOutcome::Failed,
                _ => RunOutcome::Succeeded,
            };
            plan.outcome = Some(outcome);
            self.effects.push(Effect::Finished { outcome });
        }
        self.effects
    }

    fn step(&self, step: u32) -> &Step {
        &self.plan.workflow.steps[step as usize]
    }
}

/// The end of a step, before its forgiveness and taint are known to others.
struct End {
    outcome: Outcome,
    forgiven: bool,
    attempts: u32,
    why: Option<Why>,
    exit_code: Option<i32>,
    outputs: BTreeMap<String, String>,
}

impl Default for End {
    fn default() -> Self {
        Self {
            outcome: Outcome::Skipped,
            forgiven: false,
            attempts: 0,
            why: None,
            exit_code: None,
            outputs: BTreeMap::new(),
        }
    }
}

impl Plan {
    /// What a step inherits from its settled needs: the first culprit, and whether any of them knows of a failure.
    pub(super) fn taint_of_needs(&self, step: u32) -> Option<Taint> {
        let needs = &self.workflow.steps[step as usize].needs;
        needs
            .iter()
            .filter_map(|need| self.settled(need.step.0)?.taint)
            .reduce(|first, next| Taint { culprit: first.culprit, failure: first.failure || next.failure })
    }
}

/// Ended by a fault of its own.
fn is_failure(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failed | Outcome::TimedOut | Outcome::Leaked | Outcome::Interrupted)
}

/// Not what those who need it hoped for.
fn is_bad(outcome: Outcome) -> bool {
    is_failure(outcome) || outcome == Outcome::Cancelled
}

/// A number drawn from the run's seed for one attempt: SplitMix64 (Steele, Lea, Flood 2014) over the three.
fn draw(seed: u64, step: u32, attempt: u32) -> u64 {
    let mut z = seed ^ (u64::from(step) << 32 | u64::from(attempt)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
