//! Whoever asks the engine goes away at each await in turn; and the engine itself is dropped at each, with all that runs.

use std::cell::Cell;
use std::rc::Rc;

use staunch_engine::{Engine, Kind, Rerun, RunView};
use staunch_leak::Options;
use staunch_leak::fault::{Blame, Broken, Cut, CutShort, all_cancellations};
use staunch_leak::gate::current_thread;
use staunch_store::{Results, RunId, RunQuery, RunState};

use crate::bed;
use crate::life;
use crate::room::{Room, nobody};
use crate::runner_kit::{keeper, marked};
use crate::sweeps::WORK;

const QUICK: &str = "steps:\n  - { id: a, run: touch x }\n";
const SLEEPS: &str = "steps:\n  - { id: a, run: 'touch up; exec sleep 1000' }\n";

impl Room {
    /// Drives an asker as far as it may go; what it has brought about comes to its end.
    fn ask<F: Future>(&self, asker: CutShort<F>) -> Cut {
        let cut = self.runtime.block_on(asker);
        self.runtime.block_on(self.all_end());
        self.rest();
        cut
    }

    async fn all_end(&self) {
        let query = RunQuery { limit: 200, ..RunQuery::default() };
        // What was dropped may be under way: when a later write is done, it is too.
        bed::run(&self.engine, QUICK).await;
        for row in self.engine.store().runs(query).await.unwrap().items {
            if row.state != RunState::Ended {
                bed::ended(&self.engine, row.head.id).await;
            }
        }
    }

    /// How many awaits were swept. The store may be quicker than the asker looks, and then there is none: it is tried again.
    fn swept<F: Future>(&self, mut make: impl FnMut() -> F) -> u64 {
        const TRIES: usize = 50;
        let options = self.options().without_memory();
        for _ in 0..TRIES {
            match all_cancellations(&options, |asker| self.ask(asker), &mut make, || ()) {
                Ok(swept) => return swept.points,
                Err(Broken { blame: Blame::NoPoints, .. }) => {}
                Err(broken) => panic!("{broken}"),
            }
        }
        panic!("it never waits");
    }
}

/// Cancels a run after all, whether or not the asker that is swept got so far.
struct Anyway(Engine, RunId);

impl Drop for Anyway {
    fn drop(&mut self) {
        let (engine, run) = (self.0.clone(), self.1);
        drop(self.0.tasks().spawn(Kind::Account, async move { engine.cancel(run, true).await.ok() }));
    }
}

/// Every outcome stands once.
fn check(view: &RunView) {
    assert_eq!(view.row.state, RunState::Ended, "{view:#?}");
    assert!(view.steps.iter().all(|step| step.attempts.iter().all(|attempt| attempt.outcome.is_some())), "{view:#?}");
}

staunch_leak::alone! {
    fn ground_g5_whoever_submits_goes_away_at_each_await() {
        let room = Room::new();
        let engine = room.engine.clone();
        let points = room.swept(|| { let engine = engine.clone(); async move { bed::submit(&engine, QUICK).await } });
        assert!(points >= 2, "{points}");
        drop(engine);
        room.close();
    }

    fn ground_g5_whoever_cancels_goes_away_at_each_await() {
        let room = Room::new();
        let make = || {
            let run = room.runtime.block_on(async {
                let run = bed::submit(&room.engine, SLEEPS).await;
                room.file(run, "up").await;
                run
            });
            let anyway = Anyway(room.engine.clone(), run);
            async move { anyway.0.cancel(anyway.1, false).await }
        };
        let points = room.swept(make);
        assert!(points >= 2, "{points}");
        room.close();
    }

    fn ground_g5_whoever_runs_again_or_looks_goes_away_at_each_await() {
        let room = Room::new();
        let first = room.round(None, QUICK, &nobody).row.head.id;
        let again = || { let engine = room.engine.clone(); async move { engine.rerun(first, Rerun::All, None).await.is_ok() } };
        assert!(room.swept(again) >= 2);
        let look = || { let engine = room.engine.clone(); async move { engine.view(first, Results::Nothing).await.is_ok() } };
        assert!(room.swept(look) >= 2);
        room.runtime.block_on(async { check(&room.engine.view(first, Results::Nothing).await.unwrap().unwrap()) });
        room.close();
    }

    /// From the opening to the end of the close, dropped with its runtime after each poll: what it had begun goes with it, and the next
    /// one on the same directory goes on.
    fn ground_g5_an_engine_is_dropped_at_each_await() {
        let directory = Rc::new(Cell::new(None));
        let make = || {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().to_path_buf();
            directory.set(Some(place));
            async move {
                let engine = life::open(&path, &keeper()).await.unwrap();
                let run = life::submit(&engine, WORK).await.unwrap();
                bed::ended(&engine, run).await;
                engine.close().await
            }
        };
        let run = |whole: CutShort<_>| {
            let runtime = current_thread();
            let cut = runtime.block_on(whole);
            drop(runtime);
            cut
        };
        let next = || {
            let place = directory.take().unwrap();
            assert_eq!(marked(&place.path().display().to_string()), [""; 0], "no step outlives its engine");
            current_thread().block_on(life::second_life(place.path(), &keeper())).unwrap();
        };
        let swept = all_cancellations(&Options::default(), run, make, next).unwrap_or_else(|broken| panic!("{broken}"));
        assert!(swept.points >= 10, "{swept}");
    }
}
