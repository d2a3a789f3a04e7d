//! Users and tokens: the first admin closes the server, and from then on each may do what their role says.

use rustix::process::Signal;
use serde_json::json;

use crate::bed::{Bed, Running, Serving, until};
use crate::closed::{PASSWORD, command, password_file, set_up, ticket, token, user, with};
use crate::curl::{curl, post};

const OK: &str = "steps: [{id: a, run: echo hi}]";

#[test]
fn the_link_makes_the_first_admin_once() {
    let bed = Bed::new();
    bed.workflow("ok.yaml", OK);
    let server = bed.serve(&[]);
    let ticket = ticket(&bed);
    let url = format!("{}/api/v1/setup", server.url);
    let body = |ticket: &str, name: &str| json!({ "ticket": ticket, "name": name, "password": PASSWORD });
    let wrong = ticket.chars().rev().collect::<String>();
    assert_eq!(post(&url, &body(&wrong, "ada"), &[]).is(403).code(), "setup_refused");
    server.run(&bed, &["run", "ok"]).exits(0);
    let made = post(&url, &body(&ticket, "ada"), &[]).is(201);
    assert!(made.headers("set-cookie").iter().any(|cookie| cookie.starts_with("staunch_session=")), "{}", made.head);
    server.run(&bed, &["run", "ok"]).exits(5);
    assert_eq!(post(&url, &body(&ticket, "eve"), &[]).is(403).code(), "setup_refused");
    until(|| !bed.path("data/setup-link").exists());
    let admin = token(&bed, &server, "ada", "admin");
    let users = with(&bed, &server, &admin, &["user", "list", "--json"]).exits(0).json();
    let names: Vec<_> =
        users["items"].as_array().unwrap().iter().map(|user| (user["name"].as_str(), user["role"].as_str())).collect();
    assert_eq!(names, [(Some("ada"), Some("admin"))]);
    server.stop();
}

#[test]
fn the_command_line_makes_the_first_admin_and_is_then_asked_for_a_token_itself() {
    let bed = Bed::new();
    let go = bed.path("go");
    bed.workflow("ok.yaml", OK);
    bed.workflow(
        "wait.yaml",
        &format!(
            "steps: [{{id: a, run: 'echo first; while [ ! -e {} ]; do sleep 0.05; done; echo last'}}]",
            go.display()
        ),
    );
    let server = bed.serve(&[]);
    let file = password_file(&bed, PASSWORD);
    let file = file.to_str().unwrap();
    server.run(&bed, &["run", "ok"]).exits(0);
    let done = server.run(&bed, &["user", "create", "bob", "--password-file", file]).exits(1);
    assert!(done.err.contains("admin"), "the first one is an admin: {}", done.err);
    let done = server.run(&bed, &["token", "create", "ci"]).exits(1);
    assert!(done.err.contains("makes the first user"), "{}", done.err);
    let done = server.run(&bed, &["user", "create", "ada", "--role", "admin", "--password-file", file]).exits(0);
    assert!(done.out.is_empty() && done.err.contains("token create NAME --scope admin --login ada"), "{}", done.err);
    for arguments in [&["run", "ok"][..], &["runs"], &["workflows"], &["logs", "@last"], &["user", "list"]] {
        let done = server.run(&bed, arguments).exits(5);
        assert!(done.out.is_empty() && done.err.contains("--login"), "{}", done.err);
    }
    until(|| !bed.path("data/setup-link").exists());
    let admin = token(&bed, &server, "ada", "admin");
    // Live: the first line is here while the step waits for us.
    let mut run = Running::start(command(&bed, &server, &admin, &["run", "wait"]));
    run.line(|line| line == "a | first");
    std::fs::write(go, "").unwrap();
    assert_eq!(run.end().exits(0).out, "a | first\na | last\n");
    let stopped = server.stop();
    assert!(!stopped.err.contains(&admin) && !stopped.err.contains(PASSWORD));
}

#[test]
fn each_may_do_what_their_role_and_their_tokens_scope_say() {
    let bed = Bed::new();
    bed.workflow("ok.yaml", OK);
    let server = bed.serve(&[]);
    let admin = set_up(&bed, &server);
    user(&bed, &server, &admin, "vera", "viewer");
    user(&bed, &server, &admin, "otto", "operator");
    let tokens = [
        ("vera", "read", [0, 5, 5]),
        ("otto", "read", [0, 5, 5]),
        ("otto", "run", [0, 0, 5]),
        ("ada", "run", [0, 0, 5]),
        ("ada", "admin", [0, 0, 0]),
    ];
    for (name, scope, codes) in tokens {
        let token = token(&bed, &server, name, scope);
        for (arguments, code) in [&["runs"][..], &["run", "ok"], &["user", "list"]].into_iter().zip(codes) {
            let done = with(&bed, &server, &token, arguments);
            assert_eq!(done.code, Some(code), "{name} {scope} {arguments:?}: {}", done.err);
            assert!(code == 0 || done.err.contains("too small"), "{}", done.err);
        }
    }
    server.stop();
}

#[test]
fn a_token_is_listed_without_itself_and_worthless_once_revoked() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let admin = set_up(&bed, &server);
    user(&bed, &server, &admin, "vera", "viewer");
    let admins = |arguments: &[&str]| with(&bed, &server, &admin, arguments).exits(0);
    let made = admins(&["token", "create", "ci", "--scope", "run", "--expires", "7d", "--json"]).json();
    let (id, text) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert_eq!((made["scope"].as_str(), text.len()), (Some("run"), 40));
    assert!(text.starts_with(made["prefix"].as_str().unwrap()) && made["expires_at"].is_string(), "{made}");
    let listed = admins(&["token", "list", "--json"]);
    let rows = listed.json()["items"].as_array().unwrap().clone();
    assert!(rows.iter().any(|row| row["id"] == id && row["name"] == "ci" && row["scope"] == "run"), "{rows:?}");
    assert!(!listed.out.contains(text) && !admins(&["token", "list"]).out.contains(text));
    with(&bed, &server, text, &["runs"]).exits(0);
    assert_eq!(admins(&["token", "revoke", id, "--json"]).json(), json!({ "id": id, "revoked": true }));
    let done = with(&bed, &server, text, &["runs"]).exits(5);
    assert!(done.err.contains("revoked") && !done.err.contains(text), "{}", done.err);
    with(&bed, &server, &admin, &["token", "revoke", id]).exits(4);

    // Somebody else's, for admins; one's own, for everybody.
    let vera = token(&bed, &server, "vera", "read");
    let rows = admins(&["token", "list", "--user", "vera", "--json"]).json();
    let id = rows["items"][0]["id"].as_str().unwrap();
    assert_eq!(with(&bed, &server, &vera, &["token", "list", "--json"]).exits(0).json()["items"][0]["id"], id);
    with(&bed, &server, &vera, &["token", "list", "--user", "ada"]).exits(5);
    let done = with(&bed, &server, &vera, &["token", "create", "more"]).exits(5);
    assert!(done.err.contains("--login NAME asks for the password"), "{}", done.err);
    admins(&["token", "revoke", id, "--user", "vera"]);
    with(&bed, &server, &vera, &["token", "list"]).exits(5);
    server.stop();
}

/// The run goes on: it is only this follower who may not look any more.
#[test]
fn whoever_follows_a_run_with_a_token_that_is_revoked_is_shown_out() {
    let bed = Bed::new();
    let go = bed.path("go");
    let text = format!(
        "steps: [{{id: a, run: 'echo first; while [ ! -e {} ]; do sleep 0.05; done; echo last'}}]",
        go.display()
    );
    bed.workflow("wait.yaml", &text);
    let server = bed.serve(&[]);
    let admin = set_up(&bed, &server);
    let made = with(&bed, &server, &admin, &["token", "create", "ci", "--scope", "run", "--json"]).exits(0).json();
    let mut run = Running::start(command(&bed, &server, made["token"].as_str().unwrap(), &["run", "wait"]));
    run.line(|line| line == "a | first");
    with(&bed, &server, &admin, &["token", "revoke", made["id"].as_str().unwrap()]).exits(0);
    let done = run.end().exits(5);
    assert!(done.err.contains("revoked"), "{}", done.err);
    std::fs::write(go, "").unwrap();
    let log = with(&bed, &server, &admin, &["logs", "@last", "-f"]).exits(0).out;
    assert_eq!(log, "a | first\na | last\n");
    server.stop();
}

#[test]
fn users_are_shown_changed_and_removed() {
    let bed = Bed::new();
    let mut command = bed.serving(&[]);
    // More users than anybody makes in a minute, but a test.
    command.env("STAUNCH_RATE_REGISTER", "100/1m");
    let server = Serving::of(command);
    let admin = set_up(&bed, &server);
    let file = password_file(&bed, PASSWORD);
    let file = file.to_str().unwrap();
    let run = |arguments: &[&str]| with(&bed, &server, &admin, arguments);
    let made =
        run(&["user", "create", "otto", "--role", "operator", "--password-file", file, "--json"]).exits(0).json();
    assert_eq!(made["name"], "otto");
    assert_eq!(run(&["user", "show", "otto", "--json"]).exits(0).json(), made);
    assert_eq!((made["role"].as_str(), made["disabled"].as_bool()), (Some("operator"), Some(false)));
    assert!(run(&["user", "list"]).exits(0).out.lines().any(|line| line.starts_with("otto  operator")));
    run(&["user", "create", "OTTO", "--password-file", file]).exits(1);
    run(&["user", "show", "nobody"]).exits(4);
    run(&["user", "create", "a b", "--password-file", file]).exits(2);
    let short = bed.file("short", "too short");
    let done = run(&["user", "create", "eve", "--password-file", short.to_str().unwrap()]).exits(2);
    assert!(done.err.contains("12"), "{}", done.err);

    let ottos = token(&bed, &server, "otto", "run");
    assert_eq!(run(&["user", "change", "otto", "--role", "viewer", "--json"]).exits(0).json()["role"], "viewer");
    assert_eq!(run(&["user", "change", "otto", "--disable", "--json"]).exits(0).json()["disabled"], true);
    with(&bed, &server, &ottos, &["runs"]).exits(5);
    assert!(run(&["user", "list"]).exits(0).out.contains("disabled"));
    assert_eq!(run(&["user", "change", "otto", "--enable", "--json"]).exits(0).json()["disabled"], false);
    with(&bed, &server, &ottos, &["runs"]).exits(0);
    let other = bed.file("other", "another password\n");
    run(&["user", "change", "otto", "--password-file", other.to_str().unwrap()]).exits(0);
    let login = ["token", "create", "x", "--login", "otto", "--password-file"];
    server.run(&bed, &[&login[..], &[file]].concat()).exits(5);
    server.run(&bed, &[&login[..], &[other.to_str().unwrap()]].concat()).exits(0);

    for last in [
        &["user", "delete", "ada"][..],
        &["user", "change", "ada", "--disable"],
        &["user", "change", "ada", "--role", "viewer"],
    ] {
        let done = run(last).exits(1);
        assert!(done.err.contains("admin"), "{}", done.err);
    }
    assert_eq!(run(&["user", "delete", "otto", "--json"]).exits(0).json(), json!({ "name": "otto", "deleted": true }));
    with(&bed, &server, &ottos, &["runs"]).exits(5);
    run(&["user", "delete", "otto"]).exits(4);
    server.stop();
}

#[test]
fn sessions_are_listed_and_ended_and_a_login_of_the_command_line_leaves_none() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let admin = set_up(&bed, &server);
    let sessions =
        || with(&bed, &server, &admin, &["user", "sessions", "ada", "--json"]).exits(0).json()["items"].clone();
    // That of the set-up; the one that made the token is over.
    assert_eq!(sessions().as_array().unwrap().len(), 1, "{}", sessions());
    let login =
        post(&format!("{}/api/v1/login", server.url), &json!({ "name": "ada", "password": PASSWORD }), &[]).is(200);
    let cookie = login.headers("set-cookie").into_iter().find(|cookie| cookie.starts_with("staunch_session=")).unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let me = format!("{}/api/v1/me", server.url);
    curl(&[&me, "-H", &format!("cookie: {cookie}")]).is(200);
    assert_eq!(sessions().as_array().unwrap().len(), 2);
    assert!(with(&bed, &server, &admin, &["user", "sessions", "ada"]).exits(0).out.contains("curl/"));
    let ended = with(&bed, &server, &admin, &["user", "sessions", "ada", "--end", "--json"]).exits(0).json();
    assert_eq!(ended, json!({ "name": "ada", "ended": 2 }));
    assert_eq!(sessions(), json!([]));
    curl(&[&me, "-H", &format!("cookie: {cookie}")]).is(401);
    server.stop();
}

#[test]
fn with_an_admin_it_listens_where_others_reach_it_and_says_that_it_is_plain() {
    let bed = Bed::new();
    bed.workflow("ok.yaml", OK);
    let server = bed.serve(&[]);
    let admin = set_up(&bed, &server);
    server.stop();
    for (public, plain) in [("", true), ("http://staunch.example", true), ("https://staunch.example", false)] {
        let mut command = bed.serving_at("0.0.0.0:0", &[]);
        command.env("STAUNCH_PUBLIC_URL", public);
        let mut server = Serving::of(command);
        server.url = server.url.replace("0.0.0.0", "127.0.0.1");
        server.run(&bed, &["run", "ok"]).exits(5);
        with(&bed, &server, &admin, &["run", "ok"]).exits(0);
        let done = server.stop();
        assert!(!done.out.contains("/setup#") && done.out.contains("a login or a token is needed"), "{}", done.out);
        assert_eq!(done.err.contains("without encryption"), plain, "{public}: {}", done.err);
    }
}

#[test]
fn a_killed_server_comes_back_with_its_accounts() {
    let bed = Bed::new();
    bed.workflow("ok.yaml", OK);
    let mut server = bed.serve(&[]);
    let admin = set_up(&bed, &server);
    user(&bed, &server, &admin, "otto", "operator");
    server.process().signal(Signal::KILL);
    server.end();
    let server = bed.serve(&[]);
    with(&bed, &server, &admin, &["user", "show", "otto"]).exits(0);
    let otto = token(&bed, &server, "otto", "run");
    with(&bed, &server, &otto, &["run", "ok"]).exits(0);
    server.run(&bed, &["run", "ok"]).exits(5);
    assert!(!bed.path("data/setup-link").exists());
    let done = server.stop();
    assert!(!done.out.contains("/setup#"), "{}", done.out);
}

#[test]
fn no_secret_is_in_the_log_however_much_it_says() {
    let bed = Bed::new();
    bed.workflow("ok.yaml", OK);
    let server = bed.serve(&["--log-level", "trace"]);
    let ticket = ticket(&bed);
    let admin = set_up(&bed, &server);
    with(&bed, &server, &admin, &["run", "ok"]).exits(0);
    with(&bed, &server, &admin.replace("stn_", "stn_x"), &["run", "ok"]).exits(5);
    let done = server.stop();
    for secret in [&ticket, &admin, PASSWORD] {
        assert!(!done.err.contains(secret), "the log has {secret}");
    }
}

#[test]
fn guessing_a_password_is_slowed_down_and_says_for_how_long() {
    let bed = Bed::new();
    let mut command = bed.serving(&[]);
    command.env("STAUNCH_RATE_LOGIN", "2/1h");
    let server = Serving::of(command);
    set_up(&bed, &server);
    let wrong = bed.file("wrong", "not the password");
    let guess =
        || server.run(&bed, &["token", "create", "x", "--login", "ada", "--password-file", wrong.to_str().unwrap()]);
    for _ in 0..2 {
        guess().exits(5);
    }
    let done = guess().exits(8);
    assert!(done.err.contains("try again in"), "{}", done.err);
    server.stop();
}
