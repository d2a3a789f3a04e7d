//! The rooms of the engine, used again and again: a runner that lives on, whole engines, the feed, the catalog.

use std::path::Path;
use std::time::Duration;

use staunch_engine::runner::{Exit, How, Start};
use staunch_engine::{CloseCount, Engine};
use staunch_flow::Outcome;
use staunch_leak::gate::current_thread;
use staunch_leak::{Options, no_growth};

use crate::bed;
use crate::life;
use crate::room::{Room, nobody};
use crate::runner_kit::{BOUND, Bench, keeper, wait, wait_for};

/// Rounds of one step on a runner that lives on. Nothing in it is left to chance: one keeper, one step at a time.
fn steps(
    start: impl Fn(&Bench) -> Start,
    disturb: impl Fn(&Bench, &staunch_engine::runner::Running),
    check: impl Fn(&Exit),
) {
    let bench = Bench::with(|config| {
        config.settle = Duration::from_millis(5);
        config.grace = Duration::from_millis(50);
    });
    let directory = bench.directory.path().to_path_buf();
    let options = Options::default().budget(&bench.budget).files_under(directory);
    let flat = no_growth(&options, || {
        let running = bench.runner.run(start(&bench));
        disturb(&bench, &running);
        let exit = wait(running);
        check(&exit);
        drop(exit);
        let rests = || (bench.runner.stats().steps_active == 0).then_some(());
        wait_for(BOUND, rests).unwrap();
        // What a step has written stays with its run, so here with the gate.
        for entry in std::fs::read_dir(bench.directory.path()).unwrap().flatten() {
            if entry.file_name() != "logs" {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        std::fs::remove_dir_all(bench.path("logs")).unwrap();
        std::fs::create_dir(bench.path("logs")).unwrap();
    });
    flat.unwrap_or_else(|growth| panic!("{growth}"));
    bench.close();
}

fn script(script: &'static str, expected: &How) {
    steps(|bench| bench.shell(script), |_, _| (), |exit| assert_eq!(exit.how, *expected, "{exit:?}"));
}

fn undisturbed(start: impl Fn(&Bench) -> Start, check: impl Fn(&Exit)) {
    steps(start, |_, _| (), check);
}

fn is_refused(exit: &Exit) {
    assert!(matches!(exit.how, How::NotStarted { .. }), "{exit:?}");
}

staunch_leak::alone! {
    fn ground_g6_runner_whose_steps_end() {
        script("echo out; echo err >&2; exit 0", &How::Code(0));
    }

    fn ground_g6_runner_whose_steps_fail() {
        script("echo out; echo err >&2; exit 3", &How::Code(3));
    }

    fn ground_g6_runner_whose_steps_die_of_a_signal() {
        script("kill -9 $$", &How::Signal(9));
    }

    fn ground_g6_runner_whose_steps_say_more_than_their_log_takes() {
        script("head -c 20000000 /dev/zero; head -c 300000 /dev/zero >&2", &How::Code(0));
    }

    fn ground_g6_runner_whose_steps_are_late() {
        let start = |bench: &Bench| Start { timeout: Some(Duration::from_millis(10)), ..bench.shell("exec sleep 1000") };
        undisturbed(start, |exit| assert_eq!(exit.killed, Some(Outcome::TimedOut)));
    }

    fn ground_g6_runner_whose_steps_do_not_hear_term() {
        let start = |bench: &Bench| Start { timeout: Some(Duration::from_millis(20)), ..bench.shell("trap '' TERM; while :; do sleep 1000; done") };
        undisturbed(start, |exit| assert_eq!(exit.killed, Some(Outcome::TimedOut)));
    }

    fn ground_g6_runner_whose_steps_are_killed() {
        let kill = |bench: &Bench, running: &staunch_engine::runner::Running| {
            bench.await_file("started");
            running.kill(Outcome::Cancelled, false);
        };
        steps(|bench| bench.shell("echo $$ > started; exec sleep 1000"), kill, |exit| assert_eq!(exit.killed, Some(Outcome::Cancelled)));
    }

    fn ground_g6_runner_whose_steps_leave_children() {
        let start = |bench: &Bench| bench.shell("sleep 1000 & setsid sleep 1000 & env -i setsid sleep 1000 & true");
        undisturbed(start, |exit| assert!(!exit.left_behind.is_empty(), "{exit:?}"));
    }

    fn ground_g6_runner_whose_keepers_die() {
        let start = |bench: &Bench| bench.shell("setsid sleep 1000 & kill -9 $PPID; sleep 1000");
        undisturbed(start, |exit| assert_eq!(exit.how, How::KeeperLost));
    }

    fn ground_g6_runner_whose_steps_have_no_shell() {
        undisturbed(|bench| bench.start(&["/no/such/shell", "-c", ":"]), is_refused);
    }

    fn ground_g6_runner_whose_steps_have_no_directory() {
        undisturbed(|bench| Start { directory: bench.path("gone"), ..bench.shell(":") }, is_refused);
    }

    fn ground_g6_runner_whose_steps_are_too_long() {
        undisturbed(|bench| bench.shell(&"x".repeat(200_000)), is_refused);
    }

    fn ground_g6_runner_whose_orders_go_by_a_file() {
        let start = |bench: &Bench| {
            let mut start = bench.shell(":");
            start.env.push(("LONG".into(), "x".repeat(100_000).into()));
            start
        };
        undisturbed(start, |exit| assert_eq!(exit.how, How::Code(0)));
    }

    fn ground_g6_runner_whose_steps_nobody_waits_for() {
        let bench = Bench::new();
        let flat = no_growth(&Options::default().budget(&bench.budget), || {
            let running = bench.runner.run(bench.shell("echo $$ > started; exec sleep 1000"));
            bench.await_file("started");
            drop(running);
            wait_for(BOUND, || (bench.runner.stats().steps_active == 0).then_some(())).unwrap();
            std::fs::remove_file(bench.path("started")).unwrap();
        });
        flat.unwrap_or_else(|growth| panic!("{growth}"));
        bench.close();
    }

    /// With a step that runs and one that waits, so that both are answered.
    fn ground_g6_runners_that_are_closed_and_runners_that_are_dropped() {
        let flat = no_growth(&Options::default(), || {
            for closed in [true, false] {
                let bench = Bench::with(|config| config.steps_max = 1);
                let running = bench.runner.run(bench.shell("echo $$ > started; exec sleep 1000"));
                bench.await_file("started");
                let waiting = bench.runner.run(bench.shell(":"));
                if closed {
                    assert_eq!(bench.runner.close(Duration::from_secs(1)), 0);
                    assert_eq!((wait(running).killed, wait(waiting).killed), (Some(Outcome::Interrupted), Some(Outcome::Interrupted)));
                }
            }
        });
        flat.unwrap_or_else(|growth| panic!("{growth}"));
    }

    fn ground_g6_engines_that_are_opened_run_and_are_closed() {
        let flat = no_growth(&Options::default(), || {
            let place = tempfile::tempdir().unwrap();
            let runtime = current_thread();
            runtime.block_on(async {
                let engine = life::open(place.path(), &keeper()).await.unwrap();
                let view = bed::run(&engine, "steps:\n  - { id: a, run: 'echo out' }\n  - { id: b, run: exit 3 }\n").await;
                assert_eq!(bed::summary(&view), "failed: a succeeded 1, b failed 1");
                assert_eq!(engine.close().await, CloseCount::default());
            });
        });
        flat.unwrap_or_else(|growth| panic!("{growth}"));
    }

    fn ground_g6_engines_that_cannot_be_opened() {
        let flat = no_growth(&Options::default(), || {
            let place = tempfile::tempdir().unwrap();
            // No keeper; then no work directory.
            assert!(current_thread().block_on(life::open(place.path(), &[])).is_err());
            std::fs::write(place.path().join("file"), "").unwrap();
            std::fs::remove_dir_all(place.path().join("work")).unwrap();
            std::fs::write(place.path().join("work"), "").unwrap();
            assert!(current_thread().block_on(life::open(place.path(), &keeper())).is_err());
        });
        flat.unwrap_or_else(|growth| panic!("{growth}"));
    }

    fn ground_g6_feed_whose_watchers_come_and_go() {
        let room = Room::new();
        let run = room.round(None, "steps:\n  - { id: a, run: ':' }\n", &nobody).row.head.id;
        room.rounds(&room.options(), || {
            let feed = room.engine.feed();
            let mut watches: Vec<_> = (0..100).map(|_| feed.watch(run)).collect();
            feed.wake(run);
            room.runtime.block_on(async {
                for watch in &mut watches {
                    watch.changed().await;
                }
            });
            // Half of them in the middle of a wait.
            let waits = watches.iter_mut().take(50).map(|watch| async {
                assert!(tokio::time::timeout(Duration::from_millis(1), watch.changed()).await.is_err());
            });
            room.runtime.block_on(futures_util::future::join_all(waits));
            drop(watches);
            assert_eq!(feed.len(), 0);
        });
        room.close();
    }

    fn ground_g6_submissions_that_are_refused() {
        let room = Room::new();
        room.rounds(&room.options(), || {
            room.runtime.block_on(async {
                for text in ["steps: 3", "\u{feff}\u{0}", "steps:\n  - { run: '${{ inputs.x }}' }\n", "steps:\n  - { id: a, needs: [b], run: ':' }\n"] {
                    assert!(life::submit(&room.engine, text).await.is_err(), "{text}");
                }
                let nobody = staunch_store::RunId::generate();
                assert!(room.engine.cancel(nobody, true).await.is_err());
                assert!(room.engine.rerun(nobody, staunch_engine::Rerun::All, None).await.is_err());
                assert!(room.engine.view(nobody, staunch_store::Results::Nothing).await.unwrap().is_none());
            });
        });
        room.close();
    }

    /// A file that changes to and fro, one that breaks and is mended, one that comes and goes.
    fn ground_g6_catalog_that_is_read_again() {
        let room = Room::with(&keeper(), |place| {
            std::fs::create_dir(place.join("workflows")).unwrap();
            write(place, "stays.yaml", GOOD);
        });
        let place = room.place.path();
        room.rounds(&room.options().warm_ups(3).rounds(5), || {
            write(place, "stays.yaml", "name: stays\nsteps: 3\n");
            write(place, "comes.yaml", "name: comes\nsteps:\n  - { run: ':' }\n");
            room.runtime.block_on(known(&room.engine, &["comes", "stays"], 1));
            write(place, "stays.yaml", GOOD);
            std::fs::remove_file(place.join("workflows/comes.yaml")).unwrap();
            room.runtime.block_on(known(&room.engine, &["stays"], 0));
        });
        room.close();
    }
}

const GOOD: &str = "name: stays\nsteps:\n  - { run: 'echo good' }\n";

fn write(place: &Path, name: &str, text: &str) {
    std::fs::write(place.join("workflows").join(name), text).unwrap();
}

/// Waits until these workflows are known and so many files are broken.
async fn known(engine: &Engine, names: &[&str], broken: usize) {
    let mut look = tokio::time::interval(Duration::from_millis(2));
    let there = async {
        loop {
            let list = engine.catalog().list();
            if list.iter().map(|known| known.name.as_str()).eq(names.iter().copied())
                && engine.catalog().broken().len() == broken
            {
                return;
            }
            drop(list);
            look.tick().await;
        }
    };
    tokio::time::timeout(bed::LONG, there).await.unwrap();
}
