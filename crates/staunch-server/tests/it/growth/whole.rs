//! The whole server: begun, loaded, stopped, again and again in one process.

use futures_util::future::join_all;
use serde_json::json;
use staunch_engine::Limits;
use staunch_leak::{Options, no_growth};
use staunch_server::ServerConfig;

use super::world::runtime;
use crate::accounts::{Person, closed_with, generous};
use crate::bed::Bed;
use crate::client::{Live, call};

const TALK: &str = "steps: [{ id: talk, run: echo one }, { id: more, run: 'echo two; exit 3' }]";
const NAP: &str = "steps: [{ id: nap, run: 'echo up; sleep 1000' }]";

/// One life: an admin is made, clients do a little of everything at once, and it stops while a step runs and a stream is open.
async fn life() {
    let limits = Limits { steps_active_max: 2, ..Limits::default() };
    let config = ServerConfig { rates: generous(), ..ServerConfig::default() };
    let (bed, root) = closed_with(&[("talk", TALK), ("nap", NAP)], limits, config).await;
    let at = bed.address();
    let made = root.make_token(at, "admin").await;
    let admin = Person::token(made["token"].as_str().unwrap());
    let bearer = format!("Bearer {}", admin.bearer.as_deref().unwrap());
    join_all((0..4).map(|n| client(&bed, &admin, &bearer, n))).await;
    let nap = admin.post(at, "/api/v1/workflows/nap/runs", &json!({})).await.json();
    let nap = nap["id"].as_str().unwrap();
    let topics = format!("run:{nap},log:{nap}:nap");
    let mut live = Live::open_as(at, &topics, None, &[("authorization", &bearer)]).await.unwrap();
    live.until(|event| event.name == "log").await;
    bed.close().await;
    while live.next().await.is_some() {}
}

async fn client(bed: &Bed, admin: &Person, bearer: &str, n: usize) {
    let at = bed.address();
    let headers =
        [("authorization", bearer), ("content-type", "application/json"), ("idempotency-key", &format!("k{n}"))];
    let path = "/api/v1/workflows/talk/runs";
    let run = call(at, "POST", path, &headers, "{}").await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(call(at, "POST", path, &headers, "{}").await.header("idempotency-replayed"), "true");
    let topics = format!("run:{run},log:{run}:talk,log:{run}:more");
    let mut live = Live::open_as(at, &topics, None, &[("authorization", bearer)]).await.unwrap();
    live.rest().await;
    for path in ["/metrics", "/readyz", "/api/v1/runs", "/", "/login", "/api/v1/audit", "/nothing"] {
        admin.get(at, path).await;
    }
    for tail in ["", "/events", "/steps/talk/log", "/steps/more/log/raw"] {
        assert_eq!(admin.get(at, &format!("/api/v1/runs/{run}{tail}")).await.status, 200);
    }
    Person::nobody().get(at, "/api/v1/me").await.problem(401, "unauthenticated");
    admin.post(at, path, &json!({"inputs": {"x": 1}})).await.problem(422, "invalid_inputs");
}

/// Directories for temporary files whose names begin so.
fn directories(prefix: &str) -> u64 {
    let all = std::fs::read_dir(std::env::temp_dir()).unwrap();
    all.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(prefix)))
        .count() as u64
}

staunch_leak::alone! {
    fn ground_g8_a_whole_life_of_a_server_keeps_nothing() {
        let options = Options::default().counter("temporary directories", || directories(&Bed::prefix()));
        let flat = no_growth(&options, || {
            let runtime = runtime();
            runtime.block_on(life());
        });
        flat.unwrap_or_else(|growth| panic!("{growth}"));
    }
}
