//! The only place that spawns: every task has a kind, sees one token and is joined at close.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use tokio::task::JoinHandle;
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
    /// Sees a change of accounts through, whether or not the client who asked for it waits.
    Account,
    /// Looks how pressed the process is for memory.
    Pressure,
    /// Removes what has expired of accounts and of rate limits.
    Sweep,
    /// Watches what the process holds.
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
                if kind == Kind::Dispatch {
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
        self.tracker.spawn_blocking(work).await.ok()
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

    /// Tells all to stop and waits for all.
    pub async fn close(&self) {
        self.token.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
