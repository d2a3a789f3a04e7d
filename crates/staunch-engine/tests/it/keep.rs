//! A keeper fails at each point: the step's end is told, and nothing of keeper or step is left.
//!
//! A keeper gets no environment, so the plan of what fails in it stands in front of it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use staunch_engine::runner::{Exit, How};
use staunch_leak::{Options, no_growth};

use crate::runner_kit::{self, Bench};

const PLAN: &str = "STAUNCH_TEST_KEEPER_FAILS";

/// Points of a keeper, with how many hits of each are swept.
const POINTS: &[(&str, u64)] = &[
    ("keep.begin", 1),
    ("keep.hear", 2),
    ("keep.read_order", 1),
    ("keep.spawn", 1),
    ("keep.wait", 3),
    ("keep.reap", 2),
    ("keep.look", 2),
    ("keep.report", 1),
];

fn keeper(point: &str, nth: u64, manner: &str) -> Vec<OsString> {
    let plan = format!("{PLAN}={point} {nth} {manner}");
    [OsString::from("/usr/bin/env"), plan.into()].into_iter().chain(runner_kit::keeper()).collect()
}

/// A step with a long order, output, and a child that it leaves behind, under a keeper that fails.
fn run(point: &str, nth: u64, manner: &str) -> Exit {
    let bench = Bench::with(|config| {
        config.settle = Duration::from_millis(5);
        config.grace = Duration::from_millis(50);
        config.keeper = keeper(point, nth, manner);
    });
    let mut start = bench.shell("echo out; sleep 1000 & setsid sleep 1000 & true");
    start.env.push(("LONG".into(), "x".repeat(70_000).into()));
    let mut exit = bench.finish(start);
    // Its charges go with it, and the bench wants to see them gone.
    (exit.stdout.charge, exit.stderr.charge) = (None, None);
    // What failed once in this keeper does not fail in the next, which a lost one is replaced by; if it lives on, it works.
    bench.close();
    exit
}

fn sweep(manner: &str) {
    let mut failed = BTreeSet::new();
    let flat = no_growth(&Options::default().warm_ups(1).rounds(1), || {
        for (point, hits) in POINTS {
            for nth in 0..*hits {
                let exit = run(point, nth, manner);
                if exit.how != How::Code(0) {
                    failed.insert(*point);
                }
            }
        }
    });
    flat.unwrap_or_else(|growth| panic!("{growth}"));
    // A look at the processes that fails is made again, so that the step ends well.
    let again = |point: &str| manner == "error" && point == "keep.look";
    let expected: BTreeSet<&str> = POINTS.iter().map(|(point, _)| *point).filter(|point| !again(point)).collect();
    assert_eq!(failed, expected, "points that made a step fail");
}

staunch_leak::alone! {
    fn ground_g5_a_keeper_fails_at_each_point() {
        sweep("error");
    }

    fn ground_g5_a_keeper_panics_at_each_point() {
        sweep("panic");
    }

    fn ground_g5_a_keeper_aborts_at_each_point() {
        sweep("abort");
    }

    /// The keeper of these tests is as good as any when nothing fails.
    fn a_keeper_that_does_not_fail_runs_the_step() {
        assert_eq!(run("none", 0, "error").how, How::Code(0));
    }
}
