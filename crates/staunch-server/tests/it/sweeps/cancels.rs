//! Handlers are dropped at each await, as when a client hangs up.

use std::cell::RefCell;

use axum::body::Body;
use http::Request;
use serde_json::json;
use staunch_leak::fault::{Blame, Broken, Cut, CutShort, all_cancellations};
use staunch_server::{ServerConfig, router};
use staunch_store::{Accounts, Actor};
use std::sync::Arc;
use std::time::Instant;
use tower::ServiceExt;

use crate::accounts::{PASSWORD, Person, generous};
use crate::bed::LONG;
use crate::growth::world::World;

const TALK: &str = "steps: [{ id: talk, run: seq 1 200 }]";
/// A request to the routes, without a socket.
#[derive(Clone, Default)]
struct Asked {
    method: &'static str,
    path: String,
    bearer: Option<String>,
    body: Option<String>,
    key: Option<&'static str>,
}

impl Asked {
    fn request(&self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(&self.path).header("host", "localhost");
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        if self.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        if let Some(key) = self.key {
            request = request.header("idempotency-key", key);
        }
        request.body(self.body.clone().map_or_else(Body::empty, Body::from)).unwrap()
    }
}

impl World {
    /// Drops the answer to this at each await; `after` is done after each.
    fn drop_at_each_await(&self, routes: &axum::Router, asked: &Asked, status: u16, after: impl AsyncFn()) {
        let make = || {
            let (routes, request) = (routes.clone(), asked.request());
            async move {
                let answer = routes.oneshot(request).await.unwrap();
                assert_eq!(answer.status().as_u16(), status, "{answer:?}");
                let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap();
                drop(body);
            }
        };
        // Whole once, so that whoever asks is known.
        self.block_on(async {
            make().await;
            after().await;
        });
        let run = |future: CutShort<_>| {
            self.block_on(async {
                let cut: Cut = future.await;
                self.quiet().await;
                after().await;
                cut
            })
        };
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            match all_cancellations(&self.options(), run, make, || {}) {
                // A reader of the store may answer so soon that nothing was waited for; on a busy machine, again and again, as whoever is
                // woken is let run first.
                Err(Broken { blame: Blame::NoPoints, .. }) => std::thread::yield_now(),
                Err(broken) => panic!("{} {}: {broken}", asked.method, asked.path),
                Ok(_) => return,
            }
        }
        panic!("{} {} never waits for anything", asked.method, asked.path);
    }
}

impl World {
    /// The newest run, if there is one.
    async fn newest_run(&self) -> Option<String> {
        let runs = self.root.get(self.bed.address(), "/api/v1/runs?limit=1").await.json();
        runs["items"][0]["id"].as_str().map(str::to_owned)
    }

    /// Lines of the audit log about a run.
    async fn lines_about(&self, run: &str) -> usize {
        let audit = self.root.get(self.bed.address(), "/api/v1/audit").await.json();
        audit["items"].as_array().unwrap().iter().filter(|line| line["about"] == run).count()
    }
}

staunch_leak::alone! {
    fn ground_g5_a_handler_that_is_dropped_at_any_await_leaves_nothing() {
        let world = World::new(&[("talk", TALK)]);
        let at = world.bed.address();
        let (admin, run) = world.block_on(async {
            let made = world.root.make_token(at, "admin").await;
            let admin = made["token"].as_str().unwrap().to_owned();
            let person = Person::token(&admin);
            let run = person.call_with(at, "POST", "/api/v1/workflows/talk/runs", &[("idempotency-key", "k")], Some(&json!({}))).await;
            let run = run.json()["id"].as_str().unwrap().to_owned();
            world.ended(&run).await;
            (admin, run)
        });
        let config = ServerConfig { rates: generous(), ..ServerConfig::default() };
        let accounts: Arc<dyn Accounts> = Arc::<staunch_store::Sqlite>::clone(&world.bed.accounts);
        let routes = world.block_on(router(world.bed.engine.clone(), accounts, &config)).unwrap();
        let get = |path: String| Asked { method: "GET", path, bearer: Some(admin.clone()), ..Asked::default() };
        for path in [
            format!("/api/v1/runs/{run}"),
            format!("/api/v1/runs/{run}/steps/talk/log"),
            format!("/api/v1/events?topics=run:{run},log:{run}:talk"),
            "/metrics".to_owned(),
        ] {
            world.drop_at_each_await(&routes, &get(path), 200, async || {});
        }
        let post = |path: &str, body: serde_json::Value| Asked {
            method: "POST",
            path: path.to_owned(),
            bearer: Some(admin.clone()),
            body: Some(body.to_string()),
            key: None,
        };
        let again = Asked { key: Some("k"), ..post("/api/v1/workflows/talk/runs", json!({})) };
        world.drop_at_each_await(&routes, &again, 201, async || {});
        let issue = post("/api/v1/me/tokens", json!({"name": "t2", "scope": "read"}));
        world.drop_at_each_await(&routes, &issue, 201, async || {
            let root = world.bed.accounts.credentials("root").await.unwrap().unwrap().user.id;
            for token in world.bed.accounts.tokens(root).await.unwrap().iter().filter(|token| token.name == "t2") {
                world.bed.accounts.revoke_token(token.id, None, Actor::server()).await.unwrap();
            }
        });
        drop(routes);
        world.close();
    }

    fn ground_g5_what_becomes_of_a_run_is_told_wherever_who_asked_for_it_hangs_up() {
        let world = World::new(&[("talk", TALK)]);
        let at = world.bed.address();
        let admin = world.block_on(async {
            world.root.make_token(at, "admin").await["token"].as_str().unwrap().to_owned()
        });
        let config = ServerConfig { rates: generous(), ..ServerConfig::default() };
        let accounts: Arc<dyn Accounts> = Arc::<staunch_store::Sqlite>::clone(&world.bed.accounts);
        let routes = world.block_on(router(world.bed.engine.clone(), accounts, &config)).unwrap();
        let post = |path: String, body: serde_json::Value| Asked {
            method: "POST",
            path,
            bearer: Some(admin.clone()),
            body: Some(body.to_string()),
            key: None,
        };
        // Each run that is new was told of: the log is short, and the one before stays until the next is there.
        let last = RefCell::new(String::new());
        let told = async || {
            let Some(run) = world.newest_run().await.filter(|run| *run != *last.borrow()) else { return };
            assert_eq!(world.lines_about(&run).await, 1, "{run}");
            world.ended(&run).await;
            world.purge().await;
            last.replace(run);
        };
        world.drop_at_each_await(&routes, &post("/api/v1/workflows/talk/runs".to_owned(), json!({})), 201, told);
        drop(routes);
        world.close();
    }

    fn ground_g5_a_login_that_is_dropped_at_any_await_leaves_nothing() {
        let world = World::new(&[]);
        let at = world.bed.address();
        let admin = world.block_on(async {
            world.root.user(at, "ada", "viewer").await;
            world.root.make_token(at, "admin").await["token"].as_str().unwrap().to_owned()
        });
        let config = ServerConfig { rates: generous(), ..ServerConfig::default() };
        let accounts: Arc<dyn Accounts> = Arc::<staunch_store::Sqlite>::clone(&world.bed.accounts);
        let routes = world.block_on(router(world.bed.engine.clone(), accounts, &config)).unwrap();
        let body = json!({"name": "ada", "password": PASSWORD}).to_string();
        let login = Asked { method: "POST", path: "/api/v1/login".to_owned(), body: Some(body), ..Asked::default() };
        let end = Asked {
            method: "DELETE",
            path: "/api/v1/users/ada/sessions".to_owned(),
            bearer: Some(admin),
            ..Asked::default()
        };
        world.drop_at_each_await(&routes, &login, 200, async || {
            let ended = routes.clone().oneshot(end.request()).await.unwrap();
            assert_eq!(ended.status().as_u16(), 200);
        });
        drop(routes);
        world.close();
    }
}
