//! Plans: brought into memory when a run's turn comes, let go when there is nothing left to do.

use std::sync::Arc;
use std::time::Duration;

use staunch_flow::{Outcome, Plan, StepState};
use staunch_store::{Claimed, Commit, NewEvent, RunId, Timestamp};
use tokio::time::Instant;

use super::{Dispatch, GATHER, Held, STORE_RETRY};
use crate::active::{Active, Change, Stopping};
use crate::engine::CancelError;
use crate::event::Event;
use crate::load::{LoadError, Loaded, since};

impl Dispatch {
    pub(super) fn load(&self, run: RunId, after: Duration) {
        let inner = Arc::clone(&self.inner);
        self.set_going(async move {
            if !after.is_zero() {
                tokio::time::sleep(after).await;
            }
            Event::Loaded { run, loaded: inner.load(run).await.map(Box::new) }
        });
    }

    pub(super) fn on_loaded(&mut self, run: RunId, loaded: Result<Box<Loaded>, LoadError>) {
        match loaded {
            Ok(loaded) => match self.runs.get(&run) {
                Some(Held::Active(_)) => self.rebase(run, *loaded),
                Some(Held::Loading { .. }) => self.activate(loaded),
                None => {}
            },
            Err(LoadError::Store(error)) => {
                self.inner.store_failed(&error);
                if self.draining {
                    self.let_go(run);
                } else {
                    self.load(run, STORE_RETRY);
                }
            }
            Err(error @ (LoadError::UnknownRun(_) | LoadError::Broken(_))) => self.give_up_on(run, &error),
        }
    }

    /// A run whose plan cannot be rebuilt: its attempts in hand fail, and with them the run.
    pub(super) fn give_up_on(&mut self, run: RunId, error: &LoadError) {
        tracing::error!(%run, %error, "a run cannot go on");
        let Some(Held::Loading { claims, changes }) = self.runs.remove(&run) else { return };
        for change in changes {
            if let Change::Cancel { reply, .. } = change {
                drop(reply.send(Err(CancelError::UnknownRun(run))));
            }
        }
        let Some(first) = claims.first() else { return };
        let commit = Commit {
            run,
            version: first.version,
            ended: claims.iter().map(|claimed| self.not_run(claimed, Outcome::Failed, &error.to_string())).collect(),
            ready: Vec::new(),
            kill: Vec::new(),
            events: vec![NewEvent {
                name: "run.ended",
                body: serde_json::json!({ "outcome": "failed", "error": error.to_string() }),
                plan: None,
            }],
            outcome: Some(staunch_flow::RunOutcome::Failed),
        };
        self.commit(commit, 0, Duration::ZERO);
    }

    pub(super) fn activate(&mut self, loaded: Box<Loaded>) {
        let run = loaded.head.id;
        if let Some(outcome) = loaded.outcome {
            if let Some(Held::Loading { changes, .. }) = self.runs.remove(&run) {
                for change in changes {
                    if let Change::Cancel { reply, .. } = change {
                        drop(reply.send(Err(CancelError::Over(outcome))));
                    }
                }
            }
            return;
        }
        let alone = !self.runs.values().any(|held| matches!(held, Held::Active(_)));
        let budget = &self.inner.plans;
        let bytes = loaded.plan.bytes() as u64;
        // A run that is alone gets what there is: a plan larger than the whole budget must not wait for ever.
        let bytes = if alone { bytes.min(budget.limit() - budget.used()) } else { bytes };
        let charge = match budget.try_reserve(bytes) {
            Ok(charge) => charge,
            Err(refused) => {
                if self.starved.is_empty() {
                    tracing::warn!(%run, %refused, "plans find no room in memory: their runs wait for others");
                }
                self.starved.push_back(loaded);
                return;
            }
        };
        let Some(Held::Loading { claims, changes }) = self.runs.remove(&run) else { return };
        let Loaded { head, plan, version, started_at, stopping, .. } = *loaded;
        if stopping == Stopping::No {
            self.watch_deadline(run, &plan, started_at);
        }
        let mut active = Active::new(head, plan, version, charge);
        active.stopping = stopping;
        for change in changes {
            active.push(change);
        }
        self.runs.insert(run, Held::Active(Box::new(active)));
        for claimed in claims {
            self.start(claimed);
        }
        self.flush(run);
    }

    pub(super) fn watch_deadline(&mut self, run: RunId, plan: &Plan, started_at: Option<Timestamp>) {
        if let Some(timeout) = plan.workflow().timeout {
            let spent = started_at.map_or(Duration::ZERO, since);
            self.deadlines.set(run, Instant::now() + timeout.saturating_sub(spent));
        }
    }

    /// The store's view of a run differs from ours: its view holds.
    pub(super) fn rebase(&mut self, run: RunId, loaded: Loaded) {
        let Some(Held::Active(active)) = self.runs.get_mut(&run) else { return };
        let over = loaded.outcome;
        if over.is_none() && !self.draining && active.has_strangers(&loaded) {
            if self.claiming {
                // They may be in an answer that is on its way.
                return self.load(run, GATHER);
            }
            tracing::error!(%run, "attempts were claimed and the answer was lost: this worker joins again");
            return self.start_over();
        }
        for lost in active.rebase(loaded) {
            lost.stop.send_replace(Some((Outcome::Interrupted, true)));
        }
        if let Some(outcome) = over {
            active.refuse_rest(outcome);
            return self.let_go(run);
        }
        let startable = |claimed: &Claimed, plan: &Plan| {
            plan.step(claimed.key.step) == StepState::InFlight { attempt: claimed.key.attempt }
        };
        let (ready, odd) = std::mem::take(&mut active.parked)
            .into_iter()
            .partition::<Vec<_>, _>(|claimed| startable(claimed, &active.plan));
        for claimed in odd {
            tracing::error!(%run, step = claimed.key.step.0, "an attempt was handed out that its plan does not know: this is a bug");
        }
        for claimed in ready {
            self.start(claimed);
        }
        self.flush(run);
    }

    /// A plan that waits for room while no other is here would wait for ever: nobody lets go of anything.
    pub(super) fn feed_starved(&mut self) {
        if !self.starved.is_empty()
            && !self.runs.values().any(|held| matches!(held, Held::Active(_)))
            && let Some(loaded) = self.starved.pop_front()
        {
            self.activate(loaded);
        }
    }

    pub(super) fn let_go(&mut self, run: RunId) {
        self.runs.remove(&run);
        if let Some(loaded) = self.starved.pop_front() {
            self.activate(loaded);
        }
    }
}
