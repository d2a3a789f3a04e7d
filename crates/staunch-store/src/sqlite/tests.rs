//! What only this store must prove: its statements, its file, its threads.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::future::Future;

use super::{Durability, Opening, connection, schema};

/// So that the gates of this crate's own tests see memory.
#[global_allocator]
static COUNTING: staunch_leak::Counting = staunch_leak::Counting::new();

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

/// Panics on purpose are not printed from now on; all others are.
pub(super) fn quiet_on_purpose() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload_as_str().is_some_and(|text| text.contains("on purpose")) {
            loud(panic);
        }
    }));
}

/// Every statement there is, with the file it stands in.
pub(super) fn statements() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let files = [
        ("audit", super::audit::STATEMENTS),
        ("checkpoint", super::checkpoint::STATEMENTS),
        ("claim", super::claim::STATEMENTS),
        ("commit", super::commit::STATEMENTS),
        ("expiry", super::expiry::STATEMENTS),
        ("open_run", super::open_run::STATEMENTS),
        ("query", super::query::STATEMENTS),
        ("session", super::session::STATEMENTS),
        ("setup", super::setup::STATEMENTS),
        ("submit", super::submit::STATEMENTS),
        ("sweep", super::sweep::STATEMENTS),
        ("tally", super::tally::STATEMENTS),
        ("token", super::token::STATEMENTS),
        ("user", super::user::STATEMENTS),
        ("worker", super::worker::STATEMENTS),
        ("workflow", super::workflow::STATEMENTS),
        ("writer", super::writer::STATEMENTS),
    ];
    files.into_iter().flat_map(|(file, all)| all.iter().map(move |(name, sql)| (file, *name, *sql)))
}

pub(super) fn fresh(place: &std::path::Path) -> rusqlite::Connection {
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
    assert!(seen >= 120, "only {seen} statements were found");
}

#[test]
fn no_statement_scans_a_table_that_grows_or_sorts() {
    let place = tempfile::tempdir().unwrap();
    let connection = fresh(place.path());
    // These read small tables whole, and mean to: current workflows, workers, revisions by their index, and, once a worker
    // is dead, what is in flight.
    let may_scan = [
        "workflow::LIST",
        "worker::ALL",
        "worker::EXPIRED",
        "worker::FREE_LOST",
        "worker::FREE",
        "worker::REMOVE",
        "sweep::UNUSED_REVISIONS",
    ];
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
        ("user_version", "2"),
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

/// What is accepted is on disk: not in a file that was removed under us.
#[test]
fn a_store_whose_directory_is_away_accepts_nothing_until_it_is_back() {
    use crate::{Store, StoreError};
    let root = tempfile::tempdir().unwrap();
    let (place, aside) = (root.path().join("data"), root.path().join("aside"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Opening::new(&place, LIMITS, Durability::Full).open().unwrap();
        let text = std::sync::Arc::from("text");
        let revision = store.publish(crate::NewRevision { name: "w".to_owned(), text, file: None }).await.unwrap();
        store.submit(new_run(revision), None).await.unwrap();
        std::fs::rename(&place, &aside).unwrap();
        let refused = store.submit(new_run(revision), None).await.unwrap_err();
        assert!(matches!(&refused, StoreError::DataDirectory(text) if text.contains("put it back")), "{refused}");
        assert!(matches!(store.writable().await, Err(StoreError::DataDirectory(_))));
        std::fs::rename(&aside, &place).unwrap();
        store.writable().await.unwrap();
        store.submit(new_run(revision), None).await.unwrap();
        assert_eq!(store.usage().await.unwrap().runs["queued"], 2);
        store.close().await;
    });
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

fn new_run(revision: crate::RevisionId) -> crate::NewRun {
    crate::NewRun {
        id: crate::RunId::generate(),
        workflow: "w".to_owned(),
        revision,
        inputs: [("big".to_owned(), serde_json::json!("x".repeat(10_000)))].into(),
        trigger: "api".to_owned(),
        rerun_of: None,
        ready: vec![crate::NewAttempt {
            step: staunch_flow::StepIndex(0),
            attempt: 1,
            delay: std::time::Duration::ZERO,
            claim_for: None,
        }],
        events: Vec::new(),
        outcome: None,
    }
}

#[test]
fn a_full_file_is_no_space_and_works_again_when_there_is_room() {
    use crate::{Store, StoreError};
    let place = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Opening::new(place.path(), LIMITS, Durability::Full).open().unwrap();
        let text = std::sync::Arc::from("text");
        let revision = crate::NewRevision { name: "w".to_owned(), text, file: None };
        let revision = store.publish(revision).await.unwrap();
        let worker = crate::Incarnation::generate();
        store.join(worker, std::time::Duration::from_secs(30)).await.unwrap();
        let pages =
            |pages: i64| store.write(move |turn| Ok(turn.connection.pragma_update(None, "max_page_count", pages)?));
        pages(100).await.unwrap();
        let mut taken = 0;
        let full = loop {
            match store.submit(new_run(revision), None).await {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 100, "a hundred pages do not hold a hundred runs of three");
        };
        assert!(matches!(full, StoreError::NoSpace(_)), "{full}");
        assert!(taken > 5, "it was not full from the start");
        // Nothing of what failed is left, and what needs no room goes on.
        let usage = store.usage().await.unwrap();
        assert_eq!((usage.runs["queued"], usage.attempts_in_flight), (taken, taken));
        store.renew(worker, std::time::Duration::from_secs(60)).await.unwrap();
        pages(100_000).await.unwrap();
        store.submit(new_run(revision), None).await.unwrap();
        let usage = store.usage().await.unwrap();
        assert_eq!(usage.runs["queued"], taken + 1);
    });
}

#[test]
fn a_failure_that_rolls_back_the_whole_group_is_told_to_all_of_it() {
    use crate::{Store, StoreError};
    let place = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Opening::new(place.path(), LIMITS, Durability::Full).open().unwrap();
        let text = std::sync::Arc::from("text");
        let publish = |name: &str, text: &std::sync::Arc<str>| crate::NewRevision {
            name: name.to_owned(),
            text: std::sync::Arc::clone(text),
            file: None,
        };
        // The writer is kept busy by the first, so that the other three make one group.
        let (free, held) = std::sync::mpsc::sync_channel::<()>(1);
        let (started, is_busy) = tokio::sync::oneshot::channel();
        let busy = store.write(move |_| {
            started.send(()).unwrap();
            // It ends when the other end is dropped, which is an error and what is waited for.
            assert!(held.recv().is_err());
            Ok(())
        });
        let breaks = store.write(|turn| -> Result<(), StoreError> {
            turn.connection.execute_batch("ROLLBACK")?;
            Err(StoreError::NoSpace("as if the disk were full".to_owned()))
        });
        let (first, second) = (store.publish(publish("a", &text)), store.publish(publish("b", &text)));
        let others = async {
            is_busy.await.unwrap();
            // Polled in this order: when the last one runs, the three before it are queued.
            tokio::join!(first, breaks, second, async { drop(free) })
        };
        let (busy, (first, breaks, second, ())) = tokio::join!(busy, others);
        busy.unwrap();
        assert!(matches!(breaks, Err(StoreError::NoSpace(_))));
        assert!(matches!(first, Err(StoreError::NoSpace(_))), "what was done before is gone too: {first:?}");
        assert!(matches!(second, Err(StoreError::NoSpace(_))), "and what came after was not done: {second:?}");
        assert!(store.workflows().await.unwrap().is_empty());
        store.publish(publish("a", &text)).await.unwrap();
        assert_eq!(store.workflows().await.unwrap().len(), 1);
    });
}

#[test]
fn a_full_queue_waits_and_then_refuses_and_nothing_is_half_done() {
    use crate::{Store, StoreError};
    let place = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let limits = crate::StoreLimits { writes_queued_max: 1, ..LIMITS };
        let store = Opening::new(place.path(), limits, Durability::Full).open().unwrap();
        let (free, held) = std::sync::mpsc::sync_channel::<()>(1);
        let (started, is_busy) = tokio::sync::oneshot::channel();
        let busy = store.write(move |_| {
            started.send(()).unwrap();
            // It ends when the other end is dropped, which is an error and what is waited for.
            assert!(held.recv().is_err());
            Ok(())
        });
        let refused = async {
            is_busy.await.unwrap();
            // The first place is the writer's hands, the second the queue; the third caller waits for room.
            let queued = store.retire("queued");
            let waits = store.retire("waits");
            tokio::pin!(queued);
            let waited = tokio::select! {
                biased;
                done = &mut queued => panic!("the writer is busy: {done:?}"),
                waited = waits => waited,
            };
            drop(free);
            (waited, queued.await)
        };
        let (busy, (waited, queued)) = tokio::join!(busy, refused);
        busy.unwrap();
        assert!(matches!(waited, Err(StoreError::Full { limit: 1, .. })), "{waited:?}");
        assert!(!queued.unwrap());
        store.retire("later").await.unwrap();
    });
}

#[test]
fn a_caller_that_is_dropped_changes_nothing_for_what_was_taken_in() {
    use crate::Store;
    let place = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Opening::new(place.path(), LIMITS, Durability::Full).open().unwrap();
        let text = std::sync::Arc::from("text");
        let revision = crate::NewRevision { name: "w".to_owned(), text, file: None };
        let revision = store.publish(revision).await.unwrap();
        let run = new_run(revision);
        let id = run.id;
        let (free, held) = std::sync::mpsc::sync_channel::<()>(1);
        let mut busy = Box::pin(store.write(move |_| {
            // It ends when the other end is dropped, which is an error and what is waited for.
            assert!(held.recv().is_err());
            Ok(())
        }));
        let started = std::future::poll_fn(|cx| std::task::Poll::Ready(busy.as_mut().poll(cx))).await;
        assert!(started.is_pending());
        let mut submit = store.submit(run, None);
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(submit.as_mut().poll(cx))).await;
        drop(submit);
        assert!(polled.is_pending(), "it was dropped in the middle");
        drop(free);
        busy.await.unwrap();
        // The writer takes one after the other: when this is done, so is what came before.
        store.retire("nobody").await.unwrap();
        assert!(store.run(id).await.unwrap().is_some());
        assert_eq!(store.writes_room.available_permits(), LIMITS.writes_queued_max, "no place is lost");
    });
}
