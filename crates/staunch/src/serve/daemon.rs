//! The life of a server, from its limits' sum to the count at its end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use staunch_engine::{CloseCount, Engine, EngineConfig};
use staunch_server::{BindError, Server, bind, is_loopback};
use staunch_store::{Accounts, Durability, Sqlite};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::setup::SetupLink;
use super::{demo, grant, notify, trace};
use crate::cli::{AllFlags, Serve};
use crate::config::{Config, Origin, Sources};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::local::{LEASE, absolute, keeper, left_over, open_store, temporary};
use crate::render::{Ink, Terminal};

/// How long the runtime's own threads may take after everything of ours is closed.
const RUNTIME_MAX: Duration = Duration::from_secs(5);

/// Serves until a signal says otherwise.
pub(crate) fn run(arguments: &Serve, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let config = Config::load(&sources(arguments, all))?;
    loopback_only(&config)?;
    trace::start(&config.log_level.value)?;
    let granted = grant::grant(&config.memory_bytes, Path::new("/"));
    let sum = grant::check(&config.limits, granted.as_ref())?;
    terminal.line(format_args!("staunch {}: at most so much memory for\n{sum}", env!("CARGO_PKG_VERSION")));
    let runtime = runtime()?;
    // Heard from the very beginning: a stop while the store opens must not kill half-way, nor leave a demo's directory.
    let stop = runtime.block_on(async { Interrupts::new() })?;
    let place = Place::of(&config, arguments.demo)?;
    let exit = runtime.block_on(serve(&config, &place, arguments.demo, stop, terminal));
    // Everything of ours is closed by now; what a forced stop left must not hold the process.
    runtime.shutdown_timeout(RUNTIME_MAX);
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

/// Whoever reaches the API can run any command as this user, and there is no login yet.
fn loopback_only(config: &Config) -> Result<(), Failure> {
    let listen = config.listen.value;
    if is_loopback(listen.ip()) {
        return Ok(());
    }
    let message = format!(
        "refusing to listen on {listen} ({}): it is not a loopback address, and this version has no login yet: whoever reaches it could \
         run any command as this user",
        config.listen.origin
    );
    let hint = "listen on 127.0.0.1 or [::1], and put a proxy that authenticates, or an SSH tunnel, in front of it";
    Err(Failure::usage(message).hint(hint))
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("staunch")
        .build()
        .map_err(|error| Failure::broken(format!("cannot start the runtime: {error}")))
}

/// Where a server keeps things.
struct Place {
    data: PathBuf,
    workflows: PathBuf,
    temporary: Option<TempDir>,
}

impl Place {
    /// As configured; a demo whose data directory nobody named gets a temporary one.
    fn of(config: &Config, demo: bool) -> Result<Self, Failure> {
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
        std::fs::create_dir_all(&workflows).map_err(|error| Failure::file("make", &workflows, &error))?;
        if demo {
            demo::write(&workflows)?;
        }
        Ok(Self { data, workflows, temporary })
    }

    /// Removes what was only there for this life.
    fn leave(self) -> Result<(), Failure> {
        let Some(temporary) = self.temporary else { return Ok(()) };
        temporary.close().map_err(|error| Failure::file("remove", &self.data, &error))
    }
}

async fn serve(
    config: &Config,
    place: &Place,
    demo: bool,
    mut stop: Interrupts,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let (engine, accounts) = open(config, place).await?;
    let listen = config.listen.value;
    let server = match bind(engine.clone(), Arc::clone(&accounts) as Arc<dyn Accounts>, listen).await {
        Ok(server) => server,
        Err(error) => {
            let count = engine.close().await;
            let failure = Failure::broken(format!("cannot listen on {listen}: {error}"));
            let in_use = matches!(&error, BindError::Listen(error) if error.kind() == std::io::ErrorKind::AddrInUse);
            let failure = if in_use {
                failure.hint("another server may be running there; --listen takes another address")
            } else {
                failure
            };
            return Err(if count == CloseCount::default() { failure } else { left_over(&count) });
        }
    };
    let origin = format!("http://{}", server.local_addr());
    let mut link = match SetupLink::open(accounts, &place.data, &origin).await {
        Ok(link) => link,
        Err(failure) => {
            let count = close(&server, &engine).await;
            return Err(if count == CloseCount::default() { failure } else { left_over(&count) });
        }
    };
    if let Some(link) = &link {
        terminal.line(format_args!("set up:    {}", link.url()));
    }
    welcome(&server, place, demo, terminal);
    notify::notify("READY=1");
    let signal = loop {
        tokio::select! {
            signal = stop.next() => break signal,
            () = spent(link.as_ref()) => link = None,
        }
    };
    notify::notify("STOPPING=1");
    // Its file goes before anything that may take long.
    drop(link);
    terminal.line(format_args!("{signal}: closing; once more stops at once"));
    terminal.flush();
    tokio::select! {
        count = close(&server, &engine) => Ok(counted(&count, terminal)),
        signal = stop.next() => {
            Err(Failure::new(Exit::Interrupted, format!("{signal} once more: stopped without closing; the store recovers at the next start")))
        }
    }
}

/// Waits until there is no use for the link any more; for ever if there is none.
async fn spent(link: Option<&SetupLink>) {
    match link {
        Some(link) => link.spent().await,
        None => std::future::pending().await,
    }
}

async fn open(config: &Config, place: &Place) -> Result<(Engine, Arc<Sqlite>), Failure> {
    let (store, logs) = open_store(&place.data, &config.limits, Durability::Full)?;
    let engine = EngineConfig {
        limits: config.limits,
        work_directory: place.data.join("work"),
        workflows_directory: Some(place.workflows.clone()),
        lease: LEASE,
        keeper: keeper(),
        base_env: environment(),
        workspace: None,
    };
    let accounts = Arc::clone(&store);
    let engine = Engine::open(engine, store, logs).await.map_err(|error| Failure::broken(error.to_string()))?;
    Ok((engine, accounts))
}

/// What every step finds in its environment, and nothing else: the server's own secrets never reach a step.
fn environment() -> Vec<(OsString, OsString)> {
    let or = |name: &str, default: &str| (name.into(), std::env::var_os(name).unwrap_or_else(|| default.into()));
    vec![or("PATH", "/usr/local/bin:/usr/bin:/bin"), or("HOME", "/"), or("LANG", "C.UTF-8")]
}

/// The server first, so that no request sees an engine that is closing.
async fn close(server: &Server, engine: &Engine) -> CloseCount {
    server.close().await;
    engine.close().await
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

/// Says where it listens and what to do next.
fn welcome(server: &Server, place: &Place, demo: bool, terminal: &mut Terminal) {
    let address = server.local_addr();
    let url = format!("http://{address}");
    let paint = terminal.out_paint();
    terminal.line(format_args!("workflows: {}", place.workflows.display()));
    terminal.line(format_args!(
        "data:      {}{}",
        place.data.display(),
        if place.temporary.is_some() { " (removed at the end)" } else { "" }
    ));
    terminal.line(format_args!("listening on {}", paint.ink(Ink::Good, &url)));
    if demo {
        // The usual address needs no flag.
        let flag = if address.port() == 7878 { String::new() } else { format!(" --server {url}") };
        terminal.line("\nTry, in another terminal:");
        for command in [
            format!("staunch workflows{flag}"),
            format!("staunch run hello -i name=Ada{flag}"),
            format!("staunch run fan-out{flag}"),
            format!("staunch run deploy{flag}        # fails, rolls back, cleans up"),
            format!("staunch runs{flag}"),
            format!("curl -X POST {url}/api/v1/workflows/hello/runs -H 'content-type: application/json' -d '{{}}'"),
        ] {
            terminal.line(format_args!("  {}", paint.ink(Ink::Strong, &command)));
        }
        terminal.line("Ctrl-C stops the server.");
    }
    terminal.flush();
}
