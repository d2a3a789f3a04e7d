//! The one thread that writes: it takes what is queued, makes one transaction of it, and then answers everybody.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::Connection;
use staunch_bounded::fault_point;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::checkpoint::Checkpointer;
use super::clock::Times;
use super::failure;
use super::statement::{prepare, statements};
use super::tally::Tally;
use super::turn::Turn;
use super::{Ground, Held};
use crate::error::StoreError;

statements! {
    BEGIN = "BEGIN IMMEDIATE";
    SAVE = "SAVEPOINT operation";
    UNDO = "ROLLBACK TO operation";
    RELEASE = "RELEASE operation";
    COMMIT = "COMMIT";
    ROLLBACK = "ROLLBACK";
}

/// Operations in one transaction, at most.
const GROUP_MAX: usize = 256;
/// A transaction that served so many shows that many write at once; then it pays to wait a moment for more before the next, since
/// each transaction costs a sync and several pages. A lone writer never waits. (PostgreSQL's `commit_siblings` and `commit_delay`.)
const CROWD: usize = 3;
/// That moment.
const GATHER: Duration = Duration::from_micros(300);
/// How long the queue must be empty before the log is checkpointed though it is short, unless [`super::Opening`] says otherwise.
pub(super) const IDLE: Duration = Duration::from_millis(250);

/// An operation on its way to the writer, with its place in the queue.
pub(super) struct Ticket {
    /// What to do.
    pub(super) work: Box<dyn Work>,
    /// Held while it waits; dropped when the writer takes it.
    pub(super) room: OwnedSemaphorePermit,
}

/// An operation that waits for its turn and then for the group's commit.
pub(super) trait Work: Send {
    /// Does it. On an error what it changed is undone; the group goes on.
    fn apply(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError>;
    /// Tells the caller, after the commit or its failure.
    fn answer(self: Box<Self>, group: &Result<(), StoreError>);
}

/// [`Work`] made of a closure.
pub(super) struct Pending<T, F> {
    work: Option<F>,
    done: Option<T>,
    failed: Option<StoreError>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

/// The writer thread's belongings.
pub(super) struct Writer {
    connection: Connection,
    /// What the connection holds, so it goes after it.
    held: Held,
    ground: Arc<Ground>,
    times: Times,
    tally: Tally,
    checkpointer: Checkpointer,
    /// Rows that the last group wrote.
    rows: u64,
    /// How long the queue must be empty before the log is checkpointed.
    idle: Duration,
}

impl<T, F> Pending<T, F> {
    /// `work`, and who hears of it.
    pub(super) fn new(work: F, caller: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { work: Some(work), done: None, failed: None, caller }
    }
}

impl<T, F> Work for Pending<T, F>
where
    T: Send,
    F: FnOnce(&mut Turn<'_>) -> Result<T, StoreError> + Send,
{
    fn apply(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let Some(work) = self.work.take() else { return Ok(()) };
        match work(turn) {
            Ok(done) => {
                self.done = Some(done);
                Ok(())
            }
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    fn answer(self: Box<Self>, group: &Result<(), StoreError>) {
        let answer = match (self.failed, group, self.done) {
            (Some(own), _, _) => Err(own),
            (None, Err(error), _) => Err(error.clone()),
            (None, Ok(()), Some(done)) => Ok(done),
            (None, Ok(()), None) => Err(StoreError::Closed),
        };
        // A caller that was dropped hears nothing; what it asked for is done all the same.
        drop(self.caller.send(answer));
    }
}

impl Writer {
    /// A writer over its connection, going on from the totals and the time in the file.
    pub(super) fn new(connection: Connection, ground: Arc<Ground>, idle: Duration) -> Result<Self, StoreError> {
        let tally = Tally::load(&connection)?;
        let times = Times::after(crate::id::Timestamp(tally.clock), ground.clock.as_ref());
        let held = Held::new(&ground.heap);
        Ok(Self { connection, held, ground, times, tally, checkpointer: Checkpointer::default(), rows: 0, idle })
    }

    /// Works until nobody can send any more and everything sent is done. Then it waits for `readers` to end: only the last
    /// connection can put the log away, and only this one may write.
    pub(super) fn run(mut self, queue: &Receiver<Ticket>, readers: &Receiver<()>) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        // How many the last transaction served.
        let mut crowd = 0;
        loop {
            let first = if self.checkpointer.has_rest() {
                match queue.recv_timeout(self.idle) {
                    Ok(ticket) => ticket,
                    Err(RecvTimeoutError::Timeout) => {
                        self.checkpointer.when_idle(&self.connection);
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            } else {
                let Ok(ticket) = queue.recv() else { break };
                ticket
            };
            group.push(take(first));
            if crowd >= CROWD {
                std::thread::sleep(GATHER);
            }
            while group.len() < GROUP_MAX
                && let Ok(ticket) = queue.try_recv()
            {
                group.push(take(ticket));
            }
            crowd = group.len();
            self.write(&mut group);
            self.checkpointer.after_commit(&self.connection, &self.ground.directory.wal(), self.rows);
            self.held.look(&self.connection);
        }
        // Nothing is ever sent, so that this returns when the last reader has dropped its end.
        if readers.recv().is_ok() {
            tracing::error!("a reader spoke to the writer");
        }
        self.checkpointer.at_close(&self.connection);
    }

    /// One transaction for the whole group, then the answers.
    fn write(&mut self, group: &mut Vec<Box<dyn Work>>) {
        let before = self.tally;
        let end = self.transaction(group);
        if end.is_err() {
            self.tally = before;
            if !self.connection.is_autocommit()
                && let Err(error) = self.execute(ROLLBACK)
            {
                tracing::error!(%error, "a failed transaction could not be rolled back");
            }
        }
        self.ground.counts.grouped(group.len() as u64);
        // Where a crash leaves a commit of which its callers have not heard.
        let end =
            end.and_then(|()| fault_point!("store.answer").map_err(|fault| StoreError::Unknown(fault.to_string())));
        for work in group.drain(..) {
            work.answer(&end);
        }
    }

    fn transaction(&mut self, group: &mut [Box<dyn Work>]) -> Result<(), StoreError> {
        let now = self.times.now(self.ground.clock.as_ref());
        self.rows = 0;
        if !self.connection.is_autocommit() {
            // The last one could be neither committed nor rolled back. It must not take this one along.
            self.execute(ROLLBACK)?;
        }
        self.execute(BEGIN)?;
        let before = self.connection.total_changes();
        // One alone needs no savepoint: the transaction is its own.
        let alone = group.len() == 1;
        for work in group {
            if !alone {
                self.execute(SAVE)?;
            }
            let tally = self.tally;
            let mut turn =
                Turn { connection: &self.connection, now, tally: &mut self.tally, ground: self.ground.as_ref() };
            if let Err(error) = work.apply(&mut turn) {
                // A full disk or an I/O error may have rolled back the whole transaction, and then nobody's work is left.
                if alone || self.connection.is_autocommit() {
                    return Err(error);
                }
                self.tally = tally;
                self.execute(UNDO)?;
            }
            if !alone {
                self.execute(RELEASE)?;
            }
        }
        // A group that only looked (a claim that found nothing) must not cost a sync.
        self.rows = self.connection.total_changes() - before;
        if self.rows > 0 {
            self.tally.clock = now.0;
            self.tally.store(&self.connection)?;
            self.ground.counts.committed();
        }
        let commit = prepare(&self.connection, COMMIT)?.execute([]);
        commit.map(drop).map_err(|error| failure::of_commit(&error))
    }

    fn execute(&self, text: &'static str) -> Result<(), StoreError> {
        prepare(&self.connection, text)?.execute([])?;
        Ok(())
    }
}

fn take(ticket: Ticket) -> Box<dyn Work> {
    drop(ticket.room);
    ticket.work
}

#[cfg(test)]
mod tests;
