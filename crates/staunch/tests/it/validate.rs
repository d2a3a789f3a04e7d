//! `staunch validate`.

use serde_json::json;

use crate::bed::Bed;

#[test]
fn every_error_is_shown_with_its_place_and_a_fix() {
    let bed = Bed::new();
    bed.file("good.yaml", "name: build\nsteps:\n  - run: make\n");
    bed.file("bad.yaml", "name: build\nsteps:\n  - id: a\n    rnu: make\n");
    let done = bed.run(&["validate", "good.yaml", "bad.yaml"]).exits(3);
    let expected = "\
good.yaml: ok: workflow build, 1 step
error[unknown_key]: a step has no key `rnu`
 --> bad.yaml:4:5
  |
4 |     rnu: make
  |     ^^^
  |
  = help: did you mean `run`?

bad.yaml: 1 error
";
    assert_eq!(done.out, expected);
    assert!(done.err.is_empty());
}

#[test]
fn colors_only_where_they_are_wanted() {
    let bed = Bed::new();
    bed.file("bad.yaml", "steps: 3\n");
    assert!(!bed.run(&["validate", "bad.yaml"]).out.contains('\x1b'));
    assert!(bed.run(&["validate", "bad.yaml", "--color", "always"]).out.contains("\x1b["));
    let colored = |name: &str, value: &str| {
        crate::bed::Running::start({
            let mut command = bed.command(&["validate", "bad.yaml"]);
            command.env("CLICOLOR_FORCE", "1").env(name, value);
            command
        })
        .end()
        .out
        .contains('\x1b')
    };
    assert!(colored("TERM", "xterm"));
    assert!(!colored("NO_COLOR", "1"), "NO_COLOR wins");
    assert!(colored("NO_COLOR", ""), "an empty NO_COLOR is none");
    assert!(!colored("CLICOLOR_FORCE", "0"));
}

#[test]
fn json_has_every_file_and_every_diagnostic() {
    let bed = Bed::new();
    bed.file("good.yaml", "steps:\n  - run: make\n");
    bed.file("bad.yaml", "steps:\n  - rnu: make\n");
    let done = bed.run(&["validate", "--json", "good.yaml", "bad.yaml", "none.yaml"]).exits(4);
    let json = done.json();
    assert_eq!(json["valid"], false);
    assert_eq!(
        json["files"][0],
        json!({ "file": "good.yaml", "valid": true, "workflow": "good", "error": null, "diagnostics": [] })
    );
    assert_eq!(json["files"][1]["valid"], false);
    let said = &json["files"][1]["diagnostics"][0];
    assert_eq!(
        (&said["code"], &said["severity"], &said["span"]["line"]),
        (&json!("unknown_key"), &json!("error"), &json!(2))
    );
    assert!(json["files"][2]["error"].as_str().unwrap().contains("none.yaml"));
}

#[test]
fn nothing_that_lies_in_a_file_makes_it_panic_or_hang() {
    let bed = Bed::new();
    let deep = "[".repeat(10_000);
    let long = format!("steps: [{{run: '{}'}}]", "x".repeat(2 << 20));
    for (name, bytes) in [
        ("empty.yaml", &b""[..]),
        ("binary.yaml", &[0, 159, 146, 150, 255, 0, 1]),
        ("deep.yaml", deep.as_bytes()),
        ("long.yaml", long.as_bytes()),
        ("nul.yaml", b"steps:\0"),
    ] {
        std::fs::write(bed.path("here").join(name), bytes).unwrap();
        bed.run(&["validate", name]).exits(3);
        bed.run(&["run", name]).exits(3);
    }
    bed.run(&["validate", "."]).exits(1);
    assert!(bed.temporary().is_empty());
}
