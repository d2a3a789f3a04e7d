//! Who may do what: every route, by everybody.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::Value;

use crate::accounts::{Person, closed};
use crate::bed::Bed;

/// Who is the least that may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Least {
    Nobody,
    Viewer,
    Operator,
    Admin,
    /// A viewer's session, but no token that only looks.
    Own,
}

use Least::{Admin, Nobody, Operator, Own, Viewer};

/// What is expected, written down once more, apart from the server's own table.
const EXPECTED: &[(&str, &str, Least)] = &[
    ("get", "/livez", Nobody),
    ("get", "/readyz", Nobody),
    ("get", "/problems/{code}", Nobody),
    ("get", "/api/v1/openapi.json", Nobody),
    ("post", "/api/v1/login", Nobody),
    ("post", "/api/v1/setup", Nobody),
    ("get", "/assets/{*path}", Nobody),
    ("get", "/login", Nobody),
    ("post", "/login", Nobody),
    ("get", "/setup", Nobody),
    ("post", "/setup", Nobody),
    ("get", "/", Viewer),
    ("get", "/account", Viewer),
    ("post", "/account/password", Viewer),
    ("post", "/account/tokens", Viewer),
    ("post", "/account/tokens/revoke", Viewer),
    ("get", "/memory", Viewer),
    ("get", "/metrics", Viewer),
    ("get", "/api/v1/me", Viewer),
    ("get", "/api/v1/csrf", Viewer),
    ("put", "/api/v1/me/password", Own),
    ("get", "/api/v1/me/sessions", Viewer),
    ("delete", "/api/v1/me/sessions/{handle}", Own),
    ("get", "/api/v1/me/tokens", Viewer),
    ("post", "/api/v1/me/tokens", Own),
    ("delete", "/api/v1/me/tokens/{id}", Own),
    ("get", "/api/v1/workflows", Viewer),
    ("post", "/api/v1/workflows/validate", Viewer),
    ("get", "/api/v1/workflows/{name}", Viewer),
    ("get", "/api/v1/runs", Viewer),
    ("get", "/api/v1/runs/{id}", Viewer),
    ("get", "/api/v1/runs/{id}/events", Viewer),
    ("get", "/api/v1/runs/{id}/steps/{step}/log", Viewer),
    ("get", "/api/v1/runs/{id}/steps/{step}/log/raw", Viewer),
    ("get", "/api/v1/events", Viewer),
    ("get", "/api/v1/memory", Viewer),
    ("post", "/api/v1/workflows/{name}/runs", Operator),
    ("post", "/api/v1/runs/{id}/cancel", Operator),
    ("post", "/api/v1/runs/{id}/rerun", Operator),
    ("get", "/api/v1/users", Admin),
    ("post", "/api/v1/users", Admin),
    ("get", "/api/v1/users/{name}", Admin),
    ("patch", "/api/v1/users/{name}", Admin),
    ("delete", "/api/v1/users/{name}", Admin),
    ("get", "/api/v1/users/{name}/sessions", Admin),
    ("delete", "/api/v1/users/{name}/sessions", Admin),
    ("get", "/api/v1/users/{name}/tokens", Admin),
    ("delete", "/api/v1/users/{name}/tokens/{id}", Admin),
    ("get", "/api/v1/audit", Admin),
    // Last, because they end sessions.
    ("post", "/account/sessions/revoke", Viewer),
    ("delete", "/api/v1/me/sessions", Own),
    ("post", "/api/v1/logout", Viewer),
    ("post", "/logout", Viewer),
];

/// The routes of pages, which are no part of the API.
const PAGES: &[&str] = &["/", "/assets/", "/login", "/setup", "/logout", "/account", "/memory"];

#[test]
fn each_route_of_the_document_is_expected_here() {
    let document: Value = serde_json::from_str(&staunch_server::openapi()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        routes.extend(operations.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
    }
    let is_page = |path: &str| PAGES.iter().any(|page| path == *page || *page != "/" && path.starts_with(page));
    let expected: BTreeSet<_> = EXPECTED
        .iter()
        .filter(|(_, path, _)| !is_page(path))
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(routes, expected);
}

/// A path of this pattern that leads to nothing, so that whoever may do it does no harm.
fn of_nothing(pattern: &str) -> String {
    let run = "run_00000000000000000000000000";
    pattern
        .replace("{id}/steps", &format!("{run}/steps"))
        .replace("/tokens/{id}", "/tokens/tok_00000000000000000000000000")
        .replace("{id}", run)
        .replace("{handle}", "ses_00000000000000000000000000")
        .replace("{name}", "nobody-is-called-so")
        .replace("{step}", "s")
        .replace("{code}", "full")
        .replace("{*path}", "nothing.css")
}

/// Whether the request was let through to its handler, whatever the handler thought of it.
async fn is_let_through(at: SocketAddr, person: &Person, method: &str, path: &str) -> bool {
    let answer = person.call(at, &method.to_ascii_uppercase(), &of_nothing(path), None).await;
    let code = if answer.header("content-type") == "application/problem+json" {
        answer.json()["code"].as_str().unwrap().to_owned()
    } else {
        String::new()
    };
    match code.as_str() {
        "unauthenticated" => {
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"));
            false
        }
        // The detail tells a role that is too low from a token scope that is asked for.
        "forbidden" => false,
        code => {
            let over = matches!(
                (path, code),
                ("/api/v1/logout" | "/logout", "session_expired") | ("/api/v1/login", "login_failed")
            );
            assert!(over || !code.contains("csrf") && answer.status != 401, "{method} {path}: {code}");
            assert_ne!(answer.status, 500, "{method} {path}: {answer:?}");
            true
        }
    }
}

#[tokio::test]
async fn every_route_is_walked_by_everybody() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    let mut people = vec![("nobody", Person::nobody(), Nobody)];
    let mut tokens = Vec::new();
    for (name, role, least) in [("vi", "viewer", Viewer), ("op", "operator", Operator), ("ad", "admin", Admin)] {
        root.user(at, name, role).await;
        let session = Person::login(at, name).await;
        let scopes: &[_] = match least {
            Viewer => &[("read", Viewer)],
            Operator => &[("read", Viewer), ("run", Operator)],
            _ => &[("read", Viewer), ("run", Operator), ("admin", Admin)],
        };
        for (scope, least) in scopes {
            let token = session.make_token(at, scope).await;
            tokens.push((*scope, Person::token(token["token"].as_str().unwrap()), *least));
        }
        people.push((name, session, least));
    }
    // Sessions first: a token may end those of its user.
    people.append(&mut tokens);
    for (method, path, least) in EXPECTED {
        for (name, person, role) in &people {
            let through = is_let_through(at, person, method, path).await;
            let least = match least {
                Own if person.bearer.is_some() => &Operator,
                Own => &Viewer,
                least => least,
            };
            assert_eq!(through, role >= least, "{method} {path} by {name} ({person:?})");
        }
    }
    bed.close().await;
}

#[tokio::test]
async fn while_there_is_no_admin_whoever_is_here_may_do_all() {
    let bed = Bed::new(&[]).await;
    for (method, path, _) in EXPECTED {
        // There is no session to be ended, and none is needed.
        assert!(is_let_through(bed.address(), &Person::nobody(), method, path).await, "{method} {path}");
    }
    let me = bed.get("/api/v1/me").await.json();
    assert_eq!((&me["name"], &me["role"], &me["via"]), (&"local".into(), &"admin".into(), &"local".into()));
    bed.get("/api/v1/csrf").await.problem(409, "no_session");
    bed.get("/api/v1/me/sessions").await.problem(409, "no_session");
    bed.close().await;
}

#[tokio::test]
async fn a_browser_is_sent_to_the_login_and_a_program_is_told() {
    let (bed, _) = closed(&[]).await;
    let at = bed.address();
    let html = [("accept", "text/html,application/xhtml+xml")];
    let nobody = Person::nobody();
    for (path, location) in [("/", "/login"), ("/metrics?a=b&c", "/login?next=%2Fmetrics%3Fa%3Db%26c")] {
        let answer = nobody.call_with(at, "GET", path, &html, None).await;
        assert_eq!((answer.status, answer.header("location")), (303, location));
    }
    nobody.call_with(at, "GET", "/api/v1/runs", &html, None).await.problem(401, "unauthenticated");
    nobody.get(at, "/").await.problem(401, "unauthenticated");
    let expired = Person { cookie: Some(format!("staunch_session={}", "a".repeat(43))), ..Person::default() };
    let answer = expired.call_with(at, "GET", "/", &html, None).await;
    assert_eq!(answer.status, 303);
    assert!(answer.header("set-cookie").starts_with("staunch_session=; "), "{answer:?}");
    bed.close().await;
}

#[tokio::test]
async fn methods_that_a_path_has_not_are_named_to_those_who_ask() {
    let (bed, root) = closed(&[]).await;
    let answer = root.call(bed.address(), "PUT", "/api/v1/users", None).await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD,POST");
    bed.close().await;
}
