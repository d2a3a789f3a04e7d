//! The wire: shapes that clients rely on.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use staunch_engine::{RunView, StepView};
use staunch_flow::{Outcome, RunOutcome, StepIndex, StepState, Why};
use staunch_store::{AttemptKey, AttemptRow, LogPlace, RevisionId, RunHead, RunId, RunRow, Timestamp};

use super::*;

fn row() -> RunRow {
    let head = RunHead {
        id: "run_00000000000000000000000001".parse::<RunId>().unwrap(),
        workflow: "nightly".to_owned(),
        revision: RevisionId([0xab; 32]),
        inputs: BTreeMap::from([("n".to_owned(), json!(3))]),
        created_at: Timestamp(1_000),
    };
    RunRow {
        head: Arc::new(head),
        state: staunch_store::RunState::Ended,
        outcome: Some(RunOutcome::TimedOut),
        trigger: "api".to_owned(),
        rerun_of: None,
        cancel_requested: false,
        started_at: Some(Timestamp(2_000)),
        ended_at: Some(Timestamp(3_500)),
    }
}

fn attempt(started: bool) -> AttemptRow {
    AttemptRow {
        key: AttemptKey { run: row().head.id, step: StepIndex(0), attempt: 1 },
        epoch: started.into(),
        losses: 0,
        outcome: None,
        started_at: started.then_some(Timestamp(2_000)),
        ended_at: None,
        duration: Some(Duration::from_micros(1_999)),
        due_at: None,
        result: None,
        log: LogPlace::Nowhere,
    }
}

fn step(state: StepState, attempts: Vec<AttemptRow>) -> Step {
    Step::from(StepView { id: "a".to_owned(), name: None, needs: vec![], state, attempts })
}

#[test]
fn a_run_reads_as_the_manual_says() {
    let run = serde_json::to_value(Run::from(&row())).unwrap();
    assert_eq!(
        run,
        json!({
            "id": "run_00000000000000000000000001", "workflow": "nightly", "revision": "ab".repeat(32), "state": "ended",
            "outcome": "timed_out", "trigger": "api", "rerun_of": null, "cancel_requested": false, "inputs": {"n": 3},
            "created_at": "1970-01-01T00:00:01.000Z", "started_at": "1970-01-01T00:00:02.000Z",
            "ended_at": "1970-01-01T00:00:03.500Z", "duration_ms": 1500,
        })
    );
    assert_eq!(serde_json::from_value::<Run>(run).unwrap(), Run::from(&row()));
}

#[test]
fn a_detail_is_its_run_and_the_steps_besides() {
    let state = StepState::Settled {
        outcome: Outcome::Skipped,
        forgiven: false,
        attempts: 0,
        why: Some(Why::NeedFailed { step: "build".to_owned() }),
    };
    let step = StepView { id: "a".to_owned(), name: None, needs: vec!["build".to_owned()], state, attempts: vec![] };
    let detail = RunDetail::from(RunView { row: row(), steps: vec![step] });
    let value = serde_json::to_value(&detail).unwrap();
    assert_eq!(value["id"], "run_00000000000000000000000001");
    assert_eq!(
        value["steps"][0],
        json!({"id": "a", "name": null, "needs": ["build"], "state": "ended", "outcome": "skipped", "forgiven": false,
               "why": "step \"build\", which it needs, failed", "attempts": []})
    );
    assert_eq!(serde_json::from_value::<RunDetail>(value).unwrap(), detail);
}

#[test]
fn a_step_in_flight_is_ready_until_its_attempt_has_started() {
    assert_eq!(step(StepState::Waiting, vec![]).state, StepPhase::Waiting);
    let in_flight = || StepState::InFlight { attempt: 1 };
    assert_eq!(step(in_flight(), vec![]).state, StepPhase::Ready);
    assert_eq!(step(in_flight(), vec![attempt(false)]).state, StepPhase::Ready);
    let running = step(in_flight(), vec![attempt(true)]);
    assert_eq!((running.state, running.attempts[0].duration_ms), (StepPhase::Running, Some(1)));
    assert_eq!(step(StepState::InFlight { attempt: 2 }, vec![attempt(true)]).state, StepPhase::Ready);
}

#[test]
fn a_clock_that_was_set_back_makes_no_huge_duration() {
    let mut row = row();
    row.ended_at = Some(Timestamp(1_000));
    assert_eq!(Run::from(&row).duration_ms, Some(0));
}

#[test]
fn requests_refuse_what_they_do_not_know_and_answers_do_not() {
    assert!(serde_json::from_value::<RerunRequest>(json!({"wich": "all"})).is_err());
    assert!(serde_json::from_value::<CancelRequest>(json!({"force": "yes"})).is_err());
    let rerun: RerunRequest = serde_json::from_value(json!({"which": "failed"})).unwrap();
    assert_eq!(rerun, RerunRequest { which: Some(Which::Failed), from: None });
    assert_eq!(serde_json::to_value(&rerun).unwrap(), json!({"which": "failed"}));
    let accepted: Accepted =
        serde_json::from_value(json!({"id": "run_x", "replayed": false, "something_new": 1})).unwrap();
    assert_eq!(accepted.id, "run_x");
    let inputs: SubmitRequest =
        serde_json::from_value(json!({"inputs": {"a": "x", "b": -1, "c": 1.5, "d": true, "e": null}})).unwrap();
    assert_eq!(inputs.inputs["e"], Value::Null);
    assert_eq!(inputs.inputs["b"], json!(-1));
}
