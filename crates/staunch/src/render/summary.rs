//! Tables of runs and of the steps of one.

use std::time::Duration;

use serde_json::Value;
use staunch_flow::{Outcome, RunOutcome};
use staunch_server::wire::{Run, RunDetail, RunState, Step};

use super::live::ink;
use super::paint::{Ink, Paint};
use super::quantity::{ago, bytes, duration};
use super::table::Table;

/// A run of more steps than this shows only those that did not succeed.
const STEPS_SHOWN_MAX: usize = 40;

/// The steps of a run: outcome, attempts, duration, peak memory, why. And how many are not shown.
pub(crate) fn step_rows(detail: &RunDetail) -> (Table, usize) {
    let mut table = Table::new(&["step", "outcome", ">attempts", ">took", ">peak memory", ""]);
    let all = detail.steps.len() <= STEPS_SHOWN_MAX;
    let mut hidden = 0;
    for step in &detail.steps {
        if !all && step.outcome == Some(Outcome::Succeeded) {
            hidden += 1;
            continue;
        }
        table.row(step_row(step));
    }
    (table, hidden)
}

fn step_row(step: &Step) -> Vec<(String, Option<Ink>)> {
    let result = step.attempts.last().and_then(|attempt| attempt.result.as_ref());
    let took: u64 = step.attempts.iter().filter_map(|attempt| attempt.duration_ms).sum();
    let peak = result.and_then(|result| result.get("max_rss_bytes")).and_then(Value::as_u64).filter(|bytes| *bytes > 0);
    let word = match step.outcome {
        Some(outcome) => (outcome.word().to_owned(), Some(ink(outcome))),
        None => (step.state.word().to_owned(), None),
    };
    let ran = !step.attempts.is_empty();
    vec![
        (step.id.clone(), None),
        word,
        (if ran { step.attempts.len().to_string() } else { String::new() }, None),
        (if ran { duration(Duration::from_millis(took)) } else { String::new() }, None),
        (peak.map(bytes).unwrap_or_default(), None),
        (remark(step, result), Some(Ink::Faint)),
    ]
}

/// What else there is to say about a step.
fn remark(step: &Step, result: Option<&Value>) -> String {
    let mut remarks: Vec<String> = step.why.clone().into_iter().collect();
    let field = |name: &str| result.and_then(|result| result.get(name));
    let code = field("exit_code").and_then(Value::as_i64);
    remarks.extend(code.filter(|code| *code != 0).map(|code| format!("exit code {code}")));
    // A step that was cancelled or ran out of time was killed by us: its outcome says so already.
    let signal = field("signal").and_then(Value::as_str).filter(|_| step.outcome == Some(Outcome::Failed));
    remarks.extend(signal.map(|signal| format!("killed by {signal}")));
    let error = field("error").and_then(Value::as_str).and_then(|error| error.lines().next());
    remarks.extend(error.map(str::to_owned));
    remarks.extend(step.forgiven.then(|| "does not count (continue-on-error)".to_owned()));
    let left = field("left_behind").and_then(Value::as_array).filter(|left| !left.is_empty());
    remarks.extend(left.map(|left| {
        let names: Vec<&str> = left.iter().filter_map(Value::as_str).take(3).collect();
        format!("left behind and killed: {}{}", names.join(", "), if left.len() > 3 { ", ..." } else { "" })
    }));
    remarks.join("; ")
}

/// Runs, a row each.
pub(crate) fn run_rows(runs: &[Run], now: jiff::Timestamp) -> Table {
    let mut table = Table::new(&["run", "workflow", "outcome", "started", ">took", "by"]);
    for run in runs {
        let took = run.duration_ms.map(|ms| duration(Duration::from_millis(ms))).unwrap_or_default();
        table.row(vec![
            (run.id.clone(), None),
            (run.workflow.clone(), Some(Ink::Strong)),
            outcome_cell(run),
            (ago(run.started_at.as_deref().unwrap_or(&run.created_at), now), None),
            (took, None),
            (run.trigger.clone(), Some(Ink::Faint)),
        ]);
    }
    table
}

/// How a run stands, in its color.
fn outcome_cell(run: &Run) -> (String, Option<Ink>) {
    match (run.outcome, run.state) {
        (Some(outcome), _) => (outcome.word().to_owned(), Some(run_ink(outcome))),
        (None, RunState::Running) if run.cancel_requested => ("cancelling".to_owned(), Some(Ink::Warn)),
        (None, state) => (state.word().to_owned(), None),
    }
}

/// The color of a run's outcome.
pub(crate) fn run_ink(outcome: RunOutcome) -> Ink {
    match outcome {
        RunOutcome::Succeeded => Ink::Good,
        RunOutcome::Failed | RunOutcome::TimedOut => Ink::Bad,
        RunOutcome::Cancelled => Ink::Warn,
    }
}

/// A run in one line: its id, workflow and outcome, and how long it took.
pub(crate) fn run_heading(detail: &RunDetail, paint: Paint) -> String {
    let run = &detail.run;
    let (word, ink) = outcome_cell(run);
    let word = ink.map_or_else(|| word.clone(), |ink| paint.ink(ink, &word).to_string());
    let took = run.duration_ms.map(|ms| format!(" in {}", duration(Duration::from_millis(ms)))).unwrap_or_default();
    format!("{} {}: {word}{took}", run.workflow, paint.ink(Ink::Faint, &run.id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_remark_says_why_also_where_there_is_no_exit_code() {
        let of = |outcome: &str, forgiven: bool, result: Value| {
            let step = json!({
                "id": "a", "name": null, "needs": [], "state": "ended", "outcome": outcome, "forgiven": forgiven, "why": null,
                "attempts": [],
            });
            remark(&serde_json::from_value(step).expect("the wire's own shape"), Some(&result))
        };
        assert_eq!(of("succeeded", false, json!({ "exit_code": 0 })), "");
        assert_eq!(of("failed", true, json!({ "exit_code": 3 })), "exit code 3; does not count (continue-on-error)");
        assert_eq!(of("failed", false, json!({ "exit_code": null, "signal": "SIGSEGV" })), "killed by SIGSEGV");
        assert_eq!(of("timed_out", false, json!({ "exit_code": null, "signal": "SIGTERM" })), "");
        let missing = "`zsh`: there is no such program";
        assert_eq!(of("failed", false, json!({ "exit_code": null, "error": missing })), missing);
        let left = json!({ "exit_code": 0, "left_behind": ["a (1)", "b (2)", "c (3)", "d (4)"] });
        assert_eq!(of("leaked", false, left), "left behind and killed: a (1), b (2), c (3), ...");
    }
}
