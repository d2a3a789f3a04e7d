//! One operation's turn in a group of writes.

use rusqlite::{CachedStatement, Connection};

use super::Ground;
use super::statement::prepare;
use super::tally::Tally;
use crate::error::StoreError;
use crate::id::Timestamp;

/// What an operation has in its hands while the group's transaction is open.
pub(super) struct Turn<'a> {
    /// The writer's connection, within a savepoint.
    pub(super) connection: &'a Connection,
    /// The group's one time.
    pub(super) now: Timestamp,
    /// Totals; put back if the operation fails.
    pub(super) tally: &'a mut Tally,
    /// The directory, the limits and the counts.
    pub(super) ground: &'a Ground,
}

impl<'a> Turn<'a> {
    /// A prepared statement.
    pub(super) fn sql(&self, text: &'static str) -> Result<CachedStatement<'a>, StoreError> {
        prepare(self.connection, text)
    }

    /// Runs a statement that returns no rows; how many rows it changed.
    pub(super) fn execute(&self, text: &'static str, values: impl rusqlite::Params) -> Result<i64, StoreError> {
        Ok(signed(self.sql(text)?.execute(values)? as u64))
    }
}

/// SQLite's integers are signed. Nothing we count comes near the edge; what a caller makes up is cut to it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A length of time in whole milliseconds, rounded up: never due too early.
pub(super) fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}
