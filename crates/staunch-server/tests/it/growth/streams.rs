//! Event streams: dropped midway, resumed, ended by their run, and left unread.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use super::world::World;
use crate::accounts::Person;
use crate::bed::until;
use crate::client::Live;

const TALK: &str = "steps: [{ id: talk, run: seq 1 2000 }]";
const NAP: &str = "steps: [{ id: nap, run: 'echo up; sleep 1000' }]";

impl World {
    async fn live(&self, admin: &Person, topics: &str, after: Option<&str>) -> Live {
        let bearer = format!("Bearer {}", admin.bearer.as_deref().unwrap());
        let live = Live::open_as(self.bed.address(), topics, after, &[("authorization", &bearer)]).await;
        live.unwrap_or_else(|answer| panic!("{answer:?}"))
    }

    /// Somebody with a token, and a run of the workflow.
    async fn begin(&self, workflow: &str) -> (Person, String) {
        let at = self.bed.address();
        let made = self.root.make_token(at, "admin").await;
        let admin = Person::token(made["token"].as_str().unwrap());
        let answer = admin.post(at, &format!("/api/v1/workflows/{workflow}/runs"), &serde_json::json!({})).await;
        (admin, answer.json()["id"].as_str().unwrap().to_owned())
    }

    async fn end(&self, admin: &Person, run: &str) {
        let path = format!("/api/v1/runs/{run}/cancel");
        admin.post(self.bed.address(), &path, &serde_json::json!({"force": true})).await;
        self.ended(run).await;
    }
}

staunch_leak::alone! {
    fn ground_g8_streams_of_a_run_that_is_over_keep_nothing() {
        let world = World::new(&[("talk", TALK)]);
        let (admin, run) = world.block_on(world.begin("talk"));
        world.block_on(world.ended(&run));
        let topics = format!("run:{run},log:{run}:talk");
        world.flat_at_once("to its end; dropped midway and resumed", async || {
            let all = world.live(&admin, &topics, None).await.rest().await;
            let mut cut = world.live(&admin, &topics, None).await;
            let first = cut.next().await.unwrap();
            drop(cut);
            let rest = world.live(&admin, &topics, Some(&first.id)).await.rest().await;
            assert_eq!(rest.len() + 1, all.len());
        });
        world.close();
    }

    fn ground_g8_streams_that_wait_and_are_dropped_keep_nothing() {
        let world = World::new(&[("nap", NAP)]);
        let (admin, run) = world.block_on(world.begin("nap"));
        let topics = format!("run:{run},log:{run}:nap");
        world.flat_at_once("followed, then dropped", async || {
            let mut live = world.live(&admin, &topics, None).await;
            live.until(|event| event.name == "log").await;
            drop(live);
        });
        world.flat("opened by one who never reads, and who goes at last", async || {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(2_048).unwrap();
            let mut socket = socket.connect(world.bed.address()).await.unwrap();
            let token = admin.bearer.as_deref().unwrap();
            let path = "/api/v1/events?topics=";
            let request = format!("GET {path}{topics} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
            socket.write_all(request.as_bytes()).await.unwrap();
            until("it is served", || world.bed.engine.feed().len() == 1).await;
            drop(socket);
            until("it is gone", || world.bed.engine.feed().is_empty()).await;
        });
        world.block_on(world.end(&admin, &run));
        world.close();
    }

    fn ground_g8_a_stream_that_ends_with_its_token_keeps_nothing() {
        let world = World::new(&[("nap", NAP)]);
        let at = world.bed.address();
        let (admin, run) = world.block_on(world.begin("nap"));
        let topics = format!("run:{run}");
        // Its step is in full swing before anything is measured.
        let begun = format!("log:{run}:nap");
        world.block_on(async { world.live(&admin, &begun, None).await.until(|event| event.name == "log").await });
        world.flat("the token is revoked under it", async || {
            let made = admin.post(at, "/api/v1/me/tokens", &serde_json::json!({"name": "t", "scope": "read"})).await.json();
            let reader = Person::token(made["token"].as_str().unwrap());
            let mut live = world.live(&reader, &topics, None).await;
            live.until(|event| event.name == "step.started").await;
            let path = format!("/api/v1/me/tokens/{}", made["id"].as_str().unwrap());
            assert_eq!(admin.call(at, "DELETE", &path, None).await.status, 204);
            while live.next().await.is_some() {}
        });
        world.block_on(world.end(&admin, &run));
        world.close();
    }
}
