//! Sessions: begun, used, ended in every way there is.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use staunch_engine::Limits;
use staunch_server::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::accounts::{PASSWORD, Person, closed, closed_with, cookie, generous, login};
use crate::bed::{LONG, until};
use crate::client::{Live, read_all};

#[tokio::test]
async fn a_session_begins_is_used_and_ends() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    let me = root.get(at, "/api/v1/me").await;
    assert_eq!((me.status, me.header("cache-control")), (200, "no-store"));
    let me = me.json();
    assert_eq!((&me["name"], &me["role"], &me["via"]), (&json!("root"), &json!("admin"), &json!("session")));
    assert_eq!((&me["session"]["current"], &me["token"]), (&json!(true), &json!(null)));

    let answer = login(at, "ROOT", PASSWORD).await;
    let set = answer.header("set-cookie");
    assert!(set.starts_with("staunch_session=") && set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
    assert_eq!(set.split(['=', ';']).nth(1).unwrap().len(), 43);
    assert_eq!(answer.json()["user"]["name"], "root");
    let second = Person::of(&answer);
    assert_ne!(second.cookie, root.cookie);

    let out = second.call(at, "POST", "/api/v1/logout", None).await;
    assert_eq!((out.status, out.header("clear-site-data")), (204, "\"storage\""));
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    let gone = second.get(at, "/api/v1/me").await;
    gone.problem(401, "session_expired");
    assert!(gone.header("set-cookie").starts_with("staunch_session=; "), "the cookie is taken away: {gone:?}");
    assert_eq!(second.get(at, "/livez").await.status, 200);
    assert_eq!(second.get(at, "/api/v1/openapi.json").await.status, 200, "on public routes it is nobody's");
    assert_eq!(root.get(at, "/api/v1/me").await.status, 200, "the other session is not touched");
    bed.close().await;
}

#[tokio::test]
async fn all_that_can_be_wrong_with_a_login_has_one_answer_and_one_work() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    root.user(at, "out", "viewer").await;
    root.call(at, "PATCH", "/api/v1/users/out", Some(&json!({"disabled": true}))).await;
    let hashes = async || {
        let text = String::from_utf8(root.get(at, "/metrics").await.body.to_vec()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("staunch_password_hashes_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let mut bodies = Vec::new();
    for (name, password) in [
        ("root", "wrong horse battery"),
        ("nobody-is-called-so", PASSWORD),
        ("out", PASSWORD),
        ("not a name", PASSWORD),
    ] {
        let before = hashes().await;
        let answer = login(at, name, password).await;
        let mut problem = answer.problem(401, "login_failed");
        problem["request_id"] = json!(null);
        bodies.push(problem);
        assert_eq!(hashes().await, before + 1, "{name}");
        assert_eq!(cookie(&answer), None);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    let audit = root.get(at, "/api/v1/audit?action=login.failed").await.json();
    let about: Vec<_> = audit["items"].as_array().unwrap().iter().map(|line| &line["about"]).collect();
    assert_eq!(about, ["not a name", "out", "nobody-is-called-so", "root"]);
    bed.close().await;
}

#[tokio::test]
async fn an_id_that_the_client_chose_is_never_adopted() {
    let (bed, _) = closed(&[]).await;
    let at = bed.address();
    let chosen = format!("staunch_session={}", "A".repeat(43));
    let planted = Person { cookie: Some(chosen.clone()), ..Person::default() };
    planted.get(at, "/api/v1/me").await.problem(401, "session_expired");
    let answer = planted.post(at, "/api/v1/login", &json!({"name": "root", "password": PASSWORD})).await;
    assert_eq!(answer.status, 200);
    assert_ne!(cookie(&answer).unwrap(), chosen);
    planted.get(at, "/api/v1/me").await.problem(401, "session_expired");

    // A live session of somebody else, planted: it ends, and its id is not the new one's.
    let victim = Person::login(at, "root").await;
    let planted = Person { csrf: None, ..victim.clone() };
    let answer = planted.post(at, "/api/v1/login", &json!({"name": "root", "password": PASSWORD})).await;
    assert_eq!(answer.status, 200);
    assert_ne!(cookie(&answer), victim.cookie);
    victim.get(at, "/api/v1/me").await.problem(401, "session_expired");

    for twice in [
        vec![("cookie", victim.cookie.as_deref().unwrap()), ("cookie", chosen.as_str())],
        vec![("authorization", "Bearer a"), ("authorization", "Bearer b")],
    ] {
        let answer = Person::nobody().call_with(at, "GET", "/api/v1/me", &twice, None).await;
        answer.problem(400, "duplicate_credentials");
    }
    bed.close().await;
}

/// Uses a new session until it has ended: when it was last good, since before it began, and the longest it may have been without a use.
async fn used_to_its_end(at: SocketAddr) -> (Duration, Duration) {
    let begun = Instant::now();
    let person = Person::login(at, "root").await;
    let (mut last, mut gap) = (Duration::ZERO, Duration::ZERO);
    loop {
        let asked = begun.elapsed();
        let answer = person.get(at, "/api/v1/me").await;
        // The last use may have been noted as soon as it was asked for, and this one as late as it was answered.
        gap = gap.max(begun.elapsed() - last);
        if answer.status == 401 {
            answer.problem(401, "session_expired");
            return (last, gap);
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        last = asked;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_session_ends_by_idleness_and_by_age() {
    /// A use is noted every quarter of a second, so an idle second is over after three quarters without one. A machine that is busy for
    /// so long shows nothing.
    const GAP: Duration = Duration::from_millis(700);
    /// Of three seconds each.
    const ATTEMPTS: usize = 10;
    let config = ServerConfig {
        rates: generous(),
        session_idle: Duration::from_secs(1),
        session_absolute: Duration::from_secs(3),
        ..ServerConfig::default()
    };
    let (bed, _) = closed_with(&[], Limits::default(), config).await;
    let at = bed.address();
    // Used all the time, it outlives its idleness, and ends by its age.
    let used = async {
        for _ in 0..ATTEMPTS {
            let (last, gap) = used_to_its_end(at).await;
            if gap < GAP {
                return last;
            }
        }
        panic!("in none of {ATTEMPTS} attempts was a session used often enough");
    };
    let last = timeout(LONG, used).await.unwrap();
    assert!(last > Duration::from_secs(2), "it ended after {last:?}");
    // Not used, it ends by idleness.
    let idle = Person::login(at, "root").await;
    let begun = Instant::now();
    until("it is idle for too long", || begun.elapsed() > Duration::from_millis(1_100)).await;
    idle.get(at, "/api/v1/me").await.problem(401, "session_expired");
    bed.close().await;
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_rotates_this_one() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    let other = Person::login(at, "root").await;
    let path = "/api/v1/me/password";
    let new = "a better horse battery";
    root.call(at, "PUT", path, Some(&json!({"new_password": new}))).await.problem(403, "password_needed");
    let wrong = json!({"current_password": "wrong horse battery", "new_password": new});
    root.call(at, "PUT", path, Some(&wrong)).await.problem(403, "wrong_password");
    let short = json!({"current_password": PASSWORD, "new_password": "short"});
    root.call(at, "PUT", path, Some(&short)).await.problem(422, "invalid_password");
    let right = json!({"current_password": PASSWORD, "new_password": new});
    let answer = root.call(at, "PUT", path, Some(&right)).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let rotated = Person { cookie: cookie(&answer), csrf: root.csrf.clone(), bearer: None };
    assert_ne!(rotated.cookie, root.cookie);
    assert_eq!(rotated.get(at, "/api/v1/me").await.status, 200);
    rotated.call(at, "POST", "/api/v1/logout", None).await.problem(403, "csrf_token_invalid");
    for over in [&root, &other] {
        over.get(at, "/api/v1/me").await.problem(401, "session_expired");
    }
    login(at, "root", PASSWORD).await.problem(401, "login_failed");
    assert_eq!(login(at, "root", new).await.status, 200);
    bed.close().await;
}

#[tokio::test]
async fn sessions_are_listed_and_revoked_at_once() {
    let (bed, root) = closed(&[]).await;
    let at = bed.address();
    let (one, two) = (Person::login(at, "root").await, Person::login(at, "root").await);
    let list = root.get(at, "/api/v1/me/sessions").await.json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!(items.iter().filter(|session| session["current"] == true).count(), 1);
    let handle = one.get(at, "/api/v1/me").await.json()["session"]["handle"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/me/sessions/{handle}");
    assert_eq!(root.call(at, "DELETE", &path, None).await.status, 204);
    root.call(at, "DELETE", &path, None).await.problem(404, "unknown_session");
    one.get(at, "/api/v1/me").await.problem(401, "session_expired");
    assert_eq!(two.get(at, "/api/v1/me").await.status, 200);
    let ended = root.call(at, "DELETE", "/api/v1/me/sessions", None).await;
    assert_eq!(ended.json()["ended"], 1);
    two.get(at, "/api/v1/me").await.problem(401, "session_expired");
    assert_eq!(root.get(at, "/api/v1/me").await.status, 200);

    // Another's sessions are not one's own to end.
    root.user(at, "vi", "viewer").await;
    let vi = Person::login(at, "vi").await;
    let handle = root.get(at, "/api/v1/me").await.json()["session"]["handle"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/me/sessions/{handle}");
    vi.call(at, "DELETE", &path, None).await.problem(404, "unknown_session");
    assert_eq!(root.call(at, "DELETE", "/api/v1/users/vi/sessions", None).await.json()["ended"], 1);
    vi.get(at, "/api/v1/me").await.problem(401, "session_expired");
    bed.close().await;
}

#[tokio::test]
async fn full_means_that_a_login_is_refused_and_nobody_is_put_out() {
    let limits = Limits { sessions_max: 3, sessions_per_user_max: 2, ..Limits::default() };
    let config = ServerConfig { rates: generous(), ..ServerConfig::default() };
    let (bed, root) = closed_with(&[], limits, config).await;
    let at = bed.address();
    let second = Person::login(at, "root").await;
    let answer = login(at, "root", PASSWORD).await;
    let problem = answer.problem(503, "sessions_full");
    assert_eq!(problem["detail"], "sessions of this user: 2 at most");
    root.user(at, "vi", "viewer").await;
    let vi = Person::login(at, "vi").await;
    let problem = login(at, "vi", PASSWORD).await.problem(503, "sessions_full");
    assert_eq!(problem["detail"], "sessions of all users: 3 at most");
    for person in [&root, &second, &vi] {
        assert_eq!(person.get(at, "/api/v1/me").await.status, 200);
    }
    second.call(at, "POST", "/api/v1/logout", None).await;
    assert_eq!(login(at, "vi", PASSWORD).await.status, 200);
    bed.close().await;
}

#[tokio::test]
async fn a_restart_keeps_sessions_and_not_their_csrf_tokens() {
    let (bed, root) = closed(&[]).await;
    let bed = bed.reopen().await;
    let at = bed.address();
    assert_eq!(root.get(at, "/api/v1/me").await.json()["name"], "root");
    root.call(at, "DELETE", "/api/v1/me/sessions", None).await.problem(403, "csrf_token_invalid");
    let token = root.get(at, "/api/v1/csrf").await.json()["token"].as_str().unwrap().to_owned();
    let root = Person { csrf: Some(token), ..root };
    assert_eq!(root.call(at, "DELETE", "/api/v1/me/sessions", None).await.status, 200);
    bed.get("/api/v1/me").await.problem(401, "unauthenticated");
    bed.close().await;
}

#[tokio::test]
async fn whoever_is_disabled_is_out_at_once_their_streams_too() {
    let (bed, root) = closed(&[("nap", "steps: [{ id: nap, run: sleep 1000 }]")]).await;
    let at = bed.address();
    root.user(at, "op", "operator").await;
    let op = Person::login(at, "op").await;
    let token = op.make_token(at, "run").await["token"].as_str().unwrap().to_owned();
    let run = op.post(at, "/api/v1/workflows/nap/runs", &json!({})).await.json()["id"].as_str().unwrap().to_owned();
    let topics = format!("run:{run}");
    let cookie = op.cookie.clone().unwrap();
    let bearer = format!("Bearer {token}");
    let mut by_cookie = Live::open_as(at, &topics, None, &[("cookie", &cookie)]).await.unwrap();
    let mut by_token = Live::open_as(at, &topics, None, &[("authorization", &bearer)]).await.unwrap();
    by_cookie.until(|event| event.name == "step.started").await;
    by_token.until(|event| event.name == "step.started").await;
    let answer = root.call(at, "PATCH", "/api/v1/users/op", Some(&json!({"disabled": true}))).await;
    assert_eq!((answer.status, &answer.json()["disabled"]), (200, &json!(true)));
    op.get(at, "/api/v1/me").await.problem(401, "session_expired");
    Person::token(&token).get(at, "/api/v1/me").await.problem(401, "invalid_token");
    while by_cookie.next().await.is_some() {}
    while by_token.next().await.is_some() {}
    login(at, "op", PASSWORD).await.problem(401, "login_failed");
    bed.close().await;
}

/// What has come is not to be taken for the whole, so there is no last chunk.
#[tokio::test]
async fn whoever_is_disabled_during_a_download_gets_no_more_of_it() {
    // More than sockets and server hold for a client that does not read.
    let (bed, root) = closed(&[("much", "steps: [{ id: much, run: 'head -c 15000000 /dev/zero' }]")]).await;
    let at = bed.address();
    root.user(at, "op", "operator").await;
    let op = Person::login(at, "op").await;
    let run = op.post(at, "/api/v1/workflows/much/runs", &json!({})).await.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/runs/{run}");
    let cookie = op.cookie.as_deref().unwrap();
    let mut live = Live::open_as(at, &format!("run:{run}"), None, &[("cookie", cookie)]).await.unwrap();
    live.until(|event| event.name == "run.ended").await;
    let mut socket = tokio::net::TcpStream::connect(at).await.unwrap();
    let head = format!(
        "GET {path}/steps/much/log/raw HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncookie: {cookie}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 15];
    timeout(LONG, socket.read_exact(&mut begun)).await.unwrap().unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200 OK");
    let off = json!({"disabled": true});
    assert_eq!(root.call(at, "PATCH", "/api/v1/users/op", Some(&off)).await.status, 200);
    let rest = read_all(&mut socket).await;
    assert!(!rest.ends_with("0\r\n\r\n") && rest.len() < 15_000_000, "{} bytes", rest.len());
    bed.close().await;
}

/// Requests whose heads came while their callers were let in, and whose bodies come after they were put out.
#[tokio::test]
async fn whoever_is_disabled_while_a_body_comes_changes_nothing() {
    let (bed, root) = closed(&[("w", "steps: [{ run: 'true' }]")]).await;
    let at = bed.address();
    root.user(at, "op", "operator").await;
    let op = Person::login(at, "op").await;
    let token = op.make_token(at, "run").await["token"].as_str().unwrap().to_owned();
    let (cookie, csrf) = (op.cookie.as_deref().unwrap(), op.csrf.as_deref().unwrap());
    let by_cookie = format!("cookie: {cookie}\r\nx-csrf-token: {csrf}");
    let by_token = format!("authorization: Bearer {token}");
    let mut slow = Vec::new();
    for (credentials, code) in [(by_cookie, "session_expired"), (by_token, "invalid_token")] {
        let mut socket = tokio::net::TcpStream::connect(at).await.unwrap();
        let head = format!(
            "POST /api/v1/workflows/w/runs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{credentials}\r\n\
             content-type: application/json\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        // The server asks for the body when its handler reads it: the caller has been let in.
        let mut asked = [0; 25];
        timeout(LONG, socket.read_exact(&mut asked)).await.unwrap().unwrap();
        slow.push((socket, code));
    }
    let off = json!({"disabled": true});
    assert_eq!(root.call(at, "PATCH", "/api/v1/users/op", Some(&off)).await.status, 200);
    for (mut socket, code) in slow {
        // The answer may have come already.
        let _unsent = socket.write_all(b"{}").await;
        let answer = read_all(&mut socket).await;
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains(code), "{answer}");
    }
    assert_eq!(root.get(at, "/api/v1/runs").await.json()["items"], json!([]));
    bed.close().await;
}
