//! The only place that spawns: every task has a kind, sees one token and is joined at close.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a task is for: its name in metrics, and what its panic means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The engine's one loop. Nothing works without it, so its panic stops the server.
    Dispatch,
    /// Follows the workflows directory.
    Watch,
    /// Removes what is no longer needed: workspaces, and what retention does not keep.
    Upkeep,
    /// Accepts connections.
    Listener,
    /// One connection.
    Connection,
    /// Sees a change of accounts through, or what becomes of a run with its line in the audit log, whether or not the client who asked
    /// for it waits.
    Account,
    /// Looks how pressed the process is for memory. Without it a refusal would last for ever, or never come: its panic stops the server.
    Pressure,
    /// Removes what has expired of accounts and of rate limits.
    Sweep,
    /// Watches what the process holds. Without it the last verdict would stand for ever: its panic stops the server.
    Census,
}

const KINDS: [Kind; 9] = [
    Kind::Dispatch,
    Kind::Watch,
    Kind::Upkeep,
    Kind::Listener,
    Kind::Connection,
    Kind::Account,
    Kind::Pressure,
    Kind::Sweep,
    Kind::Census,
];

impl Kind {
    /// Its word in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Watch => "watch",
            Self::Upkeep => "upkeep",
            Self::Listener => "listener",
            Self::Connection => "connection",
            Self::Account => "account",
            Self::Pressure => "pressure",
            Self::Sweep => "sweep",
            Self::Census => "census",
        }
    }
}

/// All tasks of a server. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    alive: [AtomicU64; KINDS.len()],
    panics: AtomicU64,
}

/// Counts a task of a kind for as long as it lives, however it ends.
struct Alive {
    counts: Arc<Counts>,
    kind: Kind,
}

impl Drop for Alive {
    fn drop(&mut self) {
        // Relaxed: a gauge, it orders nothing.
        self.counts.alive[self.kind as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Tasks {
    /// No tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns a task. The handle yields `None` if it panicked. Dropping the handle does not end the task: the token does.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, kind: Kind, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.counts.alive[kind as usize].fetch_add(1, Ordering::Relaxed);
        let alive = Alive { counts: Arc::clone(&self.counts), kind };
        let token = self.token.clone();
        self.tracker.spawn(async move {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            if outcome.is_err() {
                alive.counts.panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!(kind = kind.word(), "a task panicked: this is a bug");
                if matches!(kind, Kind::Dispatch | Kind::Pressure | Kind::Census) {
                    token.cancel();
                }
            }
            drop(alive);
            outcome.ok()
        })
    }

    /// Runs `work` on a thread that may block, and waits for it. `None` if it panicked or the runtime is going down.
    /// `work` goes on if the caller is dropped.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub async fn blocking<T, F>(&self, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let done = self.tracker.spawn_blocking(work).await;
        if done.as_ref().is_err_and(JoinError::is_panic) {
            self.counts.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!("blocking work panicked: this is a bug");
        }
        done.ok()
    }

    /// Ends when the server stops: every loop of a task waits for this too.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// How many are alive, blocking work included.
    pub fn alive(&self) -> usize {
        self.tracker.len()
    }

    /// How many of each kind are alive.
    pub fn alive_by_kind(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        KINDS.iter().map(|kind| (kind.word(), self.counts.alive[*kind as usize].load(Ordering::Relaxed)))
    }

    /// How many panicked since start.
    pub fn panics(&self) -> u64 {
        self.counts.panics.load(Ordering::Relaxed)
    }

    /// Tells all to stop and waits for all, but not longer than `most`: what has not ended by then is named in the log, goes on,
    /// and is counted as [alive](Self::alive).
    pub async fn close(&self, most: Duration) {
        self.token.cancel();
        self.tracker.close();
        if timeout(most, self.tracker.wait()).await.is_ok() {
            return;
        }
        let left = self.alive_by_kind().filter(|(_, alive)| *alive > 0);
        let left: Vec<String> = left.map(|(kind, alive)| format!("{kind} {alive}")).collect();
        // What is of no kind blocks a thread.
        tracing::error!(
            all = self.alive(),
            kinds = left.join(", "),
            "tasks have not ended at the stop: this is a bug, or a disk that hangs"
        );
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::future::pending;

    use tokio::time::Instant;

    use super::*;

    const MOST: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_is_counted_and_does_not_hold_the_stop() {
        let tasks = Tasks::new();
        let token = tasks.token().clone();
        tasks.spawn(Kind::Upkeep, async move { token.cancelled().await });
        tasks.spawn(Kind::Sweep, pending::<()>());
        let begun = Instant::now();
        tasks.close(MOST).await;
        assert_eq!(begun.elapsed(), MOST);
        assert_eq!(tasks.alive(), 1);
        assert_eq!(tasks.alive_by_kind().filter(|(_, alive)| *alive > 0).collect::<Vec<_>>(), [("sweep", 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_takes_no_longer_than_its_tasks() {
        let tasks = Tasks::new();
        let token = tasks.token().clone();
        tasks.spawn(Kind::Upkeep, async move { token.cancelled().await });
        let begun = Instant::now();
        tasks.close(MOST).await;
        assert_eq!((begun.elapsed(), tasks.alive()), (Duration::ZERO, 0));
    }

    #[tokio::test]
    async fn a_panic_of_what_the_server_goes_by_stops_it_and_another_does_not() {
        for (kind, stops) in [
            (Kind::Dispatch, true),
            (Kind::Pressure, true),
            (Kind::Census, true),
            (Kind::Connection, false),
            (Kind::Sweep, false),
        ] {
            let tasks = Tasks::new();
            assert_eq!(tasks.spawn(kind, async { panic!("on purpose") }).await.unwrap(), None::<()>);
            assert_eq!((tasks.token().is_cancelled(), tasks.panics()), (stops, 1), "{kind:?}");
        }
    }
}
