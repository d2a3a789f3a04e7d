//! The way to the first admin, and what is over from then on.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use staunch_engine::Limits;
use staunch_server::{ServerConfig, open_setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::accounts::{PASSWORD, Person, closed, generous, login};
use crate::bed::{Bed, LONG};
use crate::client::{Live, read_all};

#[tokio::test]
async fn of_sixteen_at_once_one_becomes_admin() {
    let bed = Bed::new(&[]).await;
    let at = bed.address();
    let ticket = open_setup(&*bed.accounts).await.unwrap().unwrap();
    let setups = (0..16).map(|n| {
        let body = json!({"ticket": ticket.fragment(), "name": format!("root{n}"), "password": PASSWORD});
        async move { Person::nobody().post(at, "/api/v1/setup", &body).await }
    });
    let answers = join_all(setups).await;
    let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(winners.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        // A password is hashed before the ticket is used up; who finds no turn for that has not won either.
        if answer.status == 503 {
            answer.problem(503, "passwords_busy");
        } else {
            answer.problem(403, "setup_refused");
        }
    }
    let root = Person::of(winners[0]);
    let users = root.get(at, "/api/v1/users").await.json();
    assert_eq!(users["items"].as_array().unwrap().len(), 1);
    assert_eq!(users["items"][0]["role"], "admin");
    bed.close().await;
}

#[tokio::test]
async fn of_eight_on_this_machine_at_once_one_makes_the_first_admin() {
    let bed = Bed::new(&[]).await;
    let makes = (0..8).map(|n| {
        let body = json!({"name": format!("root{n}"), "role": "admin", "password": PASSWORD});
        let bed = &bed;
        async move { bed.post("/api/v1/users", &body).await.status }
    });
    let mut answers = join_all(makes).await;
    answers.sort_unstable();
    // All were let in while it was open, and waited for their hash; the store lets one through.
    assert_eq!(answers[0], 201, "{answers:?}");
    assert!(answers[1..].iter().all(|status| [401, 503].contains(status)), "{answers:?}");
    bed.close().await;
}

#[tokio::test]
async fn the_server_is_closed_from_the_first_admin_on_without_a_restart() {
    let config = ServerConfig { rates: generous(), ..ServerConfig::default() };
    let bed = Bed::configured(&[], Limits::default(), config).await;
    let at = bed.address();
    assert!(bed.server().is_open());
    assert!(timeout(Duration::from_millis(10), bed.server().closed()).await.is_err());
    let first = |role| json!({"name": "root", "role": role, "password": PASSWORD});
    bed.post("/api/v1/users", &first("operator")).await.problem(409, "admin_first");
    assert_eq!(bed.get("/api/v1/runs").await.status, 200);
    assert_eq!(bed.post("/api/v1/users", &first("admin")).await.status, 201);
    timeout(LONG, bed.server().closed()).await.unwrap();
    bed.get("/api/v1/runs").await.problem(401, "unauthenticated");
    bed.get("/metrics").await.problem(401, "unauthenticated");
    assert_eq!(bed.get("/livez").await.status, 200);
    let root = Person::login(at, "root").await;
    assert_eq!(root.get(at, "/api/v1/runs").await.status, 200);
    root.call(at, "DELETE", "/api/v1/users/root", None).await.problem(409, "last_admin");
    let off = json!({"disabled": true});
    root.call(at, "PATCH", "/api/v1/users/root", Some(&off)).await.problem(409, "last_admin");
    root.post(
        at,
        "/api/v1/users",
        &json!({"name": "ROOT", "role": "viewer", "password": PASSWORD, "current_password": PASSWORD}),
    )
    .await
    .problem(409, "user_exists");
    for name in ["", "a b", "-a", "ä"] {
        let body = json!({"name": name, "role": "viewer", "password": PASSWORD});
        root.post(at, "/api/v1/users", &body).await.problem(422, "invalid_name");
    }
    let audit = root.get(at, "/api/v1/audit?limit=200").await.json();
    let told: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["action"].as_str().unwrap(), line["via"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("session.begun", "session"), ("user.created", "cli")]);
    let page = root.get(at, "/api/v1/audit?limit=1").await.json();
    let rest = root.get(at, &format!("/api/v1/audit?cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!((&rest["items"][0]["action"], &rest["next_cursor"]), (&json!("user.created"), &json!(null)));
    bed.close().await;
}

#[tokio::test]
async fn what_a_user_does_to_runs_is_told_and_what_was_replayed_is_not() {
    let (bed, root) = closed(&[("w", "steps:\n  - run: sleep 1000\n")]).await;
    let at = bed.address();
    let key = [("idempotency-key", "k")];
    let first = root.call_with(at, "POST", "/api/v1/workflows/w/runs", &key, Some(&json!({}))).await.json();
    let again = root.call_with(at, "POST", "/api/v1/workflows/w/runs", &key, Some(&json!({}))).await.json();
    let run = first["id"].as_str().unwrap().to_owned();
    assert_eq!(again["id"], first["id"]);
    assert_eq!(root.post(at, &format!("/api/v1/runs/{run}/cancel"), &json!({"force": true})).await.status, 202);
    let audit = root.get(at, "/api/v1/audit?limit=200").await.json();
    let told: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["action"].as_str().unwrap().starts_with("run."))
        .map(|line| {
            [&line["action"], &line["actor"], &line["about"], &line["detail"]].map(|field| field.as_str().unwrap())
        })
        .collect();
    assert_eq!(told, [["run.cancelled", "root", &run, "force"], ["run.submitted", "root", &run, "w"]]);
    bed.close().await;
}

#[tokio::test]
async fn a_link_is_good_once_and_all_that_is_not_good_is_one_answer() {
    let bed = Bed::new(&[]).await;
    let at = bed.address();
    let old = open_setup(&*bed.accounts).await.unwrap().unwrap();
    let ticket = open_setup(&*bed.accounts).await.unwrap().unwrap();
    assert_eq!(format!("{ticket:?}"), "SetupTicket(..)");
    let body = |ticket: &str, name: &str| json!({"ticket": ticket, "name": name, "password": PASSWORD});
    for bad in ["", "short", &"A".repeat(43), old.fragment()] {
        bed.post("/api/v1/setup", &body(bad, "root")).await.problem(403, "setup_refused");
    }
    bed.post("/api/v1/setup", &body(ticket.fragment(), "a b")).await.problem(422, "invalid_name");
    let short = json!({"ticket": ticket.fragment(), "name": "root", "password": "short"});
    bed.post("/api/v1/setup", &short).await.problem(422, "invalid_password");
    let answer = bed.post("/api/v1/setup", &body(ticket.fragment(), "root")).await;
    assert_eq!(answer.status, 201);
    assert_eq!(Person::of(&answer).get(at, "/api/v1/me").await.json()["name"], "root");
    bed.post("/api/v1/setup", &body(ticket.fragment(), "second")).await.problem(403, "setup_refused");
    assert!(open_setup(&*bed.accounts).await.unwrap().is_none());
    assert_eq!(login(at, "root", PASSWORD).await.status, 200);
    bed.close().await;
}

#[tokio::test]
async fn who_is_known_elsewhere_is_never_open() {
    let config = ServerConfig {
        public_url: Some("http://flows.example".to_owned()),
        rates: generous(),
        ..ServerConfig::default()
    };
    let bed = Bed::configured(&[], Limits::default(), config).await;
    assert!(!bed.server().is_open());
    bed.get("/api/v1/runs").await.problem(401, "unauthenticated");
    let create = json!({"name": "root", "role": "admin", "password": PASSWORD});
    bed.post("/api/v1/users", &create).await.problem(401, "unauthenticated");
    let ticket = open_setup(&*bed.accounts).await.unwrap().unwrap();
    let body = json!({"ticket": ticket.fragment(), "name": "root", "password": PASSWORD});
    assert_eq!(bed.post("/api/v1/setup", &body).await.status, 201);
    bed.close().await;
}

/// Credentials are never ignored in favour of being here.
#[tokio::test]
async fn whoever_shows_credentials_is_judged_by_them_also_while_it_is_open() {
    let bed = Bed::new(&[]).await;
    let at = bed.address();
    let session = Person { cookie: Some(format!("staunch_session={}", "a".repeat(43))), ..Person::default() };
    session.get(at, "/api/v1/runs").await.problem(401, "session_expired");
    Person::token("stn_nonsense").get(at, "/api/v1/runs").await.problem(401, "invalid_token");
    bed.close().await;
}

/// Whoever was let in because there was no admin is let out when there is one: what they hold open ends.
#[tokio::test]
async fn streams_of_before_the_first_admin_end_with_it() {
    let bed = Bed::new(&[("nap", "steps: [{ id: nap, run: sleep 1000 }]")]).await;
    let at = bed.address();
    let run = bed.run("nap").await;
    let mut live = Live::open(at, &format!("run:{run}"), None).await.unwrap();
    live.until(|event| event.name == "step.started").await;
    let first = json!({"name": "root", "role": "admin", "password": PASSWORD});
    assert_eq!(bed.post("/api/v1/users", &first).await.status, 201);
    let ended = async { while live.next().await.is_some() {} };
    timeout(LONG, ended).await.expect("the stream ends");
    bed.close().await;
}

/// A request whose head came before, and whose body comes after.
#[tokio::test]
async fn a_slow_request_of_before_the_first_admin_changes_nothing_after_it() {
    let bed = Bed::new(&[("w", "steps: [{ run: 'true' }]")]).await;
    let at = bed.address();
    let mut slow = tokio::net::TcpStream::connect(at).await.unwrap();
    let head = "POST /api/v1/workflows/w/runs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body when its handler reads it: the caller has been let in.
    let mut asked = [0; 25];
    timeout(LONG, slow.read_exact(&mut asked)).await.unwrap().unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    let first = json!({"name": "root", "role": "admin", "password": PASSWORD});
    assert_eq!(bed.post("/api/v1/users", &first).await.status, 201);
    slow.write_all(b"{}").await.unwrap();
    let answer = timeout(LONG, read_all(&mut slow)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("\"unauthenticated\""), "{answer}");
    let root = Person::login(at, "root").await;
    assert_eq!(root.get(at, "/api/v1/runs").await.json()["items"], json!([]));
    bed.close().await;
}
