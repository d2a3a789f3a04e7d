//! Removes what is no longer needed, on a timer whether or not anything runs: files of runs that are over, and what retention does
//! not keep. Courtesy, not correctness: every bound holds without it.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use staunch_bounded::fault_point;
use staunch_store::logs::Recovered;
use staunch_store::{Retention, RunId, StoreError};
use tokio::runtime::Handle;

use crate::fault;
use crate::inner::Inner;

/// Between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(300);

/// The first sweep, soon after the start but not in its way.
const SWEEP_FIRST: Duration = Duration::from_secs(10);

/// Runs that one sweep transaction removes at most: short enough for submissions not to notice.
const RUNS_PER_SWEEP: u32 = 200;

impl Inner {
    /// The task: ends with the token.
    pub(crate) async fn upkeep(self: Arc<Self>) {
        self.recover_logs().await;
        let token = self.tasks.token().clone();
        let mut next = tokio::time::Instant::now() + SWEEP_FIRST;
        loop {
            tokio::select! {
                () = self.over.notified() => self.clear_files().await,
                () = tokio::time::sleep_until(next) => {
                    // A panic has told itself, and must not end what clears up for years to come.
                    match AssertUnwindSafe(self.sweep()).catch_unwind().await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::warn!(%error, "retention could not be applied; trying again"),
                        Err(_) => tracing::error!("retention panicked, which is a bug; trying again"),
                    }
                    next = tokio::time::Instant::now() + SWEEP_EVERY;
                }
                () = token.cancelled() => return,
            }
        }
    }

    /// Removes the files of runs that are over.
    pub(crate) async fn clear_files(&self) {
        let work = Arc::clone(&self.work);
        self.tasks.blocking(move || work.clear()).await;
    }

    /// Removes the files of runs that are not open, workspaces and logs without rows.
    pub(crate) async fn sweep_files(&self, open: &HashSet<RunId>) {
        let (work, open) = (Arc::clone(&self.work), open.clone());
        match self.tasks.blocking(move || work.sweep(&open)).await {
            Some(Ok(0)) | None => {}
            Some(Ok(removed)) => tracing::info!(removed, "removed workspaces that an earlier life left"),
            Some(Err(error)) => tracing::warn!(%error, "the work directory could not be swept"),
        }
    }

    /// Sets the logs in order that an earlier life left. Beside everything else: a reader needs none of it.
    async fn recover_logs(&self) {
        let (logs, store, runtime) = (Arc::clone(&self.logs), Arc::clone(&self.store), Handle::current());
        let recovered = self.tasks.blocking(move || {
            // The logs of a run come one after another.
            fault::failed(fault_point!("upkeep.recover"))?;
            let mut last = None;
            logs.recover(&mut |name| match last {
                Some((run, known)) if run == name.attempt.run => Ok(known),
                _ => {
                    let known = runtime.block_on(store.run(name.attempt.run))?.is_some();
                    last = Some((name.attempt.run, known));
                    Ok(known)
                }
            })
        });
        match recovered.await {
            Some(Ok(done)) if done != Recovered::default() => {
                tracing::info!(?done, "logs of an earlier life set in order")
            }
            Some(Err(error)) => tracing::warn!(%error, "logs of an earlier life could not be set in order"),
            _ => {}
        }
    }

    /// Applies retention until nothing is left to remove.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn sweep(&self) -> Result<(), StoreError> {
        let retention = self.retention();
        loop {
            let swept =
                fault::before(fault_point!("upkeep.sweep"), self.store.sweep(&retention, RUNS_PER_SWEEP)).await?;
            for run in &swept.runs {
                let (logs, run) = (Arc::clone(&self.logs), *run);
                let removed = self
                    .tasks
                    .blocking(move || fault::failed(fault_point!("upkeep.remove")).and_then(|()| logs.remove(run)));
                if let Some(Err(error)) = removed.await {
                    tracing::warn!(%run, %error, "the logs of a removed run could not be removed");
                }
            }
            if !swept.more || self.tasks.token().is_cancelled() {
                return Ok(());
            }
        }
    }

    fn retention(&self) -> Retention {
        let some = |bound: u64| (bound > 0).then_some(bound);
        let limits = &self.limits;
        Retention {
            age_max: some(limits.retention_days.into()).map(|days| Duration::from_secs(days * 86_400)),
            runs_per_workflow_max: some(limits.retention_runs),
            bytes_max: some(limits.retention_bytes),
            runs_per_workflow_min: 1,
        }
    }
}
