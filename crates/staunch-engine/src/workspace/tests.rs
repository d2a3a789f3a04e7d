//! Homes of runs, on a real disk.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use staunch_store::RunId;

use super::{Places, SPARE_MAX, Work};

fn work(root: &Path) -> Work {
    let work = Work::new(root.to_path_buf(), None);
    work.sweep(&HashSet::new()).unwrap();
    work
}

fn homes(root: &Path) -> usize {
    fs::read_dir(root).unwrap().count() - 1
}

fn spares(root: &Path) -> usize {
    fs::read_dir(root.join(".spare")).unwrap().count()
}

#[test]
fn an_attempt_leaves_nothing_but_its_workspace_and_a_run_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let work = work(root.path());
    let run = RunId::generate();
    let places = work.take(run).unwrap();
    assert!(places.are_clean());
    fs::write(places.workspace.join("kept"), "x").unwrap();
    fs::create_dir(places.temporary.join("deep")).unwrap();
    fs::write(places.temporary.join("deep/file"), "x").unwrap();
    fs::write(&places.output, "k=v").unwrap();
    assert!(!places.are_clean());
    work.give_back(&places).unwrap();
    assert!(places.are_clean() && places.workspace.join("kept").exists());
    work.remove(run).unwrap();
    work.remove(run).unwrap();
    assert_eq!((homes(root.path()), spares(root.path())), (0, 0));
}

/// The next attempt has its places whatever this one did to its own, and nothing is left at the end.
#[test]
fn places_that_a_step_removed_or_replaced_are_made_again() {
    let harms: [fn(&Places); 5] = [
        |places| fs::remove_dir(&places.temporary).unwrap(),
        |places| fs::remove_dir_all(places.temporary.parent().unwrap()).unwrap(),
        |places| fs::remove_dir_all(places.output.parent().unwrap()).unwrap(),
        |places| fs::create_dir_all(places.output.join("deep/er")).unwrap(),
        |places| symlink("/nowhere", &places.output).unwrap(),
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        let root = tempfile::tempdir().unwrap();
        let work = work(root.path());
        let run = RunId::generate();
        let places = work.take(run).unwrap();
        harm(&places);
        work.give_back(&places).unwrap();
        let (again, beside) = (work.take(run).unwrap(), work.take(run).unwrap());
        assert!(again.are_clean() && beside.are_clean(), "harm {number}");
        assert_eq!(again.temporary, places.temporary, "harm {number}: the places are used again");
        work.remove(run).unwrap();
        assert_eq!((homes(root.path()), spares(root.path())), (0, 0), "harm {number}");
    }
}

#[test]
fn attempts_at_once_have_temporary_directories_of_their_own() {
    let root = tempfile::tempdir().unwrap();
    let work = work(root.path());
    let run = RunId::generate();
    let (one, two) = (work.take(run).unwrap(), work.take(run).unwrap());
    assert!(one.temporary != two.temporary && one.output != two.output && one.workspace == two.workspace);
    work.give_back(&one).unwrap();
    let three = work.take(run).unwrap();
    assert_eq!(three.temporary, one.temporary, "what is free is used again");
}

#[test]
fn a_home_that_nobody_touched_is_the_next_runs() {
    let root = tempfile::tempdir().unwrap();
    let work = work(root.path());
    for _ in 0..3 {
        let run = RunId::generate();
        let places = work.take(run).unwrap();
        assert!(places.workspace.starts_with(root.path().join(run.to_string())) && places.workspace.is_dir());
        work.give_back(&places).unwrap();
        work.remove(run).unwrap();
        assert_eq!((homes(root.path()), spares(root.path())), (0, 1));
    }
}

/// Whatever a step does to its places, no later run finds it.
#[test]
fn a_home_that_somebody_touched_is_never_used_again() {
    let touches: [fn(&Places); 9] = [
        |places| {
            let home = places.workspace.parent().unwrap();
            let before = fs::metadata(home).unwrap().modified().unwrap();
            fs::write(home.join("beside"), "x").unwrap();
            fs::File::open(home).unwrap().set_modified(before).unwrap();
        },
        |places| fs::write(places.workspace.join("left"), "x").unwrap(),
        |places| fs::set_permissions(&places.workspace, fs::Permissions::from_mode(0o700)).unwrap(),
        |places| fs::set_permissions(&places.temporary, fs::Permissions::from_mode(0o1777)).unwrap(),
        |places| fs::create_dir(places.workspace.join("sub")).unwrap(),
        |places| fs::write(places.workspace.parent().unwrap().join("beside"), "x").unwrap(),
        |places| fs::write(places.temporary.parent().unwrap().join("beside"), "x").unwrap(),
        |places| {
            fs::remove_dir(&places.workspace).unwrap();
            symlink("/", &places.workspace).unwrap();
        },
        |places| {
            fs::remove_dir(&places.temporary).unwrap();
            symlink("/nowhere", &places.temporary).unwrap();
        },
    ];
    for (number, touch) in touches.into_iter().enumerate() {
        for used_before in [false, true] {
            let root = tempfile::tempdir().unwrap();
            let mut work = work(root.path());
            if used_before {
                // By its marks alone.
                work.old_after = Duration::ZERO;
                let run = RunId::generate();
                work.give_back(&work.take(run).unwrap()).unwrap();
                work.remove(run).unwrap();
                pass_a_tick(&root.path().join(".spare/1"));
            }
            let run = RunId::generate();
            let places = work.take(run).unwrap();
            assert_eq!(places.mark.is_some(), used_before);
            touch(&places);
            // It fails where the step put something in the way; the run's end takes it all the same.
            work.give_back(&places).ok();
            work.remove(run).unwrap();
            assert_eq!((homes(root.path()), spares(root.path())), (0, 0), "touch {number}, used before: {used_before}");
        }
    }
}

/// Until the file system's clock has moved on since a directory was last changed.
fn pass_a_tick(path: &Path) {
    let probe = path.parent().unwrap().parent().unwrap().join("probe");
    let made =
        [path, &path.join("tmp"), &path.join("tmp/0")].map(|path| fs::metadata(path).unwrap().modified().unwrap());
    loop {
        fs::write(&probe, "").unwrap();
        let now = fs::metadata(&probe).unwrap().modified().unwrap();
        fs::remove_file(&probe).unwrap();
        if made.iter().all(|made| now > *made) {
            return;
        }
    }
}

#[test]
fn homes_put_aside_are_bounded() {
    let root = tempfile::tempdir().unwrap();
    let work = work(root.path());
    let runs: Vec<RunId> = (0..SPARE_MAX + 5).map(|_| RunId::generate()).collect();
    for run in &runs {
        let places = work.take(*run).unwrap();
        work.give_back(&places).unwrap();
    }
    for run in &runs {
        work.remove(*run).unwrap();
    }
    assert_eq!((homes(root.path()), spares(root.path())), (0, SPARE_MAX));
}

#[test]
fn a_run_of_an_earlier_life_keeps_its_workspace_and_no_temporary_files() {
    let root = tempfile::tempdir().unwrap();
    let run = RunId::generate();
    let places = work(root.path()).take(run).unwrap();
    fs::write(places.workspace.join("kept"), "x").unwrap();
    fs::write(places.temporary.join("gone"), "x").unwrap();
    let later = Work::new(root.path().to_path_buf(), None);
    assert_eq!(later.sweep(&HashSet::from([run])).unwrap(), 0);
    let places = later.take(run).unwrap();
    assert!(places.workspace.join("kept").exists() && places.are_clean());
    later.remove(run).unwrap();
    assert_eq!((homes(root.path()), spares(root.path())), (0, 0));
}

#[test]
fn a_sweep_removes_what_no_open_run_owns_and_leaves_strangers_alone() {
    let root = tempfile::tempdir().unwrap();
    let (open, over) = (RunId::generate(), RunId::generate());
    let earlier = work(root.path());
    for run in [open, over] {
        earlier.take(run).unwrap();
    }
    fs::write(root.path().join("a stranger"), "x").unwrap();
    assert_eq!(work_again(root.path()).sweep(&HashSet::from([open])).unwrap(), 1);
    assert_eq!(homes(root.path()), 2);
}

fn work_again(root: &Path) -> Work {
    Work::new(root.to_path_buf(), None)
}

#[test]
fn a_local_run_keeps_the_callers_directory() {
    let root = tempfile::tempdir().unwrap();
    let here = root.path().join("here");
    let directory = root.path().join("work");
    fs::create_dir(&here).unwrap();
    fs::create_dir(&directory).unwrap();
    let work = Work::new(directory, Some(here.clone()));
    work.sweep(&HashSet::new()).unwrap();
    let run = RunId::generate();
    let places = work.take(run).unwrap();
    assert_eq!(places.workspace, here);
    work.give_back(&places).unwrap();
    work.remove(run).unwrap();
    assert!(here.exists() && !places.temporary.exists());
}
