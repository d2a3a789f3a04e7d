//! API tokens: their scopes, their ends, and what is no token.

use serde_json::json;
use staunch_engine::Limits;
use staunch_server::ServerConfig;

use crate::accounts::{PASSWORD, Person, closed, closed_with, generous};

#[tokio::test]
async fn a_token_is_shown_once_and_works_until_it_is_revoked() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    let body = json!({"name": "ci", "scope": "run", "expires_in_days": 90, "current_password": PASSWORD});
    let made = root.post(at, "/api/v1/me/tokens", &body).await;
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"));
    let made = made.json();
    let text = made["token"].as_str().unwrap();
    assert!(text.starts_with("stn_") && text.len() == 40, "{text}");
    assert_eq!(made["prefix"], text[..8]);
    assert!(made["expires_at"].is_string());
    let token = Person::token(text);
    let me = token.get(at, "/api/v1/me").await.json();
    assert_eq!((&me["via"], &me["role"], &me["token"]["name"]), (&json!("token"), &json!("operator"), &json!("ci")));
    let list = root.get(at, "/api/v1/me/tokens").await;
    assert!(!String::from_utf8_lossy(&list.body).contains(text));
    assert!(list.json()["items"][0]["last_used_at"].is_string());
    let path = format!("/api/v1/me/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(root.call(at, "DELETE", &path, None).await.status, 204);
    token.get(at, "/api/v1/me").await.problem(401, "invalid_token");
    root.call(at, "DELETE", &path, None).await.problem(404, "unknown_token");
    bed.close().await;
}

#[tokio::test]
async fn a_wrong_token_never_falls_back_to_the_cookie() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    let right = root.make_token(at, "read").await["token"].as_str().unwrap().to_owned();
    let mut mistyped = right.clone().into_bytes();
    mistyped[10] = if mistyped[10] == b'a' { b'b' } else { b'a' };
    let mistyped = format!("Bearer {}", String::from_utf8(mistyped).unwrap());
    for wrong in [mistyped.as_str(), "Bearer ", "Bearer", "Basic cm9vdDpyb290", "Bearer x y", "stn_", ""] {
        let answer = root.call_with(at, "GET", "/api/v1/me", &[("authorization", wrong)], None).await;
        answer.problem(401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{wrong:?}");
    }
    // A right one counts before the cookie.
    let bearer = format!("bearer {right}");
    let me = root.call_with(at, "GET", "/api/v1/me", &[("authorization", &bearer)], None).await.json();
    assert_eq!(me["via"], "token");
    bed.close().await;
}

#[tokio::test]
async fn a_token_is_never_more_than_who_makes_it() {
    let limits = Limits { tokens_per_user_max: 3, ..Limits::default() };
    let config = ServerConfig { rates: generous(), ..ServerConfig::default() };
    let (bed, root) = closed_with(&[], limits, config).await;
    let at = bed.address();
    root.user(at, "op", "operator").await;
    let op = Person::login(at, "op").await;
    let path = "/api/v1/me/tokens";
    let asked = |scope: &str| json!({"name": "t", "scope": scope, "current_password": PASSWORD});
    op.post(at, path, &asked("admin")).await.problem(403, "forbidden");
    op.post(at, path, &json!({"name": "t", "scope": "run"})).await.problem(403, "password_needed");
    let wrong = json!({"name": "t", "scope": "run", "current_password": "wrong horse battery"});
    op.post(at, path, &wrong).await.problem(403, "wrong_password");
    for bad in [
        json!({"name": "", "scope": "run"}),
        json!({"name": "x".repeat(129), "scope": "run"}),
        json!({"name": "t", "scope": "run", "expires_in_days": 0}),
        json!({"name": "t", "scope": "all"}),
        json!({"name": "t"}),
    ] {
        op.post(at, path, &bad).await.problem(400, "invalid_body");
    }
    let run = op.make_token(at, "run").await;
    let run = Person::token(run["token"].as_str().unwrap());
    run.post(at, path, &json!({"name": "t", "scope": "read"})).await.problem(403, "password_needed");
    op.make_token(at, "read").await;
    op.make_token(at, "read").await;
    op.post(at, path, &asked("read")).await.problem(409, "tokens_full");

    // A token of scope admin proves enough by itself; a lower role takes effect at once.
    let admin = root.make_token(at, "admin").await;
    let admin = Person::token(admin["token"].as_str().unwrap());
    let made = admin.post(at, path, &json!({"name": "t", "scope": "admin"})).await;
    assert_eq!(made.status, 201, "{made:?}");
    root.user(at, "other", "admin").await;
    root.call(at, "PATCH", "/api/v1/users/root", Some(&json!({"role": "viewer"}))).await;
    assert_eq!(admin.get(at, "/api/v1/me").await.json()["role"], "viewer");
    admin.get(at, "/api/v1/users").await.problem(403, "forbidden");
    bed.close().await;
}

#[tokio::test]
async fn admins_see_to_the_tokens_of_others() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    root.user(at, "vi", "viewer").await;
    let made = Person::login(at, "vi").await.make_token(at, "read").await;
    let token = Person::token(made["token"].as_str().unwrap());
    assert_eq!(token.get(at, "/api/v1/me").await.status, 200);
    let id = made["id"].as_str().unwrap();
    assert_eq!(root.get(at, "/api/v1/users/VI/tokens").await.json()["items"][0]["id"], id);
    root.call(at, "DELETE", &format!("/api/v1/users/root/tokens/{id}"), None).await.problem(404, "unknown_token");
    assert_eq!(root.call(at, "DELETE", &format!("/api/v1/users/vi/tokens/{id}"), None).await.status, 204);
    token.get(at, "/api/v1/me").await.problem(401, "invalid_token");
    let path = "/api/v1/users/vi";
    let vi = Person::token(Person::login(at, "vi").await.make_token(at, "read").await["token"].as_str().unwrap());
    assert_eq!(vi.get(at, "/api/v1/me").await.status, 200);
    assert_eq!(root.call(at, "DELETE", path, None).await.status, 204);
    vi.get(at, "/api/v1/me").await.problem(401, "invalid_token");
    root.get(at, path).await.problem(404, "unknown_user");
    bed.close().await;
}
