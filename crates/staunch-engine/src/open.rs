//! How an engine begins: what an earlier life left is taken over before anything new is accepted.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use staunch_bounded::{Budget, fault_point};
use staunch_store::{Incarnation, Logs, RevisionId, RunId, RunQuery, RunState, Store, StoreError};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::dispatch::Dispatch;
use crate::engine::{EngineConfig, EngineError};
use crate::fault;
use crate::feed::Feed;
use crate::inner::{Inner, Parts};
use crate::limits::Limits;
use crate::load::since;
use crate::runner::{self, Runner, RunnerConfig};
use crate::tasks::{Kind, Tasks};
use crate::watch::Directory;
use crate::workspace::Work;

/// Commands that wait for the loop; askers beyond wait for room.
const COMMANDS_QUEUED_MAX: usize = 64;

/// A keeper without work is kept this long: a burst finds it, an idle server does not pay for it.
const KEEPER_IDLE: Duration = Duration::from_secs(30);

pub(crate) async fn open(
    config: EngineConfig,
    store: Arc<dyn Store>,
    logs: Arc<Logs>,
) -> Result<Arc<Inner>, EngineError> {
    let EngineConfig { limits, work_directory, workflows_directory, keeper, base_env, workspace, lease } = config;
    fault_point!("engine.directory")
        .map_err(std::io::Error::from)
        .and_then(|()| std::fs::create_dir_all(&work_directory))
        .map_err(|error| EngineError::Io { what: work_directory.display().to_string(), error })?;
    let instance = instance(&work_directory);
    kill_strays(&work_directory, &instance);
    let worker = Incarnation::generate();
    let freed = fault::before(fault_point!("engine.join"), store.join(worker, lease)).await?;
    if freed > 0 {
        tracing::warn!(attempts = freed, "attempts of an earlier life were interrupted; they go on as `on-lost` says");
    }
    let feed = Feed::default();
    let captures = Budget::root("captures", limits.captures_bytes_max);
    let tasks = Tasks::new();
    let runner = start_runner(&limits, keeper, &captures, &feed, &tasks)?;
    let (commands, inbox) = mpsc::channel(COMMANDS_QUEUED_MAX);
    let work = Arc::new(Work::new(work_directory, workspace));
    let parts =
        Parts { limits, store, logs, feed, tasks, work, runner, base_env, instance, lease, captures, commands, worker };
    let inner = Arc::new(Inner::new(parts));
    let mut dispatch = Dispatch::new(Arc::clone(&inner), worker);
    let open = take_over(&inner, &mut dispatch).await?;
    inner.sweep_files(&open).await;
    let token = inner.tasks.token().clone();
    if let Some(path) = workflows_directory {
        let mut directory = Directory::new(path, &limits);
        directory.scan(&inner.catalog, &*inner.store).await?;
        directory.retire_unseen(&inner.catalog, &*inner.store).await?;
        let (catalog, store) = (Arc::clone(&inner.catalog), Arc::clone(&inner.store));
        drop(inner.tasks.spawn(Kind::Watch, directory.follow(catalog, store, token.clone())));
    }
    drop(inner.tasks.spawn(Kind::Upkeep, Arc::clone(&inner).upkeep()));
    drop(inner.tasks.spawn(Kind::Dispatch, dispatch.run(inbox, token)));
    Ok(inner)
}

/// Kills processes of steps that outlived an earlier life and its keepers. Each of their runs still has a directory.
fn kill_strays(work_directory: &Path, instance: &str) {
    let any = std::fs::read_dir(work_directory).is_ok_and(|mut runs| runs.next().is_some());
    match if any { runner::sweep_strays(instance) } else { Ok(0) } {
        Ok(0) => {}
        Ok(strays) => tracing::warn!(strays, "killed processes that an earlier life of this server left"),
        Err(error) => tracing::warn!(%error, "could not look for processes that an earlier life of this server left"),
    }
}

fn start_runner(
    limits: &Limits,
    keeper: Vec<OsString>,
    captures: &Arc<Budget>,
    feed: &Feed,
    tasks: &Tasks,
) -> Result<Arc<Runner>, EngineError> {
    let (feed, watched, stop) = (feed.clone(), feed.clone(), tasks.token().clone());
    let config = RunnerConfig {
        is_watched: Arc::new(move |key| watched.is_watched(key.run)),
        keeper,
        steps_max: limits.steps_active_max as usize,
        grace: limits.kill_grace(),
        settle: Duration::from_millis(limits.settle_ms.into()),
        keeper_idle: KEEPER_IDLE,
        capture_bytes_max: limits.capture_bytes_max as usize,
        budget: Arc::clone(captures),
        output_file_bytes_max: limits.output_file_bytes_max,
        // Nothing works without it, as without the loop.
        on_panic: Arc::new(move || stop.cancel()),
        on_output: Arc::new(move |key| feed.wake(key.run)),
    };
    Runner::start(config).map(Arc::new).map_err(|error| EngineError::Io { what: "the runner".to_owned(), error })
}

/// Looks at every run that is not over: its time limit goes on, its files stay. Returns them; each is 24 bytes.
async fn take_over(inner: &Inner, dispatch: &mut Dispatch) -> Result<HashSet<RunId>, StoreError> {
    let mut open = HashSet::new();
    for state in [RunState::Running, RunState::Queued] {
        let mut query = RunQuery { state: Some(state), limit: 200, ..RunQuery::default() };
        loop {
            let page = fault::before(fault_point!("engine.runs"), inner.store.runs(query.clone())).await?;
            query.before = page.items.last().map(|row| row.head.id);
            for row in page.items {
                open.insert(row.head.id);
                let Some(started_at) = row.started_at else { continue };
                // A workflow that cannot be read fails its run when its turn comes, not here.
                let timeout = inner.workflow(row.head.revision).await.ok().and_then(|workflow| workflow.timeout);
                if let Some(timeout) = timeout {
                    let left = timeout.saturating_sub(since(started_at));
                    dispatch.set_deadline(row.head.id, Instant::now() + left);
                }
            }
            if !page.more {
                break;
            }
        }
    }
    Ok(open)
}

/// A name for all processes of steps of this work directory: the same at each start, another elsewhere.
fn instance(work_directory: &Path) -> String {
    let path = std::fs::canonicalize(work_directory).unwrap_or_else(|_| work_directory.to_path_buf());
    RevisionId::of(path.as_os_str().as_bytes()).to_string()[..32].to_owned()
}
