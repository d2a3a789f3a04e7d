//! A store under test and the short ways of the cases to speak to it.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use staunch_flow::{Ended, Event, Outcome, RunOutcome, StepIndex};
use staunch_store::{
    AttemptEnd, AttemptRow, ClaimRequest, Claimed, Claims, Commit, Committed, EventRow, HandClock, Incarnation,
    LogPlace, NewAttempt, NewEvent, NewRevision, NewRun, Results, RevisionId, RunId, RunRow, Store, StoreLimits,
};

/// Makes a store with nothing in it.
pub(crate) type Make = fn(StoreLimits) -> Subject;

/// Limits that no case meets by accident.
pub(crate) const LIMITS: StoreLimits = StoreLimits {
    runs_open_max: 10_000,
    writes_queued_max: 1_024,
    writer_cache_kib: 2_048,
    reader_cache_kib: 1_024,
    events_per_run_max: 100_000,
    revision_bytes_max: 1 << 20,
    log_bytes_max: 16 << 20,
    log_inline_bytes_max: 4_096,
    disk_free_bytes_min: 0,
    idempotency_seconds: 86_400,
};

/// How long the cases' workers hold their lease.
pub(crate) const TTL: Duration = Duration::from_secs(30);

/// A store, its clock, and whatever must live as long.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn Store>,
    clock: Arc<HandClock>,
    _keep: Box<dyn Any>,
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// An attempt 1 that may start at once.
pub(crate) fn ready(step: u32) -> NewAttempt {
    NewAttempt { step: StepIndex(step), attempt: 1, delay: Duration::ZERO, claim_for: None }
}

/// An event that tells a number.
pub(crate) fn event(number: u32) -> NewEvent {
    NewEvent { name: "test.told", body: json!({ "number": number }), plan: None }
}

/// The plan's event for the end of an attempt.
pub(crate) fn plan_ended(step: u32, attempt: u32) -> Event {
    let ended = Ended { outcome: Outcome::Succeeded, exit_code: Some(0), outputs: [("k".into(), "v".into())].into() };
    Event::Ended { step: StepIndex(step), attempt, ended }
}

/// A run of `workflow`, whose text must have been published.
pub(crate) fn new_run(workflow: &str, steps: &[u32]) -> NewRun {
    NewRun {
        id: RunId::generate(),
        workflow: workflow.to_owned(),
        revision: RevisionId::of(text(workflow).as_bytes()),
        inputs: [("target".to_owned(), json!("disk"))].into(),
        trigger: "api".to_owned(),
        rerun_of: None,
        ready: steps.iter().map(|step| ready(*step)).collect(),
        events: Vec::new(),
        outcome: None,
    }
}

/// The text that [`Subject::publish`] gives a workflow.
pub(crate) fn text(workflow: &str) -> String {
    format!("name: {workflow}\nsteps: [{{ run: 'true' }}]\n")
}

/// A commit that says nothing yet.
pub(crate) fn step_forward(run: RunId, version: u64) -> Commit {
    Commit { run, version, ended: vec![], ready: vec![], kill: vec![], events: vec![], outcome: None }
}

/// The end of a claimed attempt.
pub(crate) fn end_of(claimed: &Claimed, worker: Incarnation) -> AttemptEnd {
    AttemptEnd {
        key: claimed.key,
        worker,
        epoch: claimed.epoch,
        outcome: claimed.kill.unwrap_or(Outcome::Succeeded),
        result: json!({ "exit_code": 0, "stdout": "hello\n", "stderr": "" }),
        duration: Duration::from_millis(1_234),
        log: LogPlace::Nowhere,
    }
}

impl Subject {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<HandClock>, keep: Box<dyn Any>) -> Self {
        Self { store, clock, _keep: keep }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub(crate) async fn publish(&self, workflow: &str) -> RevisionId {
        let text = Arc::from(text(workflow));
        self.store.publish(NewRevision { name: workflow.to_owned(), text, file: None }).await.unwrap()
    }

    /// Publishes and submits a run with these steps ready.
    pub(crate) async fn submit(&self, workflow: &str, steps: &[u32]) -> RunId {
        self.publish(workflow).await;
        self.store.submit(new_run(workflow, steps), None).await.unwrap().run
    }

    pub(crate) async fn join(&self) -> Incarnation {
        let worker = Incarnation::generate();
        self.store.join(worker, TTL).await.unwrap();
        worker
    }

    pub(crate) async fn claim(&self, worker: Incarnation, slots: u32) -> Claims {
        self.store.claim(ClaimRequest { worker, slots, kills_max: 100 }).await.unwrap()
    }

    /// Claims one attempt, which must be there.
    pub(crate) async fn claim_one(&self, worker: Incarnation) -> Claimed {
        let mut claims = self.claim(worker, 1).await;
        assert_eq!(claims.claimed.len(), 1, "one attempt is there to be claimed");
        claims.claimed.remove(0)
    }

    pub(crate) async fn commit(&self, commit: Commit) -> Committed {
        self.store.commit(commit).await.unwrap()
    }

    /// Commits what must be recorded; its version and last event.
    pub(crate) async fn recorded(&self, commit: Commit) -> (u64, u64, Vec<Claimed>) {
        match self.commit(commit).await {
            Committed::Recorded { version, last_event, claimed } => (version, last_event, claimed),
            other => panic!("not recorded: {other:?}"),
        }
    }

    /// Runs a one-step run to its end; its id.
    pub(crate) async fn run_to_end(&self, worker: Incarnation, workflow: &str, outcome: RunOutcome) -> RunId {
        let run = self.submit(workflow, &[0]).await;
        let claimed = self.claim_one(worker).await;
        assert_eq!(claimed.key.run, run);
        let mut commit = step_forward(run, claimed.version);
        commit.ended = vec![end_of(&claimed, worker)];
        commit.outcome = Some(outcome);
        self.recorded(commit).await;
        run
    }

    pub(crate) async fn row(&self, run: RunId) -> RunRow {
        self.store.run(run).await.unwrap().unwrap()
    }

    pub(crate) async fn events(&self, run: RunId) -> Vec<EventRow> {
        self.store.events(run, 0, 1_000_000).await.unwrap()
    }

    /// The names of a run's events, after checking that they are numbered without holes.
    pub(crate) async fn told(&self, run: RunId) -> Vec<String> {
        let events = self.events(run).await;
        assert!(events.iter().map(|e| e.seq).eq(1..=events.len() as u64), "numbered without holes: {events:?}");
        events.into_iter().map(|e| e.name).collect()
    }

    pub(crate) async fn attempts(&self, run: RunId) -> Vec<AttemptRow> {
        self.store.attempts(run, Results::UpTo { bytes: u64::MAX }).await.unwrap()
    }

    pub(crate) async fn version(&self, run: RunId) -> u64 {
        self.store.journal(run).await.unwrap().unwrap().version
    }
}
