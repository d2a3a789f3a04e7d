//! Ctrl-C and SIGTERM while a run goes on.

use rustix::process::Signal;

use crate::bed::{Bed, is_alive};

const SLOW: &str = "\
steps:
  - id: work
    run: |
      echo $$
      sleep 60
  - id: tidy
    if: ${{ always() }}
    run: |
      echo tidying
      if [ -e wait ]; then sleep 60; fi
      touch tidied
";

#[test]
fn the_first_interrupt_cancels_and_cleans_up() {
    for signal in [Signal::INT, Signal::TERM] {
        let bed = Bed::new();
        bed.file("slow.yaml", SLOW);
        let mut run = bed.start(&["run", "slow.yaml"]);
        let shell = run.line(|line| line.starts_with("work | "));
        run.signal(signal);
        let done = run.end().exits(130);
        assert!(done.out.ends_with("tidy | tidying\n"), "{done:?}");
        assert!(done.err.contains("clean-up steps still run") && done.err.contains("cancelled"), "{}", done.err);
        assert!(bed.path("here/tidied").exists());
        assert!(!is_alive(shell.trim_start_matches("work | ")), "the step is gone");
        assert!(bed.temporary().is_empty(), "{:?}", bed.temporary());
    }
}

#[test]
fn the_second_interrupt_skips_the_clean_up() {
    let bed = Bed::new();
    bed.file("slow.yaml", SLOW);
    bed.file("wait", "");
    let mut run = bed.start(&["run", "slow.yaml"]);
    run.line(|line| line.starts_with("work | "));
    run.signal(Signal::INT);
    run.line(|line| line == "tidy | tidying");
    run.signal(Signal::INT);
    let done = run.end().exits(130);
    assert!(!bed.path("here/tidied").exists());
    assert!(bed.temporary().is_empty(), "{done:?}");
}

#[test]
fn an_interrupt_of_a_json_run_still_prints_its_object() {
    let bed = Bed::new();
    bed.file("slow.yaml", "steps: [{id: work, run: 'touch started; sleep 60'}]");
    let run = bed.start(&["run", "slow.yaml", "--json"]);
    crate::bed::until(|| bed.path("here/started").exists());
    run.signal(Signal::INT);
    let done = run.end().exits(130);
    assert_eq!(done.json()["steps"][0]["outcome"], "cancelled");
}

#[test]
fn a_kill_leaves_no_process_of_a_step() {
    let bed = Bed::new();
    bed.file("slow.yaml", SLOW);
    let mut run = bed.start(&["run", "slow.yaml"]);
    let shell = run.line(|line| line.starts_with("work | "));
    let shell = shell.trim_start_matches("work | ").to_owned();
    assert!(is_alive(&shell));
    run.signal(Signal::KILL);
    assert_eq!(run.end().code, None);
    crate::bed::until(|| !is_alive(&shell));
}
