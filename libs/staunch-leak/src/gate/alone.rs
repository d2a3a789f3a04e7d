//! A test in a process of its own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::census;

/// Says which test this process was started for.
const ALONE: &str = "STAUNCH_LEAK_ALONE";
/// The harness has nothing to do but wait, a moment after the test began; longer, and something else is wrong.
const HARNESS_MAX: Duration = Duration::from_secs(5);

/// Runs `body` with the process to itself: in place where the runner starts a process a test (nextest does, and says so),
/// else by running this test binary again for this one test. `name` is the test's, as the harness lists it; see
/// [`name_of_test`]. [`test!`](crate::test) and [`alone!`](crate::alone) call it.
///
/// # Panics
/// If the process failed, with what it printed; and if it ran no test, since the name is wrong then.
#[expect(clippy::print_stderr, reason = "what the test's own process printed belongs to the test's output")]
pub fn alone(name: &str, body: impl FnOnce()) {
    let nextest = std::env::var_os("NEXTEST_EXECUTION_MODE").is_some_and(|mode| mode == "process-per-test");
    if nextest || std::env::var_os(ALONE).is_some_and(|started_for| started_for == name) {
        harness_waits();
        return body();
    }
    let output = this_test(name).stdin(Stdio::null()).output().expect("a test binary can run itself");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}, in a process of its own: {}\n{out}{err}", output.status);
    assert!(out.contains("1 passed"), "there is no test {name}, so none ran:\n{out}");
    eprint!("{err}");
}

/// Waits until the thread that started the test sleeps. It still allocates while the test begins: what it needs to wait with.
fn harness_waits() {
    let begun = Instant::now();
    while census::another_main_thread_runs() && begun.elapsed() < HARNESS_MAX {
        std::thread::yield_now();
    }
}

/// A command that runs one test of this binary in a process of its own, and nothing else.
///
/// # Panics
/// If the path of this program is not known, as when `/proc` is not mounted.
pub fn this_test(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of this program is known"));
    // One thread: the harness then runs the test in its main thread, and holds nothing else.
    command.args([name, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"]).env(ALONE, name);
    command
}

/// The name by which the harness knows a test: the path of its module without the crate, and its own.
///
/// ```
/// assert_eq!(staunch_leak::gate::name_of_test("it::stores", "one"), "stores::one");
/// assert_eq!(staunch_leak::gate::name_of_test("it", "one"), "one");
/// ```
pub fn name_of_test(module_path: &str, name: &str) -> String {
    match module_path.split_once("::") {
        Some((_, inside)) => format!("{inside}::{name}"),
        None => name.to_owned(),
    }
}
