//! Each I/O of the server fails in turn, by an error and by a panic.

use serde_json::{Value, json};
use staunch_leak::fault::{Broken, Manners, Reach, Swept, all_faults, faults, named_faults};

use super::raw::{Told, ask, request};
use crate::accounts::{PASSWORD, Person};
use crate::growth::world::World;

const JSON: (&str, &str) = ("content-type", "application/json");
const TALK: &str = "steps: [{ id: talk, run: 'echo one; echo two' }]";

/// What somebody is known by, as headers.
fn known(person: &Person) -> Vec<(&str, &str)> {
    let cookie = person.cookie.as_deref().map(|cookie| ("cookie", cookie));
    cookie.into_iter().chain(person.csrf.as_deref().map(|token| ("x-csrf-token", token))).chain([JSON]).collect()
}

impl World {
    /// Ends what a login may have begun, heard of or not; while that is done nothing fails.
    async fn forget_sessions(&self, name: &str) {
        let _quiet = faults::quiet();
        self.quiet().await;
        let path = format!("/api/v1/users/{name}/sessions");
        let ended = self.root.call(self.bed.address(), "DELETE", &path, None).await;
        assert_eq!(ended.status, 200, "{ended:?}");
    }

    async fn forget_tokens(&self) {
        let _quiet = faults::quiet();
        self.quiet().await;
        let at = self.bed.address();
        let tokens = self.root.get(at, "/api/v1/me/tokens").await.json();
        for token in tokens["items"].as_array().unwrap() {
            let path = format!("/api/v1/me/tokens/{}", token["id"].as_str().unwrap());
            assert_eq!(self.root.call(at, "DELETE", &path, None).await.status, 204);
        }
    }

    async fn forget_runs(&self) {
        let _quiet = faults::quiet();
        self.quiet().await;
        let runs = self.root.get(self.bed.address(), "/api/v1/runs").await.json();
        for run in runs["items"].as_array().unwrap() {
            self.ended(run["id"].as_str().unwrap()).await;
        }
        self.purge().await;
    }

    /// Fails each point of these while `scenario` runs.
    fn sweep(&self, points: &[&str], manners: Manners, mut scenario: impl AsyncFnMut() -> Result<(), String>) -> u64 {
        faults::only(points);
        silently(|| all_faults(&self.options(), manners, || self.block_on(scenario())))
    }

    /// As [`World::sweep`] by name, where bytes fall into as many writes as their readers' threads happen to make.
    fn sweep_by_name(&self, points: &[&str], mut scenario: impl AsyncFnMut() -> Result<(), String>) -> u64 {
        faults::only(points);
        let reach = Reach::first(|_| true).hits(16);
        silently(|| named_faults(&self.options(), Manners::default(), &reach, || self.block_on(scenario())))
    }
}

/// Hundreds of panics on purpose would print as many backtraces. Returns how many points were swept.
fn silently(sweep: impl FnOnce() -> Result<Swept, Broken>) -> u64 {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let swept = sweep();
    std::panic::set_hook(hook);
    swept.unwrap_or_else(|broken| panic!("{broken}")).points
}

fn token_of(told: &Told) -> Value {
    serde_json::from_str(&told.body).expect("JSON")
}

staunch_leak::alone! {
    fn ground_g5_a_login_is_refused_by_a_code_wherever_it_fails() {
        let world = World::new(&[]);
        let at = world.bed.address();
        world.block_on(world.root.user(at, "ada", "viewer"));
        let body = json!({"name": "ada", "password": PASSWORD}).to_string();
        let login = request("POST", "/api/v1/login", &[JSON], &body);
        let points = world.sweep(&["server.", "budget."], Manners::default(), async || {
            let done = ask(at, &login).await.map(|told| assert!(told.head.contains("set-cookie: staunch_session=")));
            world.forget_sessions("ada").await;
            done
        });
        assert!(points >= 9, "{points}: read, body, its budget, the hash and its budget, chance, the change, write");
        world.close_after_panics();
    }

    fn ground_g5_a_token_is_issued_or_refused_by_a_code_wherever_it_fails() {
        let world = World::new(&[]);
        let at = world.bed.address();
        let body = json!({"name": "t", "scope": "read", "current_password": PASSWORD}).to_string();
        let issue = request("POST", "/api/v1/me/tokens", &known(&world.root), &body);
        let points = world.sweep(&["server.", "budget."], Manners::default(), async || {
            let done = ask(at, &issue).await.map(|told| assert!(token_of(&told)["token"].is_string()));
            world.forget_tokens().await;
            done
        });
        assert!(points >= 8, "{points}");
        world.close_after_panics();
    }

    fn ground_g5_a_submit_is_accepted_or_refused_by_a_code_wherever_it_fails() {
        let world = World::new(&[("talk", TALK)]);
        let at = world.bed.address();
        let submit = request("POST", "/api/v1/workflows/talk/runs", &known(&world.root), "{}");
        // Budgets of the engine are its own tests' concern: its runs go on beside this.
        let submitted = async || {
            let done = ask(at, &submit).await.map(|told| assert_eq!(told.status, 201));
            world.forget_runs().await;
            done
        };
        let points = world.sweep(&["server.read", "server.body", "server.write"], Manners::default(), submitted);
        assert_eq!(points, 3);
        // That it is not in the audit log is said in the server's own log; the run is accepted all the same.
        let told_elsewhere = Manners { from_then_on: false, panic: false, may_recover: true, ..Manners::default() };
        assert_eq!(world.sweep(&["server.note"], told_elsewhere, submitted), 1);
        world.close_after_panics();
    }

    fn ground_g5_a_stream_ends_without_its_end_wherever_it_fails() {
        let world = World::new(&[("talk", TALK)]);
        let at = world.bed.address();
        let run = world.block_on(async {
            let answer = world.root.post(at, "/api/v1/workflows/talk/runs", &json!({})).await.json();
            let run = answer["id"].as_str().unwrap().to_owned();
            world.ended(&run).await;
            run
        });
        let path = format!("/api/v1/events?topics=run:{run},log:{run}:talk");
        let follow = request("GET", &path, &known(&world.root), "");
        // The census reads the process at its own times: that is not the stream's.
        let of_streams = ["server.read", "server.write", "server.sse.", "server.blocking", "server.thread"];
        let points = world.sweep_by_name(&of_streams, async || {
            let told = ask(at, &follow).await;
            let _quiet = faults::quiet();
            world.quiet().await;
            match told {
                Ok(told) if told.body.contains("event: end") && told.body.contains("two") => Ok(()),
                Ok(_) => Err("the stream ended without its end: the client comes again".to_owned()),
                Err(refused) => Err(refused),
            }
        });
        assert!(points >= 6, "{points}: read, attempts, events, log, write");
        world.close_after_panics();
    }

    /// What cannot be read is left out, and that is how whoever reads the metrics hears of it.
    fn ground_g5_metrics_without_the_process_say_so_by_a_gap() {
        let world = World::new(&[]);
        let at = world.bed.address();
        let metrics = request("GET", "/metrics", &known(&world.root), "");
        world.sweep(&["server."], Manners::default(), async || {
            let told = ask(at, &metrics).await?;
            if told.body.contains("process_open_fds") { Ok(()) } else { Err("no figures of the process".to_owned()) }
        });
        world.close_after_panics();
    }
}
