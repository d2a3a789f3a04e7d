//! Behind nginx and HAProxy, as the manual configures them.

use std::process::Command;

use serde_json::{Value, json};

use crate::bed::{Bed, Running, Serving};
use crate::closed::{PASSWORD, set_up};
use crate::curl::{Answer, curl, post};
use crate::proxy::{Kind, NAME, Proxy, manual};

/// A server as the manual configures it for a proxy, but with few logins; an admin's token.
fn serve(bed: &Bed) -> (Serving, String) {
    let blocks = manual("toml");
    let text = blocks.iter().find(|text| text.starts_with("# /etc/staunch/staunch.toml\n")).unwrap();
    let file = bed.file("staunch.toml", text);
    start(bed, bed.serving(&["--config", file.to_str().unwrap()]))
}

fn start(bed: &Bed, mut command: Command) -> (Serving, String) {
    command.env("STAUNCH_RATE_LOGIN", "2/1h").env("STAUNCH_RATE_ACCOUNT", "1000/1h");
    let server = Serving::of(command);
    let admin = set_up(bed, &server);
    (server, admin)
}

/// A login that fails, from one of this machine's addresses.
fn wrong(proxy: &Proxy, from: &str, more: &[&str]) -> u16 {
    login(proxy, from, "wrong password", more).status
}

fn login(proxy: &Proxy, from: &str, password: &str, more: &[&str]) -> Answer {
    let by_name = proxy.by_name(from);
    let arguments: Vec<&str> = by_name.iter().map(String::as_str).chain(more.iter().copied()).collect();
    post(&proxy.url("/api/v1/login"), &json!({ "name": "ada", "password": password }), &arguments)
}

/// The addresses that failed logins came from, by the audit log.
fn addresses(server: &Serving, admin: &str) -> Vec<String> {
    let url = format!("{}/api/v1/audit?action=login.failed", server.url);
    let rows: Value = curl(&[&url, "-H", &format!("authorization: Bearer {admin}")]).is(200).json();
    rows["items"].as_array().unwrap().iter().map(|row| row["address"].as_str().unwrap().to_owned()).collect()
}

fn a_client_is_who_the_proxy_saw(kind: Kind) {
    let bed = Bed::new();
    let (server, admin) = serve(&bed);
    let proxy = Proxy::start(&bed, kind, &server.url);
    let forged = |address: &str| format!("x-forwarded-for: {address}");
    assert_eq!(wrong(&proxy, "127.0.0.2", &[]), 401);
    assert_eq!(wrong(&proxy, "127.0.0.2", &["-H", &forged("198.51.100.1")]), 401);
    // What the client claims makes no new key, however it claims it.
    for more in [
        vec![],
        vec!["-H".to_owned(), forged("198.51.100.2")],
        vec!["-H".to_owned(), forged("198.51.100.3, 127.0.0.1")],
    ] {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        assert_eq!(wrong(&proxy, "127.0.0.2", &more), 429, "{more:?}");
    }
    // Another client is not held up by it.
    assert_eq!(wrong(&proxy, "127.0.0.3", &[]), 401);
    assert_eq!(addresses(&server, &admin), ["127.0.0.3", "127.0.0.2", "127.0.0.2"]);
    drop(proxy);
    server.stop();
}

#[test]
fn a_client_is_who_nginx_saw() {
    a_client_is_who_the_proxy_saw(Kind::Nginx);
}

#[test]
fn a_client_is_who_haproxy_saw() {
    a_client_is_who_the_proxy_saw(Kind::Haproxy);
}

/// Without `trusted_proxies` the header is anybody's to write, and is not read.
#[test]
fn a_proxy_that_is_not_trusted_speaks_for_itself_alone() {
    let bed = Bed::new();
    let mut command = bed.serving(&[]);
    command.env("STAUNCH_PUBLIC_URL", format!("https://{NAME}"));
    let (server, admin) = start(&bed, command);
    let proxy = Proxy::start(&bed, Kind::Nginx, &server.url);
    assert_eq!(wrong(&proxy, "127.0.0.2", &[]), 401);
    assert_eq!(wrong(&proxy, "127.0.0.3", &["-H", "x-forwarded-for: 198.51.100.1"]), 401);
    assert_eq!(wrong(&proxy, "127.0.0.4", &[]), 429, "all are the proxy");
    assert_eq!(addresses(&server, &admin), ["127.0.0.1", "127.0.0.1"]);
    drop(proxy);
    server.stop();
}

/// Past the proxy, straight to the server.
#[test]
fn a_peer_that_is_trusted_may_name_the_client_and_no_other_may() {
    let bed = Bed::new();
    let (server, _) = serve(&bed);
    let url = format!("{}/api/v1/login", server.url);
    let wrong = |peer: &str, header: &str| {
        let body = json!({ "name": "ada", "password": "wrong password" });
        post(&url, &body, &["--interface", peer, "-H", &format!("x-forwarded-for: {header}")]).status
    };
    for (peer, header, status) in [
        ("127.0.0.1", "203.0.113.5", 401),
        ("127.0.0.1", "6.6.6.6, 203.0.113.5", 401),
        ("127.0.0.1", "7.7.7.7, 203.0.113.5", 429),
        ("127.0.0.1", "203.0.113.6", 401),
        ("127.0.0.9", "203.0.113.7", 401),
        ("127.0.0.9", "203.0.113.8", 401),
        ("127.0.0.9", "203.0.113.9", 429),
    ] {
        assert_eq!(wrong(peer, header), status, "{peer} {header}");
    }
    server.stop();
}

fn a_browser_is_served_over_tls(kind: Kind) {
    let bed = Bed::new();
    let (server, _) = serve(&bed);
    let proxy = Proxy::start(&bed, kind, &server.url);
    let by_name = proxy.by_name("127.0.0.2");
    let by_name: Vec<&str> = by_name.iter().map(String::as_str).collect();
    let plain = curl(&[&[format!("http://{NAME}:{}/runs?x=1", proxy.plain).as_str()][..], &by_name].concat()).is(301);
    assert!(plain.headers("location")[0].starts_with("https://"), "{}", plain.head);

    let origin = format!("origin: https://{NAME}");
    let answer = login(&proxy, "127.0.0.2", PASSWORD, &["-H", &origin, "-H", "sec-fetch-site: same-origin"]).is(200);
    let cookie = answer.headers("set-cookie").into_iter().find(|cookie| cookie.starts_with("__Host-staunch=")).unwrap();
    for word in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.split("; ").any(|part| part == word), "{word}: {cookie}");
    }
    assert!(!answer.headers("strict-transport-security").is_empty(), "{}", answer.head);
    let cookie = format!("cookie: {}", cookie.split(';').next().unwrap());
    let me = curl(&[&[proxy.url("/api/v1/me").as_str(), "-H", &cookie][..], &by_name].concat()).is(200);
    assert_eq!(me.json()["session"]["address"], "127.0.0.2");
    // Another site's page, and a name that is not ours.
    let evil = login(&proxy, "127.0.0.2", PASSWORD, &["-H", "origin: https://evil.example"]);
    assert_eq!(evil.status, 403, "{}", evil.body);
    let host = curl(&[&[proxy.url("/api/v1/me").as_str(), "-H", "host: evil.example"][..], &by_name].concat());
    assert!(matches!(host.status, 403 | 421), "{}", host.body);
    drop(proxy);
    server.stop();
}

#[test]
fn a_browser_is_served_over_tls_behind_nginx() {
    a_browser_is_served_over_tls(Kind::Nginx);
}

#[test]
fn a_browser_is_served_over_tls_behind_haproxy() {
    a_browser_is_served_over_tls(Kind::Haproxy);
}

/// The command line through the proxy, by TLS: the first line is here while the step waits for us.
fn a_live_log_is_not_held_back(kind: Kind) {
    let bed = Bed::new();
    let go = bed.path("go");
    let text = format!(
        "steps: [{{id: a, run: 'echo first; while [ ! -e {} ]; do sleep 0.05; done; echo last'}}]",
        go.display()
    );
    bed.workflow("wait.yaml", &text);
    let (server, admin) = serve(&bed);
    let proxy = Proxy::start(&bed, kind, &server.url);
    let mut command = bed.command(&["run", "wait", "--server", &format!("https://localhost:{}", proxy.tls)]);
    command.env("STAUNCH_TOKEN", &admin).env("SSL_CERT_FILE", &proxy.certificate);
    let mut run = Running::start(command);
    run.line(|line| line == "a | first");
    std::fs::write(go, "").unwrap();
    assert_eq!(run.end().exits(0).out, "a | first\na | last\n");
    drop(proxy);
    server.stop();
}

#[test]
fn a_live_log_is_not_held_back_by_nginx() {
    a_live_log_is_not_held_back(Kind::Nginx);
}

#[test]
fn a_live_log_is_not_held_back_by_haproxy() {
    a_live_log_is_not_held_back(Kind::Haproxy);
}
