//! [`Store`] for [`Sqlite`]: which operation goes to the writer and which to a reader.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use staunch_bounded::Census;

use super::claim::Which;
use super::{Sqlite, claim, commit, locked, query, submit, sweep, worker, workflow};
use crate::error::StoreError;
use crate::id::{AttemptKey, Incarnation, RevisionId, RunId};
use crate::record::{
    AttemptRow, ClaimRequest, Claims, Commit, Committed, EventRow, IdempotencyKey, Journal, NewRevision, NewRun, Page,
    Renewal, Results, Retention, RunQuery, RunRow, Submitted, Swept, Usage, WorkflowRow,
};
use crate::store::Store;

#[async_trait]
impl Store for Sqlite {
    async fn publish(&self, revision: NewRevision) -> Result<RevisionId, StoreError> {
        // Hashed here and not on the writer, which has others to serve.
        let id = RevisionId::of(revision.text.as_bytes());
        self.write(move |turn| workflow::publish(turn, &revision, id)).await
    }

    async fn retire(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(move |turn| workflow::retire(turn, &name)).await
    }

    async fn workflows(&self) -> Result<Vec<WorkflowRow>, StoreError> {
        self.read(workflow::workflows).await
    }

    async fn revision(&self, id: RevisionId) -> Result<Option<Arc<str>>, StoreError> {
        self.read(move |connection| workflow::revision(connection, id)).await
    }

    async fn join(&self, worker: Incarnation, ttl: Duration) -> Result<u32, StoreError> {
        self.write(move |turn| worker::join(turn, worker, ttl)).await
    }

    async fn renew(&self, worker: Incarnation, ttl: Duration) -> Result<Renewal, StoreError> {
        self.write(move |turn| worker::renew(turn, worker, ttl)).await
    }

    async fn reap(&self, max: u32) -> Result<u32, StoreError> {
        self.write(move |turn| worker::reap(turn, max)).await
    }

    async fn leave(&self, worker: Incarnation) -> Result<(), StoreError> {
        self.write(move |turn| worker::leave(turn, worker)).await
    }

    async fn submit(&self, run: NewRun, key: Option<IdempotencyKey>) -> Result<Submitted, StoreError> {
        self.write(move |turn| submit::submit(turn, run, key)).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claims, StoreError> {
        self.write(move |turn| claim::claim(turn, request, Which::Any)).await
    }

    async fn claim_begun(&self, request: ClaimRequest) -> Result<Claims, StoreError> {
        self.write(move |turn| claim::claim(turn, request, Which::Begun)).await
    }

    async fn journal(&self, run: RunId) -> Result<Option<Journal>, StoreError> {
        self.read(move |connection| query::journal(connection, run)).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.write(move |turn| commit::commit(turn, &commit)).await
    }

    async fn run(&self, id: RunId) -> Result<Option<RunRow>, StoreError> {
        self.read(move |connection| query::run(connection, id)).await
    }

    async fn runs(&self, query: RunQuery) -> Result<Page<RunRow>, StoreError> {
        self.read(move |connection| query::runs(connection, &query)).await
    }

    async fn attempts(&self, run: RunId, results: Results) -> Result<Vec<AttemptRow>, StoreError> {
        self.read(move |connection| query::attempts(connection, run, results)).await
    }

    async fn inline_log(&self, attempt: AttemptKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |connection| query::inline_log(connection, attempt)).await
    }

    async fn events(&self, run: RunId, after: u64, max: u32) -> Result<Vec<EventRow>, StoreError> {
        self.read(move |connection| query::events(connection, run, after, max)).await
    }

    async fn sweep(&self, retention: &Retention, max: u32) -> Result<Swept, StoreError> {
        let retention = retention.clone();
        self.write(move |turn| sweep::sweep(turn, &retention, max)).await
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        let mut usage = self.read(query::usage).await?;
        let counts = &self.ground.counts;
        usage.wal_bytes = std::fs::metadata(self.ground.directory.wal()).map_or(0, |wal| wal.len());
        // Relaxed: see `Counts`.
        usage.stale_total = counts.stale.load(Ordering::Relaxed);
        usage.commits_total = counts.commits.load(Ordering::Relaxed);
        usage.operations_total = counts.operations.load(Ordering::Relaxed);
        Ok(usage)
    }

    async fn writable(&self) -> Result<(), StoreError> {
        let writer_ended = locked(&self.threads).as_ref().is_none_or(|threads| threads.writer.is_finished());
        if writer_ended {
            return Err(StoreError::Closed);
        }
        self.ground.directory.is_there()?;
        self.ground.directory.above_floor()
    }

    fn register(&self, census: &Census) {
        census.register(&self.ground.heap);
    }

    async fn close(&self) {
        self.end().await;
    }
}
