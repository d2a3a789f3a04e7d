//! The command line itself: help, usage errors, completions, exit codes that need no run.

use std::fs::OpenOptions;

use crate::bed::Bed;

#[test]
fn help_and_version_are_results() {
    let bed = Bed::new();
    let help = bed.run(&["--help"]).exits(0);
    assert!(help.out.contains("serve --demo") && help.out.contains("130 interrupted"), "{}", help.out);
    for command in [
        "serve",
        "run",
        "validate",
        "runs",
        "logs",
        "cancel",
        "rerun",
        "workflows",
        "user",
        "token",
        "config",
        "completions",
    ] {
        assert!(help.out.contains(&format!("\n  {command}")), "{command}");
        assert!(bed.run(&[command, "--help"]).exits(0).err.is_empty());
    }
    assert_eq!(bed.run(&["version"]).exits(0).out, format!("staunch {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(bed.run(&["version", "--json"]).exits(0).json()["version"], env!("CARGO_PKG_VERSION"));
}

/// Half a result must not look like a whole one; a reader that has enough is no failure.
#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let bed = Bed::new();
    bed.file("ok.yaml", "steps: [{id: a, run: 'echo hi'}]");
    bed.file("bad.yaml", "steps: [{id: a, run: 'exit 1'}]");
    let failing = |told: &str, to: &str| {
        let told: Vec<&str> = told.split(' ').collect();
        let to = OpenOptions::new().write(true).open(to).unwrap();
        let done = bed.command(&told).stdout(to).output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).contains("the output is not whole"))
    };
    for told in ["version --json", "run ok.yaml", "run ok.yaml --json", "config show"] {
        assert_eq!(failing(told, "/dev/full"), (Some(1), true), "{told}");
        assert_eq!(failing(told, "/dev/null"), (Some(0), false), "{told}");
    }
    assert_eq!(failing("run bad.yaml --json", "/dev/full"), (Some(1), true));
}

#[test]
fn a_wrong_command_line_exits_with_2_and_says_so_on_standard_error() {
    let bed = Bed::new();
    bed.file("ok.yaml", "steps: [{id: a, run: 'true'}]");
    for wrong in [
        &["dance"][..],
        &[],
        &["run"],
        &["run", "ok.yaml", "--frobnicate"],
        &["run", "ok.yaml", "--detach"],
        &["run", "ok.yaml", "--server", "http://127.0.0.1:1"],
        &["run", "name", "--data", "x"],
        &["run", "name", "--detach", "--timeout", "1s"],
        &["run", "ok.yaml", "-i", "novalue"],
        &["run", "ok.yaml", "-i", "nosuch=1"],
        &["run", "ok.yaml", "--timeout", "soon"],
        &["runs", "--limit", "0"],
        &["runs", "--limit", "201"],
        &["runs", "--state", "sleeping"],
        &["logs", "x", "--raw"],
        &["logs", "x", "y", "-f", "--tail", "3"],
        &["rerun", "x", "--failed", "--from", "y"],
        &["user"],
        &["user", "change", "ada"],
        &["user", "change", "ada", "--enable", "--disable"],
        &["user", "create", "ada", "--role", "root"],
        &["user", "create", "ada"],
        &["token", "create", "ci", "--expires", "0d"],
        &["token", "create", "ci", "--password-file", "x"],
        &["run", "ok.yaml", "--token-file", "x"],
        &["run", "ok.yaml", "--insecure-http"],
        &["completions", "tcsh"],
        &["runs", "--server", "not-a-url"],
        &["config", "show", "--config", "nosuch.toml"],
    ] {
        let done = bed.run(wrong).exits(2);
        assert!(done.out.is_empty() && !done.err.is_empty(), "{wrong:?}: {done:?}");
    }
    assert!(bed.temporary().is_empty(), "nothing was begun, or it was taken back");
}

#[test]
fn a_server_that_is_not_there_exits_with_6_and_says_what_to_do() {
    let bed = Bed::new();
    // A port that is taken, so that no other test gets it, and that nobody listens on.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", taken.local_addr().unwrap());
    for command in [
        &["run", "hello"][..],
        &["run", "hello", "--detach", "--json"],
        &["runs"],
        &["runs", "show", "@last"],
        &["logs", "@last"],
        &["cancel", "@last"],
        &["rerun", "@last"],
        &["workflows"],
        &["user", "list"],
        &["user", "sessions", "ada"],
        &["token", "list"],
        &["token", "revoke", "tok_1"],
    ] {
        let mut arguments = command.to_vec();
        arguments.extend(["--server", &url]);
        let done = bed.run(&arguments).exits(6);
        assert!(done.out.is_empty());
        assert!(done.err.contains(&url) && done.err.contains("staunch serve"), "{command:?}: {}", done.err);
    }
}

#[test]
fn what_is_no_server_of_ours_is_said_to_be_none() {
    let bed = Bed::new();
    let url = crate::cutter::answers("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
    let done = bed.run(&["runs", "--server", &url]).exits(1);
    assert!(done.err.contains("is it a Staunch server"), "{}", done.err);
    let url = crate::cutter::answers("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    bed.run(&["runs", "--server", &url]).exits(6);
}

#[test]
fn a_file_has_a_slash_or_an_ending_and_anything_else_is_a_name() {
    let bed = Bed::new();
    bed.file("job", "steps: [{id: a, run: echo as a file}]");
    assert_eq!(bed.run(&["run", "./job"]).exits(0).out, "a | as a file\n");
    // Nobody listens, so a name cannot be run; the file of the same name is pointed out.
    let done = bed.run(&["run", "job", "--server", "http://127.0.0.1:1"]).exits(6);
    assert!(done.err.contains("write ./job"), "{}", done.err);
    bed.run(&["run", "nosuch.yaml"]).exits(4);
    bed.run(&["run", "./nosuch"]).exits(4);
}

#[test]
fn completions_for_every_shell() {
    let bed = Bed::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bed.run(&["completions", shell]).exits(0).out;
        assert!(script.contains("rerun") && script.contains("input-file"), "{shell}");
        assert!(script.contains("password-file") && script.contains("token-file"), "{shell}");
        assert!(!script.contains("__keep"), "{shell}");
    }
}
