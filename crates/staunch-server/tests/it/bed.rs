//! A server on an engine on a data directory of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use staunch_engine::{CloseCount, Engine, EngineConfig, Limits};
use staunch_server::{Server, ServerConfig, bind_with};
use staunch_store::{Accounts, Durability, Logs, Opening, Sqlite};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::client::{Answer, call};
use crate::listening::listening;

/// Nothing here takes seconds; a wait this long means that it never comes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A server with some workflows.
pub(crate) struct Bed {
    pub(crate) engine: Engine,
    pub(crate) accounts: Arc<Sqlite>,
    server: Server,
    config: ServerConfig,
    data: TempDir,
    /// The socket it listens on, by its inode.
    listener: String,
}

impl Bed {
    /// A server whose workflows directory has these files, each `name.yaml`.
    pub(crate) async fn new(workflows: &[(&str, &str)]) -> Self {
        Self::with(workflows, Limits::default()).await
    }

    /// As [`Bed::new`], with other limits.
    pub(crate) async fn with(workflows: &[(&str, &str)], limits: Limits) -> Self {
        Self::configured(workflows, limits, ServerConfig::default()).await
    }

    /// As [`Bed::with`], with another configuration; the port is any.
    pub(crate) async fn configured(workflows: &[(&str, &str)], limits: Limits, config: ServerConfig) -> Self {
        let data = TempDir::with_prefix(Self::prefix()).unwrap();
        let directory = data.path().join("workflows");
        std::fs::create_dir(&directory).unwrap();
        for (name, text) in workflows {
            std::fs::write(directory.join(format!("{name}.yaml")), text).unwrap();
        }
        Self::open(data, limits, config).await
    }

    /// How the directories of this process's beds begin.
    pub(crate) fn prefix() -> String {
        format!("staunch-bed-{}-", std::process::id())
    }

    async fn open(data: TempDir, limits: Limits, config: ServerConfig) -> Self {
        // Naps are not waited for at a close.
        let limits = Limits { drain_seconds: 0, kill_grace_seconds: 1, ..limits };
        let opening = Opening::new(data.path(), limits.store(), Durability::Off);
        // Where one step runs at a time nothing is to happen by chance: each reader would warm its own statements, at its own time.
        let readers_max = if limits.steps_active_max == 1 { 1 } else { opening.readers_max };
        let store = Arc::new(Opening { accounts: limits.accounts(), readers_max, ..opening }.open().unwrap());
        let logs = Logs::open(data.path().join("logs"), limits.store()).unwrap();
        let engine = EngineConfig {
            limits,
            work_directory: data.path().join("work"),
            workflows_directory: Some(data.path().join("workflows")),
            keeper: vec![env!("CARGO_BIN_EXE_server-keep").into()],
            base_env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()), ("LANG".into(), "C.UTF-8".into())],
            workspace: None,
            lease: Duration::from_secs(86_400),
        };
        let accounts = Arc::clone(&store);
        let engine = Engine::open(engine, store, logs).await.unwrap();
        let config = ServerConfig { listen: "127.0.0.1:0".parse().unwrap(), ..config };
        let server = bind_with(engine.clone(), Arc::clone(&accounts) as Arc<dyn Accounts>, &config).await.unwrap();
        let mut listener = None;
        until("it listens", || {
            listener = listening(server.local_addr());
            listener.is_some()
        })
        .await;
        Self { engine, accounts, server, config, data, listener: listener.expect("it was waited for") }
    }

    /// Stops, and begins another life on the same data.
    pub(crate) async fn reopen(self) -> Self {
        let (limits, config) = (*self.engine.limits(), self.config.clone());
        let data = self.stop().await;
        Self::open(data, limits, config).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Where it keeps everything.
    pub(crate) fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        call(self.address(), "GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        call(self.address(), "POST", path, &headers, body.to_string()).await
    }

    /// Where runs have their files.
    pub(crate) fn work(&self) -> std::path::PathBuf {
        self.data.path().join("work")
    }

    /// Changes a workflow's file, and waits until the server has taken it in.
    pub(crate) async fn write(&self, workflow: &str, text: &str) {
        std::fs::write(self.data.path().join("workflows").join(format!("{workflow}.yaml")), text).unwrap();
        let wanted = staunch_store::RevisionId::of(text.as_bytes());
        let taken = || self.engine.catalog().get(workflow).is_some_and(|known| known.revision == wanted);
        until("the new text is taken in", taken).await;
    }

    /// Starts a run of a workflow and returns its id.
    pub(crate) async fn run(&self, workflow: &str) -> String {
        let answer = self.post(&format!("/api/v1/workflows/{workflow}/runs"), &json!({})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Waits for the end of a run and returns its detail.
    pub(crate) async fn ended(&self, run: &str) -> Value {
        self.until(run, |detail| detail["state"] == "ended").await
    }

    /// Waits until `enough` is true of a run's detail.
    pub(crate) async fn until(&self, run: &str, enough: impl Fn(&Value) -> bool) -> Value {
        let mut watch = self.engine.feed().watch(run.parse().unwrap());
        let wait = async {
            loop {
                let detail = self.get(&format!("/api/v1/runs/{run}")).await.json();
                if enough(&detail) {
                    return detail;
                }
                watch.changed().await;
            }
        };
        timeout(LONG, wait).await.expect("it comes")
    }

    /// Stops all, and nothing is left.
    pub(crate) async fn close(self) {
        drop(self.stop().await);
    }

    async fn stop(self) -> TempDir {
        let tasks = self.engine.tasks().clone();
        let data = self.stop_after_panics().await;
        assert_eq!(tasks.panics(), 0);
        data
    }

    /// Stops all, and nothing is left, though tasks have panicked on purpose.
    pub(crate) async fn stop_after_panics(self) -> TempDir {
        let left = timeout(LONG, self.engine.close()).await.expect("it closes");
        assert_eq!(left, CloseCount::default(), "something is left");
        assert_eq!(self.server.budget_bytes(), 0);
        assert!(self.engine.feed().is_empty());
        assert_ne!(listening(self.address()), Some(self.listener), "nobody listens");
        self.data
    }
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, wait).await.unwrap_or_else(|_| panic!("it never came: {what}"));
}
