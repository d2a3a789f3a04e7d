//! The one trait between the engine and what remembers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use staunch_bounded::Census;

use crate::error::StoreError;
use crate::id::{AttemptKey, Incarnation, RevisionId, RunId};
use crate::record::{
    AttemptRow, ClaimRequest, Claims, Commit, Committed, EventRow, IdempotencyKey, Journal, NewRevision, NewRun, Page,
    Renewal, Results, Retention, RunQuery, RunRow, Submitted, Swept, Usage, WorkflowRow,
};

/// A store: each method is one transaction, durable before it returns `Ok`. Any caller may be dropped at any await: a write
/// that was taken in is then done or not done, never half. Times come from the store's own clock.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Remembers a text and makes it the current one of its name. Doing it twice changes nothing.
    async fn publish(&self, revision: NewRevision) -> Result<RevisionId, StoreError>;
    /// The file is gone: no new runs by this name. Whether there was one.
    async fn retire(&self, name: &str) -> Result<bool, StoreError>;
    /// All current workflows, by name.
    async fn workflows(&self) -> Result<Vec<WorkflowRow>, StoreError>;
    /// The text of a revision.
    async fn revision(&self, id: RevisionId) -> Result<Option<Arc<str>>, StoreError>;

    /// A worker begins its life. An embedded store frees what every other worker held (its directory is locked, so they
    /// are dead) and counts a loss for each attempt; returns how many.
    async fn join(&self, worker: Incarnation, ttl: Duration) -> Result<u32, StoreError>;
    /// A worker lives on for another `ttl`.
    async fn renew(&self, worker: Incarnation, ttl: Duration) -> Result<Renewal, StoreError>;
    /// Frees what workers with a lease that ran out held, at most `max` workers; returns how many attempts were freed.
    async fn reap(&self, max: u32) -> Result<u32, StoreError>;
    /// A worker ends: what it still holds is freed without counting a loss.
    async fn leave(&self, worker: Incarnation) -> Result<(), StoreError>;

    /// Accepts a run.
    async fn submit(&self, run: NewRun, key: Option<IdempotencyKey>) -> Result<Submitted, StoreError>;
    /// Claims attempts that are due. Records a `step.started` event for each that is not to be killed, and `run.started`
    /// before a run's first; neither changes the run's version. A worker whose lease ran out gets nothing.
    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError>;
    /// As [`Store::claim`], but only of runs that have begun: what is queued stays so. What is to be killed comes as ever.
    async fn claim_begun(&self, request: ClaimRequest) -> Result<Claims, StoreError>;
    /// What a run's plan is rebuilt from.
    async fn journal(&self, run: RunId) -> Result<Option<Journal>, StoreError>;
    /// Moves a run one step forward.
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError>;

    /// A run.
    async fn run(&self, id: RunId) -> Result<Option<RunRow>, StoreError>;
    /// Runs, newest first.
    async fn runs(&self, query: RunQuery) -> Result<Page<RunRow>, StoreError>;
    /// The attempts of a run, by step and attempt, those in flight included; with their results as `results` says.
    async fn attempts(&self, run: RunId, results: Results) -> Result<Vec<AttemptRow>, StoreError>;
    /// The log of an attempt that was sealed into the database.
    async fn inline_log(&self, attempt: AttemptKey) -> Result<Option<Vec<u8>>, StoreError>;
    /// Events of a run after a number, in order, at most `max`.
    async fn events(&self, run: RunId, after: u64, max: u32) -> Result<Vec<EventRow>, StoreError>;

    /// Removes what retention does not keep, at most `max` runs at once, never one that is not over; and what has expired.
    async fn sweep(&self, retention: &Retention, max: u32) -> Result<Swept, StoreError>;
    /// What it holds.
    async fn usage(&self) -> Result<Usage, StoreError>;
    /// Whether a write would be taken: the writer lives and the disk is above its floor.
    async fn writable(&self) -> Result<(), StoreError>;
    /// Registers what it holds memory on; nothing, unless it says otherwise.
    fn register(&self, _census: &Census) {}
    /// Ends the writer after what was taken in, checkpoints, joins its threads. Later calls fail as closed.
    async fn close(&self);
}
