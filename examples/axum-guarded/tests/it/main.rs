//! The app as a browser and as others see it: a real process, asked by curl.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// The running app. Killed when it is dropped.
struct App {
    process: Child,
    url: String,
}

impl App {
    /// At a port of the system's choice, which it tells.
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_axum-guarded"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the app starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect("it says where it listens").to_owned();
        Self { process, url }
    }

    /// What curl prints, headers first, when it asks for `/` so many times over one connection.
    fn curl(&self, times: usize, arguments: &[&str]) -> String {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--max-time", "60"]).args(arguments);
        let output = curl.args(vec![format!("{}/", self.url); times]).output().expect("curl is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The cookie and the token of a form that is looked at.
    fn form(&self) -> (String, String) {
        let page = self.curl(1, &[]);
        assert_eq!(statuses(&page), [200], "{page}");
        assert!(page.contains("HttpOnly; SameSite=Lax") && page.contains("cache-control: no-store"), "{page}");
        let after = |start: &str, end: char| page.split_once(start).unwrap().1.split(end).next().unwrap().to_owned();
        (after("set-cookie: ", ';'), after("name=csrf_token value=", '>'))
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // Whether or not it is still there, it is gone afterwards.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn statuses(answers: &str) -> Vec<u16> {
    let lines = answers.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 "));
    lines.map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let found = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {answer}"))
}

#[test]
fn a_form_with_its_token_is_taken() {
    let app = App::start();
    let (cookie, token) = app.form();
    let field = format!("csrf_token={token}");
    let greeted = app.curl(1, &["--cookie", &cookie, "--data", &field, "--data", "name=Ada"]);
    assert_eq!(statuses(&greeted), [200], "{greeted}");
    assert!(greeted.ends_with("\r\n\r\nHello, Ada!\n"), "{greeted}");
    // Who sends no form sends a header.
    let token = format!("x-csrf-token: {token}");
    let greeted = app.curl(1, &["--cookie", &cookie, "--header", &token, "--data", "name=Eve"]);
    assert!(greeted.ends_with("\r\n\r\nHello, Eve!\n"), "{greeted}");
}

#[test]
fn a_session_without_its_token_is_refused() {
    let app = App::start();
    let ((cookie, _), (_, of_another)) = (app.form(), app.form());
    let refused = app.curl(1, &["--cookie", &cookie, "--data", "name=Ada"]);
    assert_eq!(statuses(&refused), [403], "{refused}");
    assert!(refused.contains(r#""code":"csrf_token_missing""#), "{refused}");
    assert_eq!(header(&refused, "content-type"), "application/problem+json");
    let field = format!("csrf_token={of_another}");
    let refused = app.curl(1, &["--cookie", &cookie, "--data", &field]);
    assert!(refused.contains(r#""code":"csrf_token_invalid""#), "{refused}");
}

#[test]
fn another_site_is_refused_with_or_without_a_token() {
    let app = App::start();
    let (cookie, token) = app.form();
    let field = format!("csrf_token={token}");
    for (header, code) in [
        ("origin: https://evil.example", "bad_origin"),
        ("origin: null", "null_origin"),
        ("sec-fetch-site: cross-site", "cross_site"),
        ("sec-fetch-site: same-site", "cross_site"),
    ] {
        let refused = app.curl(1, &["--cookie", &cookie, "--data", &field, "--header", header]);
        assert_eq!(statuses(&refused), [403], "{header}: {refused}");
        assert!(refused.contains(&format!(r#""code":"{code}""#)), "{header}: {refused}");
    }
    let origin = format!("origin: {}", app.url);
    let greeted = app.curl(1, &["--cookie", &cookie, "--data", &field, "--header", &origin]);
    assert_eq!(statuses(&greeted), [200], "{greeted}");
}

#[test]
fn the_sixth_post_of_a_minute_is_too_many() {
    let app = App::start();
    let (cookie, token) = app.form();
    let field = format!("csrf_token={token}&name=Ada");
    // In one go, since a place comes back every twelve seconds.
    let answers = app.curl(6, &["--cookie", &cookie, "--data", &field]);
    assert_eq!(statuses(&answers), [200, 200, 200, 200, 200, 429], "{answers}");
    let (first, last) = (&answers, &answers[answers.rfind("HTTP/1.1").unwrap()..]);
    assert!(header(first, "ratelimit").contains(r#""login";r=4;t=12"#), "{first}");
    for answer in [first.as_str(), last] {
        assert_eq!(header(answer, "ratelimit-policy"), r#""all";q=300;w=60, "login";q=5;w=60"#);
    }
    let seconds: u64 = header(last, "retry-after").parse().unwrap();
    assert!((1..=12).contains(&seconds), "{last}");
    assert_eq!(header(last, "ratelimit"), format!(r#""login";r=0;t={seconds}"#));
    assert!(last.contains(r#""code":"quota_exceeded""#) && last.contains(r#""violated-policies":["login"]"#), "{last}");
    // Looking is not posting.
    assert_eq!(statuses(&app.curl(1, &[])), [200]);
}
