//! An engine that lives on while a gate looks at what each run leaves.

use std::rc::Rc;
use std::time::Duration;

use staunch_engine::{CloseCount, Engine, Limits, RunView};
use staunch_leak::fault::faults::{self, Manner};
use staunch_leak::{Options, no_growth};
use staunch_store::{Results, RunId};
use tokio::runtime::{Builder, Runtime};

use crate::bed::{self, summary};
use crate::life;
use crate::runner_kit::{BOUND, keeper, wait_for};

/// Homes that are put aside are numbered: with two digits from here on, so that no name grows.
const WARM_UPS: usize = 12;

/// An engine, the runtime under it, and its directory.
pub(crate) struct Room {
    pub(crate) runtime: Rc<Runtime>,
    pub(crate) engine: Engine,
    pub(crate) place: tempfile::TempDir,
}

/// What is made to fail in each round: the hit of a point.
#[derive(Clone, Copy)]
pub(crate) struct At(pub(crate) &'static str, pub(crate) u64);

impl Room {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// `furnish` puts into the directory what shall be there before the engine is opened.
    pub(crate) fn with(furnish: impl FnOnce(&std::path::Path)) -> Self {
        Self::within(life::tight(), furnish)
    }

    /// The same, with other bounds.
    pub(crate) fn within(limits: Limits, furnish: impl FnOnce(&std::path::Path)) -> Self {
        let place = tempfile::tempdir().unwrap();
        furnish(place.path());
        // One thread for all that goes on beside the test's: with more, which of them is warm would be up to chance.
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().thread_keep_alive(Duration::from_millis(10)).build();
        let runtime = Rc::new(runtime.unwrap());
        let engine = runtime.block_on(life::open_with(place.path(), &keeper(), limits)).unwrap();
        runtime.block_on(warm(&engine));
        Self { runtime, engine, place }
    }

    /// Everything that a run may hold: tasks, steps, bytes on budgets, files, rows that are not over.
    pub(crate) fn options(&self) -> Options {
        let (engine, runtime) = (self.engine.clone(), Rc::clone(&self.runtime));
        let counts = move |counts: &mut staunch_leak::census::Counts| {
            let stats = engine.stats();
            let usage = runtime.block_on(engine.store().usage()).unwrap();
            let mut put = |name: &str, count: u64| counts.extend([(name.to_owned(), count)]);
            put("tasks", stats.tasks);
            put("steps active", stats.steps_active);
            put("plans", stats.plans);
            put("keepers", stats.keepers);
            put("runs watched", engine.feed().len() as u64);
            put("attempts in flight", usage.attempts_in_flight);
            engine.tasks().alive_by_kind().for_each(|(kind, alive)| put(kind, alive));
            stats.budgets.iter().for_each(|(budget, used, _)| put(budget, *used));
            usage.runs.iter().filter(|(state, _)| *state != "ended").for_each(|(state, runs)| put(state, *runs));
        };
        Options::default()
            .warm_ups(WARM_UPS)
            .settle_max(Duration::from_secs(2))
            .files_under(self.place.path().join("work"))
            .counters(counts)
    }

    /// Waits until nothing of any run is in the engine's hands or on its disk.
    pub(crate) fn rest(&self) {
        let work = self.place.path().join("work");
        let homes =
            || std::fs::read_dir(&work).unwrap().flatten().filter(|entry| entry.file_name() != ".spare").count();
        let rests = || {
            let stats = self.engine.stats();
            let used: u64 = stats.budgets.iter().map(|(_, used, _)| used).sum();
            let quiet = homes() == 0 && stats.plans == 0 && stats.steps_active == 0 && used == 0;
            // Threads that have blocked leave a moment later.
            (quiet && threads("tokio-rt-worker") <= 1).then_some(())
        };
        wait_for(BOUND, rests)
            .unwrap_or_else(|| panic!("it does not rest: {:?}, {} homes", self.engine.stats(), homes()));
    }

    /// A round: a run of `text`, disturbed meanwhile, to its end and to rest.
    pub(crate) fn round(&self, at: Option<At>, text: &str, disturb: &impl AsyncFn(&Engine, RunId)) -> RunView {
        if let Some(At(point, nth)) = at {
            faults::arm_at(point, nth, false, Manner::Error);
        }
        let view = self.runtime.block_on(async {
            let run = bed::submit(&self.engine, text).await;
            disturb(&self.engine, run).await;
            bed::ended(&self.engine, run).await
        });
        self.rest();
        if let Some(At(point, _)) = at {
            assert_eq!(faults::disarm().failed.map(|fault| fault.point), Some(point), "{view:#?}");
        }
        view
    }

    /// The gate over such rounds, all of which end as `expected` and look right to `check`.
    pub(crate) fn gate(
        &self,
        at: Option<At>,
        text: &str,
        expected: &str,
        disturb: &impl AsyncFn(&Engine, RunId),
        check: impl Fn(&RunView),
    ) {
        self.rounds(&self.options(), || {
            let view = self.round(at, text, disturb);
            assert_eq!(summary(&view), expected, "{view:#?}");
            check(&view);
        });
    }

    /// The gate over any rounds. What grows once is warm by then.
    /// What grows again and again is a leak.
    pub(crate) fn rounds(&self, options: &Options, mut round: impl FnMut()) {
        const GROWS_MAX: usize = 2;
        for grew in 0.. {
            match no_growth(options, &mut round) {
                Ok(_) => return,
                Err(growth) if grew >= GROWS_MAX => panic!("{growth}"),
                Err(_) => {}
            }
        }
    }

    /// Waits until the step under way has made this file in its workspace.
    pub(crate) async fn file(&self, run: RunId, name: &str) {
        let path = self.place.path().join("work").join(run.to_string()).join("workspace").join(name);
        let mut look = tokio::time::interval(Duration::from_millis(1));
        let there = async {
            while !path.exists() {
                look.tick().await;
            }
        };
        tokio::time::timeout(bed::LONG, there).await.unwrap();
    }

    pub(crate) fn close(self) {
        let left = self.runtime.block_on(self.engine.close());
        assert_eq!(left, CloseCount::default(), "something is left");
    }
}

fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name))
        .count()
}

/// Has the store's one reader prepare whatever is asked of it here.
async fn warm(engine: &Engine) {
    let run = bed::run(engine, "steps:\n  - { id: warm, run: touch x }\n").await.row.head.id;
    engine.view(run, Results::UpTo { bytes: u64::MAX }).await.unwrap();
    engine.store().usage().await.unwrap();
}

/// Nobody disturbs.
pub(crate) async fn nobody(_: &Engine, _: RunId) {}
