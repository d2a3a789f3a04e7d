//! `staunch run FILE`: in this process, without a server.

use serde_json::{Value, json};

use crate::bed::{Bed, Running};

const MIXED: &str = "\
name: mixed
inputs: { who: { default: world } }
steps:
  - id: good
    run: |
      echo \"hello $WHO\"
      echo careful >&2
      echo \"x=1\" >> \"$STAUNCH_OUTPUT\"
    env: { WHO: \"${{ inputs.who }}\" }
  - id: bad
    run: printf 'no line end'; exit 3
  - id: never
    run: echo never
  - id: always
    if: ${{ always() }}
    run: echo \"bad was $HOW\"
    env: { HOW: \"${{ steps.bad.outcome }}\" }
";

#[test]
fn ground_g5_one_json_object_with_stdout_and_stderr_of_every_step() {
    let bed = Bed::new();
    bed.file("mixed.yaml", MIXED);
    let done = bed.run(&["run", "mixed.yaml", "--json", "-i", "who=Ada"]).exits(1);
    let report = done.json();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&report), ["run", "workflow", "outcome", "duration_ms", "steps"]);
    assert_eq!((&report["workflow"], &report["outcome"]), (&json!("mixed"), &json!("failed")));
    assert!(report["run"].as_str().unwrap().starts_with("run_"));
    let steps = report["steps"].as_array().unwrap();
    for step in steps {
        let expected = [
            "id",
            "outcome",
            "attempts",
            "exit_code",
            "stdout",
            "stderr",
            "stdout_truncated",
            "stderr_truncated",
            "outputs",
            "duration_ms",
            "max_rss_bytes",
            "left_behind",
        ];
        assert_eq!(keys(step), expected);
    }
    let said = |step: &Value| {
        json!([step["id"], step["outcome"], step["attempts"], step["exit_code"], step["stdout"], step["stderr"]])
    };
    assert_eq!(
        steps.iter().map(said).collect::<Vec<_>>(),
        [
            json!(["good", "succeeded", 1, 0, "hello Ada\n", "careful\n"]),
            json!(["bad", "failed", 1, 3, "no line end", ""]),
            json!(["never", "skipped", 0, null, "", ""]),
            json!(["always", "succeeded", 1, 0, "bad was failed\n", ""]),
        ]
    );
    assert_eq!((&steps[0]["outputs"], &steps[2]["outputs"]), (&json!({ "x": "1" }), &json!({})));
    assert!(steps[0]["max_rss_bytes"].as_u64().unwrap() > 0);
    assert!(bed.temporary().is_empty(), "{:?}", bed.temporary());
}

#[test]
fn lines_go_to_standard_output_whole_and_talk_to_standard_error() {
    let bed = Bed::new();
    bed.file("mixed.yaml", MIXED);
    let done = bed.run(&["run", "mixed.yaml"]).exits(1);
    let expected = "good   | hello world\ngood   | careful\nbad    | no line end\nalways | bad was failed\n";
    assert_eq!(done.out, expected);
    for part in [
        "bad     failed",
        "exit code 3",
        "last lines of bad:",
        "  no line end",
        "\"bad\", which it needs, failed",
        "mixed run_",
    ] {
        assert!(done.err.contains(part), "{part}: {}", done.err);
    }
    assert!(!done.err.contains('\x1b') && !done.out.contains('\x1b'), "nobody asked for colors");
    let colored = bed.run(&["run", "mixed.yaml", "--color", "always"]).exits(1);
    assert!(colored.out.contains("\x1b["));
}

#[test]
fn steps_side_by_side_never_share_a_line() {
    let bed = Bed::new();
    // Each step writes its lines in two halves, so that only a whole line can look like one.
    let step = |name: char| {
        format!("      - id: {name}\n        run: for i in $(seq 40); do printf '{name}-'; printf \"$i\\n\"; done\n")
    };
    let text = format!("steps:\n  - parallel:\n{}", ['a', 'b', 'c', 'd'].map(step).concat());
    bed.file("side.yaml", &text);
    let out = bed.run(&["run", "side.yaml"]).exits(0).out;
    for name in ['a', 'b', 'c', 'd'] {
        let own: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix(&format!("{name} | "))).collect();
        let expected: Vec<String> = (1..=40).map(|number| format!("{name}-{number}")).collect();
        assert_eq!(own, expected);
    }
    assert_eq!(out.lines().count(), 160);
}

#[test]
fn exit_codes_of_a_run() {
    let bed = Bed::new();
    bed.file("ok.yaml", "steps: [{run: 'true'}]");
    bed.file("fails.yaml", "steps: [{run: 'false'}]");
    bed.file("forgiven.yaml", "steps: [{run: 'false', continue-on-error: true}]");
    bed.file("slow.yaml", "timeout: 300ms\nsteps: [{run: sleep 60}]");
    bed.file("step-slow.yaml", "steps: [{run: sleep 60, timeout: 300ms}]");
    bed.file("invalid.yaml", "steps: [{needs: [x]}]");
    for (file, code) in
        [("ok", 0), ("fails", 1), ("forgiven", 0), ("slow", 7), ("step-slow", 1), ("invalid", 3), ("none", 4)]
    {
        bed.run(&["run", &format!("{file}.yaml")]).exits(code);
    }
    let done = bed.run(&["run", "slow.yaml", "--json"]).exits(7);
    assert_eq!(done.json()["outcome"], "timed_out");
    assert!(bed.temporary().is_empty());
}

#[test]
fn a_timeout_of_the_caller_cancels_and_still_cleans_up() {
    let bed = Bed::new();
    bed.file("slow.yaml", "steps: [{id: work, run: sleep 60}, {id: tidy, if: '${{ always() }}', run: touch tidied}]");
    let done = bed.run(&["run", "slow.yaml", "--timeout", "300ms", "--json"]).exits(7);
    assert_eq!(done.json()["outcome"], "cancelled");
    assert!(bed.path("here/tidied").exists());
    bed.run(&["run", "slow.yaml", "--timeout", "300ms", "-q"]).exits(7);
}

#[test]
fn quiet_says_nothing_unless_it_fails() {
    let bed = Bed::new();
    bed.file("ok.yaml", "steps: [{run: echo loud}]");
    bed.file("fails.yaml", "steps: [{id: a, run: echo why; exit 1}]");
    let done = bed.run(&["run", "ok.yaml", "-q"]).exits(0);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("", ""));
    let done = bed.run(&["run", "fails.yaml", "-q"]).exits(1);
    assert!(done.out.is_empty() && done.err.contains("  why"), "{done:?}");
}

#[test]
fn it_runs_where_it_was_called_with_the_callers_environment() {
    let bed = Bed::new();
    bed.file("sub/where.yaml", "steps: [{id: a, run: 'pwd; echo $MINE'}]");
    let mut command = bed.command(&["run", "sub/where.yaml"]);
    command.env("MINE", "here");
    let here = std::fs::canonicalize(bed.path("here")).unwrap();
    assert_eq!(Running::start(command).end().exits(0).out, format!("a | {}\na | here\n", here.display()));
}

#[test]
fn inputs_from_flags_a_file_and_standard_input() {
    let bed = Bed::new();
    bed.file("in.yaml", "inputs: { n: { type: number, required: true }, s: {} }\nsteps: [{id: a, run: 'echo $N-$S', env: {N: '${{ inputs.n }}', S: '${{ inputs.s }}'}}]");
    bed.file("values.json", r#"{"n": 4, "s": "file"}"#);
    let out = |arguments: &[&str]| bed.run(&[&["run", "in.yaml"], arguments].concat()).exits(0).out;
    assert_eq!(out(&["-i", "n=3", "-i", "s=flag"]), "a | 3-flag\n");
    assert_eq!(out(&["--input-file", "values.json", "-i", "s=flag"]), "a | 4-flag\n");
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", &format!("echo 'n: 5' | {} run in.yaml --input-file - -i s=in", env!("CARGO_BIN_EXE_staunch"))]);
    command.current_dir(bed.path("here")).env("HOME", bed.path("home")).env("TMPDIR", bed.path("tmp"));
    assert_eq!(Running::start(command).end().exits(0).out, "a | 5-in\n");
    let missing = bed.run(&["run", "in.yaml"]).exits(2);
    assert!(missing.err.contains("n: "), "{}", missing.err);
    let wrong = bed.run(&["run", "in.yaml", "-i", "n=many"]).exits(2);
    assert!(wrong.err.contains("n: "), "{}", wrong.err);
}

#[test]
fn a_reader_that_leaves_does_not_stop_the_run() {
    let bed = Bed::new();
    bed.file("long.yaml", "steps: [{id: a, run: seq 100000}, {id: b, run: touch done}]");
    let mut command = std::process::Command::new("sh");
    let line = format!("{} run long.yaml | head -n 1", env!("CARGO_BIN_EXE_staunch"));
    command
        .args(["-c", &line])
        .current_dir(bed.path("here"))
        .env("TMPDIR", bed.path("tmp"))
        .env("HOME", bed.path("home"));
    let done = Running::start(command).end().exits(0);
    assert_eq!(done.out, "a | 1\n");
    assert!(done.err.contains("succeeded") && !done.err.contains("panicked"), "{}", done.err);
    assert!(bed.path("here/done").exists() && bed.temporary().is_empty());
}

#[test]
fn what_a_step_writes_cannot_move_the_cursor() {
    let bed = Bed::new();
    bed.file(
        "rude.yaml",
        r#"steps: [{id: a, run: 'printf "\033[2J\033]0;title\007clean\033[31mred\r\n10%%\r100%%\n\377\n"'}]"#,
    );
    assert_eq!(bed.run(&["run", "rude.yaml"]).exits(0).out, "a | cleanred\na | 100%\na | \u{fffd}\n");
}

#[test]
fn much_output_is_shown_in_full() {
    let bed = Bed::new();
    bed.file("much.yaml", "steps: [{id: a, run: seq 200000}]");
    let out = bed.run(&["run", "much.yaml"]).exits(0).out;
    assert_eq!(out.lines().count(), 200_000);
    assert!(out.ends_with("a | 200000\n"));
}

#[test]
fn many_steps_show_only_those_that_did_not_succeed() {
    let bed = Bed::new();
    let steps: String = (0..60).map(|n| format!("  - {{id: s{n}, needs: [], run: 'test {n} != 7'}}\n")).collect();
    bed.file("many.yaml", &format!("steps:\n{steps}"));
    let done = bed.run(&["run", "many.yaml"]).exits(1);
    assert!(done.err.contains("and 59 more that succeeded"), "{}", done.err);
}

#[test]
fn with_data_the_run_stays_and_a_server_shows_it() {
    let bed = Bed::new();
    bed.file("ok.yaml", "name: kept\nsteps: [{id: a, run: echo kept here}]");
    let data = bed.path("data");
    let run = bed.run(&["run", "ok.yaml", "--json", "--data", data.to_str().unwrap()]).exits(0).json();
    let server = bed.serve(&[]);
    let detail = server.run(&bed, &["runs", "show", "@last", "--json"]).exits(0).json();
    assert_eq!(
        (&detail["id"], &detail["outcome"], &detail["trigger"]),
        (&run["run"], &json!("succeeded"), &json!("cli"))
    );
    assert_eq!(server.run(&bed, &["logs", "@last"]).exits(0).out, "a | kept here\n");
    // The server holds the directory now.
    let refused = bed.run(&["run", "ok.yaml", "--data", data.to_str().unwrap()]).exits(1);
    assert!(!refused.err.is_empty());
    server.stop();
}

#[test]
fn what_a_server_left_unfinished_is_not_carried_on_here() {
    let bed = Bed::new();
    bed.workflow("wait.yaml", "steps: [{id: a, run: 'echo here; sleep 60'}]");
    bed.file("ok.yaml", "steps: [{run: 'true'}]");
    let mut server = bed.serve(&[]);
    let mut run = server.start(&bed, &["run", "wait"]);
    run.line(|line| line == "a | here");
    server.process().signal(rustix::process::Signal::KILL);
    assert_eq!(server.end().code, None);
    let data = bed.path("data");
    let done = bed.run(&["run", "ok.yaml", "--data", data.to_str().unwrap()]).exits(1);
    assert!(done.err.contains("holds 1 unfinished runs") && done.err.contains("staunch serve --data"), "{}", done.err);
}
