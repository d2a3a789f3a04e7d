//! A few threads that read, started when they are first needed, each with a connection that cannot write.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::OwnedSemaphorePermit;

use super::{Ground, Held, connection};
use crate::error::StoreError;
use crate::fault::at;

/// Reading threads, at most, unless [`super::Opening`] says otherwise.
pub const THREADS_MAX: usize = 4;
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
    threads_max: usize,
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
    pub(super) fn new(ground: Arc<Ground>, threads_max: usize, witness: SyncSender<()>) -> Self {
        let state = State { queue: VecDeque::new(), idle: 0, threads: Vec::new(), witness: Some(witness) };
        let (state, wake) = (Mutex::new(state), Condvar::new());
        Self { desk: Arc::new(Desk { ground, threads_max: threads_max.max(1), state, wake }) }
    }

    /// Queues a read; `room` is its place in the queue.
    pub(super) fn push(&self, read: Read, room: OwnedSemaphorePermit) -> Result<(), StoreError> {
        let mut state = self.desk.state();
        let witness = state.witness.clone().ok_or(StoreError::Closed)?;
        if state.idle <= state.queue.len() && state.threads.len() < self.desk.threads_max {
            let desk = Arc::clone(&self.desk);
            let name = format!("store-read-{}", state.threads.len());
            let work = move || {
                desk.work();
                drop(witness);
            };
            let started = at("store.read.thread", || std::thread::Builder::new().name(name).spawn(work));
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
            // A read that panics takes its connection along and not this thread: the place of a thread that is gone stays taken, and
            // once all are gone nobody reads and everybody waits. Its caller hears of it, as the sender is dropped.
            let served = catch_unwind(AssertUnwindSafe(|| self.serve(&mut connection, read)));
            if served.is_err() {
                tracing::error!("a read panicked");
                connection = None;
            }
        }
    }

    fn serve(&self, connection: &mut Option<(Connection, Held)>, read: Read) {
        let opened = match connection {
            Some(opened) => Ok(opened),
            None => connection::reader(&self.ground.directory.database(), &self.ground.limits)
                .map(|opened| connection.insert((opened, Held::new(&self.ground.heap)))),
        };
        match opened {
            Ok((opened, held)) => {
                read(Ok(opened));
                held.look(opened);
            }
            Err(error) => read(Err(error)),
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::mpsc::sync_channel;

    use super::super::tests::{LIMITS, quiet_on_purpose};
    use super::super::{Durability, Sqlite};
    use super::THREADS_MAX;
    use crate::{Store, StoreError};

    /// Reads take milliseconds.
    const ANSWER_MAX: std::time::Duration = std::time::Duration::from_secs(20);

    #[test]
    fn reads_that_panic_leave_as_many_readers_as_there_were() {
        quiet_on_purpose();
        let place = tempfile::tempdir().unwrap();
        let store = Sqlite::open(place.path(), LIMITS, Durability::Off).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let reads = async {
            for _ in 0..2 * THREADS_MAX {
                let panicked = store.read(|_| -> Result<(), StoreError> { panic!("on purpose") }).await;
                assert!(matches!(&panicked, Err(StoreError::Failed(why)) if why.contains("died")), "{panicked:?}");
            }
            // All at once: each waits for the others.
            let (met, meeting) = sync_channel(THREADS_MAX);
            let barrier = std::sync::Arc::new(std::sync::Barrier::new(THREADS_MAX));
            let all = std::array::from_fn::<_, THREADS_MAX, _>(|_| {
                let (met, barrier) = (met.clone(), std::sync::Arc::clone(&barrier));
                store.read(move |_| {
                    barrier.wait();
                    met.send(()).map_err(|_| StoreError::Closed)
                })
            });
            let [a, b, c, d] = all;
            let (a, b, c, d) = tokio::join!(a, b, c, d);
            a.and(b).and(c).and(d).unwrap();
            drop(met);
            assert_eq!(meeting.iter().count(), THREADS_MAX);
            assert!(store.workflows().await.unwrap().is_empty());
            store.close().await;
        };
        let answered = runtime.block_on(async { tokio::time::timeout(ANSWER_MAX, reads).await });
        answered.expect("nobody waits for a reader that is gone");
    }
}
