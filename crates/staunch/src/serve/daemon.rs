//! The life of a server, from its limits' sum to the count at its end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use staunch_bounded::{Budget, fault_point};
use staunch_engine::{CloseCount, Engine, EngineConfig, Kind};
use staunch_server::{Allocator, BindError, Ceiling, Gauge, Granted, Server, ServerConfig, WatchConfig, bind_with};
use staunch_store::{Accounts, Durability, Sqlite, Store};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::door::{self, Door};
use super::setup::SetupLink;
use super::welcome::{self, Welcome};
use super::{demo, grant, inject, notify, trace};
use crate::allocator;
use crate::cli::{AllFlags, Leak, Serve};
use crate::config::{Config, Origin, Sources};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::local::{LEASE, absolute, keeper, left_over, make_data, open_store, refused, temporary};
use crate::render::Terminal;

/// How long the runtime's own threads may take after everything of ours is closed.
const RUNTIME_MAX: Duration = Duration::from_secs(5);

/// Serves until a signal says otherwise.
pub(crate) fn run(arguments: &Serve, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    inject::check(&arguments.inject_leak)?;
    let config = Config::load(&sources(arguments, all))?;
    // The directory of a demo is new.
    let kept = !(arguments.demo && config.data.origin == Origin::Default);
    door::check(&config, kept.then_some(&config.data.value))?;
    trace::start(&config.log_level.value)?;
    let allocator = allocator::begin();
    let granted = grant::grant(&config.memory_bytes, Path::new("/"));
    let sum = grant::check(&config.limits, granted.as_ref())?;
    terminal.line(format_args!("staunch {}: at most so much memory for\n{sum}", env!("CARGO_PKG_VERSION")));
    let runtime = runtime()?;
    // Heard from the very beginning: a stop while the store opens must not kill half-way, nor leave a demo's directory.
    let stop = runtime.block_on(async { Interrupts::new() })?;
    let place = Place::of(&config, arguments)?;
    // After the place, so that it goes before it: a panic here must not remove a directory that tasks still write to.
    let runtime = Running(Some(runtime));
    let exit = runtime.block_on(serve(&config, allocator, &place, arguments.demo, stop, terminal));
    drop(runtime);
    place.leave()?;
    exit
}

fn sources(arguments: &Serve, all: &AllFlags) -> Sources {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    Sources::of_process(all.config.clone())
        .flag("data", "--data", path(&arguments.data))
        .flag("listen", "--listen", arguments.listen.clone())
        .flag("workflows", "--workflows", path(&arguments.workflows))
        .flag("log_level", "--log-level", arguments.log_level.clone())
}

fn runtime() -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("staunch");
    if inject::is_soaked() {
        builder.thread_keep_alive(inject::THREADS_LEAVE);
    }
    builder.build().map_err(|error| Failure::broken(format!("cannot start the runtime: {error}")))
}

/// A runtime that ends in time.
struct Running(Option<Runtime>);

impl Running {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.as_ref().expect("it is there until it is dropped").block_on(future)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Everything of ours is closed by now; what a forced stop or a panic left must not hold the process.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(RUNTIME_MAX);
        }
    }
}

/// Where a server keeps things.
pub(super) struct Place {
    /// Runs, logs and the database.
    pub(super) data: PathBuf,
    /// The workflow files.
    pub(super) workflows: PathBuf,
    temporary: Option<TempDir>,
    /// What soak wants to be lost.
    leaks: Vec<Leak>,
}

impl Place {
    /// As configured; a demo whose data directory nobody named gets a temporary one.
    fn of(config: &Config, arguments: &Serve) -> Result<Self, Failure> {
        let demo = arguments.demo;
        let temporary =
            (demo && config.data.origin == Origin::Default).then(|| temporary("staunch-demo-")).transpose()?;
        let data = match &temporary {
            Some(temporary) => temporary.path().to_owned(),
            None => absolute(&config.data.value)?,
        };
        let workflows = match config.workflows.origin {
            Origin::Default => data.join("workflows"),
            _ => absolute(&config.workflows.value)?,
        };
        // First: the directory of workflows may lie in it.
        make_data(&data)?;
        let made = fault_point!("serve.workflows").map_err(std::io::Error::from);
        let made = made.and_then(|()| std::fs::create_dir_all(&workflows));
        made.map_err(|error| Failure::file("make", &workflows, &error))?;
        if demo {
            demo::write(&workflows)?;
        }
        Ok(Self { data, workflows, temporary, leaks: arguments.inject_leak.clone() })
    }

    /// Whether all of it goes with this life.
    pub(super) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// Removes what was only there for this life.
    fn leave(self) -> Result<(), Failure> {
        let Some(temporary) = self.temporary else { return Ok(()) };
        temporary.close().map_err(|error| Failure::file("remove", &self.data, &error))
    }
}

async fn serve(
    config: &Config,
    allocator: Allocator,
    place: &Place,
    demo: bool,
    mut stop: Interrupts,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let (engine, accounts) = open(config, place).await?;
    let (server, mut link) = match enter(config, allocator, place, &engine, &accounts).await {
        Ok(entered) => entered,
        Err(failure) => {
            let count = engine.close().await;
            return Err(if count == CloseCount::default() { failure } else { left_over(&count) });
        }
    };
    allocator::settle();
    let door = Door::of(&server, link.as_ref());
    let (address, debug) = (server.local_addr(), server.debug_listen());
    welcome::say(&Welcome { address, debug, place, demo, door, link: link.as_ref() }, terminal);
    notify::notify("READY=1");
    let signal = loop {
        tokio::select! {
            signal = stop.next() => break Some(signal),
            // A task without which nothing works has panicked, which its log line says.
            () = engine.tasks().token().cancelled() => break None,
            () = spent(link.as_ref(), &server) => link = None,
        }
    };
    notify::notify("STOPPING=1");
    // Its file goes before anything that may take long.
    drop(link);
    let said = signal.unwrap_or("stopped by itself");
    terminal.line(format_args!("{said}: closing; once more stops at once"));
    terminal.flush();
    tokio::select! {
        count = close(&server, &engine) => match (counted(&count, terminal), signal) {
            (Exit::Ok, None) => Err(Failure::broken("the server stopped by itself: a part of it failed, see the log")),
            (exit, _) => Ok(exit),
        },
        signal = stop.next() => {
            Err(Failure::new(Exit::Interrupted, format!("{signal} once more: stopped without closing; the store recovers at the next start")))
        }
    }
}

/// Waits until there is no use for the link any more; for ever if there is none.
async fn spent(link: Option<&SetupLink>, server: &Server) {
    match link {
        // It closes when the first admin is made, however that was.
        Some(link) if server.is_open() => tokio::select! {
            () = link.spent() => {}
            () = server.closed() => tracing::info!("there is an admin: from now on a login or a token is needed"),
        },
        // It was never open, so that only the store knows.
        Some(link) => link.spent().await,
        None => std::future::pending().await,
    }
}

/// The engine over the accounts' store, if the server may listen where it is to.
async fn open(config: &Config, place: &Place) -> Result<(Engine, Arc<dyn Accounts>), Failure> {
    let (store, logs) = open_store(&place.data, &config.limits, Durability::Full)?;
    if let Err(failure) = door::guard(config, store.as_ref()).await {
        Store::close(store.as_ref()).await;
        return Err(failure);
    }
    let engine = EngineConfig {
        limits: config.limits,
        work_directory: place.data.join("work"),
        workflows_directory: Some(place.workflows.clone()),
        lease: LEASE,
        keeper: keeper(),
        base_env: environment(),
        workspace: None,
    };
    let accounts: Arc<dyn Accounts> = Arc::<Sqlite>::clone(&store);
    let engine = Engine::open(engine, store, logs).await.map_err(|error| Failure::broken(error.to_string()))?;
    inject::begin(&place.leaks, &engine, &accounts);
    Ok((engine, accounts))
}

/// The server, listening, and the way to the first admin if there is none.
async fn enter(
    config: &Config,
    allocator: Allocator,
    place: &Place,
    engine: &Engine,
    accounts: &Arc<dyn Accounts>,
) -> Result<(Server, Option<SetupLink>), Failure> {
    let gauge = Gauge::new(config.memory_bytes.value, allocator, Path::new("/")).map(Arc::new);
    // What it may really use, which may be less than was configured, and other later on.
    let granted = gauge.clone().map_or_else(Granted::default, |gauge| Granted::by(move || gauge.limit_bytes()));
    let watch = watched(granted.clone(), place);
    let part = |gauge: Arc<Gauge>| Ceiling { part: Arc::new(move || gauge.part()), granted, purge: allocator::purge() };
    let ceiling = gauge.map(part);
    let told = ServerConfig { allocator, ceiling, watch, ..door::server(config) };
    // Before it listens too: whoever asks first shall find it as small as it will be.
    allocator::settle();
    let bound = bind_with(engine.clone(), Arc::clone(accounts), &told).await;
    let server = bound.map_err(|error| not_bound(config, &error))?;
    door::warn_if_plain(config);
    let origin = door::origin(config, server.local_addr());
    match SetupLink::open(Arc::clone(accounts), &place.data, &origin).await {
        Ok(link) => Ok((server, link)),
        Err(failure) => {
            server.close().await;
            Err(failure)
        }
    }
}

/// How the server watches itself: against what it may use, and with room for heap profiles.
fn watched(granted: Granted, place: &Place) -> WatchConfig {
    WatchConfig { granted, profiles: Some(place.data.join("profiles")), ..WatchConfig::default() }
}

fn not_bound(config: &Config, error: &BindError) -> Failure {
    match error {
        BindError::Listen(error) => {
            let failure = Failure::broken(format!("cannot listen on {}: {error}", config.listen.value));
            if error.kind() == std::io::ErrorKind::AddrInUse {
                failure.hint("another server may be running there; --listen takes another address")
            } else {
                failure
            }
        }
        BindError::Store(error) => refused(error),
        BindError::NoRandomness => Failure::broken(error.to_string()),
        // What is wrong alone was refused with its place when it was read; this is what the server alone can know.
        error => Failure::usage(error.to_string()),
    }
}

/// What every step finds in its environment, and nothing else: the server's own secrets never reach a step.
fn environment() -> Vec<(OsString, OsString)> {
    let or = |name: &str, default: &str| (name.into(), std::env::var_os(name).unwrap_or_else(|| default.into()));
    vec![or("PATH", "/usr/local/bin:/usr/bin:/bin"), or("HOME", "/"), or("LANG", "C.UTF-8")]
}

/// The server first, so that no request sees an engine that is closing.
async fn close(server: &Server, engine: &Engine) -> CloseCount {
    server.close().await;
    // A test leaves a byte behind here, to see that it is counted.
    let left = fault_point!("serve.left").is_err().then(|| Budget::root("left behind", 1));
    let held = left.as_ref().map(|left| {
        server.census().register(left);
        left.try_reserve(1)
    });
    // And here a task that hears of no stop.
    if fault_point!("closing.stays").is_err() {
        drop(engine.tasks().spawn(Kind::Upkeep, std::future::pending::<()>()));
    }
    let count = engine.close().await;
    let count = CloseCount { budget_bytes: count.budget_bytes.max(server.budget_bytes()), ..count };
    drop(held);
    count
}

fn counted(count: &CloseCount, terminal: &mut Terminal) -> Exit {
    let CloseCount { tasks, children, budget_bytes } = count;
    terminal.line(format_args!("closed: tasks {tasks}, children {children}, budgets {budget_bytes}"));
    if *count == CloseCount::default() {
        return Exit::Ok;
    }
    let failure = left_over(count);
    terminal.fail(&failure);
    failure.exit
}
