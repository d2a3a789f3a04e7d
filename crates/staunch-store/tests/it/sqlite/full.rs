//! A disk that takes no more, and then does again.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use staunch_flow::RunOutcome;
use staunch_store::{Committed, Durability, Incarnation, NewRevision, Sqlite, Store, StoreError};

use super::killed::{assert_whole, in_a_child};
use crate::conformance::{LIMITS, TTL, block_on, end_of, event, new_run, step_forward, text};

/// How long a file may be while the disk is "full": less than what makes the store checkpoint its log.
const FILE_BYTES: u64 = 1 << 20;

fn limit_files(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

fn body() {
    let place = tempfile::tempdir().unwrap();
    block_on(async {
        let store = Sqlite::open(place.path(), LIMITS, Durability::Full).unwrap();
        let worker = Incarnation::generate();
        store.join(worker, TTL).await.unwrap();
        let revision = NewRevision { name: "w".to_owned(), text: text("w").into(), file: None };
        store.publish(revision).await.unwrap();
        limit_files(Some(FILE_BYTES));
        let mut taken = Vec::new();
        let full = loop {
            match store.submit(new_run("w", &[0]), None).await {
                Ok(submitted) => taken.push(submitted.run),
                Err(error) => break error,
            }
            assert!(taken.len() < 100_000, "a file of a megabyte does not hold so many");
        };
        assert!(matches!(full, StoreError::Failed(_) | StoreError::NoSpace(_)), "{full}");
        for run in &taken {
            assert!(store.run(*run).await.unwrap().is_some(), "reading goes on, and nothing taken is lost");
        }
        limit_files(None);
        store.submit(new_run("w", &[0]), None).await.unwrap();
        let request = staunch_store::ClaimRequest { worker, slots: 1, kills_max: 0 };
        let claimed = store.claim(request).await.unwrap().claimed.remove(0);
        let mut commit = step_forward(claimed.key.run, claimed.version);
        commit.ended = vec![end_of(&claimed, worker)];
        commit.events = vec![event(1)];
        commit.outcome = Some(RunOutcome::Succeeded);
        assert!(matches!(store.commit(commit).await.unwrap(), Committed::Recorded { .. }));
        let runs = store.usage().await.unwrap().runs;
        assert_eq!(runs["queued"] + runs["ended"], taken.len() as u64 + 1, "what was refused left nothing");
        store.close().await;
    });
    assert_whole(&place.path().join("staunch.db"));
}

#[test]
fn a_file_that_cannot_grow_refuses_and_then_works_again() {
    in_a_child("sqlite::full::a_file_that_cannot_grow_refuses_and_then_works_again", body);
}

#[test]
fn below_the_floor_new_runs_are_refused_and_running_ones_end() {
    block_on(async {
        let place = tempfile::tempdir().unwrap();
        let worker = Incarnation::generate();
        let plenty = Sqlite::open(place.path(), LIMITS, Durability::Off).unwrap();
        let revision = NewRevision { name: "w".to_owned(), text: text("w").into(), file: None };
        plenty.publish(revision).await.unwrap();
        plenty.submit(new_run("w", &[0]), None).await.unwrap();
        drop(plenty);

        let limits = staunch_store::StoreLimits { disk_free_bytes_min: u64::MAX, ..LIMITS };
        let scarce = Sqlite::open(place.path(), limits, Durability::Off).unwrap();
        let refused = scarce.submit(new_run("w", &[0]), None).await;
        assert!(matches!(refused, Err(StoreError::NoSpace(_))), "{refused:?}");
        assert!(matches!(scarce.writable().await, Err(StoreError::NoSpace(_))));
        scarce.join(worker, TTL).await.unwrap();
        let request = staunch_store::ClaimRequest { worker, slots: 1, kills_max: 0 };
        let claimed = scarce.claim(request).await.unwrap().claimed.remove(0);
        let mut commit = step_forward(claimed.key.run, claimed.version);
        commit.ended = vec![end_of(&claimed, worker)];
        commit.outcome = Some(RunOutcome::Succeeded);
        assert!(matches!(scarce.commit(commit).await.unwrap(), Committed::Recorded { .. }));
    });
}
