//! Every file in `examples/` does what its comments say, and leaves nothing behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What one example shall do: its file's stem, its inputs, its exit code, and how its steps end, in the file's order.
struct Expected {
    stem: &'static str,
    inputs: &'static [&'static str],
    exit_code: i32,
    outcome: &'static str,
    steps: &'static [(&'static str, &'static str)],
}

const HELLO: Expected = Expected {
    stem: "hello",
    inputs: &["name=Ada"],
    exit_code: 0,
    outcome: "succeeded",
    steps: &[("greet", "succeeded"), ("count", "succeeded")],
};

const BUILD_AND_TEST: Expected = Expected {
    stem: "build-and-test",
    inputs: &[],
    exit_code: 0,
    outcome: "succeeded",
    steps: &[
        ("toolchain", "succeeded"),
        ("format", "succeeded"),
        ("build", "succeeded"),
        ("test", "succeeded"),
        ("lint-all", "skipped"),
        ("test-all", "skipped"),
        ("summary", "succeeded"),
    ],
};

const C_PROJECT: Expected = Expected {
    stem: "c-project",
    inputs: &[],
    exit_code: 0,
    outcome: "succeeded",
    steps: &[
        ("source", "succeeded"),
        ("debug", "succeeded"),
        ("release", "succeeded"),
        ("pack", "succeeded"),
        ("clean-up", "succeeded"),
    ],
};

const SQLITE_BACKUP: Expected = Expected {
    stem: "sqlite-backup",
    inputs: &["keep=2"],
    exit_code: 0,
    outcome: "succeeded",
    steps: &[
        ("prepare", "succeeded"),
        ("demo", "succeeded"),
        ("backup", "succeeded"),
        ("verify", "succeeded"),
        ("rotate", "succeeded"),
        ("report", "succeeded"),
        ("clean-up", "succeeded"),
    ],
};

const LOG_ANALYSIS: Expected = Expected {
    stem: "log-analysis",
    inputs: &[],
    exit_code: 0,
    outcome: "succeeded",
    steps: &[
        ("make-log", "succeeded"),
        ("look", "succeeded"),
        ("by-status", "succeeded"),
        ("slowest", "succeeded"),
        ("errors-by-hour", "succeeded"),
        ("report", "succeeded"),
        ("gate", "succeeded"),
        ("clean-up", "succeeded"),
    ],
};

/// About 3 % of the requests in the log that it makes failed, so this gate stays shut.
const LOG_ANALYSIS_STRICT: Expected = Expected {
    stem: "log-analysis",
    inputs: &["error_percent_max=0.5"],
    exit_code: 1,
    outcome: "failed",
    steps: &[
        ("make-log", "succeeded"),
        ("look", "succeeded"),
        ("by-status", "succeeded"),
        ("slowest", "succeeded"),
        ("errors-by-hour", "succeeded"),
        ("report", "succeeded"),
        ("gate", "failed"),
        ("clean-up", "succeeded"),
    ],
};

const FAN_OUT: Expected = Expected {
    stem: "fan-out",
    inputs: &[],
    exit_code: 0,
    outcome: "succeeded",
    steps: &[
        ("make-files", "succeeded"),
        ("split", "succeeded"),
        ("lane0", "succeeded"),
        ("lane1", "succeeded"),
        ("lane2", "succeeded"),
        ("lane3", "succeeded"),
        ("gather", "succeeded"),
        ("clean-up", "succeeded"),
    ],
};

const FAILING_DEPLOY: Expected = Expected {
    stem: "failing-deploy",
    inputs: &[],
    exit_code: 1,
    outcome: "failed",
    steps: &[
        ("before", "succeeded"),
        ("upload", "succeeded"),
        ("switch", "succeeded"),
        ("health", "failed"),
        ("announce", "skipped"),
        ("roll-back", "succeeded"),
        ("clean-up", "succeeded"),
    ],
};

const GOOD_DEPLOY: Expected = Expected {
    stem: "failing-deploy",
    inputs: &["broken=false"],
    exit_code: 0,
    outcome: "succeeded",
    steps: &[
        ("before", "succeeded"),
        ("upload", "succeeded"),
        ("switch", "succeeded"),
        ("health", "succeeded"),
        ("announce", "succeeded"),
        ("roll-back", "skipped"),
        ("clean-up", "succeeded"),
    ],
};

const ALL: &[Expected] = &[
    HELLO,
    BUILD_AND_TEST,
    C_PROJECT,
    SQLITE_BACKUP,
    LOG_ANALYSIS,
    LOG_ANALYSIS_STRICT,
    FAN_OUT,
    FAILING_DEPLOY,
    GOOD_DEPLOY,
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the crate stands in its repository")
}

/// Names in a directory, sorted.
fn entries(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).expect("the directory can be read");
    let mut names: Vec<String> =
        names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Runs an example in `directory` with `--json` and compares: exit code, outcomes, nothing left behind. Returns the object.
fn check(expected: &Expected, directory: &Path) -> Value {
    let temporary = tempfile::tempdir().expect("a directory for temporary files");
    let mut run = Command::new(env!("CARGO_BIN_EXE_staunch"));
    run.arg("run").arg(repository().join(format!("examples/{}.yaml", expected.stem))).arg("--json");
    for input in expected.inputs {
        run.args(["-i", input]);
    }
    let output = run.current_dir(directory).env("TMPDIR", temporary.path()).output().expect("staunch starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(expected.exit_code), "{}: {said}", expected.stem);

    let object: Value = serde_json::from_slice(&output.stdout).expect("standard output is one JSON object");
    assert_eq!(object["outcome"], expected.outcome, "{said}");
    assert_eq!(object["workflow"], expected.stem, "{said}");
    let steps = object["steps"].as_array().expect("steps");
    let ended: Vec<(&str, &str)> = steps
        .iter()
        .map(|step| (step["id"].as_str().expect("an id"), step["outcome"].as_str().expect("an outcome")))
        .collect();
    assert_eq!(ended, expected.steps, "{said}");
    for step in steps {
        let left = step["left_behind"].as_array().map_or(0, Vec::len);
        assert_eq!(left, 0, "{} left processes behind: {step}", step["id"]);
    }
    assert_eq!(entries(temporary.path()), Vec::<String>::new(), "temporary files were left behind");
    object
}

/// As [`check`], in an empty directory, which has nothing but an empty `target` at the end.
fn check_alone(expected: &Expected) -> Value {
    let directory = tempfile::tempdir().expect("an empty directory");
    let object = check(expected, directory.path());
    for name in entries(directory.path()) {
        assert_eq!(name, "target", "{} left {name} behind", expected.stem);
        assert_eq!(entries(&directory.path().join(name)), Vec::<String>::new(), "{} left files behind", expected.stem);
    }
    object
}

/// What a step of a run wrote to standard output.
fn stdout<'a>(object: &'a Value, id: &str) -> &'a str {
    let mut steps = object["steps"].as_array().into_iter().flatten();
    let step = steps.find(|step| step["id"] == id).expect("the step");
    step["stdout"].as_str().expect("its standard output")
}

#[test]
fn every_example_has_a_test() {
    let folder = repository().join("examples");
    // A folder is a crate, with tests of its own.
    for name in entries(&folder).into_iter().filter(|name| !folder.join(name).is_dir()) {
        let stem = name.strip_suffix(".yaml").expect("examples are .yaml files");
        assert!(ALL.iter().any(|expected| expected.stem == stem), "{name} has no test here");
    }
}

#[test]
fn hello_takes_an_input_and_passes_an_output_on() {
    let object = check_alone(&HELLO);
    assert_eq!(stdout(&object, "greet"), "Hello, Ada!\n");
    assert_eq!(stdout(&object, "count"), "That was 11 letters.\n");
}

#[test]
fn build_and_test_builds_and_tests_this_repository() {
    let object = check(&BUILD_AND_TEST, &repository());
    assert!(stdout(&object, "test").contains("test result: ok"), "{object}");
}

#[test]
fn c_project_compiles_and_passes_its_own_tests() {
    let object = check_alone(&C_PROJECT);
    for flavor in ["debug", "release"] {
        assert!(stdout(&object, flavor).contains("ok   newest over the bound: 9"), "{object}");
    }
    assert!(stdout(&object, "pack").contains("release/test"), "{object}");
}

#[test]
fn sqlite_backup_verifies_and_rotates() {
    let object = check_alone(&SQLITE_BACKUP);
    assert_eq!(stdout(&object, "verify"), "orders: 5000 rows\n");
    // Four of earlier days and the new one, of which two stay.
    assert_eq!(stdout(&object, "rotate").matches("removed backup-202601").count(), 3, "{object}");
    assert!(stdout(&object, "report").ends_with("2 copies stay\n"), "{object}");
}

#[test]
fn log_analysis_reports_and_opens_its_gate() {
    let object = check_alone(&LOG_ANALYSIS);
    assert!(stdout(&object, "report").starts_with("20000 requests, "), "{object}");
}

#[test]
fn log_analysis_shuts_its_gate_for_too_many_errors() {
    check_alone(&LOG_ANALYSIS_STRICT);
}

#[test]
fn fan_out_gathers_what_its_lanes_report() {
    let object = check_alone(&FAN_OUT);
    assert!(stdout(&object, "gather").starts_with("24 files: "), "{object}");
}

#[test]
fn failing_deploy_fails_rolls_back_and_cleans_up() {
    let object = check_alone(&FAILING_DEPLOY);
    let mut steps = object["steps"].as_array().into_iter().flatten();
    let health = steps.find(|step| step["id"] == "health").expect("the health check");
    assert_eq!(health["attempts"], 3, "{object}");
    assert_eq!(stdout(&object, "roll-back"), "release 1 is back in service; release 2 was: failed\n");
}

#[test]
fn failing_deploy_succeeds_when_the_release_is_well() {
    check_alone(&GOOD_DEPLOY);
}
