//! Ctrl-C: heard by a thread of its own, minded between two requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::interrupt::Interrupts;

/// Whether somebody wants to stop; listens as long as it lives.
pub(super) struct Stop {
    wanted: Arc<AtomicBool>,
    /// Dropped to end the thread.
    done: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Stop {
    /// Begins to listen: from now on a signal does not end the process by itself.
    ///
    /// # Errors
    /// A thread or a signal cannot be had.
    pub(super) fn listen() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::broken(format!("cannot start the runtime: {error}")))?;
        // Caught before anything is started that would have to be cleaned up.
        let mut signals = runtime.block_on(async { Interrupts::new() })?;
        let wanted = Arc::new(AtomicBool::new(false));
        let (done, ended) = oneshot::channel::<()>();
        let heard = Arc::clone(&wanted);
        let listen = async move {
            tokio::select! {
                _ = signals.next() => heard.store(true, Ordering::Relaxed),
                _ = ended => {}
            }
        };
        let thread = thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(listen))
            .map_err(|error| Failure::broken(format!("cannot start a thread: {error}")))?;
        Ok(Self { wanted, done: Some(done), thread: Some(thread) })
    }

    /// Set once somebody does.
    pub(super) fn flag(&self) -> &AtomicBool {
        &self.wanted
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.done = None;
        if let Some(thread) = self.thread.take() {
            // It cannot panic; if it did, it has ended all the same.
            thread.join().unwrap_or_default();
        }
    }
}
