//! The embedded store: SQLite in WAL mode, one writer thread with group commit, a few readers.
//!
//! A write is a closure that is sent to the writer thread ([`writer`]) and has its [`turn`] there; a read is one that is
//! sent to a reader thread ([`readers`]). One operation's SQL stands in the file that is named after it.

mod accounts;
mod audit;
mod checkpoint;
mod claim;
mod clock;
mod code;
mod commit;
mod connection;
mod directory;
mod expiry;
mod failure;
mod heap;
mod open_run;
mod query;
mod readers;
mod schema;
mod session;
mod setup;
mod statement;
mod store;
mod submit;
mod sweep;
mod tally;
mod token;
mod turn;
mod user;
mod worker;
mod workflow;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use staunch_bounded::fault_point;
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use self::clock::{Clock, HandClock, SystemClock};
use self::directory::Directory;
use self::heap::{Heap, Held};
use self::readers::Readers;
pub use self::readers::THREADS_MAX as READERS_MAX;
use self::turn::Turn;
use self::writer::{Pending, Ticket, Writer};
use crate::account::AccountLimits;
use crate::error::StoreError;
use crate::fault::at;
use crate::limits::StoreLimits;

/// How long a write waits for room in the queue before it is refused.
const WRITE_WAIT: Duration = Duration::from_secs(2);

/// The embedded store.
pub struct Sqlite {
    ground: Arc<Ground>,
    /// `None` once closed. Held to send, which never blocks: there is a permit for each place.
    writes: Mutex<Option<SyncSender<Ticket>>>,
    writes_room: Arc<Semaphore>,
    readers: Readers,
    reads_room: Arc<Semaphore>,
    /// The threads, until somebody joins them.
    threads: Mutex<Option<Threads>>,
}

/// How to open the embedded store.
#[derive(Clone)]
pub struct Opening {
    /// The data directory.
    pub directory: PathBuf,
    /// Its bounds.
    pub limits: StoreLimits,
    /// The bounds of its accounts.
    pub accounts: AccountLimits,
    /// What a commit waits for.
    pub durability: Durability,
    /// Open it on a network file system too. Two machines on one database destroy it.
    pub force_network: bool,
    /// Where times come from.
    pub clock: Arc<dyn Clock>,
    /// Threads that read, at most; 4, and at least 1. Each has a page cache.
    pub readers_max: usize,
    /// How long nothing must have been written before the write-ahead log goes into the file though it is short; 250 ms.
    pub idle: Duration,
}

/// What a commit waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is on the disk: it outlives a power cut.
    #[default]
    Full,
    /// Nothing: for throw-away local runs. It outlives the process but not the machine.
    Off,
}

/// What all threads of a store stand on.
struct Ground {
    directory: Directory,
    limits: StoreLimits,
    accounts: AccountLimits,
    clock: Arc<dyn Clock>,
    counts: Counts,
    heap: Arc<Heap>,
}

/// Totals since start. Relaxed throughout: lone numbers for people, no other memory hangs on them.
#[derive(Debug, Default)]
struct Counts {
    stale: AtomicU64,
    commits: AtomicU64,
    operations: AtomicU64,
}

struct Threads {
    writer: JoinHandle<()>,
    /// Ends (`None`) when the writer is about to, which is after the readers.
    ended: mpsc::Receiver<()>,
}

impl Counts {
    fn grouped(&self, operations: u64) {
        self.operations.fetch_add(operations, Ordering::Relaxed);
    }

    fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    fn stale(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
    }
}

impl Opening {
    /// The usual way: the machine's clock, no network file system, the usual bounds of accounts.
    pub fn new(directory: impl Into<PathBuf>, limits: StoreLimits, durability: Durability) -> Self {
        let clock = Arc::new(SystemClock::default());
        let accounts = AccountLimits::default();
        let (readers_max, idle) = (readers::THREADS_MAX, writer::IDLE);
        Self {
            directory: directory.into(),
            limits,
            accounts,
            durability,
            force_network: false,
            clock,
            readers_max,
            idle,
        }
    }

    /// Opens the store, making or upgrading its file, and starts its writer. Blocking.
    ///
    /// # Errors
    /// As [`Sqlite::open`].
    pub fn open(self) -> Result<Sqlite, StoreError> {
        let directory = Directory::hold(&self.directory, self.limits.disk_free_bytes_min, self.force_network)?;
        let file = directory.database();
        let mut connection = connection::writer(&file, &self.limits, self.durability)?;
        schema::migrate(&mut connection, &file, schema::MIGRATIONS)?;
        let (limits, accounts, clock) = (self.limits, self.accounts, self.clock);
        let (counts, heap) = (Counts::default(), Heap::new(&limits, self.readers_max.max(1)));
        let ground = Arc::new(Ground { directory, limits, accounts, clock, counts, heap });
        let writer = Writer::new(connection, Arc::clone(&ground), self.idle)?;

        let queued_max = self.limits.writes_queued_max.max(1);
        let (writes, queue) = sync_channel(queued_max);
        let (alive, ended) = mpsc::channel(1);
        let (witness, readers_ended) = sync_channel(1);
        let readers = Readers::new(Arc::clone(&ground), self.readers_max, witness);
        let work = move || {
            writer.run(&queue, &readers_ended);
            drop(alive);
        };
        let thread = std::thread::Builder::new().name("store-write".to_owned());
        let writer = at("store.write.thread", || thread.spawn(work))
            .map_err(|error| StoreError::Failed(format!("no thread to write with: {error}")))?;
        Ok(Sqlite {
            ground,
            writes: Mutex::new(Some(writes)),
            writes_room: Arc::new(Semaphore::new(queued_max)),
            readers,
            reads_room: Arc::new(Semaphore::new(readers::QUEUED_MAX)),
            threads: Mutex::new(Some(Threads { writer, ended })),
        })
    }
}

impl Sqlite {
    /// Opens the store in a data directory, making both if need be, and starts its writer. Blocking.
    ///
    /// # Errors
    /// [`StoreError::DataDirectory`]: another process holds it, it cannot be written, it lies on a network file system, or the
    /// file is of a newer Staunch. [`StoreError::Damaged`]: the file is not a whole database.
    pub fn open(directory: &Path, limits: StoreLimits, durability: Durability) -> Result<Self, StoreError> {
        Opening::new(directory, limits, durability).open()
    }

    /// Has `work` done by the writer and waits until it is committed.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Turn<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let room = match Arc::clone(&self.writes_room).try_acquire_owned() {
            Ok(room) => room,
            Err(_) => match tokio::time::timeout(WRITE_WAIT, Arc::clone(&self.writes_room).acquire_owned()).await {
                Ok(Ok(room)) => room,
                Ok(Err(_closed)) => return Err(StoreError::Closed),
                Err(_elapsed) => {
                    return Err(StoreError::Full {
                        what: "the queue of writes",
                        limit: self.ground.limits.writes_queued_max as u64,
                        retry_after: WRITE_WAIT,
                    });
                }
            },
        };
        let (caller, answer) = oneshot::channel();
        let ticket = Ticket { work: Box::new(Pending::new(work, caller)), room };
        locked(&self.writes).as_ref().ok_or(StoreError::Closed)?.try_send(ticket).map_err(|_| StoreError::Closed)?;
        // The writer answers everything it takes, unless it dies.
        answer.await.unwrap_or_else(|_| Err(StoreError::Unknown("the writer died".to_owned())))
    }

    /// Has `work` done by a reader, on one state of the database.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let room = Arc::clone(&self.reads_room).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let (caller, answer) = oneshot::channel();
        let read = move |connection: Result<&mut Connection, StoreError>| {
            let done = connection.and_then(|connection| {
                fault_point!("store.read.begin")?;
                let snapshot = connection.transaction()?;
                let done = work(&snapshot);
                fault_point!("store.read.end")?;
                snapshot.finish()?;
                done
            });
            drop(caller.send(done));
        };
        self.readers.push(Box::new(read), room)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Failed("the reader died".to_owned())))
    }

    /// Lets nothing more in. The writer and the readers end after what they were given.
    fn shut(&self) -> Vec<JoinHandle<()>> {
        self.writes_room.close();
        self.reads_room.close();
        drop(locked(&self.writes).take());
        self.readers.close()
    }

    /// Ends all threads and waits for them. A second call returns at once.
    async fn end(&self) {
        let readers = self.shut();
        let threads = locked(&self.threads).take();
        let Some(mut threads) = threads else { return };
        // Nothing is ever sent: this ends when the writer has done its last work and dropped its sender.
        let _none: Option<()> = threads.ended.recv().await;
        join(readers.into_iter().chain([threads.writer]));
        self.ground.directory.release();
    }
}

impl Drop for Sqlite {
    /// Whoever forgot to close waits here, so that no thread outlives its store.
    fn drop(&mut self) {
        let readers = self.shut();
        if let Some(threads) = locked(&self.threads).take() {
            join(readers.into_iter().chain([threads.writer]));
        } else {
            join(readers);
        }
    }
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqlite").field("directory", &self.ground.directory).finish_non_exhaustive()
    }
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread of the store panicked");
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Poison means that a thread died between two lines of ours; what is inside is replaced whole, so it is sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
