//! `staunch run NAME` and the other commands that ask a server.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::bed::{Bed, until};
use crate::cutter::Cutter;

const JOB: &str = "\
inputs: { who: { default: world } }
steps:
  - id: good
    run: |
      echo \"hello $WHO\"
      echo \"x=1\" >> \"$STAUNCH_OUTPUT\"
    env: { WHO: \"${{ inputs.who }}\" }
  - id: bad
    run: echo oops >&2; exit 3
  - id: never
    run: echo never
";

/// Without what differs from run to run.
fn bare(mut report: Value) -> Value {
    report["run"].take();
    report["duration_ms"].take();
    for step in report["steps"].as_array_mut().unwrap() {
        step["duration_ms"].take();
        step["max_rss_bytes"].take();
    }
    report
}

#[test]
fn a_run_on_a_server_looks_like_one_here() {
    let bed = Bed::new();
    bed.workflow("job.yaml", JOB);
    bed.file("job.yaml", JOB);
    let server = bed.serve(&[]);
    let here = bed.run(&["run", "job.yaml", "--json", "-i", "who=Ada"]).exits(1).json();
    let there = server.run(&bed, &["run", "job", "--json", "-i", "who=Ada"]).exits(1).json();
    assert_eq!(bare(here), bare(there));
    let here = bed.run(&["run", "job.yaml"]).exits(1);
    let there = server.run(&bed, &["run", "job"]).exits(1);
    assert_eq!(here.out, there.out);
    assert!(there.err.contains("staunch rerun run_") && there.err.contains("  oops"), "{}", there.err);
    let url = server.url.clone();
    assert_eq!(bed.run(&["run", "job", "--server", &url, "-q"]).exits(1).out, "");
    server.stop();
}

#[test]
fn refusals_have_their_exit_codes() {
    let bed = Bed::new();
    bed.workflow("job.yaml", JOB);
    let server = bed.serve(&[]);
    let unknown = server.run(&bed, &["run", "jobs"]).exits(4);
    assert!(unknown.err.contains("did you mean \"job\"?"), "the nearest name: {}", unknown.err);
    let input = server.run(&bed, &["run", "job", "-i", "wh=x"]).exits(2);
    assert!(input.err.contains("wh") && input.err.contains("who"), "{}", input.err);
    server.run(&bed, &["runs", "show", "@last"]).exits(4);
    server.run(&bed, &["runs", "show", "run_00000000000000000000000000"]).exits(4);
    server.run(&bed, &["logs", "zzz"]).exits(4);
    server.run(&bed, &["run", "job", "-q"]).exits(1);
    let step = server.run(&bed, &["logs", "@last", "godo"]).exits(4);
    assert!(step.err.contains("did you mean `good`?"), "{}", step.err);
    server.run(&bed, &["rerun", "@last", "--from", "godo"]).exits(4);
    server.run(&bed, &["cancel", "@last"]).exits(1);
    server.stop();
}

#[test]
fn a_full_queue_exits_with_8() {
    let bed = Bed::new();
    bed.workflow("wait.yaml", "steps: [{run: sleep 60}]");
    let mut command = bed.command(&["serve", "--listen", "127.0.0.1:0", "--data", bed.path("data").to_str().unwrap()]);
    command.args(["--workflows", bed.path("workflows").to_str().unwrap()]);
    command.env("STAUNCH_LIMITS_RUNS_OPEN_MAX", "1").env("STAUNCH_LIMITS_DRAIN_SECONDS", "0");
    let mut server = crate::bed::Running::start(command);
    let url = server.line(|line| line.starts_with("listening on ")).trim_start_matches("listening on ").to_owned();
    bed.run(&["run", "wait", "--detach", "--server", &url]).exits(0);
    let done = bed.run(&["run", "wait", "--detach", "--server", &url]).exits(8);
    assert!(done.err.contains("try again in"), "{}", done.err);
    server.signal(rustix::process::Signal::TERM);
    server.end().exits(0);
}

#[test]
fn detach_list_show_cancel_and_the_exit_code_of_who_waits() {
    let bed = Bed::new();
    bed.workflow(
        "wait.yaml",
        "steps: [{id: a, run: 'echo here; sleep 60'}, {id: tidy, if: '${{ always() }}', run: echo tidied}]",
    );
    bed.workflow("ok.yaml", "steps: [{run: 'true'}]");
    let server = bed.serve(&[]);
    let mut waiting = server.start(&bed, &["run", "wait"]);
    waiting.line(|line| line == "a    | here");
    let running = server.run(&bed, &["runs", "--state", "running", "--json"]).exits(0).json();
    let id = running["items"][0]["id"].as_str().unwrap().to_owned();
    // By the end of its id, as people do.
    server.run(&bed, &["cancel", &id[24..]]).exits(0);
    let done = waiting.end().exits(9);
    assert!(done.out.ends_with("tidy | tidied\n"), "{}", done.out);

    let detached = server.run(&bed, &["run", "ok", "--detach", "--json"]).exits(0).json();
    assert_eq!(detached["replayed"], false);
    server.run(&bed, &["logs", detached["id"].as_str().unwrap(), "-f"]).exits(0);
    let list = |arguments: &[&str]| {
        server.run(&bed, &[&["runs", "--json"], arguments].concat()).exits(0).json()["items"].as_array().unwrap().len()
    };
    assert_eq!((list(&[]), list(&["-w", "ok"]), list(&["--outcome", "cancelled"])), (2, 1, 1));
    assert_eq!((list(&["-n", "1"]), list(&["--state", "queued"])), (1, 0));
    let newest = server.run(&bed, &["runs", "--json", "-n", "1"]).exits(0).json();
    let started: Timestamp = newest["items"][0]["started_at"].as_str().unwrap().parse().unwrap();
    let age = || Timestamp::now().as_second() - started.as_second();
    let before = age();
    let table = server.run(&bed, &["runs"]).exits(0).out;
    assert!(table.lines().count() == 3 && table.contains("cancelled"), "{table}");
    // The commands before this one have taken their time.
    let says = |seconds| if seconds <= 4 { "  just now".to_owned() } else { format!("  {seconds} s ago") };
    let row = table.lines().find(|row| row.contains("succeeded")).unwrap();
    assert!((before..=age()).any(|seconds| row.contains(&says(seconds))), "{before} s: {table}");
    let show = server.run(&bed, &["runs", "show", &id]).exits(0).out;
    assert!(show.contains("started by") && show.contains("tidy"), "{show}");
    server.stop();
}

#[test]
fn reruns_of_all_of_the_failed_and_from_a_step() {
    let bed = Bed::new();
    bed.workflow("job.yaml", "steps: [{id: a, run: echo a}, {id: b, run: 'echo b; test -e \"$FLAG\"', env: {FLAG: /nonexistent}}, {id: c, run: echo c}]");
    let server = bed.serve(&[]);
    server.run(&bed, &["run", "job", "-q"]).exits(1);
    let first = server.run(&bed, &["runs", "--json"]).exits(0).json()["items"][0]["id"].as_str().unwrap().to_owned();
    let out = |arguments: &[&str]| server.run(&bed, &[&["rerun", &first], arguments].concat()).exits(1).out;
    assert_eq!(out(&[]), "a | a\nb | b\n");
    assert_eq!(out(&["--failed"]), "b | b\n");
    assert_eq!(out(&["--from", "b"]), "b | b\n");
    let report = server.run(&bed, &["rerun", &first, "--failed", "--json"]).exits(1).json();
    assert_eq!(report["steps"][0]["outcome"], json!("succeeded"));
    assert_eq!(server.run(&bed, &["runs", "show", "@last", "--json"]).exits(0).json()["rerun_of"], json!(first));
    server.stop();
}

#[test]
fn a_stream_that_is_cut_again_and_again_loses_and_repeats_nothing() {
    let bed = Bed::new();
    bed.workflow(
        "talk.yaml",
        "steps: [{id: a, run: 'for i in $(seq 30); do echo line $i; sleep 0.02; done'}, {id: b, run: echo over}]",
    );
    let server = bed.serve(&[]);
    let cutter = Cutter::before(&server.url, 2_500);
    let done = bed.run(&["run", "talk", "--server", &cutter.url]).exits(0);
    let expected: String =
        (1..=30).map(|number| format!("a | line {number}\n")).chain(["b | over\n".to_owned()]).collect();
    assert_eq!(done.out, expected);
    assert!(cutter.cuts() > 0, "the test cut nothing");
    server.stop();
}

#[test]
fn much_output_comes_through_the_stream_in_full() {
    let bed = Bed::new();
    bed.workflow("much.yaml", "steps: [{id: a, run: 'seq 100000; head -c 100000 /dev/zero | tr \"\\0\" x'}]");
    let server = bed.serve(&[]);
    let out = server.run(&bed, &["run", "much"]).exits(0).out;
    let (numbers, long): (Vec<&str>, Vec<&str>) =
        out.lines().map(|line| &line[4..]).partition(|line| !line.starts_with('x'));
    assert!(numbers.iter().enumerate().all(|(at, line)| line.parse() == Ok(at + 1)));
    assert_eq!((numbers.len(), long.concat().len()), (100_000, 100_000));
    server.stop();
}

#[test]
fn more_steps_than_one_stream_has_topics_for() {
    let bed = Bed::new();
    let steps: String = (0..40).map(|n| format!("  - {{id: s{n:02}, run: 'echo begin; echo end of {n}'}}\n")).collect();
    let wide: String =
        (0..40).map(|n| format!("  - {{id: w{n:02}, needs: [], run: 'echo begin; echo end of {n}'}}\n")).collect();
    bed.workflow("chain.yaml", &format!("steps:\n{steps}"));
    bed.workflow("wide.yaml", &format!("steps:\n{wide}"));
    let server = bed.serve(&[]);
    for (name, letter) in [("chain", 's'), ("wide", 'w')] {
        let mut lines: Vec<String> = server.run(&bed, &["run", name]).exits(0).out.lines().map(str::to_owned).collect();
        if name == "wide" {
            // A stable sort: the order within a step stays.
            lines.sort_by_key(|line| line[..3].to_owned());
        }
        let expected: Vec<String> =
            (0..40).flat_map(|n| [format!("{letter}{n:02} | begin"), format!("{letter}{n:02} | end of {n}")]).collect();
        assert_eq!(lines, expected);
    }
    server.stop();
}

#[test]
fn workflows_and_files_that_are_broken() {
    let bed = Bed::new();
    bed.workflow("job.yaml", &format!("description: does it\n{JOB}"));
    bed.workflow("bad.yaml", "steps: 3\n");
    let server = bed.serve(&[]);
    let done = server.run(&bed, &["workflows"]).exits(0);
    assert!(done.out.lines().any(|line| line.starts_with("job ") && line.ends_with("does it")), "{}", done.out);
    assert!(done.err.contains("bad.yaml has errors (line 1: ") && !done.err.contains("last good text"), "{}", done.err);
    let json = server.run(&bed, &["workflows", "--json"]).exits(0).json();
    assert_eq!(
        (json["items"][0]["name"].as_str(), json["broken"][0]["file"].as_str()),
        (Some("job"), Some("bad.yaml"))
    );
    bed.workflow("job.yaml", "steps: 4\n");
    until(|| server.run(&bed, &["workflows"]).err.contains("job.yaml has errors"));
    let done = server.run(&bed, &["workflows"]).exits(0);
    assert!(done.err.contains("; its last good text stays in use"), "{}", done.err);
    assert!(done.out.lines().any(|line| line.starts_with("job ")), "{}", done.out);
    server.stop();
    let server = bed.serve(&[]);
    let done = server.run(&bed, &["workflows"]).exits(0);
    assert!(done.err.contains("; its last good text stays in use"), "in a later life too: {}", done.err);
    server.run(&bed, &["run", "job", "-q"]).exits(1);
    server.stop();
}
