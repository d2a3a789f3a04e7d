//! What others want of the runner's thread.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, mem};

use rustix::event::EventfdFlags;
use serde::Serialize;
use staunch_bounded::fault_point;
use staunch_flow::Outcome;
use tokio::sync::oneshot;

use super::exit::Exit;
use super::start::Start;

/// What a runner holds now, and what it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunnerStats {
    /// Keeper processes.
    pub keepers: u64,
    /// Steps that run, or whose log is being sealed.
    pub steps_active: u64,
    /// Steps that wait for one of these to end.
    pub steps_waiting: u64,
    /// Steps given to a keeper, since start.
    pub steps_started_total: u64,
    /// Steps that left processes behind, since start.
    pub left_behind_total: u64,
    /// Keepers that died with a step, since start.
    pub keepers_lost_total: u64,
}

/// Where requests wait until the runner's thread takes them. Starts are as many as callers wait for; kills at most two a start.
pub(super) struct Inbox {
    wake: OwnedFd,
    /// Held for a push or a swap, never over a system call but the wake.
    posted: Mutex<Posted>,
    stats: Mutex<RunnerStats>,
}

/// What was posted since it was last taken.
#[derive(Default)]
pub(super) struct Posted {
    pub(super) starts: VecDeque<Waiting>,
    pub(super) kills: Vec<Kill>,
    /// Logs that were sealed.
    pub(super) sealed: usize,
    /// To be closed within this time.
    pub(super) close: Option<Duration>,
    /// Nobody takes any more.
    gone: bool,
}

/// A step that was not given to a keeper yet.
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) start: Start,
    pub(super) reply: oneshot::Sender<Exit>,
}

/// A step is to be killed.
pub(super) struct Kill {
    pub(super) id: u64,
    pub(super) because: Outcome,
    pub(super) force: bool,
}

impl Inbox {
    /// Empty.
    ///
    /// # Errors
    /// No file descriptor is free.
    pub(super) fn new() -> io::Result<Self> {
        fault_point!("runner.eventfd")?;
        let wake = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { wake, posted: Mutex::default(), stats: Mutex::default() })
    }

    /// Posts something, and wakes the thread. Once the thread is gone this does nothing: what `change` would have posted is dropped.
    pub(super) fn post(&self, change: impl FnOnce(&mut Posted)) {
        let mut posted = self.lock();
        if !posted.gone {
            change(&mut posted);
            drop(posted);
            // It fails only if the counter is full: then the thread is about to wake anyway.
            rustix::io::write(&self.wake, &1u64.to_ne_bytes()).ok();
        }
    }

    /// Whether a start was posted and not taken yet.
    pub(super) fn has_starts(&self) -> bool {
        !self.lock().starts.is_empty()
    }

    /// Takes all that was posted.
    pub(super) fn take(&self) -> Posted {
        // Empty if somebody posts and we are here for another reason: just as good.
        rustix::io::read(&self.wake, &mut [0; 8]).ok();
        mem::take(&mut *self.lock())
    }

    /// Takes all that was posted, and lets nobody post any more.
    pub(super) fn end(&self) -> Posted {
        mem::replace(&mut *self.lock(), Posted { gone: true, ..Posted::default() })
    }

    /// Becomes readable when something is posted.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    pub(super) fn stats(&self) -> MutexGuard<'_, RunnerStats> {
        // Numbers are whole whatever panicked beside them.
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Posted> {
        // Nothing in here can panic half-way but an allocation.
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
