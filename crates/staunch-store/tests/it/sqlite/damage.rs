//! Files that are not what they should be.

use std::fs;
use std::path::Path;
use std::time::Duration;

use staunch_flow::RunOutcome;
use staunch_store::{Durability, Incarnation, NewRevision, Opening, Retention, RunQuery, Sqlite, Store, StoreError};

use super::killed::assert_whole;
use crate::conformance::{LIMITS, Subject, TTL, block_on, new_run, text};

/// Longer than any test: the writer has nothing to do while it waits for work.
const NEVER: Duration = Duration::from_secs(86_400);

/// A closed store with `runs` runs in it.
fn filled(place: &Path, runs: usize) {
    block_on(async {
        let store = Sqlite::open(place, LIMITS, Durability::Off).unwrap();
        fill(&store, runs).await;
        store.close().await;
    });
}

async fn fill(store: &Sqlite, runs: usize) {
    let revision = NewRevision { name: "w".to_owned(), text: text("w").into(), file: None };
    store.publish(revision).await.unwrap();
    for _ in 0..runs {
        store.submit(new_run("w", &[0]), None).await.unwrap();
    }
}

fn refused(place: &Path) -> StoreError {
    Sqlite::open(place, LIMITS, Durability::Full).unwrap_err()
}

#[test]
fn a_file_of_garbage_is_damaged_and_the_message_says_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let garbage = b"not a database at all, but quite long enough to be taken for one\n".repeat(100);
    fs::write(place.path().join("staunch.db"), &garbage).unwrap();
    let error = refused(place.path());
    assert!(matches!(&error, StoreError::Damaged(text) if text.contains("restore the newest backup")), "{error}");
    assert_eq!(fs::read(place.path().join("staunch.db")).unwrap(), garbage, "whatever it was, it is left alone");
}

#[test]
fn pages_of_garbage_are_damage_and_never_a_panic() {
    let place = tempfile::tempdir().unwrap();
    filled(place.path(), 300);
    let file = place.path().join("staunch.db");
    let whole = fs::read(&file).unwrap();
    let pages = whole.len() / 4_096;
    assert!(pages > 20);
    // The first page holds the header and the schema's root; every other one is destroyed in turn.
    let mut found = 0;
    for page in 1..pages {
        let mut broken = whole.clone();
        broken[page * 4_096..(page + 1) * 4_096].fill(0xA5);
        fs::write(&file, &broken).unwrap();
        let error = match Sqlite::open(place.path(), LIMITS, Durability::Off) {
            Err(error) => Some(error),
            Ok(store) => block_on(async {
                let read = store.runs(RunQuery { limit: 200, ..RunQuery::default() }).await;
                read.err().or(store.submit(new_run("w", &[0]), None).await.err())
            }),
        };
        if let Some(error) = error {
            assert!(matches!(error, StoreError::Damaged(_)), "page {page}: {error}");
            found += 1;
        }
    }
    assert!(found > 5, "most pages are read by these two calls");
}

#[test]
fn a_log_cut_anywhere_loses_its_end_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let (database, wal) = block_on(async {
        let mut opening = Opening::new(place.path(), LIMITS, Durability::Off);
        // A checkpoint of an idle writer begins the log anew: then the two files would be of different times.
        opening.idle = NEVER;
        let store = opening.open().unwrap();
        fill(&store, 20).await;
        // The database first: a checkpoint in passing leaves the log's bytes where they are.
        let database = fs::read(place.path().join("staunch.db")).unwrap();
        (database, fs::read(place.path().join("staunch.db-wal")).unwrap())
    });
    let mut before = 0;
    let mut lengths: Vec<usize> = (0..40).map(|i| wal.len() * i / 40 + i % 7).collect();
    lengths.push(wal.len());
    for length in lengths {
        let cut = tempfile::tempdir().unwrap();
        fs::write(cut.path().join("staunch.db"), &database).unwrap();
        fs::write(cut.path().join("staunch.db-wal"), &wal[..length.min(wal.len())]).unwrap();
        let runs = block_on(async {
            let store = Sqlite::open(cut.path(), LIMITS, Durability::Off).unwrap();
            let runs = store.runs(RunQuery { limit: 200, ..RunQuery::default() }).await.unwrap().items.len();
            fill(&store, 1).await;
            store.close().await;
            runs
        });
        assert!(runs >= before, "a longer log holds no less");
        before = runs;
        assert_whole(&cut.path().join("staunch.db"));
    }
    assert_eq!(before, 20, "the whole log holds everything");
}

#[test]
fn a_newer_file_is_refused_in_words_and_left_alone() {
    let place = tempfile::tempdir().unwrap();
    filled(place.path(), 1);
    let file = place.path().join("staunch.db");
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 77).unwrap();
    let before = fs::read(&file).unwrap();
    let error = refused(place.path()).to_string();
    assert!(error.contains("schema version 77") && error.contains("newer Staunch"), "{error}");
    assert!(fs::read(&file).unwrap() == before, "not a byte was changed");
}

#[test]
fn a_held_directory_names_who_holds_it() {
    let place = tempfile::tempdir().unwrap();
    let store = Sqlite::open(place.path(), LIMITS, Durability::Off).unwrap();
    let error = refused(place.path()).to_string();
    assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
    drop(store);
    Sqlite::open(place.path(), LIMITS, Durability::Off).unwrap();
}

#[test]
fn a_sweep_makes_the_file_smaller() {
    let subject = super::make(LIMITS);
    block_on(async {
        let worker = subject.join().await;
        // Many, since a file with nothing in it has a page for each of its 42 tables and indexes.
        for _ in 0..600 {
            subject.run_to_end(worker, "w", RunOutcome::Succeeded).await;
        }
        let before = subject.store.usage().await.unwrap().database_bytes;
        subject.advance(Duration::from_secs(1));
        sweep_all(&subject).await;
        let after = subject.store.usage().await.unwrap().database_bytes;
        assert!(after <= before / 2, "{before} bytes became {after}");
        assert_eq!(subject.store.usage().await.unwrap().runs["ended"], 0);
    });
}

async fn sweep_all(subject: &Subject) {
    let keep = Retention { age_max: Some(Duration::ZERO), ..Retention::default() };
    while subject.store.sweep(&keep, 50).await.unwrap().more {}
}

#[test]
fn what_a_dead_server_held_is_freed_at_the_next_join() {
    block_on(async {
        let place = tempfile::tempdir().unwrap();
        let store = Sqlite::open(place.path(), LIMITS, Durability::Off).unwrap();
        fill(&store, 3).await;
        let dead = Incarnation::generate();
        store.join(dead, TTL).await.unwrap();
        let request = staunch_store::ClaimRequest { worker: dead, slots: 2, kills_max: 0 };
        assert_eq!(store.claim(request).await.unwrap().claimed.len(), 2);
        // It never left: as after a crash.
        drop(store);
        let store = Sqlite::open(place.path(), LIMITS, Durability::Off).unwrap();
        let heir = Incarnation::generate();
        assert_eq!(store.join(heir, TTL).await.unwrap(), 2, "no lease had to run out");
        let request = staunch_store::ClaimRequest { worker: heir, slots: 9, kills_max: 0 };
        assert_eq!(store.claim(request).await.unwrap().claimed.len(), 3);
    });
}

#[test]
fn a_clock_set_back_between_two_lives_does_not_turn_times_back() {
    let place = tempfile::tempdir().unwrap();
    let mut last = 0;
    for wall in [2_000_000_i64, 500_000, 3_000_000] {
        block_on(async {
            let mut opening = Opening::new(place.path(), LIMITS, Durability::Off);
            opening.clock = std::sync::Arc::new(staunch_store::HandClock::new(wall));
            let store = opening.open().unwrap();
            let revision = NewRevision { name: "w".to_owned(), text: text("w").into(), file: None };
            store.publish(revision).await.unwrap();
            let run = store.submit(new_run("w", &[0]), None).await.unwrap().run;
            let at = store.run(run).await.unwrap().unwrap().head.created_at.0;
            assert!(at >= last && at >= wall, "{at} after {last}");
            last = at;
            store.close().await;
        });
    }
}
