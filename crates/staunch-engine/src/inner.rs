//! What all parts of an engine share.

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use staunch_bounded::{Budget, fault_point};
use staunch_flow::{Budgets, Outcome, RunOutcome};
use staunch_store::{Incarnation, Logs, RunId, Store, StoreError};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};

use crate::catalog::Catalog;
use crate::engine::{CloseCount, EngineStats};
use crate::event::Command;
use crate::fault;
use crate::feed::Feed;
use crate::limits::Limits;
use crate::pressure::Pressure;
use crate::runner::Runner;
use crate::tasks::Tasks;
use crate::workspace::Work;

/// What all parts of an engine share. Nothing in it is changed from more than one place, save counters.
pub(crate) struct Inner {
    pub(crate) limits: Limits,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) feed: Feed,
    pub(crate) tasks: Tasks,
    pub(crate) work: Arc<Work>,
    pub(crate) runner: Arc<Runner>,
    /// Environment of every step, under the workflow's.
    pub(crate) base_env: Vec<(OsString, OsString)>,
    /// Marks every process of a step of this data directory, so that strays can be told from others.
    pub(crate) instance: String,
    pub(crate) lease: Duration,
    /// Pays for what steps said, until it is in their result.
    pub(crate) captures: Arc<Budget>,
    /// Pays for plans.
    pub(crate) plans: Arc<Budget>,
    /// To the loop.
    pub(crate) commands: mpsc::Sender<Command>,
    /// Attempts may be due: the loop should look.
    pub(crate) hint: Notify,
    /// Runs are over whose files can go.
    pub(crate) over: Notify,
    pub(crate) counters: Counters,
    pub(crate) pressure: Pressure,
    worker: Mutex<Incarnation>,
    began: Instant,
}

/// Numbers for metrics. All relaxed: they order nothing.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) attempts_started: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) left_behind: AtomicU64,
    attempts_ended: [AtomicU64; Outcome::ALL.len()],
    runs_ended: [AtomicU64; RunOutcome::ALL.len()],
    steps_active: AtomicU64,
    runs_in_hand: AtomicU64,
    /// Milliseconds from the start to the loop's last turn.
    turned_ms: AtomicU64,
    store_fails: AtomicBool,
}

/// After the grace of what a close still finds running.
const KILL_EXTRA: Duration = Duration::from_secs(2);
/// After drain and grace: for the last commits, and for what takes a moment to see the stop.
const STOP_EXTRA: Duration = Duration::from_secs(20);
/// Files of runs are removed, and the store puts its log into its file, in less; only a disk that hangs takes longer.
const PUT_AWAY_MAX: Duration = Duration::from_secs(60);

/// The parts that [`Inner::new`] puts together.
pub(crate) struct Parts {
    pub(crate) limits: Limits,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) feed: Feed,
    pub(crate) tasks: Tasks,
    pub(crate) work: Arc<Work>,
    pub(crate) runner: Arc<Runner>,
    pub(crate) base_env: Vec<(OsString, OsString)>,
    pub(crate) instance: String,
    pub(crate) lease: Duration,
    pub(crate) captures: Arc<Budget>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) worker: Incarnation,
}

impl Inner {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            limits,
            store,
            logs,
            feed,
            tasks,
            work,
            runner,
            base_env,
            instance,
            lease,
            captures,
            commands,
            worker,
        } = parts;
        Self {
            catalog: Arc::new(Catalog::new(limits.catalog_bytes_max)),
            plans: Budget::root("plans", limits.plans_memory_bytes_max),
            hint: Notify::new(),
            over: Notify::new(),
            counters: Counters::default(),
            pressure: Pressure::default(),
            worker: Mutex::new(worker),
            began: Instant::now(),
            limits,
            store,
            logs,
            feed,
            tasks,
            work,
            runner,
            base_env,
            instance,
            lease,
            captures,
            commands,
        }
    }

    /// What the parser may spend on a workflow.
    pub(crate) fn budgets(&self) -> Budgets {
        budgets(&self.limits)
    }

    pub(crate) fn worker(&self) -> Incarnation {
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_worker(&self, worker: Incarnation) {
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = worker;
    }

    /// The loop has turned.
    pub(crate) fn turned(&self, steps_active: u32, runs: usize) {
        self.counters.steps_active.store(steps_active.into(), Ordering::Relaxed);
        self.counters.runs_in_hand.store(runs as u64, Ordering::Relaxed);
        self.counters.turned_ms.store(self.began.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        self.counters.attempts_ended[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn run_ended(&self, run: RunId, outcome: RunOutcome) {
        self.counters.runs_ended[outcome as usize].fetch_add(1, Ordering::Relaxed);
        self.work.end(run);
        self.over.notify_one();
    }

    /// The store failed. Said once until it works again: it fails at every write.
    pub(crate) fn store_failed(&self, error: &StoreError) {
        if !self.counters.store_fails.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "the store fails: what has happened is kept and tried again");
        }
    }

    pub(crate) fn store_works(&self) {
        if self.counters.store_fails.swap(false, Ordering::Relaxed) {
            tracing::info!("the store works again");
        }
    }

    pub(crate) fn stats(&self) -> EngineStats {
        let Counters { attempts_started, stale, left_behind, .. } = &self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let budget = |budget: &Arc<Budget>| (budget.name(), budget.used(), budget.limit());
        let turned = Duration::from_millis(read(&self.counters.turned_ms));
        EngineStats {
            steps_active: read(&self.counters.steps_active),
            plans: read(&self.counters.runs_in_hand),
            keepers: self.runner.stats().keepers,
            tasks: self.tasks.alive() as u64,
            attempts_started_total: read(attempts_started),
            attempts_ended_total: Outcome::ALL
                .iter()
                .map(|outcome| (outcome.word(), read(&self.counters.attempts_ended[*outcome as usize])))
                .collect(),
            runs_ended_total: RunOutcome::ALL
                .iter()
                .map(|outcome| (outcome.word(), read(&self.counters.runs_ended[*outcome as usize])))
                .collect(),
            stale_total: read(stale),
            left_behind_total: read(left_behind),
            budgets: vec![budget(&self.plans), budget(&self.captures)],
            dispatch_idle: self.began.elapsed().saturating_sub(turned),
        }
    }

    pub(crate) async fn close(&self) -> CloseCount {
        // The loop drains and the others stop; then the runner has nothing left that is wanted.
        self.tasks.close(self.limits.drain() + self.limits.kill_grace() + STOP_EXTRA).await;
        let cleared = timeout(PUT_AWAY_MAX, self.clear_work()).await.is_ok();
        let (runner, bound) = (Arc::clone(&self.runner), self.limits.kill_grace() + KILL_EXTRA);
        let children = self.tasks.blocking(move || runner.close(bound)).await.unwrap_or(1) as u64;
        let left = timeout(PUT_AWAY_MAX, self.leave()).await.is_ok();
        if !(cleared && left) {
            tracing::error!("files or the store could not be put away in {} s: a disk hangs", PUT_AWAY_MAX.as_secs());
        }
        let unclosed = u64::from(!cleared) + u64::from(!left);
        CloseCount {
            tasks: (self.tasks.alive() as u64).max(unclosed),
            children,
            budget_bytes: self.plans.used() + self.captures.used() + Budget::rest_bytes(),
        }
    }

    async fn clear_work(&self) {
        self.clear_files().await;
        let work = Arc::clone(&self.work);
        self.tasks.blocking(move || work.close()).await;
    }

    async fn leave(&self) {
        if let Err(error) = fault::before(fault_point!("engine.leave"), self.store.leave(self.worker())).await {
            tracing::warn!(%error, "the store was not told that this worker left; its attempts will count a loss");
        }
        self.store.close().await;
    }
}

/// What the parser may spend on a workflow, by these limits.
pub(crate) fn budgets(limits: &Limits) -> Budgets {
    Budgets {
        bytes_max: limits.workflow_bytes_max as usize,
        steps_max: limits.steps_per_workflow_max as usize,
        ..Budgets::default()
    }
}
