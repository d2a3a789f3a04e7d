//! What a stolen cookie or a token that was found may not do: make what outlives it.

use serde_json::{Value, json};

use crate::accounts::{PASSWORD, closed, login};

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
