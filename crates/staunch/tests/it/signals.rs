//! Ctrl-C and SIGTERM while a run goes on.

use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process_group};

use crate::bed::{Bed, Running, is_alive};

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

/// A signal may come at any time: as soon as there is something to leave behind, it is heard.
#[test]
fn a_stop_during_the_start_leaves_nothing() {
    let told = ["run", "slow.yaml"];
    let demo = ["serve", "--demo", "--listen", "127.0.0.1:0"];
    for (arguments, code) in [(&told[..], 130), (&demo[..], 0)] {
        let bed = Bed::new();
        bed.file("slow.yaml", SLOW);
        let run = bed.start(arguments);
        let began = Instant::now();
        while bed.temporary().is_empty() && began.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        assert!(!bed.temporary().is_empty(), "a directory was made");
        run.signal(Signal::TERM);
        run.end().exits(code);
        assert!(bed.temporary().is_empty(), "{arguments:?}: {:?}", bed.temporary());
    }
}

/// What goes wrong beside a run is told in plain text where nobody sees colors.
#[test]
fn a_warning_into_a_file_has_no_colors() {
    let bed = Bed::new();
    // The work directory of all runs goes, which the end of the engine finds.
    bed.file("gone.yaml", "steps:\n  - id: a\n    run: rm -r \"${STAUNCH_OUTPUT%/*/*}\"\n");
    let done = bed.run(&["run", "gone.yaml"]).exits(0);
    assert!(done.err.contains("WARN") && !done.err.contains('\u{1b}'), "{}", done.err);
}

#[test]
fn a_terminal_interrupts_the_whole_process_group_and_still_the_clean_up_runs() {
    let bed = Bed::new();
    bed.file("slow.yaml", SLOW);
    let mut command = bed.command(&["run", "slow.yaml"]);
    command.process_group(0);
    let mut run = Running::start(command);
    run.line(|line| line.starts_with("work | "));
    kill_process_group(run.pid(), Signal::INT).unwrap();
    let done = run.end().exits(130);
    assert!(done.out.ends_with("tidy | tidying\n"), "{done:?}");
    assert!(bed.path("here/tidied").exists());
}

#[test]
fn a_hangup_cancels_unless_it_is_ignored() {
    let bed = Bed::new();
    bed.file("slow.yaml", SLOW);
    let mut run = bed.start(&["run", "slow.yaml"]);
    run.line(|line| line.starts_with("work | "));
    run.signal(Signal::HUP);
    run.end().exits(130);
    assert!(bed.path("here/tidied").exists() && bed.temporary().is_empty());

    bed.file("short.yaml", "steps: [{run: 'echo begun; while [ ! -e go ]; do sleep 0.05; done'}]");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &format!("trap '' HUP; exec {} run short.yaml", env!("CARGO_BIN_EXE_staunch"))]);
    command.current_dir(bed.path("here")).env("HOME", bed.path("home")).env("TMPDIR", bed.path("tmp"));
    let mut run = Running::start(command);
    run.line(|line| line.ends_with("begun"));
    run.signal(Signal::HUP);
    bed.file("go", "");
    run.end().exits(0);
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
