//! `staunch logs`.

use serde_json::{Value, json};

use crate::bed::Bed;

#[test]
fn one_step_all_steps_the_tail_the_bytes_and_json() {
    let bed = Bed::new();
    bed.workflow(
        "talk.yaml",
        r#"steps: [{id: a, run: 'seq 5; printf "\377\033[2Jraw"'}, {id: bb, run: echo err >&2}]"#,
    );
    let server = bed.serve(&[]);
    server.run(&bed, &["run", "talk", "-q"]).exits(0);
    let out = |arguments: &[&str]| server.run(&bed, &[&["logs", "@last"], arguments].concat()).exits(0).out;
    assert_eq!(out(&[]), "a  | 1\na  | 2\na  | 3\na  | 4\na  | 5\na  | \u{fffd}raw\nbb | err\n");
    assert_eq!(out(&["bb"]), "bb | err\n");
    assert_eq!(out(&["a", "--tail", "2"]), "a | 5\na | \u{fffd}raw\n");
    // Whoever follows what is over gets each step's lines in order, but the steps as the server reads them.
    let sorted = |text: String| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(out(&["-f"])), sorted(out(&[])));
    let raw = std::process::Command::output(&mut server.command(&bed, &["logs", "@last", "a", "--raw"])).unwrap();
    assert_eq!(raw.stdout, b"1\n2\n3\n4\n5\n\xff\x1b[2Jraw");
    let lines: Vec<Value> = out(&["--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.last().unwrap(), &json!({ "step": "bb", "stream": "stderr", "text": "err\n" }));
    server.stop();
}

#[test]
fn a_running_step_from_its_first_line() {
    let bed = Bed::new();
    let go = bed.path("go");
    bed.workflow("wait.yaml", &format!("steps: [{{id: a, run: 'echo first; while [ ! -e {} ]; do sleep 0.05; done; echo last'}}, {{id: b, run: echo more}}]", go.display()));
    let server = bed.serve(&[]);
    let run = server.run(&bed, &["run", "wait", "--detach"]).exits(0).out;
    let mut one = server.start(&bed, &["logs", run.trim(), "a", "-f"]);
    let mut all = server.start(&bed, &["logs", run.trim(), "-f"]);
    one.line(|line| line == "a | first");
    all.line(|line| line == "a | first");
    // One who comes late sees the first line too, and without -f does not wait.
    assert_eq!(server.run(&bed, &["logs", run.trim()]).exits(0).out, "a | first\n");
    std::fs::write(go, "").unwrap();
    assert_eq!(one.end().exits(0).out, "a | first\na | last\n");
    assert_eq!(all.end().exits(0).out, "a | first\na | last\nb | more\n");
    server.stop();
}

#[test]
fn every_attempt_of_a_step_that_was_tried_again() {
    let bed = Bed::new();
    let text = "steps: [{id: a, retry: {attempts: 3, delay: 10ms}, run: 'echo try $STAUNCH_ATTEMPT; test $STAUNCH_ATTEMPT = 3'}]";
    bed.workflow("again.yaml", text);
    let server = bed.serve(&[]);
    let done = server.run(&bed, &["run", "again"]).exits(0);
    let expected = "a | try 1\na | try 2\na | try 3\n";
    assert_eq!(done.out, expected);
    assert!(done.err.contains("attempt 1 failed, trying again in"), "{}", done.err);
    assert_eq!(server.run(&bed, &["logs", "@last"]).exits(0).out, expected);
    assert_eq!(server.run(&bed, &["logs", "@last", "-f"]).exits(0).out, expected);
    assert_eq!(server.run(&bed, &["logs", "@last", "--tail", "9"]).exits(0).out, "a | try 3\n");
    server.stop();
}
