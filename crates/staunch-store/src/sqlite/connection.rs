//! Connections to the database file, and what is set on each.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use staunch_bounded::fault_point;

use super::Durability;
use crate::error::StoreError;
use crate::limits::StoreLimits;

/// Statements kept prepared by a connection: all there are, with room.
const STATEMENTS_CACHED: usize = 160;
/// How long a connection waits for a lock. Only the outside (a backup by hand) can hold one.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// The one connection that writes. Makes the file if there is none.
pub(super) fn writer(file: &Path, limits: &StoreLimits, durability: Durability) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    fault_point!("store.open")?;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    // Only possible while the file is empty; one that has pages keeps what it was made with.
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    if pages == 0 {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    fault_point!("store.open.wal")?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::DataDirectory(format!(
            "{} cannot use a write-ahead log (SQLite answered {mode:?}): its file system lacks shared memory",
            file.display()
        )));
    }
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Off => "OFF",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // The log is overwritten in place, which makes its sync about twice as fast; never cut it below this by itself.
    connection.pragma_update(None, "journal_size_limit", -1)?;
    shared(&connection, limits.writer_cache_kib)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn reader(file: &Path, limits: &StoreLimits) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    fault_point!("store.read.open")?;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    shared(&connection, limits.reader_cache_kib)?;
    Ok(connection)
}

fn shared(connection: &Connection, cache_kib: u32) -> Result<(), StoreError> {
    fault_point!("store.open.settings")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // Without this a statement is planned anew whenever a value is bound that the statistics might have a word on.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Mapped pages would count as ours and a bad disk would end the process by SIGBUS.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -i64::from(cache_kib.max(64)))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}
