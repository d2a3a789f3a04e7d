//! Workflows and runs as text, so that a test reads as a transcript.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::expr::Template;
use crate::outcome::Outcome;
use crate::retry::{Backoff, Retry};
use crate::workflow::{ContinueOnError, Inputs, LeftBehind, Need, OnLost, Shell, Step, StepIndex, Workflow};

use super::{Effect, Ended, Event, Plan, Why};

/// A workflow of no steps.
pub(super) fn empty() -> Workflow {
    Workflow {
        name: "w".to_owned(),
        description: None,
        inputs: vec![],
        env: vec![],
        steps: vec![],
        timeout: None,
        max_parallel: None,
        on_lost: OnLost::Retry,
        left_behind: LeftBehind::Warn,
    }
}

/// A step that needs nothing.
pub(super) fn step(id: &str) -> Step {
    Step {
        id: id.to_owned(),
        name: None,
        run: format!("echo {id}"),
        shell: Shell { argv: vec!["sh".to_owned(), "-e".to_owned(), "-c".to_owned()] },
        working_directory: None,
        env: vec![],
        needs: vec![],
        condition: None,
        condition_names_status: false,
        timeout: None,
        retry: retry(1),
        continue_on_error: ContinueOnError::No,
    }
}

pub(super) fn retry(attempts: u32) -> Retry {
    let backoff =
        Backoff { delay: Duration::from_secs(5), factor: 2.0, max_delay: Duration::from_secs(60), jitter: false };
    Retry { attempts, backoff, on_exit_codes: vec![] }
}

/// Sets the condition as the parser would.
pub(super) fn set_condition(step: &mut Step, source: &str) {
    let condition = Template::parse_condition(source).unwrap();
    step.condition_names_status = ["always", "failure", "cancelled"].iter().any(|name| condition.calls(name));
    step.condition = Some(condition);
}

/// Reads a workflow, a step a line: `id: [needs a b] [; if EXPR] [; retry N [on C..]] [; coe [C..]] [; jitter] [; env K=V]`.
/// Without `needs` it needs the line before. A line `max-parallel N` or `env K=V` is the workflow's.
pub(super) fn workflow(text: &str) -> Workflow {
    let mut workflow = empty();
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let ids: Vec<_> = lines.iter().filter_map(|line| line.split_once(':').map(|(id, _)| id)).collect();
    let index = |id: &str| StepIndex(ids.iter().position(|have| *have == id).unwrap() as u32);
    for line in lines {
        if let Some(max) = line.strip_prefix("max-parallel ") {
            workflow.max_parallel = Some(max.parse().unwrap());
            continue;
        }
        if let Some(pair) = line.strip_prefix("env ") {
            workflow.env.push(env(pair));
            continue;
        }
        let (id, options) = line.split_once(':').unwrap();
        let mut step = step(id);
        if let Some(before) = workflow.steps.len().checked_sub(1) {
            step.needs = vec![Need { step: StepIndex(before as u32), explicit: false }];
        }
        for option in options.split(';').map(str::trim).filter(|option| !option.is_empty()) {
            let (word, rest) = option.split_once(' ').unwrap_or((option, ""));
            let mut words = rest.split_whitespace();
            match word {
                "needs" => step.needs = words.map(|id| Need { step: index(id), explicit: true }).collect(),
                "if" => set_condition(&mut step, rest),
                "retry" => {
                    step.retry = retry(words.next().unwrap().parse().unwrap());
                    step.retry.on_exit_codes = words.skip(1).map(|code| code.parse().unwrap()).collect();
                }
                "jitter" => step.retry.backoff.jitter = true,
                "coe" if rest.is_empty() => step.continue_on_error = ContinueOnError::Yes,
                "coe" => {
                    let codes = words.map(|code| code.parse().unwrap()).collect();
                    step.continue_on_error = ContinueOnError::ExitCodes(codes);
                }
                "env" => step.env.push(env(rest)),
                "dir" => step.working_directory = Some(Template::parse(rest).unwrap()),
                _ => panic!("no option {option}"),
            }
        }
        workflow.steps.push(step);
    }
    workflow
}

fn env(pair: &str) -> (String, Template) {
    let (name, value) = pair.split_once('=').unwrap();
    (name.to_owned(), Template::parse(value).unwrap())
}

pub(super) fn plan(text: &str) -> Plan {
    Plan::new(Arc::new(workflow(text)), Inputs::new(), "r1", 42)
}

/// Does what the lines of `script` say, indented ones aside; returns them with what followed, indented.
///
/// Lines: `begin`, `cancel`, `force`, `deadline`, `keep ID OUTCOME [K=V..]`, `ID[#ATTEMPT] OUTCOME [CODE] [K=V..]`.
pub(super) fn perform(plan: &mut Plan, script: &str) -> String {
    let mut transcript = String::new();
    for line in script.lines().filter(|line| !line.starts_with(' ') && !line.is_empty()) {
        writeln!(transcript, "{line}").unwrap();
        let effects = if line == "begin" { Ok(plan.begin()) } else { plan.apply(&event(plan, line)) };
        match effects {
            Ok(effects) => {
                for effect in effects {
                    writeln!(transcript, "  {}", tell(plan, &effect)).unwrap();
                }
            }
            Err(refused) => writeln!(transcript, "  refused: {refused}").unwrap(),
        }
    }
    transcript
}

/// Checks a whole transcript.
#[track_caller]
pub(super) fn check(workflow: &str, transcript: &str) -> Plan {
    let mut plan = plan(workflow);
    let wanted: String =
        transcript.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("{line}\n")).collect();
    let got = perform(&mut plan, &wanted);
    assert!(got == wanted, "wanted:\n{wanted}\ngot:\n{got}");
    plan
}

pub(super) fn event(plan: &Plan, line: &str) -> Event {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap();
    let index = |id: &str| plan.workflow().step(id).unwrap_or(StepIndex(u32::MAX));
    match first {
        "cancel" => Event::CancelRequested { force: false },
        "force" => Event::CancelRequested { force: true },
        "deadline" => Event::DeadlinePassed,
        "keep" => {
            let step = index(words.next().unwrap());
            let ended = ended(words);
            Event::Kept { step, outcome: ended.outcome, outputs: ended.outputs }
        }
        _ => {
            let (id, attempt) = first.split_once('#').map_or((first, None), |(id, n)| (id, Some(n.parse().unwrap())));
            let step = index(id);
            let current = plan.in_flight().find(|(flying, _)| *flying == step).map_or(1, |(_, attempt)| attempt);
            Event::Ended { step, attempt: attempt.unwrap_or(current), ended: ended(words) }
        }
    }
}

fn ended<'a>(words: impl Iterator<Item = &'a str>) -> Ended {
    let mut ended = Ended { outcome: Outcome::Succeeded, exit_code: None, outputs: BTreeMap::new() };
    for word in words {
        if let Some((name, value)) = word.split_once('=') {
            ended.outputs.insert(name.to_owned(), value.to_owned());
        } else if let Ok(code) = word.parse() {
            ended.exit_code = Some(code);
        } else {
            ended.outcome = serde_json::from_str(&format!("\"{word}\"")).unwrap();
        }
    }
    if ended.outcome == Outcome::Succeeded {
        ended.exit_code = Some(0);
    }
    ended
}

fn tell(plan: &Plan, effect: &Effect) -> String {
    let id = |step: &StepIndex| &plan.workflow().steps[step.0 as usize].id;
    match effect {
        Effect::Ready { step, attempt, delay } if delay.is_zero() => format!("ready {}#{attempt}", id(step)),
        Effect::Ready { step, attempt, delay } => format!("ready {}#{attempt} in {delay:?}", id(step)),
        Effect::Kill { step, attempt, because } => format!("kill {}#{attempt} {}", id(step), because.word()),
        Effect::Settled { step, outcome, why } => {
            let why = match why {
                None => String::new(),
                Some(Why::ConditionFalse) => " (if)".to_owned(),
                Some(Why::ConditionError { message }) => format!(" (if error: {message})"),
                Some(Why::NeedFailed { step }) => format!(" ({step} failed)"),
                Some(Why::NeedSkipped { step }) => format!(" ({step} skipped)"),
                Some(Why::RunCancelled) => " (run cancelled)".to_owned(),
                Some(Why::RunTimedOut) => " (run timed out)".to_owned(),
            };
            format!("{} {}{why}", id(step), outcome.word())
        }
        Effect::Finished { outcome } => format!("finished {}", outcome.word()),
    }
}
