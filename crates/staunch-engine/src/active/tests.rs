#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use staunch_bounded::Budget;
use staunch_flow::{Budgets, Outcome, Plan, RunOutcome, StepIndex};
use staunch_store::{AttemptEnd, Incarnation, LogPlace, RevisionId, RunHead, RunId, Timestamp};
use tokio::sync::oneshot;

use super::{Active, Change, InHand, Stopping};
use crate::engine::CancelError;
use crate::load::{Loaded, new_plan};

fn plan(text: &str, head: &RunHead) -> Plan {
    let parsed = staunch_flow::parse(text.as_bytes(), "test", &Budgets::default());
    let workflow = parsed.workflow.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
    let mut plan = new_plan(Arc::new(workflow), head);
    plan.begin();
    plan
}

fn head() -> Arc<RunHead> {
    Arc::new(RunHead {
        id: RunId::generate(),
        workflow: "test".to_owned(),
        revision: RevisionId::of(b"test"),
        inputs: BTreeMap::new(),
        created_at: Timestamp(0),
    })
}

fn active(text: &str) -> Active {
    let head = head();
    let plan = plan(text, &head);
    let budget = Budget::root("plans", 1 << 20);
    Active::new(head, plan, 7, budget.try_reserve(0).unwrap())
}

fn ended(active: &Active, step: u32, outcome: Outcome) -> Change {
    let end = AttemptEnd {
        key: active.key((StepIndex(step), 1)),
        worker: Incarnation::generate(),
        epoch: 1,
        outcome,
        result: json!({ "exit_code": 0 }),
        duration: Duration::ZERO,
        log: LogPlace::Nowhere,
    };
    Change::Ended { end, outputs: BTreeMap::new(), paid: Vec::new() }
}

const WIDE: &str = "
steps:
  - parallel: [{ id: a, run: x }, { id: b, run: x }]
  - parallel: [{ id: c, run: x }, { id: d, run: x }, { id: e, run: x }]
";

#[test]
fn all_that_happened_goes_into_one_commit_and_only_free_slots_are_filled() {
    let mut active = active(WIDE);
    let worker = Incarnation::generate();
    active.push(ended(&active, 0, Outcome::Succeeded));
    active.push(ended(&active, 1, Outcome::Succeeded));
    let mut slots = 2;
    let commit = active.next_commit(worker, &mut slots).unwrap();
    assert_eq!((commit.version, commit.ended.len(), slots), (7, 2, 0));
    let claimed: Vec<bool> = commit.ready.iter().map(|ready| ready.claim_for == Some(worker)).collect();
    assert_eq!(claimed, [true, true, false]);
    assert!(!active.wants_commit() && !active.is_idle(), "it waits for the store");
    active.push(ended(&active, 2, Outcome::Succeeded));
    assert!(!active.wants_commit(), "one commit at a time");
    active.recorded(8);
    assert!(active.wants_commit());
    assert_eq!(active.next_commit(worker, &mut slots).unwrap().version, 8);
}

#[test]
fn ends_gather_only_if_attempts_end_side_by_side_and_enough_others_run() {
    let mut active = active(WIDE);
    let begin = |active: &mut Active, step: u32| {
        let (stop, _) = tokio::sync::watch::channel(None);
        active.attempts.insert((StepIndex(step), 1), InHand { epoch: 1, began: active.ends, stop });
    };
    let end = |active: &mut Active, step: u32| {
        active.let_go((StepIndex(step), 1)).unwrap();
        active.is_crowded()
    };
    assert!(!active.is_crowded(), "nothing has ended yet");
    (0..6).for_each(|step| begin(&mut active, step));
    assert!(!end(&mut active, 0), "the first of all");
    for step in 10..13 {
        begin(&mut active, step);
        assert!(!end(&mut active, step), "one after the other, as in a chain beside five long steps");
    }
    assert!(end(&mut active, 1), "it saw others end, four run on");
    assert!(!end(&mut active, 2), "three run on");
}

#[test]
fn an_end_that_cannot_be_makes_no_commit() {
    let mut active = active(WIDE);
    active.push(ended(&active, 4, Outcome::Succeeded));
    assert!(active.next_commit(Incarnation::generate(), &mut 0).is_none());
    assert!(active.is_idle());
}

#[test]
fn a_cancel_is_told_once_and_every_asker_hears_that_it_is_recorded() {
    let mut active = active(WIDE);
    let worker = Incarnation::generate();
    let ask = |force| {
        let (reply, answer) = oneshot::channel();
        (Change::Cancel { force, reply }, answer)
    };
    let ((first, mut heard), (again, mut also)) = (ask(false), ask(false));
    active.push(first);
    active.push(again);
    let commit = active.next_commit(worker, &mut 0).unwrap();
    assert_eq!((commit.kill.len(), commit.outcome), (2, None));
    assert!(heard.try_recv().is_err(), "not recorded yet");
    active.recorded(8);
    assert!(matches!((heard.try_recv(), also.try_recv()), (Ok(Ok(())), Ok(Ok(())))));
    let (more, mut late) = ask(false);
    active.push(more);
    assert!(active.next_commit(worker, &mut 0).is_none(), "nothing new to write");
    assert!(matches!(late.try_recv(), Ok(Ok(()))));
    for step in [0, 1] {
        active.push(ended(&active, step, Outcome::Cancelled));
    }
    assert_eq!(active.next_commit(worker, &mut 0).unwrap().outcome, Some(RunOutcome::Cancelled));
    active.recorded(9);
    let (over, mut refused) = ask(true);
    active.push(over);
    assert!(active.next_commit(worker, &mut 0).is_none());
    assert!(matches!(refused.try_recv(), Ok(Err(CancelError::Over(RunOutcome::Cancelled)))));
}

#[test]
fn a_cancel_that_comes_while_the_last_step_is_recorded_hears_that_the_run_is_over() {
    let mut active = active("steps: [{ id: only, run: x }]");
    active.push(ended(&active, 0, Outcome::Succeeded));
    let commit = active.next_commit(Incarnation::generate(), &mut 0).unwrap();
    let (reply, mut heard) = oneshot::channel();
    active.push(Change::Cancel { force: false, reply });
    active.recorded(8);
    active.refuse_rest(commit.outcome.unwrap());
    assert!(matches!(heard.try_recv(), Ok(Err(CancelError::Over(RunOutcome::Succeeded)))));
}

#[test]
fn after_a_conflict_what_is_still_ours_happens_to_the_stores_plan() {
    let mut active = active(WIDE);
    let worker = Incarnation::generate();
    active.push(ended(&active, 0, Outcome::Succeeded));
    active.push(ended(&active, 1, Outcome::Failed));
    active.next_commit(worker, &mut 0).unwrap();
    let loaded = Loaded {
        head: Arc::clone(&active.head),
        plan: plan(WIDE, &active.head),
        version: 12,
        started_at: None,
        outcome: None,
        stopping: Stopping::No,
        ours: [(StepIndex(0), 1)].into(),
    };
    assert!(active.rebase(loaded).is_empty());
    let commit = active.next_commit(worker, &mut 0).unwrap();
    assert_eq!(commit.version, 12);
    assert_eq!(
        commit.ended.iter().map(|end| end.key.step).collect::<Vec<_>>(),
        [StepIndex(0)],
        "the other end is stale"
    );
}
