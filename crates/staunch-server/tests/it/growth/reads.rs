//! Each route that reads, found and not found.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::world::World;
use crate::accounts::Person;

const TWO: &str = "
steps:
  - { id: talk, run: 'echo one; echo two >&2' }
  - { id: fail, run: 'exit 3' }
";
const NO_RUN: &str = "run_00000000000000000000000000";

/// A route of the API's document, and what is asked there.
type Read = (&'static str, String, u16);

fn reads(run: &str) -> Vec<Read> {
    let run = |tail: &str| format!("/api/v1/runs/{run}{tail}");
    vec![
        ("/livez", "/livez".into(), 200),
        ("/readyz", "/readyz?verbose".into(), 200),
        ("/metrics", "/metrics".into(), 200),
        ("/problems/{code}", "/problems/full".into(), 200),
        ("/problems/{code}", "/problems/nothing".into(), 404),
        ("/api/v1/openapi.json", "/api/v1/openapi.json".into(), 200),
        ("/api/v1/me", "/api/v1/me".into(), 200),
        ("/api/v1/csrf", "/api/v1/csrf".into(), 409),
        ("/api/v1/me/sessions", "/api/v1/me/sessions".into(), 200),
        ("/api/v1/me/tokens", "/api/v1/me/tokens".into(), 200),
        ("/api/v1/workflows", "/api/v1/workflows".into(), 200),
        ("/api/v1/workflows/{name}", "/api/v1/workflows/two".into(), 200),
        ("/api/v1/workflows/{name}", "/api/v1/workflows/three".into(), 404),
        ("/api/v1/runs", "/api/v1/runs?limit=5&workflow=two".into(), 200),
        ("/api/v1/runs", "/api/v1/runs?cursor=x".into(), 400),
        ("/api/v1/runs/{id}", run(""), 200),
        ("/api/v1/runs/{id}", format!("/api/v1/runs/{NO_RUN}"), 404),
        ("/api/v1/runs/{id}", "/api/v1/runs/nonsense".into(), 400),
        ("/api/v1/runs/{id}/events", run("/events?limit=3"), 200),
        ("/api/v1/runs/{id}/steps/{step}/log", run("/steps/talk/log"), 200),
        ("/api/v1/runs/{id}/steps/{step}/log", run("/steps/talk/log?tail=1"), 200),
        ("/api/v1/runs/{id}/steps/{step}/log", run("/steps/nothing/log"), 404),
        ("/api/v1/runs/{id}/steps/{step}/log/raw", run("/steps/talk/log/raw"), 200),
        ("/api/v1/users", "/api/v1/users".into(), 200),
        ("/api/v1/users/{name}", "/api/v1/users/root".into(), 200),
        ("/api/v1/users/{name}", "/api/v1/users/nobody".into(), 404),
        ("/api/v1/users/{name}/sessions", "/api/v1/users/root/sessions".into(), 200),
        ("/api/v1/users/{name}/tokens", "/api/v1/users/root/tokens".into(), 200),
        ("/api/v1/audit", "/api/v1/audit?limit=5".into(), 200),
        ("/api/v1/memory", "/api/v1/memory".into(), 200),
        ("/api/v1/memory", "/api/v1/memory?fresh=1".into(), 200),
        ("/api/v1/events", "/api/v1/events?topics=nonsense".into(), 400),
    ]
}

#[test]
fn each_route_that_reads_is_exercised() {
    let document: Value = serde_json::from_str(&staunch_server::openapi()).unwrap();
    let routes = document["paths"].as_object().unwrap().iter();
    let routes = routes.filter(|(_, operations)| operations.get("get").is_some()).map(|(path, _)| path.as_str());
    let exercised: BTreeSet<_> = reads(NO_RUN).iter().map(|(route, ..)| *route).collect();
    let missing: Vec<_> = routes.filter(|route| !exercised.contains(route)).collect();
    assert!(missing.is_empty(), "no gate reads {missing:?}");
}

staunch_leak::alone! {
    fn ground_g8_no_route_that_reads_keeps_anything() {
        let world = World::new(&[("two", TWO)]);
        let at = world.bed.address();
        let (admin, run) = world.block_on(async {
            let made = world.root.make_token(at, "admin").await;
            let admin = Person::token(made["token"].as_str().unwrap());
            let answer = admin.post(at, "/api/v1/workflows/two/runs", &json!({})).await;
            let run = answer.json()["id"].as_str().unwrap().to_owned();
            world.ended(&run).await;
            (admin, run)
        });
        for (_, path, status) in reads(&run) {
            world.flat_at_once(&path, async || {
                let answer = admin.get(at, &path).await;
                assert_eq!(answer.status, status, "{path}: {answer:?}");
            });
        }
        world.close();
    }
}
