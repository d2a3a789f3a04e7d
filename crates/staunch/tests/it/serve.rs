//! `staunch serve`: its start, its refusals and its end.

use rustix::process::Signal;

use crate::bed::{Bed, Running, is_alive};

#[test]
fn an_address_that_others_can_reach_is_refused_with_the_reason() {
    let bed = Bed::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7878", "[2001:db8::1]:1", "[::ffff:192.0.2.1]:1"] {
        let done = bed.run(&["serve", "--listen", address]).exits(2);
        assert!(
            done.err.contains("not a loopback address") && done.err.contains("there is no admin yet"),
            "{}",
            done.err
        );
        assert!(done.err.contains("staunch user create NAME --role admin"), "what to do: {}", done.err);
        assert!(done.out.is_empty());
    }
    assert!(!bed.path("home/.local").exists(), "nothing was made");
    // A demo's directory is new and has no admin; neither has one that a server without one has used.
    bed.run(&["serve", "--demo", "--listen", "0.0.0.0:0"]).exits(2);
    bed.serve(&[]).stop();
    let data = bed.path("data");
    let done = bed.run(&["serve", "--listen", "0.0.0.0:0", "--data", data.to_str().unwrap()]).exits(2);
    assert!(done.err.contains("there is no admin yet") && !done.out.contains("listening"), "{done:?}");
    bed.serve(&[]).stop();
}

#[test]
fn limits_beyond_the_grant_are_refused_a_line_a_holder() {
    let bed = Bed::new();
    let mut command = bed.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("STAUNCH_MEMORY_BYTES", "1MiB");
    let done = Running::start(command).end().exits(8);
    assert!(
        done.err.contains("request bodies") && done.err.contains("1.0 MiB (memory_bytes, $STAUNCH_MEMORY_BYTES)"),
        "{}",
        done.err
    );
}

#[test]
fn an_address_that_is_taken_says_so_and_leaves_nothing() {
    let bed = Bed::new();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let data = bed.path("data");
    let done = bed.run(&["serve", "--listen", &address, "--data", data.to_str().unwrap()]).exits(1);
    assert!(done.err.contains(&address) && done.err.contains("--listen takes another"), "{}", done.err);
}

#[test]
fn two_servers_never_share_a_data_directory() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let data = bed.path("data");
    let done = bed.run(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]).exits(1);
    assert!(!done.err.is_empty());
    server.stop();
}

#[test]
fn the_demo_says_what_to_do_next_and_all_of_it_works() {
    let bed = Bed::new();
    let mut demo = bed.start(&["serve", "--demo", "--listen", "127.0.0.1:0"]);
    let url = demo.line(|line| line.starts_with("listening on ")).trim_start_matches("listening on ").to_owned();
    demo.line(|line| line == "Ctrl-C stops the server.");
    let run = |arguments: &[&str]| {
        let mut command = bed.command(arguments);
        command.env("STAUNCH_URL", &url);
        Running::start(command).end()
    };
    assert_eq!(run(&["workflows", "--json"]).exits(0).json()["items"].as_array().unwrap().len(), 3);
    let hello = run(&["run", "hello", "-i", "name=Ada", "-i", "style=loud"]).exits(0);
    assert!(hello.out.ends_with("| HELLO, ADA!\n"), "{}", hello.out);
    let fan_out = run(&["run", "fan-out", "--json"]).exits(0).json();
    let fetch = fan_out["steps"].as_array().unwrap().iter().find(|step| step["id"] == "fetch").unwrap();
    assert_eq!(fetch["attempts"], 3);
    assert_eq!(fan_out["steps"].as_array().unwrap().last().unwrap()["stdout"], "60000 words in all\n");
    let deploy = run(&["run", "deploy", "--json"]).exits(1).json();
    let outcomes: Vec<_> =
        deploy["steps"].as_array().unwrap().iter().map(|step| step["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["succeeded", "succeeded", "failed", "skipped", "succeeded", "succeeded"]);
    demo.signal(Signal::INT);
    let done = demo.end().exits(0);
    assert!(done.out.ends_with("closed: tasks 0, children 0, budgets 0\n"), "{}", done.out);
    assert!(bed.temporary().is_empty(), "{:?}", bed.temporary());
}

#[test]
fn a_stop_while_steps_run_kills_them_and_the_next_life_runs_them_again() {
    let bed = Bed::new();
    // The first life's step waits for ever, the second's ends at once.
    let go = bed.path("go");
    bed.workflow(
        "job.yaml",
        &format!("steps: [{{id: a, run: 'echo $$; if [ -e {0} ]; then exit 0; fi; sleep 60'}}]", go.display()),
    );
    let mut command = bed.command(&["serve", "--listen", "127.0.0.1:0", "--data", bed.path("data").to_str().unwrap()]);
    command.args(["--workflows", bed.path("workflows").to_str().unwrap()]).env("STAUNCH_LIMITS_DRAIN_SECONDS", "0");
    let mut server = Running::start(command);
    let url = server.line(|line| line.starts_with("listening on ")).trim_start_matches("listening on ").to_owned();
    let at = |url: &str, arguments: &[&str]| bed.run(&[arguments, &["--server", url]].concat());
    let run = at(&url, &["run", "job", "--detach"]).exits(0).out;
    let mut log = bed.start(&["logs", run.trim(), "-f", "--server", &url]);
    let shell = log.line(|line| line.starts_with("a | "));
    server.signal(Signal::TERM);
    let done = server.end().exits(0);
    assert!(done.out.ends_with("closed: tasks 0, children 0, budgets 0\n"), "{}", done.out);
    assert!(!is_alive(shell.trim_start_matches("a | ")));
    drop(log);
    std::fs::write(go, "").unwrap();
    let server = bed.serve(&[]);
    let done = server.run(&bed, &["logs", run.trim(), "-f"]).exits(0);
    assert!(done.out.starts_with("a | "), "{}", done.out);
    let detail = server.run(&bed, &["runs", "show", run.trim(), "--json"]).exits(0).json();
    assert_eq!(detail["outcome"], "succeeded");
    server.stop();
}

#[test]
fn a_second_signal_stops_at_once() {
    let bed = Bed::new();
    bed.workflow("job.yaml", "steps: [{id: a, run: 'echo $$; sleep 60'}]");
    let mut server = bed.serve(&[]);
    let run = server.run(&bed, &["run", "job", "--detach"]).exits(0).out;
    let mut log = server.start(&bed, &["logs", run.trim(), "-f"]);
    let shell = log.line(|line| line.starts_with("a | "));
    // The first one waits for the step, up to `drain_seconds`.
    server.process().signal(Signal::TERM);
    server.process().line(|line| line.starts_with("SIGTERM: closing"));
    server.process().signal(Signal::TERM);
    server.end().exits(130);
    crate::bed::until(|| !is_alive(shell.trim_start_matches("a | ")));
}
