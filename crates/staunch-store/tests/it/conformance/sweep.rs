//! Retention.

use std::time::Duration;

use serde_json::json;
use staunch_flow::RunOutcome;
use staunch_store::{IdempotencyKey, LogPlace, Retention, RunId, RunQuery, Swept};

use super::subject::{LIMITS, Make, Subject, end_of, new_run, step_forward};

const DAY: Duration = Duration::from_secs(86_400);

async fn ended(s: &Subject, workflow: &str, count: usize) -> Vec<RunId> {
    let worker = s.join().await;
    let mut runs = Vec::new();
    for _ in 0..count {
        runs.push(s.run_to_end(worker, workflow, RunOutcome::Succeeded).await);
    }
    s.store.leave(worker).await.unwrap();
    runs
}

async fn sweep(s: &Subject, retention: Retention) -> Swept {
    s.store.sweep(&retention, 1_000).await.unwrap()
}

async fn left(s: &Subject) -> Vec<RunId> {
    let page = s.store.runs(RunQuery { limit: 200, ..RunQuery::default() }).await.unwrap();
    page.items.iter().rev().map(|r| r.head.id).collect()
}

pub(crate) async fn age_takes_the_old_and_leaves_the_young(make: Make) {
    let s = make(LIMITS);
    let old = ended(&s, "w", 2).await;
    s.advance(DAY);
    let young = ended(&s, "w", 2).await;
    let keep = Retention { age_max: Some(DAY), ..Retention::default() };
    assert!(sweep(&s, keep.clone()).await.runs.is_empty(), "a day is not more than a day");
    s.advance(Duration::from_millis(1));
    assert_eq!(sweep(&s, keep).await.runs, old);
    assert_eq!(left(&s).await, young);
}

pub(crate) async fn a_workflow_keeps_its_newest(make: Make) {
    let s = make(LIMITS);
    let a = ended(&s, "a", 5).await;
    let b = ended(&s, "b", 2).await;
    let keep = Retention { runs_per_workflow_max: Some(3), ..Retention::default() };
    assert_eq!(sweep(&s, keep.clone()).await.runs, a[..2]);
    assert_eq!(left(&s).await, [&a[2..], &b].concat());
    assert!(sweep(&s, keep).await.runs.is_empty());
}

pub(crate) async fn bytes_take_the_oldest_first(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        let run = s.submit("w", &[0]).await;
        let claimed = s.claim_one(worker).await;
        let mut commit = step_forward(run, 1);
        commit.ended = vec![end_of(&claimed, worker)];
        commit.ended[0].log = LogPlace::File { bytes: 1_000_000 };
        commit.outcome = Some(RunOutcome::Succeeded);
        s.recorded(commit).await;
        s.advance(Duration::from_secs(1));
        runs.push(run);
    }
    let keep = |bytes_max| Retention { bytes_max: Some(bytes_max), ..Retention::default() };
    assert!(sweep(&s, keep(4_100_000)).await.runs.is_empty());
    assert_eq!(sweep(&s, keep(2_100_000)).await.runs, runs[..2]);
    assert_eq!(s.store.usage().await.unwrap().log_bytes, 2_000_000);
    assert_eq!(sweep(&s, keep(0)).await.runs, runs[2..]);
    assert_eq!(s.store.usage().await.unwrap().log_bytes, 0);
}

pub(crate) async fn the_newest_few_stay_in_any_case(make: Make) {
    let s = make(LIMITS);
    let a = ended(&s, "a", 3).await;
    let b = ended(&s, "b", 1).await;
    s.advance(DAY);
    let keep = Retention {
        age_max: Some(Duration::ZERO),
        runs_per_workflow_max: Some(0),
        bytes_max: Some(0),
        runs_per_workflow_min: 2,
    };
    assert_eq!(sweep(&s, keep).await.runs, a[..1]);
    assert_eq!(left(&s).await, [&a[1..], &b].concat());
}

pub(crate) async fn an_open_run_is_never_taken(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let running = s.submit("w", &[0]).await;
    s.claim_one(worker).await;
    let over = s.run_to_end(worker, "w", RunOutcome::Failed).await;
    let queued = s.submit("w", &[0]).await;
    s.advance(DAY);
    let keep = Retention {
        age_max: Some(Duration::ZERO),
        runs_per_workflow_max: Some(0),
        bytes_max: Some(0),
        runs_per_workflow_min: 0,
    };
    assert_eq!(sweep(&s, keep).await.runs, [over]);
    assert_eq!(left(&s).await, [running, queued]);
}

pub(crate) async fn a_sweep_is_bounded_and_says_that_there_is_more(make: Make) {
    let s = make(LIMITS);
    let runs = ended(&s, "w", 5).await;
    s.advance(DAY);
    let keep = Retention { age_max: Some(Duration::ZERO), ..Retention::default() };
    let mut gone = Vec::new();
    for (count, more) in [(2, true), (2, true), (1, false), (0, false)] {
        let swept = s.store.sweep(&keep, 2).await.unwrap();
        assert_eq!((swept.runs.len(), swept.more), (count, more));
        gone.extend(swept.runs);
    }
    assert_eq!(gone, runs);
    assert!(!s.store.sweep(&keep, 0).await.unwrap().more);
}

pub(crate) async fn nothing_of_a_run_is_left(make: Make) {
    let s = make(LIMITS);
    let run = ended(&s, "w", 1).await.remove(0);
    let attempt = s.attempts(run).await[0].key;
    s.advance(DAY);
    sweep(&s, Retention { age_max: Some(Duration::ZERO), ..Retention::default() }).await;
    assert!(s.store.run(run).await.unwrap().is_none());
    assert!(s.store.journal(run).await.unwrap().is_none());
    assert!(s.attempts(run).await.is_empty() && s.events(run).await.is_empty());
    assert!(s.store.inline_log(attempt).await.unwrap().is_none());
    assert_eq!(s.store.usage().await.unwrap().runs.values().sum::<u64>(), 0);
    assert_eq!(s.store.workflows().await.unwrap()[0].last_run, None);
}

pub(crate) async fn revisions_nobody_names_go(make: Make) {
    let s = make(LIMITS);
    let named_by_run = s.publish("a").await;
    s.store.submit(new_run("a", &[0]), None).await.unwrap();
    s.store.retire("a").await.unwrap();
    let current = s.publish("b").await;
    let forgotten = s.publish("c").await;
    s.store.retire("c").await.unwrap();
    assert_eq!(sweep(&s, Retention::default()).await.revisions, 1);
    assert!(s.store.revision(forgotten).await.unwrap().is_none());
    assert!(s.store.revision(named_by_run).await.unwrap().is_some());
    assert!(s.store.revision(current).await.unwrap().is_some());
    assert_eq!(sweep(&s, Retention::default()).await.revisions, 0);
}

pub(crate) async fn keys_go_at_their_expiry(make: Make) {
    let mut limits = LIMITS;
    limits.idempotency_seconds = 10;
    let s = make(limits);
    s.publish("w").await;
    for name in ["a", "b"] {
        let key = IdempotencyKey { key: name.to_owned(), asked: [0; 32] };
        s.store.submit(new_run("w", &[0]), Some(key)).await.unwrap();
        s.advance(Duration::from_secs(5));
    }
    assert_eq!(sweep(&s, Retention::default()).await.keys, 1);
    s.advance(Duration::from_millis(4_999));
    assert_eq!(sweep(&s, Retention::default()).await.keys, 0);
    s.advance(Duration::from_millis(1));
    assert_eq!(sweep(&s, Retention::default()).await.keys, 1);
}

pub(crate) async fn nothing_to_sweep_changes_nothing(make: Make) {
    let s = make(LIMITS);
    let swept = sweep(&s, Retention::default()).await;
    assert!(swept.runs.is_empty() && swept.keys == 0 && swept.revisions == 0 && !swept.more);
    let runs = ended(&s, "w", 3).await;
    let before = json!(s.store.usage().await.unwrap())["runs"].clone();
    let swept = sweep(&s, Retention::default()).await;
    assert!(swept.runs.is_empty() && !swept.more, "no rule, no loss");
    assert_eq!(left(&s).await, runs);
    assert_eq!(json!(s.store.usage().await.unwrap())["runs"], before);
}
