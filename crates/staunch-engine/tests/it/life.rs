//! A whole life of an engine that may be made to fail anywhere; and the life after it, in which all must be right again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use staunch_engine::{CloseCount, Engine, EngineConfig, Limits, RunView, Submission, Target};
use staunch_flow::StepState;
use staunch_leak::fault::faults;
use staunch_leak::gate::current_thread;
use staunch_store::{Durability, Logs, Opening, Results, RunId, RunQuery, RunState};

use crate::told;

/// Longer than anything here takes on a busy machine, and short enough for a sweep to end when something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is wrong beyond doubt, though the scenario was made to fail: a sweep takes that for an error swallowed, and the test prints this.
static WRONG: Mutex<Option<String>> = Mutex::new(None);

/// The first thing that was wrong beyond doubt.
pub(crate) fn wrong() -> String {
    WRONG.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
}

fn is_wrong(what: String) {
    WRONG.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
}

/// The name of workflows that do not end by themselves.
pub(crate) const SLEEPER: &str = "sleeper";

/// One step at once, so that a slot that is lost is missed; nothing waits long.
pub(crate) fn tight() -> Limits {
    Limits { steps_active_max: 1, settle_ms: 10, drain_seconds: 0, kill_grace_seconds: 1, ..Limits::default() }
}

/// What an engine on this directory needs to know.
pub(crate) fn config(data: &Path, limits: Limits, keeper: Vec<std::ffi::OsString>) -> EngineConfig {
    let workflows = data.join("workflows");
    EngineConfig {
        limits,
        work_directory: data.join("work"),
        workflows_directory: workflows.is_dir().then_some(workflows),
        keeper,
        base_env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()), ("LANG".into(), "C.UTF-8".into())],
        workspace: None,
        lease: Duration::from_secs(86_400),
    }
}

/// Opens an engine.
pub(crate) async fn open(data: &Path, keeper: &[std::ffi::OsString]) -> Result<Engine, String> {
    open_with(data, keeper, tight()).await
}

/// Opens an engine with other bounds.
pub(crate) async fn open_with(data: &Path, keeper: &[std::ffi::OsString], limits: Limits) -> Result<Engine, String> {
    // One reader, so that it is no chance which of them has heard a question before.
    let opening = Opening { readers_max: 1, ..Opening::new(data, limits.store(), Durability::Off) };
    let store = opening.open().map_err(|error| error.to_string())?;
    let logs = Logs::open(data.join("logs"), limits.store()).map_err(|error| error.to_string())?;
    let config = config(data, limits, keeper.to_vec());
    Engine::open(config, Arc::new(store), logs).await.map_err(|error| error.to_string())
}

/// Submits a text.
pub(crate) async fn submit(engine: &Engine, text: &str) -> Result<RunId, String> {
    let target = Target::Text { text: text.into(), stem: "test".to_owned() };
    let submission = Submission { target, inputs: BTreeMap::new(), trigger: "test".to_owned(), key: None };
    engine.submit(submission).await.map(|submitted| submitted.run).map_err(|error| error.to_string())
}

async fn view(engine: &Engine, run: RunId) -> Result<RunView, String> {
    let view = engine.view(run, Results::UpTo { bytes: u64::MAX }).await.map_err(|error| error.to_string())?;
    view.ok_or_else(|| "the run is not there".to_owned())
}

/// Waits until `enough` is true of the run.
///
/// # Errors
/// The engine has said that something is wrong, or that it stops.
pub(crate) async fn until(engine: &Engine, run: RunId, enough: impl Fn(&RunView) -> bool) -> Result<RunView, String> {
    let begun = tokio::time::Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(3));
    loop {
        let now = view(engine, run).await?;
        if enough(&now) {
            return Ok(now);
        }
        if told::anything() || engine.tasks().token().is_cancelled() {
            return Err("something was said".to_owned());
        }
        if begun.elapsed() > PATIENCE {
            is_wrong(format!("it hangs: {now:#?}"));
            return Ok(now);
        }
        look.tick().await;
    }
}

/// Waits until the run is over.
pub(crate) async fn ended(engine: &Engine, run: RunId) -> Result<RunView, String> {
    until(engine, run, |view| view.row.state == RunState::Ended).await
}

/// A life in `data`, as `script` has it, and then another in which nothing fails.
///
/// # Errors
/// What the first life said was wrong: an error it returned, a line of its log, the message of a panic. If something is wrong that
/// nobody said, or that must not be, whatever failed, it is `Ok`.
pub(crate) fn lives(
    data: &Path,
    keeper: &[std::ffi::OsString],
    script: impl AsyncFnOnce(&Engine) -> Result<(), String>,
) -> Result<(), String> {
    drop(told::take());
    let runtime = current_thread();
    let first = runtime.block_on(first_life(data, keeper, script));
    drop(runtime);
    let mut said = told::take();
    said.extend(first.err());
    faults::suspend();
    let runtime = current_thread();
    let second = runtime.block_on(second_life(data, keeper));
    drop(runtime);
    faults::resume();
    drop(told::take());
    if let Err(error) = second {
        is_wrong(format!("in the next life: {error}; the first said {said:#?}"));
    }
    if said.is_empty() || !wrong().is_empty() { Ok(()) } else { Err(said.join("\n")) }
}

async fn first_life(
    data: &Path,
    keeper: &[std::ffi::OsString],
    script: impl AsyncFnOnce(&Engine) -> Result<(), String>,
) -> Result<(), String> {
    let engine = open(data, keeper).await?;
    let done = script(&engine).await;
    faults::suspend();
    // Whatever failed works again: an engine that does not say it stops must do its work.
    if !engine.tasks().token().is_cancelled()
        && let Err(error) = rests(&engine, data).await
        && !engine.tasks().token().is_cancelled()
    {
        is_wrong(format!("it does not go on: {error}; it said {:#?}", told::take()));
    }
    faults::resume();
    let left = engine.close().await;
    if left != CloseCount::default() {
        is_wrong(format!("{left:?} after the close; it said {:#?}", told::take()));
    }
    done
}

/// It works, and leaves no home of a run that is over: those that could not be removed are tried again.
async fn rests(engine: &Engine, data: &Path) -> Result<(), String> {
    works(engine).await?;
    let homes = || homes(data).map(|homes| homes.iter().filter(|home| !home.ends_with(".spare")).count());
    let mut look = tokio::time::interval(Duration::from_millis(3));
    let begun = tokio::time::Instant::now();
    while homes()? > 0 && !engine.tasks().token().is_cancelled() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("homes stay: {:?}", self::homes(data)));
        }
        look.tick().await;
    }
    Ok(())
}

/// What is in the work directory.
fn homes(data: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let entries = std::fs::read_dir(data.join("work")).map_err(|error| error.to_string())?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// Everything that was accepted comes to an end, and so does what is accepted now.
async fn works(engine: &Engine) -> Result<(), String> {
    let heard = told::take();
    let query = RunQuery { limit: 200, ..RunQuery::default() };
    let runs = engine.store().runs(query).await.map_err(|error| error.to_string())?;
    for sleeper in runs.items.iter().filter(|row| row.head.workflow == SLEEPER && row.state != RunState::Ended) {
        // It may just have ended, or be about to.
        engine.cancel(sleeper.head.id, true).await.ok();
    }
    for row in runs.items {
        if !sees_end(engine, row.head.id).await? {
            return Ok(());
        }
        check(engine, row.head.id).await?;
    }
    // Only now, so that nothing was set going again by something new.
    let probe = submit(engine, "name: probe\nsteps:\n  - { id: probe, run: ':' }\n").await?;
    if !sees_end(engine, probe).await? {
        return Ok(());
    }
    let probe = view(engine, probe).await?;
    if probe.row.outcome == Some(staunch_flow::RunOutcome::Succeeded) {
        // It is no report of what failed if it only comes up now.
        heard.into_iter().for_each(told::again);
        Ok(())
    } else {
        Err(format!("the next run fails: {probe:#?}"))
    }
}

/// Waits until a run is over, whatever is said meanwhile. False: the engine stops before.
async fn sees_end(engine: &Engine, run: RunId) -> Result<bool, String> {
    let waited = async {
        let mut look = tokio::time::interval(Duration::from_millis(3));
        while view(engine, run).await?.row.state != RunState::Ended {
            if engine.tasks().token().is_cancelled() {
                return Ok(false);
            }
            look.tick().await;
        }
        Ok(true)
    };
    match tokio::time::timeout(PATIENCE, waited).await {
        Ok(ended) => ended,
        Err(_) => Err(format!("it is not over: {:#?}", view(engine, run).await)),
    }
}

/// A run that is over: every step settled, every outcome recorded once.
async fn check(engine: &Engine, run: RunId) -> Result<(), String> {
    let view = view(engine, run).await?;
    let events = engine.store().events(run, 0, 10_000).await.map_err(|error| error.to_string())?;
    let mut told: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for event in &events {
        let body: Value = serde_json::from_str(&event.body).map_err(|error| error.to_string())?;
        let word = |key: &str| body.get(key).map(Value::to_string).unwrap_or_default();
        let which = match event.name.as_str() {
            "step.settled" => (word("step"), String::new()),
            "step.ended" => (word("step"), word("attempt")),
            "run.ended" => Default::default(),
            _ => continue,
        };
        *told.entry((event.name.clone(), which.0, which.1)).or_default() += 1;
    }
    let twice: Vec<_> = told.iter().filter(|(_, count)| **count != 1).collect();
    let ends = told.keys().filter(|(name, ..)| name == "run.ended").count();
    let settled = view.steps.iter().all(|step| matches!(step.state, StepState::Settled { .. }));
    let attempts: usize = view.steps.iter().map(|step| step.attempts.len()).sum();
    let over = view.steps.iter().flat_map(|step| &step.attempts).filter(|attempt| attempt.outcome.is_some()).count();
    let overflow = events.iter().any(|event| event.name == "run.ended" && event.body.contains("\"error\""));
    if twice.is_empty() && ends == 1 && (settled && attempts == over || overflow) {
        return Ok(());
    }
    Err(format!("recorded {twice:?}, {ends} ends, {over} of {attempts} attempts over: {view:#?} {events:#?}"))
}

/// Opens what the first left, sees every run to its end, and looks at what there is on disk then.
pub(crate) async fn second_life(data: &Path, keeper: &[std::ffi::OsString]) -> Result<(), String> {
    let engine = open(data, keeper).await?;
    let works = works(&engine).await;
    let left = engine.close().await;
    works?;
    if left != CloseCount::default() {
        return Err(format!("{left:?} after the close"));
    }
    let homes = homes(data)?;
    if homes.is_empty() { Ok(()) } else { Err(format!("left in the work directory: {homes:?}")) }
}
