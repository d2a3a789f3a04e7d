//! An engine of this process alone: opened for one run, closed and counted after it.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use staunch_bounded::fault_point;
use staunch_engine::{Engine, EngineConfig, Limits};
use staunch_store::{Durability, Logs, Opening, Sqlite, Store, StoreError};
use tempfile::TempDir;

use super::temporary::temporary;
use crate::exit::Exit;
use crate::failure::Failure;

/// How long an embedded engine's claims hold: its data directory is locked, so nobody else can want them, and a laptop may
/// sleep for weeks.
pub(crate) const LEASE: Duration = Duration::from_secs(365 * 86_400);

/// An engine and where it keeps things: a directory that was named, or a temporary one that goes with it.
pub(crate) struct Room {
    engine: Engine,
    temporary: Option<TempDir>,
}

impl Room {
    /// Opens a store in `data`, or in a temporary directory, and an engine over it. Steps run in the current directory with the
    /// caller's environment.
    pub(crate) async fn open(limits: Limits, data: Option<&Path>) -> Result<Self, Failure> {
        let workspace = std::env::current_dir()
            .map_err(|error| Failure::broken(format!("cannot tell the current directory: {error}")))?;
        let temporary = if data.is_some() { None } else { Some(temporary("staunch-run-")?) };
        let directory = match (data, &temporary) {
            (Some(data), _) => data.to_owned(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => unreachable!("without a data directory there is a temporary one"),
        };
        // What lies in a temporary directory is gone after the run in any case, so no write waits for the disk.
        let durability = if temporary.is_some() { Durability::Off } else { Durability::Full };
        let limits = limits_here(limits, temporary.is_some());
        let (store, logs) = open_store(&directory, &limits, durability)?;
        nothing_else_to_run(&*store, &directory).await?;
        let config = EngineConfig {
            limits,
            work_directory: directory.join("work"),
            workflows_directory: None,
            lease: LEASE,
            keeper: keeper(),
            base_env: std::env::vars_os().collect(),
            workspace: Some(workspace),
        };
        let engine = Engine::open(config, store, logs).await.map_err(|error| Failure::broken(error.to_string()))?;
        Ok(Self { engine, temporary })
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Closes the engine, removes the temporary directory, and says so if anything was left.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        let count = self.engine.close().await;
        if let Some(temporary) = self.temporary {
            let path = temporary.path().to_owned();
            temporary.close().map_err(|error| Failure::file("remove", &path, &error))?;
        }
        if count == staunch_engine::CloseCount::default() { Ok(()) } else { Err(left_over(&count)) }
    }
}

/// The limits of a room: when it closes its run is over, so there is nothing to wait for. What is thrown away after the run needs
/// no free disk beyond itself.
fn limits_here(limits: Limits, temporary: bool) -> Limits {
    let disk_free_bytes_min = if temporary { 0 } else { limits.disk_free_bytes_min };
    Limits { drain_seconds: 0, disk_free_bytes_min, ..limits }
}

/// An engine runs all that its store holds. Runs that a server left unfinished must not go on here, in the caller's directory and
/// with the caller's environment.
async fn nothing_else_to_run(store: &dyn Store, directory: &Path) -> Result<(), Failure> {
    let usage = store.usage().await.map_err(|error| refused(&error))?;
    let open: u64 = ["queued", "running"].iter().filter_map(|state| usage.runs.get(*state)).sum();
    if open == 0 {
        return Ok(());
    }
    store.close().await;
    let message =
        format!("{} holds {open} unfinished runs, and a local run would carry them on here", directory.display());
    Err(Failure::broken(message)
        .hint(format!("let a server finish them: staunch serve --data {}", directory.display())))
}

/// A failure that names what a closed engine still held.
pub(crate) fn left_over(count: &staunch_engine::CloseCount) -> Failure {
    let staunch_engine::CloseCount { tasks, children, budget_bytes } = count;
    Failure::broken(format!("not all was given back: tasks {tasks}, children {children}, budgets {budget_bytes}"))
        .hint("this is a bug of staunch")
}

/// Makes a data directory for its user alone: what steps said and hashes of passwords are in it. One that is there stays as it is.
pub(crate) fn make_data(directory: &Path) -> Result<(), Failure> {
    let made = fault_point!("serve.data").map_err(std::io::Error::from);
    let made = made.and_then(|()| DirBuilder::new().recursive(true).mode(0o700).create(directory));
    made.map_err(|error| Failure::file("make", directory, &error))
}

/// Opens the store and the logs of a data directory, making it if need be.
pub(crate) fn open_store(
    directory: &Path,
    limits: &Limits,
    durability: Durability,
) -> Result<(Arc<Sqlite>, Arc<Logs>), Failure> {
    make_data(directory)?;
    let opening = Opening { accounts: limits.accounts(), ..Opening::new(directory, limits.store(), durability) };
    let store = opening.open().map_err(|error| refused(&error))?;
    let logs = Logs::open(directory.join("logs"), limits.store()).map_err(|error| refused(&error))?;
    Ok((Arc::new(store), logs))
}

/// A store's refusal, with its exit code.
pub(crate) fn refused(error: &StoreError) -> Failure {
    let exit = match error {
        StoreError::Full { .. } | StoreError::NoSpace(_) => Exit::Refused,
        _ => Exit::Failed,
    };
    Failure::new(exit, error.to_string())
}

/// What becomes a keeper: this same binary, even if its file was replaced meanwhile.
pub(crate) fn keeper() -> Vec<OsString> {
    ["/proc/self/exe", "__keep"].map(OsString::from).into()
}

/// A path as it stands from the root, so that it stays the same whatever the working directory becomes.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))
}
