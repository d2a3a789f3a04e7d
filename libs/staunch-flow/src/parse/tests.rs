use std::time::Duration;

use super::value::{duration_of, json_number};
use super::{Budgets, parse};

#[test]
fn durations() {
    for (text, milliseconds) in [
        ("500ms", 500),
        ("30s", 30_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("1h30m", 5_400_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("0s", 0),
        ("0", 0),
        ("365d", 31_536_000_000),
        ("90m", 5_400_000),
    ] {
        assert_eq!(duration_of(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in [
        "",
        " ",
        "s",
        "5",
        "5 s",
        "-5s",
        "+5s",
        "1.5s",
        "5S",
        "5sec",
        "30m1h",
        "1h1h",
        "5sm",
        "1h30",
        "366d",
        "99999999999999999999s",
        "18446744073709551615ms",
        "18446744073709551615d",
        "٣s",
        "5µs",
        "1e3s",
    ] {
        assert!(duration_of(text).is_err(), "{text}");
    }
    assert_eq!(duration_of("90"), Err("add the unit: `90s` or `90m`".to_owned()));
}

#[test]
fn numbers_are_json() {
    for (text, value) in [("0", 0.0), ("-0.5", -0.5), ("1e3", 1_000.0), ("10", 10.0)] {
        assert_eq!(json_number(text), Some(value), "{text}");
    }
    for text in ["", "012", "+1", ".5", "5.", "1_0", "0x1", "1e999", "inf", "NaN", ".inf", " 1", "1 ", "-"] {
        assert_eq!(json_number(text), None, "{text}");
    }
}

/// The step of a one-step file.
fn step(keys: &str) -> Option<crate::workflow::Step> {
    let text = format!("steps: [{{ run: x, {keys} }}]");
    parse(text.as_bytes(), "stem", &Budgets::default()).workflow?.steps.pop()
}

#[test]
fn retry_defaults() {
    let retry = |keys: &str| step(keys).map(|step| step.retry);
    let seconds = |keys: &str| {
        retry(keys).map(|retry| (retry.attempts, retry.backoff.delay.as_secs(), retry.backoff.max_delay.as_secs()))
    };
    assert_eq!(seconds(""), Some((1, 1, 300)));
    assert_eq!(seconds("retry: 1"), Some((1, 1, 300)));
    assert_eq!(seconds("retry: 100"), Some((100, 1, 300)));
    assert_eq!(seconds("retry: 101"), None);
    assert_eq!(seconds("retry: 0"), None);
    assert_eq!(seconds("retry: {}"), Some((3, 1, 300)));
    assert_eq!(seconds("retry: { delay: 10m }"), Some((3, 600, 600)));
    assert_eq!(seconds("retry: { delay: 10m, max-delay: 9m }"), None);
    assert_eq!(seconds("retry: { delay: 1s, max-delay: 1s }"), Some((3, 1, 1)));
    assert_eq!(seconds("retry: { delay: 0s, max_delay: 0s }"), Some((3, 0, 0)));
}

#[test]
fn other_spellings_mean_the_same() {
    for (one, other) in [
        ("timeout: 90s", "timeout-minutes: 1.5"),
        ("timeout: 90s", "timeout_sec: 90"),
        ("working-directory: a", "working_dir: a"),
        ("continue-on-error: true", "continue_on_error: true"),
        ("env: { A: b }", "environment: { A: b }"),
        ("needs: []", "depends: []"),
        ("needs: []", "depends_on: []"),
        ("retry: { on-exit-codes: [1] }", "retry: { on_exit_codes: [1] }"),
        ("shell: python", "shell: python3"),
        ("shell: sh", "shell: [sh, -e, -c]"),
    ] {
        assert!(step(one).is_some(), "{one}");
        assert_eq!(step(one), step(other), "{one} and {other}");
    }
    assert!(step("timeout-sec: 31536000").is_some() && step("timeout-sec: 31536001").is_none());
    assert!(step("timeout-minutes: 0").is_none() && step("timeout-minutes: -1").is_none());
    let script = |text: &str| parse(text.as_bytes(), "stem", &Budgets::default()).workflow;
    assert_eq!(script("steps: [{ run: a }]"), script("steps: [{ command: a }]"));
    assert_eq!(script("steps: [{ run: \"a\\nb\" }]"), script("steps: [{ commands: [a, b] }]"));
    assert_eq!(script("inputs: { a: }\nsteps: [{ run: a }]"), script("params: { a: {} }\nsteps: [{ run: a }]"));
    for on in ["on: manual", "on: [manual]", "on: { manual: {} }", "on: { manual: }", "on: {}"] {
        assert_eq!(script(&format!("{on}\nsteps: [{{ run: a }}]")), script("steps: [{ run: a }]"), "{on}");
    }
}

#[test]
fn a_condition_knows_whether_it_names_the_status() {
    let names = |condition: &str| step(&format!("if: \"{condition}\"")).map(|step| step.condition_names_status);
    for condition in ["always()", "${{ failure() }}", "!cancelled() && true", "inputs is defined and always()"] {
        assert_eq!(names(condition), Some(true), "{condition}");
    }
    for condition in ["true", "success()", "'always()' == 'x'", "!success()"] {
        assert_eq!(names(condition), Some(false), "{condition}");
    }
}
