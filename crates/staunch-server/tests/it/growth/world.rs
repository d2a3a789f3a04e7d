//! A server that is looked at from inside and outside: after each round it holds what it held.

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures_util::future::join_all;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use staunch_bounded::Census;
use staunch_engine::Limits;
use staunch_flow::StepIndex;
use staunch_leak::census::Counts;
use staunch_leak::{Options, no_growth};
use staunch_server::{ServerConfig, WatchConfig};
use staunch_store::{
    Accounts, Actor, AttemptKey, AuditEntry, AuditQuery, Fingerprint, Results, Retention, RevisionId, RunId, RunQuery,
    RunState, StoreError, TokenId, UserId,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::accounts::{Person, closed_with, generous};
use crate::bed::{Bed, LONG, until};

/// Blocking threads leave soon, so that nothing has to wait for them.
const KEEP_ALIVE: Duration = Duration::from_millis(10);
/// Threads that block at once in a test, at most; the runtime's table of them is made that large beforehand.
const THREADS: usize = 24;
/// Between two looks at a server that is not quiet yet.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
/// Lines of the audit log: few, so that it is full after the warm-up.
const AUDIT_ROWS: u64 = 4;
/// Rounds before the baseline: enough to fill the audit log.
const WARM_UPS: usize = 4;
/// There are four readers of the store, each with a cache of prepared statements, and which of them reads is up to chance. So everything
/// is read by many at once, so often, before it is measured.
const BURSTS: usize = 8;
/// So many of each read: with all of them, as many as may wait for the readers.
const READERS: usize = 12;
/// Lines of the audit log that take more than the thousand pages after which the log is checkpointed.
const LINES: usize = 500;
/// So many clients.
const CLIENTS: usize = 8;

/// A server on a runtime that turns by itself, and its admin.
pub(crate) struct World {
    pub(crate) bed: Bed,
    pub(crate) root: Person,
    runtime: Runtime,
}

/// A runtime with one thread for the server, beside the test's own, where the clients are.
pub(crate) fn runtime() -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().thread_keep_alive(KEEP_ALIVE).build();
    runtime.unwrap()
}

impl World {
    pub(crate) fn new(workflows: &[(&str, &str)]) -> Self {
        Self::with(workflows, Limits::default())
    }

    pub(crate) fn with(workflows: &[(&str, &str)], limits: Limits) -> Self {
        Self::configured(workflows, limits, ServerConfig { rates: generous(), ..ServerConfig::default() })
    }

    pub(crate) fn configured(workflows: &[(&str, &str)], limits: Limits, config: ServerConfig) -> Self {
        let runtime = runtime();
        // One keeper, which stays: idle ones leave after half a minute.
        let limits = Limits { audit_rows_max: AUDIT_ROWS, steps_active_max: 1, ..limits };
        let workflows = [workflows, &[("warm", "steps: [{ id: warm, run: echo warm }]")]].concat();
        // The census would read the process beside what is swept or measured, at times of its own.
        let watch = WatchConfig { census: Duration::from_secs(86_400), ..config.watch.clone() };
        let (bed, root) = runtime.block_on(closed_with(&workflows, limits, ServerConfig { watch, ..config }));
        let world = Self { bed, root, runtime };
        world.block_on(world.warm());
        world
    }

    /// Brings to their full size what grows once and by chance: the runtime's table of blocking threads, and the prepared statements of
    /// the store's connections.
    async fn warm(&self) {
        let (tasks, barrier) = (self.bed.engine.tasks(), Arc::new(Barrier::new(THREADS)));
        let blocked = (0..THREADS).map(|_| {
            let barrier = Arc::clone(&barrier);
            tasks.blocking(move || barrier.wait().is_leader())
        });
        join_all(blocked).await;
        let run = self.root.post(self.bed.address(), "/api/v1/workflows/warm/runs", &json!({})).await.json();
        let run = run["id"].as_str().unwrap();
        self.ended(run).await;
        let run: RunId = run.parse().unwrap();
        let revision = self.bed.engine.store().run(run).await.unwrap().unwrap().head.revision;
        let root = self.bed.accounts.credentials("root").await.unwrap().unwrap().user.id;
        for _ in 0..BURSTS {
            let all = (0..READERS).flat_map(|_| [self.reads_of_accounts(root), self.reads_of_runs(run, revision)]);
            join_all(all.flatten()).await;
        }
        self.purge().await;
        self.warm_writer().await;
    }

    /// Each read of accounts.
    fn reads_of_accounts(&self, root: UserId) -> Vec<Read<'_>> {
        let (accounts, key) = (&self.bed.accounts, Fingerprint::of(b"nobody"));
        let nobodys: TokenId = "tok_00000000000000000000000000".parse().unwrap();
        vec![
            read(accounts.has_admin()),
            read(accounts.credentials("root")),
            read(accounts.user(root)),
            read(accounts.users(None, 5)),
            read(accounts.session(key)),
            read(accounts.sessions(root)),
            read(accounts.token(key)),
            read(accounts.touch_token(nobodys)),
            read(accounts.audit_log(AuditQuery { limit: 5, ..AuditQuery::default() })),
            read(accounts.tokens(root)),
            read(accounts.account_usage()),
        ]
    }

    /// Each read of runs.
    fn reads_of_runs(&self, run: RunId, revision: RevisionId) -> Vec<Read<'_>> {
        let store = self.bed.engine.store();
        let key = AttemptKey { run, step: StepIndex(0), attempt: 1 };
        vec![
            read(store.run(run)),
            read(store.runs(RunQuery { limit: 5, ..RunQuery::default() })),
            read(store.attempts(run, Results::Nothing)),
            read(store.attempts(run, Results::UpTo { bytes: 1 << 20 })),
            read(store.inline_log(key)),
            read(store.events(run, 0, 50)),
            read(store.journal(run)),
            read(store.revision(revision)),
            read(store.workflows()),
            read(store.usage()),
        ]
    }

    /// The writer looks at its log after some rows, checkpoints it after some pages, and begins it anew when it has nothing else to do:
    /// by a statement each.
    async fn warm_writer(&self) {
        // A session's use is noted once a minute, so for the first time in the midst of what is measured.
        assert!(!self.bed.accounts.touch_session(Fingerprint::of(b"nobody")).await.unwrap());
        // Two at once are a group, whose operations are undone one by one if need be.
        for _ in 0..LINES / 10 {
            join_all((0..CLIENTS).map(|_| self.write())).await;
        }
        for _ in 0..LINES {
            self.write().await;
        }
        let file = self.bed.data().join("staunch.db");
        until("the log is in the file", || pages_to_go(&file) == 0).await;
    }

    /// Waits until a run is over, and its home removed or put aside: a run that began before that would make one more.
    pub(crate) async fn ended(&self, run: &str) {
        let home = self.bed.work().join(run);
        let (run, engine) = (run.parse().unwrap(), &self.bed.engine);
        let mut watch = engine.feed().watch(run);
        let wait = async {
            while engine.store().run(run).await.unwrap().is_none_or(|row| row.state != RunState::Ended) {
                watch.changed().await;
            }
        };
        timeout(LONG, wait).await.expect("it ends");
        until("its home is gone", || !home.exists()).await;
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// What is compared: memory, descriptors, threads, children, files; tasks by kind; bounded containers and budgets; rows by table.
    pub(crate) fn options(&self) -> Options {
        let metrics = self.runtime.metrics();
        let (tasks, feed) = (self.bed.engine.tasks().clone(), self.bed.engine.feed().clone());
        let database = self.bed.data().join("staunch.db");
        let census = Arc::clone(self.bed.server().census());
        let handle = self.runtime.handle().clone();
        Options::default()
            // A runtime lets go of closed sockets at its next turn, which this brings about.
            .between_looks(move || handle.block_on(async { tokio::time::sleep(BETWEEN_LOOKS).await }))
            .warm_ups(WARM_UPS)
            .files_under(self.bed.data())
            .counters(move |counts| contained(&census, counts))
            .counter("tasks alive", move || metrics.num_alive_tasks() as u64)
            .counter("runs watched", move || feed.len() as u64)
            .counters(move |counts| counts.extend(tasks.alive_by_kind().map(|(kind, n)| (format!("tasks: {kind}"), n))))
            .counters(move |counts| rows(&database, counts))
    }

    /// Demands that nothing grows, however often `body` is done.
    #[track_caller]
    pub(crate) fn flat(&self, what: &str, mut body: impl AsyncFnMut()) {
        let found = no_growth(&self.options(), || self.runtime.block_on(body()));
        if let Err(growth) = found {
            panic!("{what}: {growth}");
        }
    }

    /// As [`World::flat`], for what many may do at once: so it is done first, and each reader of the store gets to know its statements.
    #[track_caller]
    pub(crate) fn flat_at_once(&self, what: &str, body: impl AsyncFn()) {
        for _ in 0..BURSTS {
            self.block_on(join_all((0..CLIENTS).map(|_| body())));
        }
        self.flat(what, async || body().await);
    }

    /// Removes all runs that are over but the last of each workflow, as retention does.
    pub(crate) async fn purge(&self) {
        // Bounds of all kinds, so that the statements of all are used, as upkeep will do by and by.
        let retention = Retention {
            age_max: Some(Duration::from_secs(86_400)),
            runs_per_workflow_max: Some(1),
            bytes_max: Some(1 << 40),
            runs_per_workflow_min: 1,
        };
        let swept = self.bed.engine.store().sweep(&retention, 1_000).await.unwrap();
        for run in swept.runs {
            self.bed.engine.logs().remove(run).unwrap();
        }
    }

    /// A write of its own, behind all others that were on their way to the store.
    async fn write(&self) {
        let (actor, about) = (Actor::server(), "x".repeat(64));
        let line = AuditEntry { actor, action: "test.write", about, detail: String::new() };
        self.bed.accounts.audit(line).await.unwrap();
    }

    /// Waits until no connection is open, no change of accounts under way, and none on its way to the store.
    pub(crate) async fn quiet(&self) {
        let busy =
            || self.bed.engine.tasks().alive_by_kind().filter(|(kind, _)| ["connection", "account"].contains(kind));
        until("all requests are over", || busy().map(|(_, alive)| alive).sum::<u64>() == 0).await;
        self.write().await;
    }

    /// Stops all, and nothing is left, though tasks have panicked on purpose.
    pub(crate) fn close_after_panics(self) {
        let Self { bed, runtime, .. } = self;
        drop(runtime.block_on(bed.stop_after_panics()));
    }

    /// Stops all, and nothing is left.
    pub(crate) fn close(self) {
        let Self { bed, runtime, .. } = self;
        runtime.block_on(bed.close());
    }
}

/// What budgets and containers hold. Tables of rate limits are of a fixed size, and a key stays in them until another takes its
/// place or a sweep finds it old, so how many there are says nothing. SQLite's pages come and go with the pages of the file, whose
/// rows are counted.
fn contained(census: &Census, counts: &mut Counts) {
    let says = |name: &str| !name.starts_with("rate_") && name != "sqlite";
    for member in census.counts().iter().filter(|member| says(member.name)) {
        *counts.entry(format!("bytes of {}", member.name)).or_default() += member.bytes;
        *counts.entry(format!("entries of {}", member.name)).or_default() +=
            member.entries.map_or(0, |(entries, _)| entries);
    }
}

/// A read of the store, on its way.
type Read<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

fn read<'a, T>(read: impl Future<Output = Result<T, StoreError>> + 'a) -> Read<'a> {
    Box::pin(async move { drop(read.await.unwrap()) })
}

/// Pages of the write-ahead log that are not in the file.
fn pages_to_go(database: &Path) -> i64 {
    let connection = Connection::open(database).unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?))
        .unwrap()
}

fn reader(database: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(database, flags).unwrap()
}

/// The rows of each table.
fn rows(database: &Path, counts: &mut Counts) {
    let database = reader(database);
    let mut tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for table in tables {
        let count = format!("SELECT count(*) FROM \"{table}\"");
        let rows: i64 = database.query_row(&count, [], |row| row.get(0)).unwrap();
        counts.insert(format!("rows of {table}"), rows.unsigned_abs());
    }
}
