//! What changes runs: each way to begin, stop and repeat one, with the rows and files that go with it.

use serde_json::{Value, json};
use staunch_engine::Limits;

use super::world::World;
use crate::client::{Answer, call};

const TALK: &str = "steps: [{ id: talk, run: 'echo one; echo two >&2; echo \"a=b\" >> $STAUNCH_OUTPUT' }]";
const FAILS: &str = "steps: [{ id: fail, run: exit 3 }]";
const NAP: &str = "steps: [{ id: nap, run: sleep 1000 }]";

impl World {
    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.root.post(self.bed.address(), path, body).await
    }

    async fn submit(&self, workflow: &str) -> String {
        let answer = self.post(&format!("/api/v1/workflows/{workflow}/runs"), &json!({})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    async fn show(&self, run: &str) -> Value {
        self.root.get(self.bed.address(), &format!("/api/v1/runs/{run}")).await.json()
    }
}

staunch_leak::alone! {
    fn ground_g8_runs_that_are_over_and_removed_keep_nothing() {
        let world = World::new(&[("talk", TALK), ("fails", FAILS)]);
        world.flat("submit, end, rerun, purge", async || {
            let run = world.submit("talk").await;
            world.ended(&run).await;
            let failed = world.submit("fails").await;
            world.ended(&failed).await;
            assert_eq!(world.show(&failed).await["outcome"], "failed");
            let again = world.post(&format!("/api/v1/runs/{failed}/rerun"), &json!({"which": "failed"})).await;
            assert_eq!(again.status, 201, "{again:?}");
            world.ended(again.json()["id"].as_str().unwrap()).await;
            let over = world.post(&format!("/api/v1/runs/{run}/cancel"), &json!({})).await;
            over.problem(409, "run_over");
            world.purge().await;
        });
        world.close();
    }

    fn ground_g8_runs_that_are_cancelled_keep_nothing() {
        let world = World::new(&[("nap", NAP)]);
        // The queue of the engine's commands has its final length when 32 have passed through it.
        world.block_on(async {
            for _ in 0..40 {
                let none = world.post("/api/v1/runs/run_00000000000000000000000000/cancel", &json!({})).await;
                none.problem(404, "unknown_run");
            }
        });
        world.flat("submit, cancel, end, purge", async || {
            for force in [false, true] {
                let run = world.submit("nap").await;
                let cancelled = world.post(&format!("/api/v1/runs/{run}/cancel"), &json!({"force": force})).await;
                assert_eq!(cancelled.status, 202, "{cancelled:?}");
                world.ended(&run).await;
            }
            world.purge().await;
        });
        world.close();
    }

    fn ground_g8_a_submit_that_is_repeated_or_refused_keeps_nothing() {
        let world = World::with(&[("talk", TALK), ("nap", NAP)], Limits { runs_open_max: 1, ..Limits::default() });
        let at = world.bed.address();
        let (cookie, csrf) = (world.root.cookie.clone().unwrap(), world.root.csrf.clone().unwrap());
        let headers = |key: &'static str| {
            [("content-type", "application/json"), ("cookie", &cookie), ("x-csrf-token", &csrf), ("idempotency-key", key)]
        };
        let path = "/api/v1/workflows/talk/runs";
        let first = world.block_on(call(at, "POST", path, &headers("k"), "{}")).json();
        world.block_on(world.ended(first["id"].as_str().unwrap()));
        let nap = world.block_on(world.submit("nap"));
        world.flat("the same key again, another request with it, a full queue", async || {
            let again = call(at, "POST", path, &headers("k"), "{}").await;
            assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
            let other = call(at, "POST", "/api/v1/workflows/nap/runs", &headers("k"), "{}").await;
            other.problem(422, "idempotency_key_reused");
            call(at, "POST", path, &headers("other"), "{}").await.problem(503, "full");
        });
        world.block_on(async {
            world.post(&format!("/api/v1/runs/{nap}/cancel"), &json!({"force": true})).await;
            world.ended(&nap).await;
        });
        world.close();
    }
}
