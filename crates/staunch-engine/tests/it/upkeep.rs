//! Retention fails: it says so, and what clears up lives on. Its first round comes ten seconds after the start, which these tests wait for.

use std::time::Duration;

use staunch_engine::{CloseCount, Engine, Limits};
use staunch_leak::fault::faults::{self, Manner};
use staunch_leak::gate::current_thread;
use staunch_store::RunQuery;

use crate::bed;
use crate::life;
use crate::runner_kit::keeper;
use crate::told;

const QUICK: &str = "steps:\n  - { id: a, run: ':' }\n";

/// An engine that keeps one run of a workflow, has two, and fails at a point of its retention. What it says then.
fn keeps_one(point: &str, manner: Manner, check: impl AsyncFnOnce(&Engine)) -> Vec<String> {
    told::listen();
    let place = tempfile::tempdir().unwrap();
    let runtime = current_thread();
    let limits = Limits { retention_runs: 1, ..life::tight() };
    faults::arm_at(point, 0, false, manner);
    let said = runtime.block_on(async {
        let engine = life::open_with(place.path(), &keeper(), limits).await.unwrap();
        bed::run(&engine, QUICK).await;
        bed::run(&engine, QUICK).await;
        let mut look = tokio::time::interval(Duration::from_millis(20));
        let heard = async {
            while !told::anything() {
                look.tick().await;
            }
        };
        tokio::time::timeout(bed::LONG, heard).await.unwrap();
        let said = told::take();
        check(&engine).await;
        assert_eq!(bed::summary(&bed::run(&engine, QUICK).await), "succeeded: a succeeded 1");
        let upkeep = engine.tasks().alive_by_kind().find(|(kind, _)| *kind == "upkeep");
        assert_eq!(upkeep, Some(("upkeep", 1)), "what clears up lives on");
        assert_eq!(engine.close().await, CloseCount::default());
        said
    });
    assert_eq!(faults::disarm().failed.map(|fault| fault.point), Some(point));
    told::speak();
    said
}

async fn runs(engine: &Engine) -> usize {
    engine.store().runs(RunQuery { limit: 10, ..RunQuery::default() }).await.unwrap().items.len()
}

fn assert_said(said: &[String], words: &str) {
    assert!(said.iter().any(|line| line.contains(words)), "{said:#?}");
}

staunch_leak::alone! {
    fn ground_g5_retention_that_panics_does_not_end_upkeep() {
        let said = keeps_one("upkeep.sweep", Manner::Panic, async |engine| assert_eq!(runs(engine).await, 2));
        assert_said(&said, "panic: ");
        assert_said(&said, "retention panicked");
    }

    fn ground_g5_retention_that_fails_says_so() {
        let said = keeps_one("upkeep.sweep", Manner::Error, async |engine| assert_eq!(runs(engine).await, 2));
        assert_said(&said, "upkeep.sweep failed on purpose");
    }

    fn ground_g5_retention_that_cannot_remove_a_log_says_so() {
        let said = keeps_one("upkeep.remove", Manner::Error, async |engine| assert_eq!(runs(engine).await, 1));
        assert_said(&said, "upkeep.remove failed on purpose");
    }
}
