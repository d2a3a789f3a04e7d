//! Commits: what has happened to a run goes to the store in one piece, and only then does anything follow from it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use staunch_bounded::fault_point;
use staunch_flow::{Event as PlanEvent, RunOutcome};
use staunch_store::{Claimed, Commit, Committed, NewEvent, RunId, StoreError};

use super::{Dispatch, GATHER, Held, STORE_RETRY, stop_all};
use crate::active::Change;
use crate::event::Event;
use crate::fault;

/// The event that cuts all grace.
const FORCED: PlanEvent = PlanEvent::CancelRequested { force: true };

impl Dispatch {
    pub(super) fn change(&mut self, run: RunId, change: Change) {
        match self.runs.get_mut(&run) {
            Some(Held::Active(active)) => {
                active.push(change);
                self.flush(run);
            }
            Some(Held::Loading { changes, .. }) => changes.push(change),
            None => {
                self.runs.insert(run, Held::Loading { claims: Vec::new(), changes: vec![change] });
                self.load(run, Duration::ZERO);
            }
        }
    }

    /// [`Self::flush`], after a moment if more attempts of the run are likely to end meanwhile.
    pub(super) fn flush_soon(&mut self, run: RunId) {
        let Some(Held::Active(active)) = self.runs.get_mut(&run) else { return };
        if !active.wants_commit() || !active.is_crowded() {
            return self.flush(run);
        }
        if !std::mem::replace(&mut active.gathering, true) {
            self.set_going(async move {
                tokio::time::sleep(GATHER).await;
                Event::Gathered { run }
            });
        }
    }

    /// Commits what has happened to a run, unless a commit of it is under way; lets it go if there is nothing left to do here.
    pub(super) fn flush(&mut self, run: RunId) {
        let free = if self.draining { 0 } else { self.free() };
        let Some(Held::Active(active)) = self.runs.get_mut(&run) else { return };
        if active.wants_commit() {
            let mut slots = free;
            if let Some(commit) = active.next_commit(self.worker, &mut slots) {
                let reserved = free - slots;
                self.reserved += reserved;
                self.commit(commit, reserved, Duration::ZERO);
                return;
            }
        }
        if active.is_idle() {
            self.let_go(run);
        }
    }

    pub(super) fn commit(&self, commit: Commit, reserved: u32, after: Duration) {
        let inner = Arc::clone(&self.inner);
        self.set_going(async move {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            let answer = fault::before(fault_point!("engine.commit"), inner.store.commit(commit.clone())).await;
            let answer = fault::after(answer, || fault_point!("engine.commit_answer"));
            Event::Committed { commit: Box::new(commit), reserved, answer }
        });
    }

    pub(super) fn on_committed(&mut self, commit: Box<Commit>, reserved: u32, answer: Result<Committed, StoreError>) {
        let run = commit.run;
        match answer {
            Ok(Committed::Recorded { version, claimed, .. }) => {
                self.inner.store_works();
                self.reserved -= reserved;
                self.recorded(&commit, version, claimed);
            }
            Ok(Committed::Stale { attempt }) => {
                self.reserved -= reserved;
                self.inner.counters.stale.fetch_add(1, Ordering::Relaxed);
                tracing::info!(%run, step = attempt.step.0, "a result came too late: the attempt is no longer ours");
                self.load(run, Duration::ZERO);
            }
            Ok(Committed::Conflict) => {
                self.reserved -= reserved;
                self.load(run, Duration::ZERO);
            }
            Err(StoreError::Full { what, limit, .. }) => {
                self.reserved -= reserved;
                self.overflow(*commit, &format!("{what} is full ({limit} at most)"));
            }
            Err(error) => {
                self.inner.store_failed(&error);
                if self.abandoning || matches!(error, StoreError::Closed) {
                    // It stays claimed in the store, and goes back to the queue when this worker leaves.
                    self.reserved -= reserved;
                    self.let_go(run);
                } else {
                    self.commit(*commit, reserved, STORE_RETRY);
                }
            }
        }
    }

    /// A run that has more to tell than the store keeps of one: it fails. An outcome is always taken, and ends what is in flight.
    fn overflow(&mut self, commit: Commit, why: &str) {
        let run = commit.run;
        tracing::warn!(%run, why, "a run is failed: it does not fit its bounds");
        if let Some(held) = self.runs.get(&run) {
            stop_all(held);
        }
        let ended =
            NewEvent { name: "run.ended", body: json!({ "outcome": RunOutcome::Failed, "error": why }), plan: None };
        let commit = Commit {
            ready: Vec::new(),
            kill: Vec::new(),
            events: vec![ended],
            outcome: Some(RunOutcome::Failed),
            ..commit
        };
        self.commit(commit, 0, Duration::ZERO);
    }

    pub(super) fn recorded(&mut self, commit: &Commit, version: u64, claimed: Vec<Claimed>) {
        let run = commit.run;
        self.kills_due |= !commit.kill.is_empty();
        self.hungry |= commit.ready.len() > claimed.len();
        let forced = commit.events.iter().any(|event| event.plan == Some(FORCED));
        if let Some(Held::Active(active)) = self.runs.get_mut(&run) {
            active.recorded(version);
            for (place, because) in &active.doomed {
                let Some(hand) = active.attempts.get(place) else { continue };
                // A forced cancel cuts the grace of those that were told to stop before.
                if forced || hand.stop.borrow().is_none() {
                    hand.stop.send_replace(Some((*because, forced)));
                }
            }
        }
        for claimed in claimed {
            self.start(claimed);
        }
        if let Some(outcome) = commit.outcome {
            if let Some(Held::Active(active)) = self.runs.get_mut(&run) {
                active.refuse_rest(outcome);
            }
            self.inner.run_ended(run, outcome);
            self.deadlines.remove(run);
            self.let_go(run);
        } else {
            self.flush_soon(run);
        }
        self.inner.feed.wake(run);
    }
}
