//! Clients that break off: after each byte of a request, and after each stretch of an answer or a stream.

use std::net::SocketAddr;

use serde_json::json;
use staunch_leak::fault::{Cut, all_cuts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::raw::request;
use crate::accounts::{PASSWORD, Person};
use crate::growth::world::World;

const JSON: (&str, &str) = ("content-type", "application/json");
const TALK: &str = "steps: [{ id: talk, run: seq 1 200 }]";
/// Bytes of an answer between two places where it is cut.
const STRETCH: u64 = 64;

/// Sends the first bytes of a request, and goes.
async fn send_some(at: SocketAddr, request: &str, bytes: u64) -> Cut {
    let mut socket = TcpStream::connect(at).await.unwrap();
    let whole = request.as_bytes();
    let some = whole.get(..bytes as usize).unwrap_or(whole);
    socket.write_all(some).await.unwrap();
    if some.len() < whole.len() { Cut::Dropped } else { Cut::Completed }
}

/// Sends a request, reads the first bytes of the answer, and goes.
async fn read_some(at: SocketAddr, request: &str, bytes: u64) -> Cut {
    let mut socket = TcpStream::connect(at).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut some = vec![0; bytes as usize];
    match socket.read_exact(&mut some).await {
        Ok(_) => Cut::Dropped,
        // It has ended before.
        Err(_) => Cut::Completed,
    }
}

impl World {
    fn cut(&self, manner: &'static str, mut scenario: impl AsyncFnMut(u64) -> Cut) -> u64 {
        let swept = all_cuts(&self.options(), manner, |n| {
            self.block_on(async {
                let cut = scenario(n).await;
                self.quiet().await;
                Ok::<Cut, String>(cut)
            })
        });
        swept.unwrap_or_else(|broken| panic!("{broken}")).points
    }
}

staunch_leak::alone! {
    fn ground_g5_a_client_that_breaks_off_at_any_byte_of_a_submit_leaves_nothing() {
        let world = World::new(&[("talk", TALK)]);
        let at = world.bed.address();
        let (cookie, csrf) = (world.root.cookie.clone().unwrap(), world.root.csrf.clone().unwrap());
        // With a key, so that it is one run, however often it is asked for.
        let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf), JSON, ("idempotency-key", "k")];
        let submit = request("POST", "/api/v1/workflows/talk/runs", &headers, "{\"inputs\":{}}");
        world.block_on(async {
            let told = super::raw::ask(at, &submit).await.unwrap();
            let run: serde_json::Value = serde_json::from_str(&told.body).unwrap();
            world.ended(run["id"].as_str().unwrap()).await;
        });
        let points = world.cut("sent so many bytes", async |n| send_some(at, &submit, n).await);
        assert_eq!(points, submit.len() as u64);
        let points = world.cut("read so many stretches", async |n| read_some(at, &submit, n * STRETCH).await);
        assert!(points > 5, "{points}");
        world.close();
    }

    fn ground_g5_a_client_that_breaks_off_at_any_byte_of_a_login_leaves_nothing() {
        let world = World::new(&[]);
        let at = world.bed.address();
        world.block_on(world.root.user(at, "ada", "viewer"));
        let body = json!({"name": "ada", "password": PASSWORD}).to_string();
        let login = request("POST", "/api/v1/login", &[JSON], &body);
        let forget = async || {
            world.quiet().await;
            let ended = world.root.call(at, "DELETE", "/api/v1/users/ada/sessions", None).await;
            assert_eq!(ended.status, 200);
        };
        let points = world.cut("sent so many bytes", async |n| {
            let cut = send_some(at, &login, n).await;
            forget().await;
            cut
        });
        assert_eq!(points, login.len() as u64);
        world.close();
    }

    fn ground_g5_a_client_that_breaks_off_anywhere_in_a_stream_leaves_nothing() {
        let world = World::new(&[("talk", TALK)]);
        let at = world.bed.address();
        let (admin, run) = world.block_on(async {
            let made = world.root.make_token(at, "admin").await;
            let admin = Person::token(made["token"].as_str().unwrap());
            let run = admin.post(at, "/api/v1/workflows/talk/runs", &json!({})).await.json();
            let run = run["id"].as_str().unwrap().to_owned();
            world.ended(&run).await;
            (admin, run)
        });
        let bearer = format!("Bearer {}", admin.bearer.as_deref().unwrap());
        let path = format!("/api/v1/events?topics=run:{run},log:{run}:talk");
        let follow = request("GET", &path, &[("authorization", &bearer)], "");
        let points = world.cut("read so many stretches", async |n| read_some(at, &follow, n * STRETCH).await);
        assert!(points > 20, "{points}");
        world.close();
    }
}
