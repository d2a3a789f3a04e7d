//! The only place that spawns.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a task is for: its name in metrics, and what its end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The engine's one loop. Its panic ends the process.
    Dispatch,
    /// Follows the workflows directory.
    Watch,
    /// Removes what retention does not keep.
    Retention,
    /// Accepts connections.
    Listener,
    /// One connection.
    Connection,
    /// Work on a thread that may block.
    Blocking,
}

/// All tasks of a server: each has a kind, all see one token, all are joined at close.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Tasks {
    /// No tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns a task.
    pub fn spawn<F>(&self, _kind: Kind, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(future);
    }

    /// Runs `work` where it may block, and waits for it. `None` if it panicked or the runtime is going down.
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

    /// How many are alive.
    pub fn alive(&self) -> usize {
        self.tracker.len()
    }

    /// Tells all to stop and waits for all.
    pub async fn close(&self) {
        self.token.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
