//! What a stolen cookie or a token that was found may not do: make what outlives it.

use serde_json::{Value, json};
use staunch_engine::Limits;
use staunch_server::ServerConfig;

use crate::accounts::{PASSWORD, Person, closed, closed_with, generous, login};

const NEW: &str = "a better horse battery";
const WRONG: &str = "wrong horse battery";

/// A body with the caller's password, as it is asked for again.
fn proven(body: &Value, password: &str) -> Value {
    let mut body = body.clone();
    body["current_password"] = json!(password);
    body
}

#[tokio::test]
async fn a_cookie_alone_makes_nothing_that_outlives_it() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    for name in ["vi", "out", "old"] {
        root.user(at, name, "viewer").await;
    }
    // What takes away, a cookie alone does: whoever is locked out is let in again by somebody who knows a password.
    let out = json!({"disabled": true, "role": "viewer"});
    assert_eq!(root.call(at, "PATCH", "/api/v1/users/out", Some(&out)).await.status, 200);
    let before = root.get(at, "/api/v1/users").await.json();
    let cases = [
        ("POST", "/api/v1/users", json!({"name": "eve", "role": "admin", "password": NEW})),
        ("POST", "/api/v1/users", json!({"name": "eva", "role": "viewer", "password": NEW})),
        ("PATCH", "/api/v1/users/vi", json!({"role": "operator"})),
        // What they are already: they may be less by the time the store has its turn.
        ("PATCH", "/api/v1/users/root", json!({"role": "admin", "disabled": false})),
        ("PATCH", "/api/v1/users/out", json!({"disabled": false})),
        ("PATCH", "/api/v1/users/old", json!({"password": NEW})),
        ("PATCH", "/api/v1/users/root", json!({"password": NEW})),
    ];
    for (method, path, body) in &cases {
        root.call(at, method, path, Some(body)).await.problem(403, "password_needed");
        root.call(at, method, path, Some(&proven(body, WRONG))).await.problem(403, "wrong_password");
        // It is the caller's own that is asked for, and not that of the user who is changed.
        root.call(at, method, path, Some(&proven(body, NEW))).await.problem(403, "wrong_password");
    }
    assert_eq!(root.get(at, "/api/v1/users").await.json(), before);
    assert_eq!(login(at, "root", PASSWORD).await.status, 200);
    for (method, path, body) in &cases {
        let answer = root.call(at, method, path, Some(&proven(body, PASSWORD))).await;
        assert!(matches!(answer.status, 200 | 201), "{method} {path} {body}: {answer:?}");
    }
    assert_eq!(login(at, "root", NEW).await.status, 200);
    assert_eq!(login(at, "eve", NEW).await.status, 200);
    bed.close().await;
}

#[tokio::test]
async fn a_password_that_is_not_the_callers_is_told_in_the_audit_log() {
    let mut config = ServerConfig { rates: generous(), ..ServerConfig::default() };
    config.rates.password = "3/1h".parse().unwrap();
    let (bed, root) = closed_with(&[], Limits::default(), config).await;
    let at = bed.address();
    root.user(at, "vi", "viewer").await;
    let vi = Person::login(at, "vi").await;
    let change = json!({"current_password": WRONG, "new_password": NEW});
    for _ in 0..3 {
        vi.call(at, "PUT", "/api/v1/me/password", Some(&change)).await.problem(403, "wrong_password");
    }
    // What the rate refuses is not told, or the log would be a client's to fill.
    vi.call(at, "PUT", "/api/v1/me/password", Some(&change)).await.problem(429, "quota_exceeded");
    let audit = root.get(at, "/api/v1/audit?action=password.wrong").await.json();
    let lines: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|line| (&line["actor"], &line["about"], &line["via"])).collect();
    let line = (&json!("vi"), &json!("vi"), &json!("session"));
    assert_eq!(lines, [line; 3], "{audit}");
    bed.close().await;
}

/// A user with this role, and the text of a token that was made while they were an admin.
async fn demoted(root: &Person, at: std::net::SocketAddr, name: &str, role: &str) -> Person {
    root.user(at, name, "admin").await;
    let token = Person::login(at, name).await.make_token(at, "admin").await;
    let path = format!("/api/v1/users/{name}");
    assert_eq!(
        root.call(at, "PATCH", &path, Some(&json!({"role": role, "current_password": PASSWORD}))).await.status,
        200
    );
    Person::token(token["token"].as_str().unwrap())
}

#[tokio::test]
async fn a_token_of_who_is_no_admin_any_more_proves_nothing() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    for (name, role, code) in [("vi", "viewer", "forbidden"), ("op", "operator", "password_needed")] {
        let token = demoted(&root, at, name, role).await;
        let change = json!({"new_password": NEW});
        token.call(at, "PUT", "/api/v1/me/password", Some(&change)).await.problem(403, code);
        let new = json!({"name": "t", "scope": "read"});
        token.post(at, "/api/v1/me/tokens", &new).await.problem(403, code);
        assert_eq!(login(at, name, PASSWORD).await.status, 200);
    }
    bed.close().await;
}

#[tokio::test]
async fn a_token_that_only_looks_guesses_no_password_and_spends_no_quota() {
    let mut config = ServerConfig { rates: generous(), ..ServerConfig::default() };
    config.rates.password = "1/1h".parse().unwrap();
    let (bed, root) = closed_with(&[], Limits::default(), config).await;
    let at = bed.address();
    let read = Person::token(root.make_token(at, "read").await["token"].as_str().unwrap());
    let change = json!({"current_password": WRONG, "new_password": NEW});
    let new = json!({"name": "t", "scope": "read", "current_password": WRONG});
    for _ in 0..2 {
        read.call(at, "PUT", "/api/v1/me/password", Some(&change)).await.problem(403, "forbidden");
        read.post(at, "/api/v1/me/tokens", &new).await.problem(403, "forbidden");
    }
    root.make_token(at, "run").await;
    bed.close().await;
}

#[tokio::test]
async fn a_token_ends_with_the_one_that_made_it_at_the_latest() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    let path = "/api/v1/me/tokens";
    let maker = json!({"name": "m", "scope": "admin", "expires_in_days": 10, "current_password": PASSWORD});
    let maker = root.post(at, path, &maker).await.json();
    let ends = maker["expires_at"].as_str().unwrap();
    let token = Person::token(maker["token"].as_str().unwrap());
    // Both days begin later than the maker's, if only by a millisecond.
    for (days, capped) in [(json!(9), false), (json!(10), true), (json!(11), true), (json!(null), true)] {
        let made = token.post(at, path, &json!({"name": "t", "scope": "admin", "expires_in_days": days})).await.json();
        let made = made["expires_at"].as_str().unwrap_or_else(|| panic!("{days}: {made}"));
        assert_eq!(made == ends, capped, "{days}: {made} and {ends}");
        assert!(made <= ends, "{days}: {made} and {ends}");
    }
    let endless = Person::token(root.make_token(at, "admin").await["token"].as_str().unwrap());
    let made = endless.post(at, path, &json!({"name": "t", "scope": "admin"})).await.json();
    assert_eq!(made["expires_at"], json!(null));
    // A session has given the password, and makes what it likes.
    let made = root.post(at, path, &json!({"name": "t", "scope": "admin", "current_password": PASSWORD})).await.json();
    assert_eq!(made["expires_at"], json!(null));
    bed.close().await;
}
