//! The runner, as the engine holds it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use staunch_bounded::fault_point;
use tokio::sync::oneshot;

use super::config::RunnerConfig;
use super::floor::Floor;
use super::inbox::{Inbox, RunnerStats, Waiting};
use super::running::Running;
use super::start::Start;

/// How long a runner that is dropped without [`Runner::close`] takes at most to kill what runs.
const DROP_MAX: Duration = Duration::from_secs(2);

/// Runs steps under keepers. Close it: what runs is killed, every keeper and thread is gone then.
pub struct Runner {
    inbox: Arc<Inbox>,
    floor: Arc<Mutex<Floor>>,
    ids: AtomicU64,
    /// The thread, until it is joined; its value is the number of children left. Held while joining, so that a second close waits too.
    thread: Mutex<Option<JoinHandle<usize>>>,
}

impl Runner {
    /// Starts the runner's thread and makes this process a subreaper, so that a step cannot escape by the death of its keeper.
    /// Keepers are started as steps come.
    ///
    /// # Errors
    /// A thread or a file descriptor cannot be had, or `config` names no keeper.
    pub fn start(config: RunnerConfig) -> io::Result<Self> {
        if config.keeper.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no program is set that becomes a keeper"));
        }
        fault_point!("runner.subreaper")?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let inbox = Arc::new(Inbox::new()?);
        let floor = Arc::new(Mutex::new(Floor::new(config, Arc::clone(&inbox))?));
        let shared = Arc::clone(&floor);
        fault_point!("runner.thread")?;
        let thread = thread::Builder::new().name("staunch-runner".into()).spawn(move || Floor::work(&shared))?;
        Ok(Self { inbox, floor, ids: AtomicU64::new(0), thread: Mutex::new(Some(thread)) })
    }

    /// Runs a step, at once or when one of `steps_max` others is over; they start in the order of these calls.
    pub fn run(&self, start: Start) -> Running {
        let (reply, exit) = oneshot::channel();
        // Relaxed: an id only has to be new.
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting { id, start, reply };
        // Not waited for: while the thread has it, it may be reading a pipe.
        let left = match self.floor.try_lock() {
            Ok(mut floor) => {
                let _wake = WakeAtPanic(&self.inbox);
                floor.begin_here(waiting)
            }
            Err(_) => Some(waiting),
        };
        if let Some(waiting) = left {
            self.inbox.post(|posted| posted.starts.push_back(waiting));
        }
        Running::new(id, exit, Arc::clone(&self.inbox))
    }

    /// What it holds now.
    pub fn stats(&self) -> RunnerStats {
        *self.inbox.stats()
    }

    /// Kills what runs (TERM; KILL after half of `bound`), answers what waits, seals logs, retires keepers, joins threads. Blocking,
    /// little longer than `bound`. Returns how many child processes are left: 0, unless one cannot be killed. A second call returns 0.
    pub fn close(&self, bound: Duration) -> usize {
        self.inbox.post(|posted| posted.close = Some(bound));
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        // A panicked thread left its keepers without a server: they kill their steps and end. One child is then as good as told.
        thread.take().map_or(0, |thread| thread.join().unwrap_or(1))
    }
}

/// If we panic, the thread looks at what we left half-done.
struct WakeAtPanic<'a>(&'a Inbox);

impl Drop for WakeAtPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.post(|_| ());
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.close(DROP_MAX);
    }
}
