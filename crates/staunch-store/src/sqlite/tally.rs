//! Totals, kept in one row that each group of writes updates once.

use rusqlite::{Connection, params};

use super::statement::{prepare, statements};
use crate::error::StoreError;
use crate::id::Timestamp;

statements! {
    LOAD = "SELECT clock, queued, running, ended, in_flight, keys, bytes, log_bytes,
        users, sessions, tokens, audit_rows FROM tally WHERE one = 1";
    CLOCK = "SELECT clock FROM tally WHERE one = 1";
    STORE = "UPDATE tally SET clock = ?1, queued = ?2, running = ?3, ended = ?4, in_flight = ?5, keys = ?6, bytes = ?7,
        log_bytes = ?8, users = ?9, sessions = ?10, tokens = ?11, audit_rows = ?12 WHERE one = 1";
}

/// How much there is of everything. The writer holds it and writes it along with each group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// The newest time told.
    pub(super) clock: i64,
    /// Runs that are queued.
    pub(super) queued: i64,
    /// Runs that are running.
    pub(super) running: i64,
    /// Runs that are over.
    pub(super) ended: i64,
    /// Attempts in flight.
    pub(super) in_flight: i64,
    /// Idempotency keys.
    pub(super) keys: i64,
    /// Bytes of rows and log files of all runs.
    pub(super) bytes: i64,
    /// Bytes of log files of all runs.
    pub(super) log_bytes: i64,
    /// Users.
    pub(super) users: i64,
    /// Sessions, expired ones that are still there included.
    pub(super) sessions: i64,
    /// API tokens, expired ones that are still there included.
    pub(super) tokens: i64,
    /// Lines of the audit log.
    pub(super) audit_rows: i64,
}

impl Tally {
    /// As last written.
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let tally = prepare(connection, LOAD)?.query_row([], |row| {
            Ok(Self {
                clock: row.get(0)?,
                queued: row.get(1)?,
                running: row.get(2)?,
                ended: row.get(3)?,
                in_flight: row.get(4)?,
                keys: row.get(5)?,
                bytes: row.get(6)?,
                log_bytes: row.get(7)?,
                users: row.get(8)?,
                sessions: row.get(9)?,
                tokens: row.get(10)?,
                audit_rows: row.get(11)?,
            })
        });
        Ok(tally?)
    }

    /// The newest time told to anybody.
    pub(super) fn told(connection: &Connection) -> Result<Timestamp, StoreError> {
        Ok(Timestamp(prepare(connection, CLOCK)?.query_row([], |row| row.get(0))?))
    }

    /// Writes it, within the group's transaction.
    pub(super) fn store(&self, connection: &Connection) -> Result<(), StoreError> {
        let row = params![
            self.clock,
            self.queued,
            self.running,
            self.ended,
            self.in_flight,
            self.keys,
            self.bytes,
            self.log_bytes,
            self.users,
            self.sessions,
            self.tokens,
            self.audit_rows
        ];
        prepare(connection, STORE)?.execute(row)?;
        Ok(())
    }

    /// Runs that are not over.
    pub(super) fn open(&self) -> i64 {
        self.queued + self.running
    }
}
