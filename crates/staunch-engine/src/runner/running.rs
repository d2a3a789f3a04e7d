//! A step that runs, as its owner sees it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use staunch_flow::Outcome;
use tokio::sync::oneshot;

use super::exit::{Exit, How};
use super::inbox::{Inbox, Kill};

/// A step that waits or runs: a future of its [`Exit`]. It goes on whether or not it is polled; dropping it kills the step.
#[must_use = "dropping it kills the step"]
pub struct Running {
    exit: oneshot::Receiver<Exit>,
    handle: KillHandle,
    over: bool,
}

/// Kills a step. Cheap to clone; does nothing once the step is over.
#[derive(Clone)]
pub struct KillHandle {
    id: u64,
    /// 0: nobody asked; 1: TERM was asked for; 2: KILL was. It only grows.
    asked: Arc<AtomicU8>,
    inbox: Arc<Inbox>,
}

impl Running {
    pub(super) fn new(id: u64, exit: oneshot::Receiver<Exit>, inbox: Arc<Inbox>) -> Self {
        Self { exit, handle: KillHandle { id, asked: Arc::default(), inbox }, over: false }
    }

    /// Asks the step to end; its [`Exit::killed`] is then `because`, unless it ended by itself before.
    ///
    /// TERM, grace, KILL; with `force` KILL at once. Asking again does nothing, except that `force` shortens the grace.
    pub fn kill(&self, because: Outcome, force: bool) {
        self.handle.kill(because, force);
    }

    /// Kills this step from elsewhere.
    pub fn handle(&self) -> KillHandle {
        self.handle.clone()
    }
}

impl KillHandle {
    /// As [`Running::kill`].
    pub fn kill(&self, because: Outcome, force: bool) {
        let level = if force { 2 } else { 1 };
        // Relaxed: it only keeps a caller from posting the same wish again and again.
        if self.asked.fetch_max(level, Ordering::Relaxed) < level {
            self.inbox.post(|posted| posted.kills.push(Kill { id: self.id, because, force }));
        }
    }
}

impl Future for Running {
    type Output = Exit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Exit> {
        Pin::new(&mut self.exit).poll(context).map(|exit| {
            self.over = true;
            // The sender is dropped unsent only by a runner that takes nothing more.
            exit.unwrap_or_else(|_| Exit::nothing(stopping(), Some(Outcome::Interrupted)))
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            self.handle.kill(Outcome::Cancelled, false);
        }
    }
}

/// Why a step was not started by a runner that closes.
pub(super) fn stopping() -> How {
    How::NotStarted { message: "the server is stopping".into(), errno: libc::ECANCELED, transient: true }
}
