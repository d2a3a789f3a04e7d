//! By what right the command line asks a server, where it sends that, and what it does about a refusal.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::bed::{Bed, Done, Running};
use crate::teller::Teller;

const TOKEN: &str = "stn_0123456789abcdefghijABCDEFGHIJ012345";

const REFUSES: &[crate::teller::Row] = &[
    (
        "GET /api/v1/runs",
        401,
        "",
        r#"{"type":"/problems/unauthenticated","title":"t","status":401,"code":"unauthenticated","detail":"who are you"}"#,
    ),
    (
        "POST /api/v1/users",
        403,
        "",
        r#"{"type":"/problems/forbidden","title":"t","status":403,"code":"forbidden","detail":"not you"}"#,
    ),
    (
        "POST /api/v1/login",
        401,
        "",
        r#"{"type":"/problems/login_failed","title":"t","status":401,"code":"login_failed","detail":"no such login"}"#,
    ),
    ("GET /api/v1/workflows", 401, "", "<html>a proxy</html>"),
];

const LISTS: &[crate::teller::Row] = &[("GET /api/v1/runs", 200, "", r#"{"items":[],"next_cursor":null}"#)];

fn run(command: Command) -> Done {
    Running::start(command).end()
}

/// A command against this server, with this token in the environment.
fn with_token(bed: &Bed, url: &str, arguments: &[&str], token: &str) -> Command {
    let mut command = bed.command(arguments);
    command.env("STAUNCH_URL", url).env("STAUNCH_TOKEN", token);
    command
}

#[test]
fn a_request_that_is_not_allowed_exits_with_5_and_says_what_to_do() {
    let bed = Bed::new();
    let server = Teller::new(REFUSES);
    bed.file("password", "a long password\n");
    let nobody = |arguments: &[&str]| bed.run(&[arguments, &["--server", &server.url]].concat()).exits(5);
    let done = nobody(&["runs"]);
    assert!(done.out.is_empty());
    assert!(done.err.contains("who are you") && done.err.contains("staunch token create NAME --login"), "{}", done.err);
    assert!(done.err.contains("`setup-link`"), "whoever has no user yet is told, too: {}", done.err);
    assert!(nobody(&["workflows"]).err.contains("answered 401"), "a proxy in between");
    let done = nobody(&["user", "create", "bob", "--password-file", "password"]);
    assert!(done.err.contains("not you") && done.err.contains("too small"), "{}", done.err);
    let done = nobody(&["token", "create", "ci", "--login", "ada", "--password-file", "password"]);
    assert!(done.err.contains("no such login") && !done.err.contains("hint"), "{}", done.err);
    let done = run(with_token(&bed, &server.url, &["runs"], TOKEN)).exits(5);
    assert!(done.err.contains("expired or revoked"), "{}", done.err);
    assert!(!done.err.contains(TOKEN), "{}", done.err);
}

#[test]
fn the_flag_wins_over_the_variables_and_they_over_the_file() {
    let bed = Bed::new();
    let server = Teller::new(LISTS);
    let token = |letter: char| format!("stn_{}", String::from(letter).repeat(36));
    let file = |name: &str, letter: char| {
        let path = bed.file(name, &format!("{}\n", token(letter)));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (flag, variable, configured) = (file("flag", 'f'), file("variable", 'v'), file("configured", 'c'));
    let config = bed.file("staunch.toml", &format!("token_file = \"{configured}\"\nserver = \"{}\"\n", server.url));
    let sent = |flag: Option<&str>, env: &[(&str, &str)]| {
        let mut command = bed.command(&["runs", "--config", config.to_str().unwrap()]);
        command.envs(env.iter().copied());
        if let Some(path) = flag {
            command.args(["--token-file", path]);
        }
        let done = run(command).exits(0);
        assert!(!done.err.contains("warning"), "{}", done.err);
        server.asked().last().unwrap().header("authorization").map(str::to_owned)
    };
    let bearer = |letter| Some(format!("Bearer {}", token(letter)));
    let (direct, by_file) = (("STAUNCH_TOKEN", token('e')), ("STAUNCH_TOKEN_FILE", variable));
    let (direct, by_file) = ((direct.0, direct.1.as_str()), (by_file.0, by_file.1.as_str()));
    assert_eq!(sent(Some(&flag), &[direct, by_file]), bearer('f'));
    assert_eq!(sent(None, &[direct, by_file]), bearer('e'));
    assert_eq!(sent(None, &[by_file]), bearer('v'));
    assert_eq!(sent(None, &[]), bearer('c'));
    assert_eq!(bed.run(&["runs", "--server", &server.url]).exits(0).err, "no run fits\n");
    assert_eq!(server.asked().last().unwrap().header("authorization"), None);
}

#[test]
fn a_file_that_others_can_read_is_used_with_a_warning() {
    let bed = Bed::new();
    let server = Teller::new(LISTS);
    let path = bed.file("token", TOKEN);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let arguments = ["runs", "--server", &server.url, "--token-file", path.to_str().unwrap()];
    let done = bed.run(&arguments).exits(0);
    assert!(done.err.contains("others can read") && done.err.contains("chmod 600"), "{}", done.err);
    assert!(!done.err.contains(TOKEN) && !done.out.contains(TOKEN));
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(server.asked()[0].header("authorization"), Some(bearer.as_str()));
    std::fs::write(&path, "not a token").unwrap();
    let done = bed.run(&arguments).exits(2);
    assert!(done.err.contains("begins with `stn_`") && !done.err.contains("not a token"), "{}", done.err);
    std::fs::remove_file(&path).unwrap();
    bed.run(&arguments).exits(4);
}

#[test]
fn no_token_and_no_password_stands_on_a_command_line() {
    let bed = Bed::new();
    for arguments in [&["runs", "--token", TOKEN][..], &["user", "create", "ada", "--password", "a long password"]] {
        let done = bed.run(arguments).exits(2);
        assert!(done.err.contains("unexpected argument"), "{}", done.err);
    }
    let shown = run(with_token(&bed, "http://127.0.0.1:1", &["config", "show", "--origin"], TOKEN)).exits(0);
    assert!(!shown.out.contains(TOKEN), "{}", shown.out);
}

/// 0.0.0.0 leads to this machine, but its name does not say so: it stands for any other one here.
#[test]
fn secrets_do_not_leave_the_machine_unencrypted_unless_that_is_wanted() {
    let bed = Bed::new();
    let server = Teller::new(LISTS);
    let other = server.url.replace("127.0.0.1", "0.0.0.0");
    bed.file("password", "a long password\n");
    let done = run(with_token(&bed, &other, &["runs"], TOKEN)).exits(2);
    assert!(done.err.contains("refusing to send the token to http://0.0.0.0"), "{}", done.err);
    assert!(done.err.contains("--insecure-http"), "{}", done.err);
    for arguments in
        [&["user", "create", "bob"][..], &["user", "change", "bob"], &["token", "create", "ci", "--login", "ada"]]
    {
        let done = bed.run(&[arguments, &["--server", &other, "--password-file", "password"]].concat()).exits(2);
        assert!(done.err.contains("refusing to send the password"), "{}", done.err);
    }
    assert!(server.asked().is_empty(), "nothing was sent: {:?}", server.asked());
    // Without a secret there is nothing to protect.
    bed.run(&["runs", "--server", &other]).exits(0);
    run(with_token(&bed, &other, &["runs", "--insecure-http"], TOKEN)).exits(0);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_login_makes_a_token_and_leaves_no_session() {
    let bed = Bed::new();
    let server = Teller::new(&[
        (
            "POST /api/v1/login",
            200,
            "set-cookie: other=1; Path=/\r\nset-cookie: staunch_session=abc; Path=/; HttpOnly\r\n",
            r#"{"user":{"name":"ada","role":"admin","disabled":false,"created_at":"","password_changed_at":""},"csrf_token":"xyz","expires_at":"2030-01-01T00:00:00Z"}"#,
        ),
        (
            "POST /api/v1/me/tokens",
            201,
            "",
            r#"{"id":"tok_1","token":"stn_made","prefix":"stn_ma","scope":"run","expires_at":null}"#,
        ),
        ("POST /api/v1/logout", 204, "", ""),
    ]);
    bed.file("password", "a long password\n");
    let arguments = ["token", "create", "ci", "--scope", "run", "--expires", "never", "--login", "ada"];
    let arguments = [&arguments[..], &["--password-file", "password", "--server", &server.url]].concat();
    let mut command = bed.command(&arguments);
    // Not sent where a password is to speak.
    command.env("STAUNCH_TOKEN", TOKEN);
    let done = run(command).exits(0);
    assert_eq!(done.out, "stn_made\n");
    assert!(done.err.contains("token tok_1, scope run, good until it is revoked"), "{}", done.err);
    let asked = server.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(
        lines,
        ["POST /api/v1/login HTTP/1.1", "POST /api/v1/me/tokens HTTP/1.1", "POST /api/v1/logout HTTP/1.1"]
    );
    let body = |at: usize| serde_json::from_str::<Value>(&asked[at].body).unwrap();
    assert_eq!(body(0), json!({ "name": "ada", "password": "a long password" }));
    let new = json!({ "name": "ci", "scope": "run", "expires_in_days": null, "current_password": "a long password" });
    assert_eq!(body(1), new);
    for (at, asked) in asked.iter().enumerate() {
        assert_eq!(asked.header("authorization"), None);
        let session = (asked.header("cookie"), asked.header("x-csrf-token"));
        assert_eq!(session, if at == 0 { (None, None) } else { (Some("staunch_session=abc"), Some("xyz")) });
    }
    assert!(!format!("{}{}", done.out, done.err).contains("a long password"));
}

/// systemd lets the service's user in by an access list, which looks like a group's right.
#[test]
fn a_credential_of_systemd_is_nobody_elses_to_read() {
    let bed = Bed::new();
    let server = Teller::new(LISTS);
    let path = bed.file("credentials/staunch-token", TOKEN);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o440)).unwrap();
    let mut command = bed.command(&["runs", "--server", &server.url]);
    command.env("STAUNCH_TOKEN_FILE", &path).env("CREDENTIALS_DIRECTORY", path.parent().unwrap());
    assert_eq!(run(command).exits(0).err, "no run fits\n");
    assert!(server.asked()[0].header("authorization").is_some());
}

/// A server whose words would set a window's title and clear the screen.
const SHOUTS: &[crate::teller::Row] = &[
    (
        "GET /api/v1/users",
        200,
        "content-type: application/json\r\n",
        r#"{"items":[{"name":"ada","role":"admin","disabled":false,"created_at":"\u001b]0;x\u0007\u001b[2J","password_changed_at":""}],
            "next_cursor":null}"#,
    ),
    (
        "GET /api/v1/runs",
        400,
        "content-type: application/problem+json\r\n",
        r#"{"type":"x","title":"t","status":400,"detail":"no\u001b[2J","code":"c\u001b[2J","instance":"x","request_id":"x",
            "errors":[{"pointer":"/a\u001b[2J","message":"one\u001b]0;x\u0007","help":"two\u001b[2J"}]}"#,
    ),
    (
        "GET /api/v1/workflows",
        503,
        "",
        r#"{"type":"x","title":"no room for users","status":503,"detail":"9 at most","code":"users_full","instance":"x","request_id":"x"}"#,
    ),
];

#[test]
fn what_a_server_says_does_not_reach_the_terminal_as_it_is() {
    let bed = Bed::new();
    let server = Teller::new(SHOUTS);
    let done = bed.run(&["user", "list", "--server", &server.url]).exits(0);
    assert!(done.out.contains("ada") && !done.out.contains('\u{1b}'), "{:?}", done.out);
    let done = bed.run(&["runs", "--server", &server.url]).exits(2);
    assert_eq!(done.err.lines().collect::<Vec<_>>(), ["error: no", "  a: one (two)"], "{:?}", done.err);
    let done = bed.run(&["workflows", "--server", &server.url]).exits(8);
    assert_eq!(done.err.trim(), "error: no room for users: 9 at most");
}
