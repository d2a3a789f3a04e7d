//! `staunch config show`, and what a wrong configuration does.

use serde_json::json;

use crate::bed::{Bed, Running};

#[test]
fn origins_of_a_file_a_variable_and_the_default() {
    let bed = Bed::new();
    let file = bed.path("home").join(".config/staunch/staunch.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "listen = \"127.0.0.1:1234\"\n[limits]\nsteps_active_max = 3\n").unwrap();
    let mut command = bed.command(&["config", "show", "--origin", "--json"]);
    command.env("STAUNCH_LIMITS_STREAMS_MAX", "9");
    let keys = Running::start(command).end().exits(0).json();
    let place = |line: u32| format!("{}:{line}", file.display());
    assert_eq!(keys["listen"], json!({ "value": "127.0.0.1:1234", "origin": place(1) }));
    assert_eq!(keys["limits.steps_active_max"], json!({ "value": 3, "origin": place(3) }));
    assert_eq!(keys["limits.streams_max"], json!({ "value": 9, "origin": "$STAUNCH_LIMITS_STREAMS_MAX" }));
    assert_eq!(keys["log_level"], json!({ "value": "info", "origin": "default" }));

    let plain = bed.run(&["config", "show", "--json"]).exits(0).json();
    assert_eq!(plain["listen"], "127.0.0.1:1234");
    let text = bed.run(&["config", "show", "--origin"]).exits(0).out;
    assert!(text.lines().any(|line| line.starts_with("listen ") && line.ends_with(&place(1))), "{text}");
}

#[test]
fn a_rate_is_shown_with_the_most_that_one_window_admits() {
    let bed = Bed::new();
    let file = bed.file("staunch.toml", "[rate]\nlogin = \"10/1m\"\n");
    let shown =
        |more: &[&str]| bed.run(&[&["config", "show", "--config", file.to_str().unwrap()], more].concat()).exits(0);
    let keys = shown(&["--origin", "--json"]).json();
    let place = format!("{}:2", file.display());
    assert_eq!(keys["rate.login"], json!({ "value": "10/1m", "origin": place, "worst_case": 19 }));
    assert_eq!(keys["rate.api"], json!({ "value": "100/15m", "origin": "default", "worst_case": 199 }));
    assert_eq!(keys["hosts"], json!({ "value": [], "origin": "default" }));
    assert_eq!(shown(&["--json"]).json()["rate.login"], "10/1m");
    let text = shown(&[]).out;
    assert!(text.contains("10/1m (at most 19 in one window)"), "{text}");
}

#[test]
fn the_files_in_the_manual_are_taken_as_they_are() {
    let bed = Bed::new();
    let blocks = crate::proxy::manual("toml");
    assert!(blocks.len() >= 2);
    for text in blocks {
        let file = bed.file("staunch.toml", &text);
        let keys = bed.run(&["config", "show", "--json", "--config", file.to_str().unwrap()]).exits(0).json();
        assert_eq!(keys["public_url"], "https://staunch.example.org", "{text}");
    }
}

#[test]
fn a_wrong_configuration_stops_every_command_that_needs_it() {
    let bed = Bed::new();
    bed.file("staunch.toml", "listn = \"127.0.0.1:1234\"\n");
    bed.file("ok.yaml", "steps: [{id: a, run: 'true'}]");
    for command in [&["config", "show"][..], &["serve"], &["run", "ok.yaml"], &["runs"], &["validate", "ok.yaml"]] {
        let mut arguments = command.to_vec();
        arguments.extend(["--config", "staunch.toml"]);
        let done = bed.run(&arguments).exits(2);
        assert!(done.err.contains("staunch.toml:1: unknown key `listn`"), "{}", done.err);
        assert!(done.err.contains("did you mean `listen`?"), "{}", done.err);
    }
    // A file in the working directory is nobody's configuration unless it is named.
    bed.run(&["run", "ok.yaml"]).exits(0);
}

#[test]
fn limits_bind_a_local_run_too() {
    let bed = Bed::new();
    bed.file("two.yaml", "steps: [{run: 'true'}, {run: 'true'}]");
    let mut command = bed.command(&["run", "two.yaml"]);
    command.env("STAUNCH_LIMITS_STEPS_PER_WORKFLOW_MAX", "1");
    let done = Running::start(command).end().exits(3);
    assert!(done.err.contains('1'), "{}", done.err);
}
