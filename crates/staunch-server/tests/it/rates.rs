//! Rate limits, end to end.

use serde_json::json;
use staunch_engine::Limits;
use staunch_server::{Rates, ServerConfig};

use crate::accounts::{PASSWORD, Person, closed_with, cookie, generous, login};
use crate::bed::Bed;
use crate::client::{Answer, call};

fn rates(change: impl FnOnce(&mut Rates)) -> ServerConfig {
    let mut rates = generous();
    change(&mut rates);
    ServerConfig { rates, ..ServerConfig::default() }
}

fn refused(answer: &Answer, policy: &str) {
    answer.problem(429, "quota_exceeded");
    let retry: u64 = answer.header("retry-after").parse().unwrap();
    assert!(retry >= 1, "{answer:?}");
    assert!(answer.header("ratelimit").starts_with(&format!("\"{policy}\";r=0;t=")), "{answer:?}");
    assert!(answer.header("ratelimit-policy").contains(&format!("\"{policy}\";q=")), "{answer:?}");
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{answer:?}");
}

#[tokio::test]
async fn of_logins_that_fail_there_are_five_a_minute() {
    let (bed, _) = closed_with(&[], Limits::default(), ServerConfig::default()).await;
    let answer = login(bed.address(), "root", "wrong horse battery").await;
    answer.problem(401, "login_failed");
    assert!(answer.header("ratelimit").starts_with("\"login\";r=4;t="), "{answer:?}");
    assert_eq!(answer.header("ratelimit-policy"), "\"login-site\";q=80;w=60, \"login\";q=5;w=60");
    bed.close().await;
}

#[tokio::test]
async fn the_sixth_login_in_a_minute_is_refused() {
    // Of five a minute one comes back every twelve seconds, and on a busy machine five attempts take longer.
    let rates = Rates { login: "5/1h".parse().unwrap(), ..Rates::default() };
    let config = ServerConfig { rates, ..ServerConfig::default() };
    let (bed, root) = closed_with(&[], Limits::default(), config).await;
    let at = bed.address();
    for left in (0..5).rev() {
        let answer = login(at, "root", "wrong horse battery").await;
        answer.problem(401, "login_failed");
        assert!(answer.header("ratelimit").starts_with(&format!("\"login\";r={left};t=")), "{answer:?}");
    }
    let answer = login(at, "root", PASSWORD).await;
    refused(&answer, "login");
    assert_eq!(answer.header("ratelimit-policy"), "\"login-site\";q=80;w=3600, \"login\";q=5;w=3600");
    // Only what was let through is told in the audit log.
    let audit = root.get(at, "/api/v1/audit?action=login.failed").await.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 5);
    bed.close().await;
}

#[tokio::test]
async fn a_login_that_succeeds_does_not_count() {
    let config = rates(|rates| {
        rates.login = "2/1h".parse().unwrap();
        rates.account = "2/1h".parse().unwrap();
    });
    let (bed, _) = closed_with(&[], Limits::default(), config).await;
    let at = bed.address();
    for _ in 0..6 {
        Person::login(at, "root").await;
    }
    for _ in 0..2 {
        login(at, "root", "wrong horse battery").await.problem(401, "login_failed");
    }
    refused(&login(at, "root", PASSWORD).await, "login");
    bed.close().await;
}

#[tokio::test]
async fn a_login_that_judges_no_password_does_not_count() {
    let config = rates(|rates| {
        rates.login = "2/1h".parse().unwrap();
        rates.account = "2/1h".parse().unwrap();
    });
    let limits = Limits { sessions_per_user_max: 1, ..Limits::default() };
    let (bed, _) = closed_with(&[], limits, config).await;
    let at = bed.address();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for _ in 0..4 {
        let right = format!("name=root&password={PASSWORD}");
        let stale = call(at, "POST", "/login", &form, right).await;
        assert_eq!((stale.status, stale.header("content-type")), (403, "text/html; charset=utf-8"), "{stale:?}");
        call(at, "POST", "/login", &form, "a&a").await.problem(400, "invalid_body");
        Person::nobody().post(at, "/api/v1/login", &json!({})).await.problem(400, "invalid_body");
        login(at, "root", PASSWORD).await.problem(503, "sessions_full");
    }
    for _ in 0..2 {
        login(at, "root", "wrong horse battery").await.problem(401, "login_failed");
    }
    refused(&login(at, "root", PASSWORD).await, "login");
    bed.close().await;
}

#[tokio::test]
async fn whom_the_account_refuses_the_address_is_not_charged_for() {
    let config = rates(|rates| {
        rates.login = "3/1h".parse().unwrap();
        rates.account = "1/1h".parse().unwrap();
    });
    let (bed, _) = closed_with(&[], Limits::default(), config).await;
    let at = bed.address();
    login(at, "root", "wrong horse battery").await.problem(401, "login_failed");
    for _ in 0..4 {
        refused(&login(at, "root", PASSWORD).await, "account");
    }
    for other in ["one", "two"] {
        login(at, other, PASSWORD).await.problem(401, "login_failed");
    }
    refused(&login(at, "three", PASSWORD).await, "login");
    bed.close().await;
}

#[tokio::test]
async fn an_account_is_guarded_from_wherever_they_come() {
    let config = ServerConfig {
        trusted_proxies: vec!["127.0.0.1".to_owned()],
        client_header: Some("x-forwarded-for".to_owned()),
        ..rates(|rates| {
            rates.login = "1/1h".parse().unwrap();
            rates.account = "3/1h".parse().unwrap();
        })
    };
    let (bed, _) = closed_with(&[], Limits::default(), config).await;
    let at = bed.address();
    let body = |name: &str| json!({"name": name, "password": "wrong horse battery"});
    let from = async |n: u8, name: &str| {
        let address = format!("192.0.2.{n}");
        let headers = [("x-forwarded-for", address.as_str())];
        Person::nobody().call_with(at, "POST", "/api/v1/login", &headers, Some(&body(name))).await
    };
    for n in 0..3 {
        from(n, if n == 1 { "ROOT" } else { "root" }).await.problem(401, "login_failed");
    }
    refused(&from(3, "root").await, "account");
    from(4, "other").await.problem(401, "login_failed");
    refused(&from(4, "other").await, "login");
    bed.close().await;
}

#[tokio::test]
async fn strangers_have_few_requests_and_users_their_own() {
    let config = rates(|rates| {
        rates.api = "4/1h".parse().unwrap();
        rates.api_token = "6/1h".parse().unwrap();
    });
    let (bed, root) = closed_with(&[], Limits::default(), config).await;
    let at = bed.address();
    // What was guessed counts as what was not sent; nothing is looked for on behalf of one who has nothing left.
    let guess = Person { cookie: Some(format!("staunch_session={}", "a".repeat(43))), ..Person::default() };
    guess.get(at, "/api/v1/runs").await.problem(401, "session_expired");
    Person::token("stn_nonsense").get(at, "/api/v1/runs").await.problem(401, "invalid_token");
    bed.get("/api/v1/runs").await.problem(401, "unauthenticated");
    bed.get("/no/such/path").await.problem(404, "not_found");
    for person in [&guess, &Person::nobody()] {
        refused(&person.get(at, "/api/v1/runs").await, "api");
    }
    for _ in 0..10 {
        assert_eq!(bed.get("/livez").await.status, 200);
        assert_eq!(bed.get("/readyz").await.status, 200);
    }
    for left in (0..6).rev() {
        let answer = root.get(at, "/api/v1/me").await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("ratelimit").starts_with(&format!("\"api_token\";r={left};")), "{answer:?}");
    }
    refused(&root.get(at, "/api/v1/me").await, "api_token");
    bed.close().await;
}

/// A session and a token that are not in memory: after a restart, a change of the password, an eviction.
#[tokio::test]
async fn strangers_spend_no_look_up_of_their_neighbours() {
    let config = rates(|rates| rates.api = "3/1h".parse().unwrap());
    let (bed, root) = closed_with(&[], Limits::default(), config).await;
    let token = root.make_token(bed.address(), "read").await;
    let bed = bed.reopen().await;
    let at = bed.address();
    for _ in 0..3 {
        bed.get("/api/v1/me").await.problem(401, "unauthenticated");
    }
    refused(&bed.get("/api/v1/me").await, "api");
    assert_eq!(root.get(at, "/api/v1/me").await.status, 200);
    let change = json!({"current_password": PASSWORD, "new_password": "a better horse battery"});
    let csrf = root.get(at, "/api/v1/csrf").await.json()["token"].as_str().unwrap().to_owned();
    let root = Person { csrf: Some(csrf), ..root };
    let changed = root.call(at, "PUT", "/api/v1/me/password", Some(&change)).await;
    let root = Person { cookie: cookie(&changed), ..root };
    for _ in 0..4 {
        assert_eq!(root.get(at, "/api/v1/me").await.status, 200);
        assert_eq!(Person::token(token["token"].as_str().unwrap()).get(at, "/api/v1/me").await.status, 200);
    }
    // Those who show what is not good spend theirs, and pay as strangers do.
    let guess = Person { cookie: Some(format!("staunch_session={}", "a".repeat(43))), ..Person::default() };
    for _ in 0..3 {
        refused(&guess.get(at, "/api/v1/me").await, "api");
    }
    refused(&guess.get(at, "/api/v1/me").await, "lookup");
    bed.close().await;
}

#[tokio::test]
async fn whoever_has_found_a_token_cannot_keep_its_owner_from_revoking_it() {
    let config = rates(|rates| rates.api_token = "4/1h".parse().unwrap());
    let (bed, root) = closed_with(&[], Limits::default(), config).await;
    let at = bed.address();
    let (found, other) = (root.make_token(at, "run").await, root.make_token(at, "run").await);
    let token = |made: &serde_json::Value| Person::token(made["token"].as_str().unwrap());
    for _ in 0..4 {
        assert_eq!(token(&found).get(at, "/api/v1/me").await.status, 200);
    }
    refused(&token(&found).get(at, "/api/v1/me").await, "api_token");
    assert_eq!(token(&other).get(at, "/api/v1/me").await.status, 200);
    let path = format!("/api/v1/me/tokens/{}", found["id"].as_str().unwrap());
    assert_eq!(root.call(at, "DELETE", &path, None).await.status, 204);
    // Sessions of one user are one.
    assert_eq!(Person::login(at, "root").await.get(at, "/api/v1/me").await.status, 200);
    refused(&root.get(at, "/api/v1/me").await, "api_token");
    bed.close().await;
}

#[tokio::test]
async fn a_password_is_not_guessed_from_within() {
    let config = rates(|rates| rates.password = "3/1h".parse().unwrap());
    let (bed, root) = closed_with(&[], Limits::default(), config).await;
    let at = bed.address();
    let token = |password: &str| json!({"name": "t", "scope": "read", "current_password": password});
    for _ in 0..5 {
        assert_eq!(root.post(at, "/api/v1/me/tokens", &token(PASSWORD)).await.status, 201);
    }
    for _ in 0..3 {
        root.post(at, "/api/v1/me/tokens", &token("wrong horse battery")).await.problem(403, "wrong_password");
    }
    let change = json!({"current_password": PASSWORD, "new_password": "a better horse battery"});
    refused(&root.call(at, "PUT", "/api/v1/me/password", Some(&change)).await, "password");
    bed.close().await;
}

#[tokio::test]
async fn a_page_of_another_site_spends_no_quota_of_whoever_looks_at_it() {
    let config = rates(|rates| {
        for rate in [&mut rates.login, &mut rates.register, &mut rates.api, &mut rates.api_token] {
            *rate = "1/1h".parse().unwrap();
        }
    });
    let (bed, root) = closed_with(&[], Limits::default(), config).await;
    let at = bed.address();
    let expired = Person { cookie: Some(format!("staunch_session={}", "a".repeat(43))), ..Person::default() };
    for (method, path) in [
        ("POST", "/login"),
        ("POST", "/api/v1/login"),
        ("POST", "/api/v1/setup"),
        ("POST", "/api/v1/logout"),
        ("POST", "/no/such/path"),
        ("GET", "/api/v1/runs"),
        ("OPTIONS", "/api/v1/login"),
    ] {
        let from: [&[_]; 2] = [&[("sec-fetch-site", "cross-site")], &[("origin", "http://evil.example")]];
        // That a read comes from elsewhere says `Sec-Fetch-Site` alone.
        let from = if method == "POST" { &from[..] } else { &from[..1] };
        for (headers, person) in from.iter().flat_map(|from| [(from, &root), (from, &expired)]) {
            let answer = person.call_with(at, method, path, headers, None).await;
            assert_eq!((answer.status, answer.header("ratelimit")), (403, ""), "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(root.get(at, "/api/v1/me").await.status, 200);
    assert_eq!(bed.get("/login").await.status, 200);
    login(at, "root", "wrong horse battery").await.problem(401, "login_failed");
    bed.close().await;
}

#[tokio::test]
async fn set_ups_are_few_a_minute_and_an_admin_makes_as_many_users_as_needed() {
    let config = rates(|rates| rates.register = "3/1h".parse().unwrap());
    let (bed, root) = closed_with(&[], Limits::default(), config).await;
    let ticket = json!({"ticket": "", "name": "x", "password": ""});
    for _ in 0..3 {
        bed.post("/api/v1/setup", &ticket).await.problem(403, "setup_refused");
    }
    refused(&bed.post("/api/v1/setup", &ticket).await, "register");
    for n in 0..4 {
        root.user(bed.address(), &format!("u{n}"), "viewer").await;
    }
    bed.close().await;
}

#[tokio::test]
async fn while_everybody_is_admin_nobody_is_counted() {
    let config = rates(|rates| {
        rates.api = "1/1h".parse().unwrap();
        rates.register = "1/1h".parse().unwrap();
    });
    let bed = Bed::configured(&[], Limits::default(), config).await;
    for _ in 0..20 {
        let answer = bed.get("/api/v1/runs").await;
        assert_eq!((answer.status, answer.header("ratelimit")), (200, ""));
        bed.post("/api/v1/setup", &json!({"ticket": "", "name": "x", "password": ""}))
            .await
            .problem(403, "setup_refused");
    }
    bed.close().await;
}
