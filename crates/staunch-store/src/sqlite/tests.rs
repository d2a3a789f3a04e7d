//! What only this store must prove: its statements, its file, its threads.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::{Durability, Opening, connection, schema};

/// Limits that no test meets by accident.
pub(super) const LIMITS: crate::StoreLimits = crate::StoreLimits {
    runs_open_max: 10_000,
    writes_queued_max: 1_024,
    writer_cache_kib: 8_192,
    reader_cache_kib: 2_048,
    events_per_run_max: 100_000,
    revision_bytes_max: 1 << 20,
    log_bytes_max: 16 << 20,
    log_inline_bytes_max: 4_096,
    disk_free_bytes_min: 0,
    idempotency_seconds: 86_400,
};

/// Every statement there is, with the file it stands in.
fn statements() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let files = [
        ("checkpoint", super::checkpoint::STATEMENTS),
        ("claim", super::claim::STATEMENTS),
        ("commit", super::commit::STATEMENTS),
        ("open_run", super::open_run::STATEMENTS),
        ("query", super::query::STATEMENTS),
        ("submit", super::submit::STATEMENTS),
        ("sweep", super::sweep::STATEMENTS),
        ("tally", super::tally::STATEMENTS),
        ("worker", super::worker::STATEMENTS),
        ("workflow", super::workflow::STATEMENTS),
        ("writer", super::writer::STATEMENTS),
    ];
    files.into_iter().flat_map(|(file, all)| all.iter().map(move |(name, sql)| (file, *name, *sql)))
}

fn fresh(place: &std::path::Path) -> rusqlite::Connection {
    let file = place.join("staunch.db");
    let mut connection = connection::writer(&file, &LIMITS, Durability::Full).unwrap();
    schema::migrate(&mut connection, &file, schema::MIGRATIONS).unwrap();
    connection
}

#[test]
fn every_statement_can_be_prepared() {
    let place = tempfile::tempdir().unwrap();
    let connection = fresh(place.path());
    let mut seen = 0;
    for (file, name, sql) in statements() {
        if let Err(error) = connection.prepare(sql) {
            panic!("{file}.rs, {name}: {error}");
        }
        seen += 1;
    }
    assert!(seen >= 60, "only {seen} statements were found");
}

#[test]
fn no_statement_scans_a_table_that_grows_or_sorts() {
    let place = tempfile::tempdir().unwrap();
    let connection = fresh(place.path());
    // These read small tables whole, and mean to: current workflows, workers, and revisions by their index.
    let may_scan = ["workflow::LIST", "worker::ALL", "worker::EXPIRED", "sweep::UNUSED_REVISIONS"];
    for (file, name, sql) in statements() {
        if may_scan.contains(&format!("{file}::{name}").as_str()) || sql.starts_with("PRAGMA") {
            continue;
        }
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        // Unbound parameters are NULL, which is all that a plan needs.
        let mut rows = plan.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let detail: String = row.get(3).unwrap();
            // `ready_kill` holds just the rows that are asked for, and the statement has a LIMIT.
            let scans =
                detail.starts_with("SCAN") && !detail.contains("CONSTANT ROW") && !detail.contains("ready_kill");
            assert!(!scans && !detail.contains("TEMP B-TREE"), "{file}.rs, {name}: {detail}\n{sql}");
        }
    }
}

#[test]
fn the_file_is_set_up_as_designed() {
    let place = tempfile::tempdir().unwrap();
    let connection = fresh(place.path());
    for (pragma, wanted) in [
        ("auto_vacuum", "2"),
        ("journal_mode", "wal"),
        ("synchronous", "2"),
        ("foreign_keys", "1"),
        ("mmap_size", "0"),
        ("cache_size", "-8192"),
        ("wal_autocheckpoint", "0"),
        ("busy_timeout", "5000"),
        ("user_version", "1"),
    ] {
        let value: rusqlite::types::Value = connection.pragma_query_value(None, pragma, |row| row.get(0)).unwrap();
        let text = match value {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        };
        assert_eq!(text, wanted, "{pragma}");
    }
}

#[test]
fn an_open_store_says_it_is_writable_and_a_closed_one_does_not() {
    use crate::Store;
    let place = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Opening::new(place.path(), LIMITS, Durability::Full).open().unwrap();
        store.writable().await.unwrap();
        store.close().await;
        assert!(matches!(store.writable().await, Err(crate::StoreError::Closed)));
        assert!(matches!(store.workflows().await, Err(crate::StoreError::Closed)));
        // The lock is free though the closed store still exists.
        let again = Opening::new(place.path(), LIMITS, Durability::Full).open().unwrap();
        assert!(again.workflows().await.unwrap().is_empty());
    });
}
