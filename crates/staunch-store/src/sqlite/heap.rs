//! What SQLite holds for a store: the pages, the statements and the schema of each connection.
//!
//! SQLite's own sum (`sqlite3_memory_used`) is switched off at build, since it costs a lock an allocation. So the thread that has a
//! connection asks it after each piece of work, and says here what it heard.
#![expect(unsafe_code, reason = "what a connection holds can only be asked of C")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, ffi};
use staunch_bounded::{Count, Counted};

use crate::limits::StoreLimits;

/// Statements and schema of a connection, in bytes at most: with all statements prepared they were seen to take half of it.
const REST_BYTES_MAX: u64 = 2 << 20;
/// They are counted at each power of two of works, and then at every so many: to count them is to walk over all of them.
const REST_EVERY: u64 = 1_024;

/// What all connections of a store hold.
#[derive(Debug)]
pub(super) struct Heap {
    // Relaxed: a number to look at, nothing is decided by it.
    bytes: AtomicU64,
    bytes_max: u64,
}

/// What one connection holds; given back when dropped, so drop the connection first.
#[derive(Debug)]
pub(super) struct Held {
    heap: Arc<Heap>,
    bytes: u64,
    rest: u64,
    works: u64,
}

impl Heap {
    /// Of no connection yet; a writer and so many readers may come.
    pub(super) fn new(limits: &StoreLimits, readers_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicU64::new(0), bytes_max: limits.heap_bytes_max(readers_max) })
    }
}

impl Counted for Heap {
    fn count(&self) -> Count {
        let bytes = self.bytes.load(Ordering::Relaxed);
        Count { name: "sqlite", entries: None, bytes, bytes_max: self.bytes_max, expired: 0, evicted: 0, refused: 0 }
    }
}

impl StoreLimits {
    /// What the connections of a store hold at most, in bytes: the page caches, and beside them statements and schema. A transaction
    /// whose changes find no room in the cache may take more for as long as it lasts.
    pub fn heap_bytes_max(&self, readers_max: usize) -> u64 {
        let readers_max = readers_max as u64;
        let pages = u64::from(self.writer_cache_kib) + readers_max * u64::from(self.reader_cache_kib);
        (pages << 10) + (1 + readers_max) * REST_BYTES_MAX
    }
}

impl Held {
    /// Nothing yet.
    pub(super) fn new(heap: &Arc<Heap>) -> Self {
        Self { heap: Arc::clone(heap), bytes: 0, rest: 0, works: 0 }
    }

    /// Asks a connection after a piece of work.
    pub(super) fn look(&mut self, connection: &Connection) {
        self.works += 1;
        if self.works.is_power_of_two() || self.works.is_multiple_of(REST_EVERY) {
            self.rest =
                held(connection, ffi::SQLITE_DBSTATUS_SCHEMA_USED) + held(connection, ffi::SQLITE_DBSTATUS_STMT_USED);
        }
        let bytes = held(connection, ffi::SQLITE_DBSTATUS_CACHE_USED) + self.rest;
        // First what is new: the sum is never below zero.
        self.heap.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.heap.bytes.fetch_sub(std::mem::replace(&mut self.bytes, bytes), Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.heap.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes by one of SQLite's counters of a connection.
fn held(connection: &Connection, of: i32) -> u64 {
    let (mut now, mut highest) = (0, 0);
    // SAFETY: the handle is that of a connection that is open as long as it is borrowed, and only this thread uses it meanwhile, since a
    // `Connection` is not `Sync`. The handle is neither kept nor closed. Both pointers are to `int`s, as sqlite3_db_status(3) wants.
    let code = unsafe { ffi::sqlite3_db_status(connection.handle(), of, &raw mut now, &raw mut highest, 0) };
    if code == ffi::SQLITE_OK { u64::try_from(now).unwrap_or(0) } else { 0 }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::tests::{LIMITS, fresh, statements};
    use super::*;

    #[test]
    fn what_is_read_is_counted_until_the_connection_goes() {
        let place = tempfile::tempdir().unwrap();
        let connection = Connection::open(place.path().join("x.db")).unwrap();
        let heap = Heap::new(&LIMITS, 4);
        let bytes = || heap.count().bytes;
        let mut held = Held::new(&heap);
        assert_eq!(bytes(), 0);
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000))").unwrap();
        held.look(&connection);
        let small = bytes();
        assert!((100_000..300_000).contains(&small), "{small}");
        // Statements count once they are looked at, which is rarely.
        let statements: Vec<_> =
            (0..50).map(|n| connection.prepare(&format!("SELECT x, {n} FROM t ORDER BY x")).unwrap()).collect();
        held.look(&connection);
        assert!(bytes() > small + 20_000, "{small}, {}", bytes());
        drop(statements);
        for _ in 0..REST_EVERY {
            held.look(&connection);
        }
        assert!(bytes() < small + 10_000, "{small}, {}", bytes());
        // A second one adds to the first, and each gives back its own.
        let mut other = Held::new(&heap);
        other.look(&connection);
        assert!(bytes() > 2 * (small - 10_000), "{small}, {}", bytes());
        drop(held);
        assert!(bytes() > 0);
        drop(other);
        assert_eq!(bytes(), 0);
    }

    #[test]
    fn all_statements_and_the_schema_take_half_of_their_bound() {
        let place = tempfile::tempdir().unwrap();
        let connection = fresh(place.path());
        let statements: Vec<_> = statements().map(|(_, _, sql)| connection.prepare(sql).unwrap()).collect();
        let mut held = Held::new(&Heap::new(&LIMITS, 4));
        held.look(&connection);
        assert!(
            (REST_BYTES_MAX / 4..REST_BYTES_MAX * 3 / 4).contains(&held.rest),
            "{} of {}",
            held.rest,
            statements.len()
        );
    }
}
