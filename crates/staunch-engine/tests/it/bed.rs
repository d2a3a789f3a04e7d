//! An engine on a real store with real processes, for the tests beside this file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use staunch_engine::{Engine, EngineConfig, Limits, RunView, StepView, Submission, Target};
use staunch_store::{Durability, Logs, Results, RunId, RunState, Sqlite};

/// Nothing here takes seconds; a wait this long means that it never comes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// An engine whose workflows come as text.
pub(crate) async fn engine(data: &Path, limits: Limits) -> Engine {
    let store = Sqlite::open(data, limits.store(), Durability::Off).expect("the store opens");
    let logs = Logs::open(data.join("logs"), limits.store()).expect("the logs open");
    let config = EngineConfig {
        limits,
        work_directory: data.join("work"),
        workflows_directory: None,
        keeper: vec![env!("CARGO_BIN_EXE_staunch-keep").into()],
        base_env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()), ("LANG".into(), "C.UTF-8".into())],
        workspace: None,
        lease: Duration::from_secs(86_400),
    };
    Engine::open(config, Arc::new(store), logs).await.expect("the engine opens")
}

/// Submits a text.
pub(crate) async fn submit(engine: &Engine, text: &str) -> RunId {
    submit_with(engine, text, &[]).await
}

/// Submits a text with inputs.
pub(crate) async fn submit_with(engine: &Engine, text: &str, inputs: &[(&str, Value)]) -> RunId {
    let inputs: BTreeMap<String, Value> =
        inputs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let target = Target::Text { text: text.into(), stem: "test".to_owned() };
    let submission = Submission { target, inputs, trigger: "test".to_owned(), key: None };
    engine.submit(submission).await.expect("the run is accepted").run
}

/// Waits until `enough` is true of the run.
pub(crate) async fn until(engine: &Engine, run: RunId, enough: impl Fn(&RunView) -> bool) -> RunView {
    let mut watch = engine.feed().watch(run);
    let wait = async {
        loop {
            let view = engine
                .view(run, Results::UpTo { bytes: u64::MAX })
                .await
                .expect("the store answers")
                .expect("the run is there");
            if enough(&view) {
                return view;
            }
            watch.changed().await;
        }
    };
    match tokio::time::timeout(LONG, wait).await {
        Ok(view) => view,
        Err(_) => panic!("it never came: {:#?}", engine.view(run, Results::UpTo { bytes: u64::MAX }).await),
    }
}

/// Waits until the loop has rested for a while, and then until it turns again.
pub(crate) async fn turn_after_a_rest(engine: &Engine) {
    let mut look = tokio::time::interval(Duration::from_millis(10));
    let wait = async {
        while engine.stats().dispatch_idle < Duration::from_millis(200) {
            look.tick().await;
        }
        while engine.stats().dispatch_idle > Duration::from_millis(100) {
            look.tick().await;
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("the loop turns");
}

/// Waits until the run is over.
pub(crate) async fn ended(engine: &Engine, run: RunId) -> RunView {
    until(engine, run, |view| view.row.state == RunState::Ended).await
}

/// Runs a text to its end.
pub(crate) async fn run(engine: &Engine, text: &str) -> RunView {
    let run = submit(engine, text).await;
    ended(engine, run).await
}

/// A run's outcome and those of its steps with the number of attempts, as text: `failed: a failed 3, b skipped 0`.
pub(crate) fn summary(view: &RunView) -> String {
    let steps: Vec<String> = view
        .steps
        .iter()
        .map(|step| {
            let state = match &step.state {
                staunch_flow::StepState::Settled { outcome, .. } => outcome.word().to_owned(),
                other => format!("{other:?}"),
            };
            format!("{} {state} {}", step.id, step.attempts.len())
        })
        .collect();
    let outcome = view.row.outcome.map_or("open", |outcome| outcome.word());
    format!("{outcome}: {}", steps.join(", "))
}

/// The result of a step's last attempt.
pub(crate) fn result(view: &RunView, step: &str) -> Value {
    last(view, step).attempts.last().and_then(|attempt| attempt.result.clone()).expect("the step has a result")
}

/// A step of a view.
pub(crate) fn last<'a>(view: &'a RunView, step: &str) -> &'a StepView {
    view.steps.iter().find(|other| other.id == step).expect("the step is there")
}

/// Closes and checks that nothing is left.
pub(crate) async fn close(engine: Engine) {
    let left = engine.close().await;
    assert_eq!(left, staunch_engine::CloseCount::default(), "something is left");
}
