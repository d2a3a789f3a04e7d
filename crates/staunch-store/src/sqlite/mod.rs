//! The embedded store: SQLite in WAL mode, one writer thread with group commit, a few readers.

/// The embedded store.
pub struct Sqlite;
