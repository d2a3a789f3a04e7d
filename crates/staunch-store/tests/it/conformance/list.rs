//! Reading.

use std::time::Duration;

use staunch_flow::{RunOutcome, StepIndex};
use staunch_store::{AttemptKey, AttemptRow, Results, RunId, RunQuery, RunState};

use super::subject::{LIMITS, Make, Subject, end_of, event, new_run, ready, step_forward};

async fn ids(s: &Subject, query: RunQuery) -> Vec<RunId> {
    s.store.runs(query).await.unwrap().items.iter().map(|r| r.head.id).collect()
}

pub(crate) async fn runs_come_newest_first_page_by_page(make: Make) {
    let s = make(LIMITS);
    let mut all = Vec::new();
    for _ in 0..7 {
        all.push(s.submit("w", &[0]).await);
    }
    all.reverse();
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = s.store.runs(RunQuery { before, limit: 3, ..RunQuery::default() }).await.unwrap();
        seen.extend(page.items.iter().map(|r| r.head.id));
        before = seen.last().copied();
        if !page.more {
            break;
        }
        assert_eq!(page.items.len(), 3);
    }
    assert_eq!(seen, all);
    assert!(s.store.runs(RunQuery { before, limit: 3, ..RunQuery::default() }).await.unwrap().items.is_empty());
}

pub(crate) async fn filters_find_what_they_name_and_nothing_else(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    for workflow in ["a", "b"] {
        for outcome in [RunOutcome::Succeeded, RunOutcome::Failed, RunOutcome::Cancelled, RunOutcome::Failed] {
            s.run_to_end(worker, workflow, outcome).await;
        }
        s.submit(workflow, &[0]).await;
        s.claim_one(worker).await;
        s.submit(workflow, &[0]).await;
        // Nobody may claim what shall stay queued.
        let queued = s.claim(worker, 0).await;
        assert!(queued.more);
        if workflow == "a" {
            s.store.leave(worker).await.unwrap();
            s.store.join(worker, Duration::from_secs(3_600)).await.unwrap();
            let held = s.claim(worker, 2).await;
            assert_eq!(held.claimed.len(), 2);
        }
    }
    let everything = s.store.runs(RunQuery { limit: 200, ..RunQuery::default() }).await.unwrap().items;
    let workflows = [None, Some("a"), Some("b"), Some("c")];
    let states = [None, Some(RunState::Queued), Some(RunState::Running), Some(RunState::Ended)];
    let outcomes = [None, Some(RunOutcome::Succeeded), Some(RunOutcome::Failed), Some(RunOutcome::TimedOut)];
    for workflow in workflows {
        for state in states {
            for outcome in outcomes {
                let wanted: Vec<_> = everything
                    .iter()
                    .filter(|r| workflow.is_none_or(|w| r.head.workflow == w))
                    .filter(|r| state.is_none_or(|s| r.state == s))
                    .filter(|r| outcome.is_none_or(|o| r.outcome == Some(o)))
                    .map(|r| r.head.id)
                    .collect();
                let workflow = workflow.map(str::to_owned);
                let query = RunQuery { workflow, state, outcome, before: None, limit: 200 };
                assert_eq!(ids(&s, query.clone()).await, wanted, "{query:?}");
                if let Some(newest) = wanted.first() {
                    let rest = RunQuery { before: Some(*newest), ..query };
                    assert_eq!(ids(&s, rest).await, wanted[1..]);
                }
            }
        }
    }
    assert_eq!(everything.len(), 12);
}

pub(crate) async fn a_page_has_at_most_200(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    for _ in 0..201 {
        s.store.submit(new_run("w", &[0]), None).await.unwrap();
    }
    let page = s.store.runs(RunQuery { limit: u32::MAX, ..RunQuery::default() }).await.unwrap();
    assert_eq!((page.items.len(), page.more), (200, true));
    let before = page.items.last().map(|r| r.head.id);
    let rest = s.store.runs(RunQuery { before, limit: 1, ..RunQuery::default() }).await.unwrap();
    assert_eq!((rest.items.len(), rest.more), (1, false));
}

pub(crate) async fn attempts_show_what_waits_runs_and_is_over(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let run = s.submit("w", &[2, 0, 1]).await;
    let first = s.claim_one(worker).await;
    let mut commit = step_forward(run, 1);
    commit.ended = vec![end_of(&first, worker)];
    commit.ready = vec![staunch_store::NewAttempt { attempt: 2, delay: Duration::from_secs(9), ..ready(0) }];
    s.recorded(commit).await;
    s.claim_one(worker).await;
    let rows = s.attempts(run).await;
    let shown: Vec<_> = rows
        .iter()
        .map(|a| (a.key.step.0, a.key.attempt, a.outcome.is_some(), a.started_at.is_some(), a.due_at.is_some()))
        .collect();
    let (over, held, waits) = ((true, true, false), (false, true, false), (false, false, true));
    let wanted = [(0, 1, over), (0, 2, waits), (1, 1, held), (2, 1, waits)];
    assert_eq!(shown, wanted.map(|(step, attempt, (a, b, c))| (step, attempt, a, b, c)));
}

pub(crate) async fn results_are_read_whole_up_to_a_bound_and_then_without_output(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let run = s.submit("w", &[0, 1, 2, 3]).await;
    let mut commit = step_forward(run, 1);
    for (claimed, said) in s.claim(worker, 4).await.claimed.iter().zip(["ab", "cd", "", "ef"]) {
        let mut end = end_of(claimed, worker);
        end.result = serde_json::json!({
            "exit_code": 3, "stdout": said, "stderr": "", "stdout_truncated": false, "stderr_truncated": false,
        });
        commit.ended.push(end);
    }
    let bytes = commit.ended[0].result.to_string().len() as u64;
    s.recorded(commit).await;
    let read = async |results| {
        let rows = s.store.attempts(run, results).await.unwrap();
        let said = |row: &AttemptRow| {
            let result = row.result.as_ref()?;
            assert_eq!((&result["exit_code"], &result["stderr_truncated"]), (&3.into(), &false.into()));
            Some((result["stdout"].as_str().unwrap().to_owned(), result["stdout_truncated"].as_bool().unwrap()))
        };
        rows.iter().map(said).collect::<Vec<_>>()
    };
    let whole = |text: &str| Some((text.to_owned(), false));
    let cut = Some((String::new(), true));
    assert_eq!(read(Results::Nothing).await, [None, None, None, None]);
    assert_eq!(read(Results::UpTo { bytes: 0 }).await, [cut.clone(), cut.clone(), whole(""), cut.clone()]);
    assert_eq!(read(Results::UpTo { bytes: bytes - 1 }).await, [cut.clone(), cut.clone(), whole(""), cut.clone()]);
    assert_eq!(read(Results::UpTo { bytes }).await, [whole("ab"), cut.clone(), whole(""), cut.clone()]);
    assert_eq!(read(Results::UpTo { bytes: u64::MAX }).await, [whole("ab"), whole("cd"), whole(""), whole("ef")]);
}

pub(crate) async fn events_are_read_from_any_number(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    let mut run = new_run("w", &[0]);
    run.events = (1..=10).map(event).collect();
    s.store.submit(run.clone(), None).await.unwrap();
    for (after, max, wanted) in [(0, 3, 1..=3), (3, 3, 4..=6), (9, 3, 10..=10), (0, 100, 1..=10)] {
        let events = s.store.events(run.id, after, max).await.unwrap();
        assert!(events.iter().map(|e| e.seq).eq(wanted), "after {after}");
    }
    assert!(s.store.events(run.id, 10, 3).await.unwrap().is_empty());
    assert!(s.store.events(run.id, u64::MAX, 3).await.unwrap().is_empty());
    assert!(s.store.events(run.id, 0, 0).await.unwrap().is_empty());
}

pub(crate) async fn what_is_not_there_is_none_or_empty(make: Make) {
    let s = make(LIMITS);
    let run = RunId::generate();
    assert!(s.store.run(run).await.unwrap().is_none());
    assert!(s.store.journal(run).await.unwrap().is_none());
    assert!(s.attempts(run).await.is_empty());
    assert!(s.events(run).await.is_empty());
    let key = AttemptKey { run, step: StepIndex(0), attempt: 1 };
    assert!(s.store.inline_log(key).await.unwrap().is_none());
}

pub(crate) async fn usage_counts_what_there_is(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    s.run_to_end(worker, "w", RunOutcome::Succeeded).await;
    s.submit("w", &[0, 1]).await;
    s.claim_one(worker).await;
    s.submit("w", &[0]).await;
    let usage = s.store.usage().await.unwrap();
    assert_eq!((usage.runs["queued"], usage.runs["running"], usage.runs["ended"]), (1, 1, 1));
    assert_eq!(usage.attempts_in_flight, 3);
    assert!(usage.database_bytes > 0);
    assert!(usage.operations_total >= usage.commits_total && usage.commits_total > 0);
}
