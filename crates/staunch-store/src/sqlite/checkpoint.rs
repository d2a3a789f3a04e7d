//! When the write-ahead log goes into the database file. Runs on the writer thread: nobody else checkpoints.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::connection::BUSY;
use super::statement::{prepare, statements};

statements! {
    LOOK = "PRAGMA wal_checkpoint(NOOP)";
    PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)";
    RESTART = "PRAGMA wal_checkpoint(RESTART)";
    TRUNCATE = "PRAGMA wal_checkpoint(TRUNCATE)";
}

/// Pages in the log that are worth a checkpoint.
const PAGES: i64 = 1_000;
/// Rows that are written before the log is looked at again: a look costs as much as several small statements. A row takes a page
/// or two, and some thirty at most (the longest result and its log), so that the log is over its bound by 8 MiB at worst.
const ROWS: u64 = 64;
/// A log file longer than this is cut. In steady state it is kept and overwritten in place, which syncs about twice as fast.
const WAL_BYTES_MAX: u64 = 64 << 20;

/// What the writer knows of its log.
#[derive(Debug, Default)]
pub(super) struct Checkpointer {
    /// Pages in the log that are not in the database file yet.
    rest: i64,
    /// Pages at which to try next: a checkpoint that a reader held back is not tried again at each commit.
    next: i64,
    /// Rows written since the last look.
    unseen: u64,
    /// Whether the last one failed, so that a full disk is logged once.
    failing: bool,
}

impl Checkpointer {
    /// Whether an idle writer should come back to this.
    pub(super) fn has_rest(&self) -> bool {
        self.rest > 0
    }

    /// After each group, which wrote so many rows.
    pub(super) fn after_commit(&mut self, connection: &Connection, wal: &Path, rows: u64) {
        self.unseen += rows;
        if rows > 0 {
            self.rest = self.rest.max(1);
        }
        if self.unseen < ROWS {
            return;
        }
        self.unseen = 0;
        let Some((pages, done)) = self.run(connection, LOOK) else { return };
        self.rest = pages - done;
        if pages < self.next.max(PAGES) || self.rest == 0 {
            return;
        }
        self.checkpoint(connection, PASSIVE);
        self.next = if self.rest == 0 { 0 } else { pages + PAGES };
        if std::fs::metadata(wal).is_ok_and(|m| m.len() > WAL_BYTES_MAX) {
            self.checkpoint(connection, TRUNCATE);
        }
    }

    /// When no work has come for a while: everything into the file, and the log begins at its start again.
    pub(super) fn when_idle(&mut self, connection: &Connection) {
        self.checkpoint(connection, RESTART);
        // Whether or not a reader stood in the way: an idle writer sleeps until there is work.
        self.rest = 0;
    }

    /// At the end of the writer's life: the file alone is the whole database.
    pub(super) fn at_close(&mut self, connection: &Connection) {
        self.checkpoint(connection, TRUNCATE);
    }

    fn checkpoint(&mut self, connection: &Connection, how: &'static str) {
        // A checkpoint that waits for a reader would keep all writers waiting: it takes what it gets at once.
        let waits = connection.busy_timeout(Duration::ZERO);
        if let Some((pages, done)) = self.run(connection, how) {
            self.rest = pages - done;
        }
        if let Err(error) = waits.and_then(|()| connection.busy_timeout(BUSY)) {
            tracing::error!(%error, "the busy timeout could not be set");
        }
    }

    /// Pages in the log and how many of them are in the database file.
    fn run(&mut self, connection: &Connection, how: &'static str) -> Option<(i64, i64)> {
        let answer = prepare(connection, how)
            .and_then(|mut statement| Ok(statement.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?));
        match answer {
            Ok(pages) => {
                self.failing = false;
                Some(pages)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the write-ahead log could not be checkpointed; it grows until it can");
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;

    use rusqlite::Connection;
    use staunch_leak::Options;
    use staunch_leak::fault::{Manners, all_faults_then};

    use super::super::{Durability, connection, tests::LIMITS};
    use super::{Checkpointer, LOOK, PAGES, ROWS, WAL_BYTES_MAX};

    /// A writer with one table, nothing of it in the database file yet.
    fn writer(place: &Path) -> Connection {
        let writer = connection::writer(&place.join("staunch.db"), &LIMITS, Durability::Off).unwrap();
        writer.execute_batch("CREATE TABLE t (bytes BLOB)").unwrap();
        writer
    }

    fn write(writer: &Connection, pages: i64) {
        writer.execute("INSERT INTO t VALUES (zeroblob(?1))", [pages * 4_000]).unwrap();
    }

    #[test]
    fn looking_moves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let writer = writer(place.path());
        let mut checkpointer = Checkpointer::default();
        for _ in 0..3 {
            let (pages, done) = checkpointer.run(&writer, LOOK).unwrap();
            assert!(pages > 0 && done == 0, "{done} of {pages}");
        }
    }

    #[test]
    fn the_log_is_checkpointed_at_its_bound_and_then_overwritten() {
        let place = tempfile::tempdir().unwrap();
        let wal = place.path().join("staunch.db-wal");
        let writer = writer(place.path());
        let mut checkpointer = Checkpointer::default();
        write(&writer, PAGES - 200);
        checkpointer.after_commit(&writer, &wal, ROWS);
        assert!(checkpointer.has_rest(), "below");
        write(&writer, 300);
        checkpointer.after_commit(&writer, &wal, ROWS);
        assert!(!checkpointer.has_rest(), "over");
        for _ in 0..20 {
            write(&writer, 200);
            checkpointer.after_commit(&writer, &wal, ROWS);
        }
        let bytes = std::fs::metadata(&wal).unwrap().len();
        assert!(bytes < 1_500 * 4_096, "four thousand more pages did not make it longer: {bytes}");
    }

    #[test]
    fn few_rows_are_not_worth_a_look_but_an_idle_writer_comes_back_to_them() {
        let place = tempfile::tempdir().unwrap();
        let wal = place.path().join("staunch.db-wal");
        let writer = writer(place.path());
        let mut checkpointer = Checkpointer::default();
        write(&writer, PAGES + 200);
        checkpointer.after_commit(&writer, &wal, 0);
        assert!(!checkpointer.has_rest(), "a group that only read");
        checkpointer.after_commit(&writer, &wal, ROWS - 1);
        assert!(checkpointer.has_rest(), "below");
        checkpointer.after_commit(&writer, &wal, 1);
        assert!(!checkpointer.has_rest(), "at");
    }

    #[test]
    fn an_idle_writer_puts_the_rest_away() {
        let place = tempfile::tempdir().unwrap();
        let wal = place.path().join("staunch.db-wal");
        let writer = writer(place.path());
        let mut checkpointer = Checkpointer::default();
        write(&writer, 3);
        checkpointer.after_commit(&writer, &wal, ROWS);
        assert!(checkpointer.has_rest());
        checkpointer.when_idle(&writer);
        assert!(!checkpointer.has_rest());
        let (pages, done) = checkpointer.run(&writer, LOOK).unwrap();
        assert_eq!(pages, done);
    }

    staunch_leak::alone! {
        /// Whatever checkpoint fails, it is told; no row is lost, and the next one puts all away.
        fn ground_g5_a_checkpoint_that_fails_is_told_and_made_up_for() {
            std::panic::set_hook(Box::new(|_| {}));
            let place = tempfile::tempdir().unwrap();
            let root = place.path();
            let (file, wal) = (root.join("staunch.db"), root.join("staunch.db-wal"));
            let scenario = || {
                let writer = connection::writer(&file, &LIMITS, Durability::Off).map_err(|_| "it was not opened")?;
                writer.execute_batch("CREATE TABLE IF NOT EXISTS t (bytes BLOB)").unwrap();
                write(&writer, PAGES + 200);
                let mut checkpointer = Checkpointer::default();
                let mut told = false;
                let steps: [fn(&mut Checkpointer, &Connection, &Path); 3] = [
                    |checkpointer, writer, wal| checkpointer.after_commit(writer, wal, ROWS),
                    |checkpointer, writer, _| checkpointer.when_idle(writer),
                    |checkpointer, writer, _| checkpointer.at_close(writer),
                ];
                for step in steps {
                    step(&mut checkpointer, &writer, &wal);
                    told |= checkpointer.failing;
                }
                if told { Err("it stands in the log") } else { Ok(()) }
            };
            let check = || {
                let writer = connection::writer(&file, &LIMITS, Durability::Off).unwrap();
                Checkpointer::default().at_close(&writer);
                assert_eq!(std::fs::metadata(&wal).unwrap().len(), 0);
                // It was not even opened, or the row is there.
                if let Ok(mut rows) = writer.prepare("SELECT count(*) FROM t") {
                    assert_eq!(rows.query_row([], |row| row.get::<_, i64>(0)).unwrap(), 1);
                }
                drop(writer);
                std::fs::remove_file(&file).unwrap();
            };
            let options = Options::default().files_under(root);
            let swept = all_faults_then(&options, Manners::default(), scenario, check);
            // The opening's three, and a look, a checkpoint in passing, one when idle and one at the end.
            assert_eq!(swept.unwrap_or_else(|broken| panic!("{broken}")).points, 7);
        }
    }

    #[test]
    fn a_reader_holds_a_checkpoint_back_but_not_the_writer_and_a_long_log_is_cut() {
        let place = tempfile::tempdir().unwrap();
        let wal = place.path().join("staunch.db-wal");
        let writer = writer(place.path());
        let mut checkpointer = Checkpointer::default();
        let reader = connection::reader(&place.path().join("staunch.db"), &LIMITS).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
        while std::fs::metadata(&wal).unwrap().len() <= WAL_BYTES_MAX {
            write(&writer, 2_000);
            checkpointer.after_commit(&writer, &wal, ROWS);
        }
        let start = std::time::Instant::now();
        checkpointer.when_idle(&writer);
        assert!(start.elapsed() < connection::BUSY, "nobody waited for the reader");
        reader.execute_batch("COMMIT").unwrap();
        write(&writer, 2_000);
        checkpointer.after_commit(&writer, &wal, ROWS);
        assert_eq!(std::fs::metadata(&wal).unwrap().len(), 0);
    }
}
