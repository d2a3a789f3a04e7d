//! Attempts: started, or ended at once where there is a reason not to; taken back when they are over.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use staunch_flow::{OnLost, Outcome, Plan, StepState};
use staunch_store::{AttemptEnd, Claimed, LogPlace, RunId};
use tokio::sync::watch;

use super::{Dispatch, Held};
use crate::active::{Active, Change, InHand, Place, Stopping};
use crate::attempt::{Attempt, Done, no_result};
use crate::event::Event;

impl Dispatch {
    /// Starts an attempt of a run whose plan is here, or ends it at once if there is a reason not to.
    pub(super) fn start(&mut self, claimed: Claimed) {
        let run = claimed.key.run;
        let place = (claimed.key.step, claimed.key.attempt);
        if self.draining {
            // It goes back to the queue without a loss when this worker leaves.
            return;
        }
        let Some(Held::Active(active)) = self.runs.get_mut(&run) else { return self.take(claimed) };
        let doomed = claimed.kill.or_else(|| active.doomed.get(&place).copied());
        let workflow = active.plan.workflow();
        let lost =
            claimed.losses >= self.inner.limits.losses_max || claimed.losses > 0 && workflow.on_lost == OnLost::Fail;
        let ended = if let Some(outcome) = doomed {
            Some((outcome, "it was stopped before it started".to_owned()))
        } else if lost {
            let times = claimed.losses;
            Some((Outcome::Interrupted, format!("its worker was lost {times} time(s) and it is not run again")))
        } else if active.plan.step(place.0) != (StepState::InFlight { attempt: place.1 }) {
            // Somebody else moved the run on: the store's view decides.
            active.parked.push(claimed);
            self.load(run, Duration::ZERO);
            return;
        } else {
            None
        };
        let launch = match ended {
            Some((outcome, why)) => return self.end_unstarted(&claimed, outcome, &why),
            None => active.plan.launch(place.0),
        };
        let mut launch = match launch {
            Ok(launch) => launch,
            Err(error) => {
                let why = format!("`{}`: {}", error.expression, error.message);
                return self.end_unstarted(&claimed, Outcome::Failed, &why);
            }
        };
        if active.stopping != Stopping::No && launch.timeout.is_none() {
            launch.timeout = Some(Duration::from_secs(self.inner.limits.cleanup_seconds.into()));
        }
        let (stop, stopped) = watch::channel(None);
        active.attempts.insert(place, InHand { epoch: claimed.epoch, began: active.ends, stop });
        let attempt = Attempt {
            worker: self.worker,
            step: workflow_step(&active.plan, place).to_owned(),
            launch,
            left_behind: active.plan.workflow().left_behind,
            stop: stopped,
            claimed,
        };
        self.in_hand += 1;
        self.inner.counters.attempts_started.fetch_add(1, Ordering::Relaxed);
        // Not a task of its own: it mostly waits, and each hand-over between threads costs a chain of short steps dearly.
        let attempt = AssertUnwindSafe(attempt.perform(Arc::clone(&self.inner))).catch_unwind();
        self.set_going(async move {
            let done = attempt.await.ok().map(Box::new);
            Event::Attempted { run, place, done }
        });
    }

    pub(super) fn end_unstarted(&mut self, claimed: &Claimed, outcome: Outcome, why: &str) {
        let end = self.not_run(claimed, outcome, why);
        let run = claimed.key.run;
        self.inner.ended(outcome);
        if let Some(Held::Active(active)) = self.runs.get_mut(&run) {
            active.push(Change::Ended { end, outputs: Default::default(), paid: Vec::new() });
        }
        self.flush(run);
    }

    pub(super) fn not_run(&self, claimed: &Claimed, outcome: Outcome, why: &str) -> AttemptEnd {
        AttemptEnd {
            key: claimed.key,
            worker: self.worker,
            epoch: claimed.epoch,
            outcome,
            result: no_result(why),
            duration: Duration::ZERO,
            log: LogPlace::Nowhere,
        }
    }

    pub(super) fn on_attempted(&mut self, run: RunId, place: Place, done: Option<Box<Done>>) {
        self.in_hand -= 1;
        self.hungry = true;
        let Some(Held::Active(active)) = self.runs.get_mut(&run) else { return };
        let Some(hand) = active.let_go(place) else { return };
        let Some(done) = done else {
            // It panicked, which is our bug and not the step's: its processes died with its handle.
            let end = AttemptEnd {
                key: active.key(place),
                worker: self.worker,
                epoch: hand.epoch,
                outcome: Outcome::Failed,
                result: no_result("staunch failed to run it: see the server's log"),
                duration: Duration::ZERO,
                log: LogPlace::Nowhere,
            };
            active.push(Change::Ended { end, outputs: Default::default(), paid: Vec::new() });
            return self.flush(run);
        };
        // A runner that is no more interrupts everything: that is no outcome of a step either.
        if done.stopped && (self.abandoning || done.end.outcome == Outcome::Interrupted) {
            if active.is_idle() {
                self.let_go(run);
            }
            return;
        }
        if done.left_behind {
            self.inner.counters.left_behind.fetch_add(1, Ordering::Relaxed);
        }
        let done = within_run_bound(*done, active, self.inner.limits.outputs_per_run_bytes_max);
        self.inner.ended(done.end.outcome);
        active.push(Change::Ended { end: done.end, outputs: done.outputs, paid: done.paid });
        self.flush_soon(run);
    }
}

fn workflow_step(plan: &Plan, place: Place) -> &str {
    &plan.workflow().steps[place.0.0 as usize].id
}

/// A step whose outputs are more than the run may still hold has failed: its plan stays within its bound.
fn within_run_bound(mut done: Done, active: &mut Active, bytes_max: u64) -> Done {
    let bytes: usize = done.outputs.iter().map(|(key, value)| key.len() + value.len()).sum();
    if active.outputs_bytes + bytes as u64 <= bytes_max {
        active.outputs_bytes += bytes as u64;
        return done;
    }
    let why = format!("the outputs of this run's steps are over {bytes_max} bytes (outputs_per_run_bytes_max)");
    done.outputs.clear();
    if done.end.outcome == Outcome::Succeeded {
        done.end.outcome = Outcome::Failed;
    }
    if let Some(result) = done.end.result.as_object_mut() {
        result.insert("outputs".to_owned(), serde_json::json!({}));
        result.insert("error".to_owned(), why.into());
    }
    done
}
