//! The one JSON object that `--json` prints of a run, the same for a local run and for one of the server.

use serde::Serialize;
use serde_json::{Map, Value};
use staunch_flow::{Outcome, RunOutcome};
use staunch_server::wire::{RunDetail, Step};

/// A run and what became of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    run: String,
    workflow: String,
    outcome: Option<RunOutcome>,
    duration_ms: u64,
    steps: Vec<StepReport>,
}

/// A step and what became of it. A step without an attempt has empty output and no exit code.
#[derive(Debug, Serialize)]
struct StepReport {
    id: String,
    outcome: Option<Outcome>,
    attempts: usize,
    exit_code: Value,
    stdout: String,
    stderr: String,
    stdout_truncated: bool,
    stderr_truncated: bool,
    outputs: Map<String, Value>,
    duration_ms: u64,
    max_rss_bytes: u64,
    left_behind: Vec<Value>,
}

impl From<&RunDetail> for Report {
    fn from(detail: &RunDetail) -> Self {
        Self {
            run: detail.run.id.clone(),
            workflow: detail.run.workflow.clone(),
            outcome: detail.run.outcome,
            // A run of which no step ever started took no time.
            duration_ms: detail.run.duration_ms.unwrap_or(0),
            steps: detail.steps.iter().map(StepReport::from).collect(),
        }
    }
}

impl From<&Step> for StepReport {
    fn from(step: &Step) -> Self {
        let last = step.attempts.iter().rev().find(|attempt| attempt.result.is_some());
        let field = |name: &str| last.and_then(|attempt| attempt.result.as_ref()?.get(name));
        let text = |name: &str| field(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let flag = |name: &str| field(name).and_then(Value::as_bool).unwrap_or(false);
        let number = |name: &str| field(name).and_then(Value::as_u64);
        Self {
            id: step.id.clone(),
            outcome: step.outcome,
            attempts: step.attempts.len(),
            exit_code: field("exit_code").cloned().unwrap_or(Value::Null),
            stdout: text("stdout"),
            stderr: text("stderr"),
            stdout_truncated: flag("stdout_truncated"),
            stderr_truncated: flag("stderr_truncated"),
            outputs: field("outputs").and_then(Value::as_object).cloned().unwrap_or_default(),
            duration_ms: number("duration_ms").or(last.and_then(|attempt| attempt.duration_ms)).unwrap_or(0),
            max_rss_bytes: number("max_rss_bytes").unwrap_or(0),
            left_behind: field("left_behind").and_then(Value::as_array).cloned().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn detail(steps: &Value) -> RunDetail {
        serde_json::from_value(json!({
            "id": "run_1", "workflow": "build", "revision": "00", "state": "ended", "outcome": "failed", "trigger": "cli",
            "rerun_of": null, "cancel_requested": false, "inputs": {}, "created_at": "2026-11-23T12:00:00.000Z",
            "started_at": null, "ended_at": null, "duration_ms": 12, "steps": steps,
        }))
        .expect("the wire's own shape")
    }

    #[test]
    fn ground_g5_every_step_has_every_key_also_one_that_never_ran() {
        let result = json!({
            "exit_code": 3, "stdout": "out", "stderr": "err", "stdout_truncated": true, "stderr_truncated": false,
            "outputs": { "k": "v" }, "duration_ms": 7, "max_rss_bytes": 4096, "left_behind": ["sleep (12)"],
        });
        let attempt = json!({
            "attempt": 1, "epoch": 1, "losses": 0, "outcome": "failed", "started_at": null, "ended_at": null,
            "duration_ms": 7, "due_at": null, "result": result,
        });
        let ran = json!({
            "id": "a", "name": null, "needs": [], "state": "ended", "outcome": "failed", "forgiven": false, "why": null,
            "attempts": [attempt],
        });
        let skipped = json!({
            "id": "b", "name": null, "needs": ["a"], "state": "ended", "outcome": "skipped", "forgiven": false,
            "why": "step \"a\", which it needs, failed", "attempts": [],
        });
        let report = serde_json::to_value(Report::from(&detail(&json!([ran, skipped])))).expect("plain JSON");
        let expected = json!({
            "run": "run_1", "workflow": "build", "outcome": "failed", "duration_ms": 12,
            "steps": [
                {
                    "id": "a", "outcome": "failed", "attempts": 1, "exit_code": 3, "stdout": "out", "stderr": "err",
                    "stdout_truncated": true, "stderr_truncated": false, "outputs": { "k": "v" }, "duration_ms": 7,
                    "max_rss_bytes": 4096, "left_behind": ["sleep (12)"],
                },
                {
                    "id": "b", "outcome": "skipped", "attempts": 0, "exit_code": null, "stdout": "", "stderr": "",
                    "stdout_truncated": false, "stderr_truncated": false, "outputs": {}, "duration_ms": 0,
                    "max_rss_bytes": 0, "left_behind": [],
                },
            ],
        });
        // As text too: the order of the keys is part of what people see.
        assert_eq!(report.to_string(), expected.to_string());
    }
}
