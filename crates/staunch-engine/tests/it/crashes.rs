//! The server dies at each point, as by `kill -9`, and another begins on the same directory.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use staunch_engine::Engine;
use staunch_leak::Options;
use staunch_leak::fault::{Crash, Reach, Swept, is_victim, named_crashes, victim};
use staunch_leak::gate::{current_thread, name_of_test, this_test};
use staunch_store::{Results, RunId, RunState};

use crate::life::{self, SLEEPER, open, second_life, submit};
use crate::runner_kit::{keeper, marked, wait_for};
use crate::sweeps::{is_long, ours};

/// Where victims live; this process and they must know the same one.
fn place(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("staunch-crash-{name}"))
}

/// A victim's life: what it was told to be accepted, it writes down.
fn live(place: &Path, script: impl AsyncFnOnce(&Engine, &dyn Fn(RunId)) -> Result<(), String>) {
    let accepted = |run: RunId| {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(place.join("accepted"));
        writeln!(file.unwrap(), "{run}").unwrap();
    };
    let runtime = current_thread();
    runtime.block_on(async {
        let engine = open(place, &keeper()).await.unwrap();
        script(&engine, &accepted).await.unwrap();
        assert_eq!(engine.close().await, staunch_engine::CloseCount::default());
    });
}

/// All that the dead promised is kept, and nothing of it is left.
fn check(place: &Path, crash: &Crash) {
    // What descends from the dead is nobody's child here, as it would not be of the next server.
    rustix::process::set_child_subreaper(None).unwrap();
    let gone = wait_for(Duration::from_secs(5), || marked(&place.display().to_string()).is_empty().then_some(()));
    assert!(gone.is_some(), "steps outlive their server: {:?}", marked(&place.display().to_string()));
    let runtime = current_thread();
    runtime.block_on(second_life(place, &keeper())).unwrap_or_else(|error| panic!("{error}\n{}", said(crash)));
    runtime.block_on(kept(place)).unwrap_or_else(|error| panic!("{error}\n{}", said(crash)));
    drop(runtime);
    rustix::process::set_child_subreaper(None).unwrap();
    // The next victim finds what a first start finds, so that all die in the same work.
    std::fs::remove_dir_all(place).unwrap();
    std::fs::create_dir(place).unwrap();
}

fn said(crash: &Crash) -> String {
    String::from_utf8_lossy(&crash.output.stderr).into_owned()
}

async fn kept(place: &Path) -> Result<(), String> {
    let promised = std::fs::read_to_string(place.join("accepted")).unwrap_or_default();
    let engine = open(place, &keeper()).await?;
    for line in promised.lines() {
        let run: RunId = line.parse().map_err(|_| format!("{line:?} is no run"))?;
        let view = engine.view(run, Results::Nothing).await.map_err(|error| error.to_string())?;
        let state = view.map(|view| view.row.state);
        if state != Some(RunState::Ended) {
            return Err(format!("{run} was accepted and is {state:?}"));
        }
    }
    let left = engine.close().await;
    if left == staunch_engine::CloseCount::default() { Ok(()) } else { Err(format!("{left:?}")) }
}

fn sweep(name: &str) -> Swept {
    let place = place(name);
    std::fs::remove_dir_all(&place).ok();
    std::fs::create_dir_all(&place).unwrap();
    let reach = Reach::first(ours).hits(if is_long() { 4 } else { 1 });
    let again = || this_test(&name_of_test(module_path!(), name));
    let swept = named_crashes(&Options::default().files_under(&place), &reach, again, |crash| check(&place, crash));
    std::fs::remove_dir_all(&place).unwrap();
    swept.unwrap_or_else(|broken| panic!("{broken}\n{}", life::wrong()))
}

staunch_leak::alone! {
    fn ground_g5_a_server_that_works_dies_at_each_point() {
        if is_victim() {
            return victim(|| live(&place("ground_g5_a_server_that_works_dies_at_each_point"), async |engine, accepted| {
                let run = submit(engine, crate::sweeps::WORK).await?;
                accepted(run);
                life::ended(engine, run).await.map(drop)
            }));
        }
        assert!(sweep("ground_g5_a_server_that_works_dies_at_each_point").points >= 20);
    }

    fn ground_g5_a_server_that_cancels_dies_at_each_point() {
        if is_victim() {
            return victim(|| live(&place("ground_g5_a_server_that_cancels_dies_at_each_point"), async |engine, accepted| {
                let run = submit(engine, &format!("name: {SLEEPER}\nsteps:\n  - {{ id: a, run: 'exec sleep 1000' }}\n")).await?;
                accepted(run);
                life::until(engine, run, |view| view.row.started_at.is_some()).await?;
                engine.cancel(run, false).await.map_err(|error| error.to_string())?;
                life::ended(engine, run).await.map(drop)
            }));
        }
        assert!(sweep("ground_g5_a_server_that_cancels_dies_at_each_point").points >= 20);
    }
}
