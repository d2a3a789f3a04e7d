//! A few threads that read, started when they are first needed, each with a connection that cannot write.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::OwnedSemaphorePermit;

use super::{Ground, connection};
use crate::error::StoreError;

/// Reading threads, at most.
const THREADS_MAX: usize = 4;
/// Reads that wait for a thread, at most.
pub(super) const QUEUED_MAX: usize = 256;

/// A read: it hears the connection, or why there is none, and answers its caller itself.
pub(super) type Read = Box<dyn FnOnce(Result<&mut Connection, StoreError>) + Send>;

/// The readers of one store.
pub(super) struct Readers {
    desk: Arc<Desk>,
}

struct Desk {
    ground: Arc<Ground>,
    /// Held to push or pop, never while reading.
    state: Mutex<State>,
    /// Wakes one idle thread a read, and all at the end.
    wake: Condvar,
}

struct State {
    queue: VecDeque<(Read, OwnedSemaphorePermit)>,
    idle: usize,
    threads: Vec<JoinHandle<()>>,
    /// Each thread holds one as long as its connection; `None` once closed. Nothing is ever sent.
    witness: Option<SyncSender<()>>,
}

impl Readers {
    /// Readers that start with the first read. The receiver of `witness` sees it end when they are closed and their last
    /// connection is.
    pub(super) fn new(ground: Arc<Ground>, witness: SyncSender<()>) -> Self {
        let state = State { queue: VecDeque::new(), idle: 0, threads: Vec::new(), witness: Some(witness) };
        Self { desk: Arc::new(Desk { ground, state: Mutex::new(state), wake: Condvar::new() }) }
    }

    /// Queues a read; `room` is its place in the queue.
    pub(super) fn push(&self, read: Read, room: OwnedSemaphorePermit) -> Result<(), StoreError> {
        let mut state = self.desk.state();
        let witness = state.witness.clone().ok_or(StoreError::Closed)?;
        if state.idle <= state.queue.len() && state.threads.len() < THREADS_MAX {
            let desk = Arc::clone(&self.desk);
            let name = format!("store-read-{}", state.threads.len());
            let started = std::thread::Builder::new().name(name).spawn(move || {
                desk.work();
                drop(witness);
            });
            match started {
                Ok(thread) => state.threads.push(thread),
                Err(error) if state.threads.is_empty() => {
                    return Err(StoreError::Failed(format!("no thread to read with: {error}")));
                }
                // Fewer threads than hoped for: those there are do the work.
                Err(_) => {}
            }
        }
        state.queue.push_back((read, room));
        drop(state);
        self.desk.wake.notify_one();
        Ok(())
    }

    /// No more reads; what is queued is still done. The threads, to be joined.
    pub(super) fn close(&self) -> Vec<JoinHandle<()>> {
        let mut state = self.desk.state();
        state.witness = None;
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        self.desk.wake.notify_all();
        threads
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        // Poison means that a thread died between two lines of ours; the queue itself is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut connection = None;
        while let Some((read, room)) = self.next() {
            drop(room);
            if connection.is_none() {
                connection = match connection::reader(&self.ground.directory.database(), &self.ground.limits) {
                    Ok(opened) => Some(opened),
                    Err(error) => {
                        read(Err(error));
                        continue;
                    }
                };
            }
            if let Some(connection) = &mut connection {
                read(Ok(connection));
            }
        }
    }

    fn next(&self) -> Option<(Read, OwnedSemaphorePermit)> {
        let mut state = self.state();
        loop {
            if let Some(read) = state.queue.pop_front() {
                return Some(read);
            }
            // Closed, and nothing is left to do.
            state.witness.as_ref()?;
            state.idle += 1;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}
