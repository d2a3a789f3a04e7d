//! Committing.

use std::time::Duration;

use serde_json::json;
use staunch_flow::{Event, Outcome, RunOutcome, StepIndex};
use staunch_store::{
    AttemptKey, Claimed, Commit, Committed, Incarnation, LogPlace, NewAttempt, NewEvent, RunId, RunState, StoreError,
};

use super::subject::{LIMITS, Make, Subject, TTL, end_of, event, plan_ended, ready, step_forward};

/// A run with one step claimed, and the commit that ends that step.
async fn claimed_run(s: &Subject, steps: &[u32]) -> (Incarnation, RunId, Claimed, Commit) {
    let worker = s.join().await;
    let run = s.submit("w", steps).await;
    let claimed = s.claim_one(worker).await;
    let mut commit = step_forward(run, claimed.version);
    commit.ended = vec![end_of(&claimed, worker)];
    (worker, run, claimed, commit)
}

/// Everything a reader can see of a run, to compare before and after.
async fn seen(s: &Subject, run: RunId) -> String {
    let journal = s.store.journal(run).await.unwrap().unwrap();
    format!("{:?}\n{:?}\n{:?}\n{journal:?}", s.row(run).await, s.attempts(run).await, s.events(run).await)
}

pub(crate) async fn a_result_its_successors_and_its_events_come_together(make: Make) {
    let s = make(LIMITS);
    let (_, run, claimed, mut commit) = claimed_run(&s, &[0]).await;
    s.advance(Duration::from_secs(3));
    commit.ready = vec![ready(1), ready(2)];
    commit.events = vec![event(1), event(2)];
    let (version, last_event, also) = s.recorded(commit).await;
    assert_eq!((version, last_event, also.len()), (2, 4, 0));
    let attempts = s.attempts(run).await;
    assert_eq!(attempts.iter().map(|a| a.key.step.0).collect::<Vec<_>>(), [0, 1, 2]);
    let first = &attempts[0];
    assert_eq!((first.key, first.epoch, first.losses), (claimed.key, 1, 0));
    assert_eq!((first.outcome, first.duration), (Some(Outcome::Succeeded), Some(Duration::from_millis(1_234))));
    assert_eq!(first.ended_at.unwrap().0 - first.started_at.unwrap().0, 3_000);
    assert_eq!(first.result.as_ref().unwrap()["stdout"], "hello\n");
    assert!(attempts[1..].iter().all(|a| a.outcome.is_none() && a.due_at.is_some()));
    assert_eq!(s.told(run).await, ["run.started", "step.started", "test.told", "test.told"]);
    assert_eq!(s.row(run).await.state, RunState::Running);
}

pub(crate) async fn another_epoch_is_stale(make: Make) {
    let s = make(LIMITS);
    let (worker, run, claimed, mut commit) = claimed_run(&s, &[0]).await;
    let before = seen(&s, run).await;
    for epoch in [0, 2, u32::MAX] {
        commit.ended[0].epoch = epoch;
        let stale = s.commit(commit.clone()).await;
        assert!(matches!(stale, Committed::Stale { attempt } if attempt == claimed.key), "{stale:?}");
    }
    assert_eq!(seen(&s, run).await, before);
    commit.ended[0] = end_of(&claimed, worker);
    s.recorded(commit).await;
}

pub(crate) async fn another_worker_is_stale(make: Make) {
    let s = make(LIMITS);
    let (worker, run, claimed, mut commit) = claimed_run(&s, &[0]).await;
    s.store.leave(worker).await.unwrap();
    let heir = s.join().await;
    let again = s.claim_one(heir).await;
    assert!(matches!(s.commit(commit.clone()).await, Committed::Stale { .. }), "the old claim");
    commit.ended = vec![end_of(&claimed, heir)];
    assert!(matches!(s.commit(commit.clone()).await, Committed::Stale { .. }), "the old epoch");
    commit.ended = vec![end_of(&again, worker)];
    assert!(matches!(s.commit(commit.clone()).await, Committed::Stale { .. }), "the old worker");
    assert!(s.attempts(run).await[0].outcome.is_none());
    commit.ended = vec![end_of(&again, heir)];
    s.recorded(commit).await;
}

pub(crate) async fn a_lease_that_ran_out_is_stale(make: Make) {
    let s = make(LIMITS);
    let (_, run, _, commit) = claimed_run(&s, &[0, 1]).await;
    s.advance(TTL);
    let before = seen(&s, run).await;
    assert!(
        matches!(s.commit(commit).await, Committed::Stale { .. }),
        "nobody has reaped it, and it is late all the same"
    );
    assert_eq!(seen(&s, run).await, before);
}

pub(crate) async fn a_second_end_is_stale(make: Make) {
    let s = make(LIMITS);
    let (_, run, _, mut commit) = claimed_run(&s, &[0, 1]).await;
    s.recorded(commit.clone()).await;
    let before = seen(&s, run).await;
    commit.version = 2;
    assert!(matches!(s.commit(commit).await, Committed::Stale { .. }));
    assert_eq!(seen(&s, run).await, before);
}

pub(crate) async fn one_stale_end_keeps_the_other_from_being_recorded(make: Make) {
    let s = make(LIMITS);
    let (worker, run, _, mut commit) = claimed_run(&s, &[0, 1]).await;
    let second = s.claim_one(worker).await;
    commit.ended.push(end_of(&second, worker));
    commit.ended[1].epoch += 1;
    let before = seen(&s, run).await;
    assert!(matches!(s.commit(commit.clone()).await, Committed::Stale { attempt } if attempt == second.key));
    assert_eq!(seen(&s, run).await, before);
    commit.ended[1].epoch -= 1;
    s.recorded(commit).await;
    assert!(s.attempts(run).await.iter().all(|a| a.outcome.is_some()));
}

pub(crate) async fn stale_results_are_counted(make: Make) {
    let s = make(LIMITS);
    let (_, _, _, mut commit) = claimed_run(&s, &[0]).await;
    commit.ended[0].epoch = 9;
    for seen in 1..=3 {
        s.commit(commit.clone()).await;
        assert_eq!(s.store.usage().await.unwrap().stale_total, seen);
    }
}

pub(crate) async fn another_version_is_a_conflict_and_changes_nothing(make: Make) {
    let s = make(LIMITS);
    let (_, run, _, mut commit) = claimed_run(&s, &[0]).await;
    commit.ready = vec![ready(1)];
    commit.events = vec![event(1)];
    let before = seen(&s, run).await;
    for version in [0, 2, u64::MAX] {
        commit.version = version;
        assert!(matches!(s.commit(commit.clone()).await, Committed::Conflict));
    }
    assert_eq!(seen(&s, run).await, before);
    commit.version = 1;
    assert_eq!(s.recorded(commit).await.0, 2);
}

pub(crate) async fn an_unknown_run_is_a_conflict_and_its_results_are_stale(make: Make) {
    let s = make(LIMITS);
    let (_, _, _, mut commit) = claimed_run(&s, &[0]).await;
    commit.run = RunId::generate();
    assert!(matches!(s.commit(commit.clone()).await, Committed::Stale { .. }), "an attempt of another run");
    commit.ended[0].key.run = commit.run;
    assert!(matches!(s.commit(commit.clone()).await, Committed::Stale { .. }));
    commit.ended.clear();
    assert!(matches!(s.commit(commit).await, Committed::Conflict));
}

pub(crate) async fn the_next_attempt_is_claimed_along(make: Make) {
    let s = make(LIMITS);
    let (worker, run, _, mut commit) = claimed_run(&s, &[0]).await;
    commit.ready = vec![ready(2), NewAttempt { claim_for: Some(worker), ..ready(1) }];
    commit.events = vec![NewEvent { name: "step.ended", body: json!({}), plan: Some(plan_ended(0, 1)) }];
    let (version, last_event, claimed) = s.recorded(commit).await;
    assert_eq!((version, last_event, claimed.len()), (2, 4, 1));
    let next = &claimed[0];
    assert_eq!((next.key.step.0, next.epoch, next.losses, next.kill), (1, 1, 0, None));
    assert_eq!((next.version, next.fresh), (2, false));
    assert_eq!(s.told(run).await, ["run.started", "step.started", "step.ended", "step.started"]);
    let mut commit = step_forward(run, 2);
    commit.ended = vec![end_of(next, worker)];
    s.recorded(commit).await;
    assert_eq!(s.claim_one(worker).await.key.step.0, 2);
}

pub(crate) async fn what_must_wait_or_has_no_worker_is_not_claimed_along(make: Make) {
    let s = make(LIMITS);
    let (worker, run, _, mut commit) = claimed_run(&s, &[0]).await;
    let delay = Duration::from_secs(1);
    commit.ready = vec![
        NewAttempt { claim_for: Some(worker), delay, ..ready(1) },
        NewAttempt { claim_for: Some(Incarnation::generate()), ..ready(2) },
    ];
    assert!(s.recorded(commit).await.2.is_empty());
    let claims = s.claim(worker, 10).await;
    assert_eq!(claims.claimed.iter().map(|c| c.key.step.0).collect::<Vec<_>>(), [2]);
    assert_eq!(claims.next_due, Some(delay));
    assert_eq!(s.told(run).await.len(), 3);
}

pub(crate) async fn an_outcome_ends_the_run_and_what_was_in_flight(make: Make) {
    let s = make(LIMITS);
    let (worker, run, _, mut commit) = claimed_run(&s, &[0, 1, 2]).await;
    let other = s.claim_one(worker).await;
    s.advance(Duration::from_secs(1));
    commit.outcome = Some(RunOutcome::Failed);
    s.recorded(commit).await;
    let row = s.row(run).await;
    assert_eq!((row.state, row.outcome), (RunState::Ended, Some(RunOutcome::Failed)));
    assert_eq!(row.ended_at.unwrap().0 - row.head.created_at.0, 1_000);
    assert!(s.claim(worker, 10).await.claimed.is_empty());
    assert_eq!(s.store.usage().await.unwrap().attempts_in_flight, 0);
    let mut late = step_forward(run, 2);
    late.ended = vec![end_of(&other, worker)];
    assert!(matches!(s.commit(late).await, Committed::Stale { .. }));
}

pub(crate) async fn a_run_that_is_over_stays_so(make: Make) {
    let s = make(LIMITS);
    let (_, run, _, mut commit) = claimed_run(&s, &[0]).await;
    commit.outcome = Some(RunOutcome::Succeeded);
    s.recorded(commit).await;
    let before = seen(&s, run).await;
    let mut again = step_forward(run, 2);
    again.ready = vec![ready(1)];
    assert!(matches!(s.commit(again.clone()).await, Committed::Conflict));
    again.ready.clear();
    again.outcome = Some(RunOutcome::Failed);
    assert!(matches!(s.commit(again).await, Committed::Conflict));
    assert_eq!(seen(&s, run).await, before);
}

pub(crate) async fn events_are_bounded_except_for_the_last(make: Make) {
    let mut limits = LIMITS;
    limits.events_per_run_max = 5;
    let s = make(limits);
    let (_, run, _, mut commit) = claimed_run(&s, &[0]).await;
    let mut some = step_forward(run, 1);
    some.events = vec![event(1), event(2)];
    s.recorded(some.clone()).await;
    some.version = 2;
    let over = s.store.commit(some.clone()).await.unwrap_err();
    assert!(matches!(over, StoreError::Full { limit: 5, .. }), "{over}");
    some.events.pop();
    assert_eq!(s.recorded(some).await.1, 5, "at its bound");
    commit.version = 3;
    commit.events = vec![event(9)];
    commit.outcome = Some(RunOutcome::Failed);
    assert_eq!(s.recorded(commit).await.1, 6, "the end is told in any case");
    assert_eq!(s.told(run).await.len(), 6);
}

pub(crate) async fn an_attempt_cannot_end_twice_in_one_commit(make: Make) {
    let s = make(LIMITS);
    let (_, run, _, mut commit) = claimed_run(&s, &[0]).await;
    commit.ended.push(commit.ended[0].clone());
    let before = seen(&s, run).await;
    s.store.commit(commit).await.unwrap_err();
    assert_eq!(seen(&s, run).await, before);
    assert_eq!(s.store.usage().await.unwrap().attempts_in_flight, 1);
}

pub(crate) async fn an_attempt_that_is_over_cannot_be_ready_again(make: Make) {
    let s = make(LIMITS);
    let (_, run, _, mut commit) = claimed_run(&s, &[0, 1]).await;
    s.recorded(commit.clone()).await;
    let before = seen(&s, run).await;
    commit.version = 2;
    commit.ended.clear();
    for step in [0, 1] {
        commit.ready = vec![ready(step)];
        s.store.commit(commit.clone()).await.unwrap_err();
    }
    assert_eq!(seen(&s, run).await, before);
}

pub(crate) async fn logs_stay_where_they_were_put(make: Make) {
    let s = make(LIMITS);
    let (worker, run, first, mut commit) = claimed_run(&s, &[0, 1, 2]).await;
    let places =
        [LogPlace::Inline(b"framed \x00\xFF bytes".to_vec()), LogPlace::File { bytes: 5_000 }, LogPlace::Nowhere];
    let mut claimed = vec![first];
    claimed.extend(s.claim(worker, 2).await.claimed);
    commit.ended = claimed.iter().map(|c| end_of(c, worker)).collect();
    for (end, place) in commit.ended.iter_mut().zip(&places) {
        end.log = place.clone();
    }
    s.recorded(commit).await;
    let attempts = s.attempts(run).await;
    assert_eq!(attempts[0].log, LogPlace::Inline(Vec::new()), "lists do not carry the bytes");
    assert_eq!((&attempts[1].log, &attempts[2].log), (&places[1], &places[2]));
    let inline = s.store.inline_log(attempts[0].key).await.unwrap();
    assert_eq!(inline.as_deref(), Some(&b"framed \x00\xFF bytes"[..]));
    assert!(s.store.inline_log(attempts[1].key).await.unwrap().is_none());
    assert!(s.store.inline_log(AttemptKey { attempt: 9, ..attempts[0].key }).await.unwrap().is_none());
    assert_eq!(s.store.usage().await.unwrap().log_bytes, 5_000);
}

pub(crate) async fn any_result_reads_back(make: Make) {
    let s = make(LIMITS);
    let (_, run, _, mut commit) = claimed_run(&s, &[0]).await;
    let result =
        json!({ "stdout": "\u{0}\u{fffd}𝄞\"\\", "n": -1.5e300, "deep": [[[null]]], "big": "y".repeat(200_000) });
    commit.ended[0].result = result.clone();
    commit.ended[0].outcome = Outcome::Leaked;
    s.recorded(commit).await;
    let row = s.attempts(run).await.remove(0);
    assert_eq!((row.result, row.outcome), (Some(result), Some(Outcome::Leaked)));
}

pub(crate) async fn a_cancel_is_remembered(make: Make) {
    let s = make(LIMITS);
    let run = s.submit("w", &[0]).await;
    let cancel = Event::CancelRequested { force: true };
    let mut commit = step_forward(run, 1);
    commit.events = vec![NewEvent { name: "run.cancel_requested", body: json!({}), plan: Some(cancel.clone()) }];
    s.recorded(commit).await;
    assert!(s.row(run).await.cancel_requested);
    let mut later = step_forward(run, 2);
    later.events = vec![event(1)];
    s.recorded(later).await;
    assert!(s.row(run).await.cancel_requested, "for good");
    assert_eq!(s.store.journal(run).await.unwrap().unwrap().events, [cancel]);
}

pub(crate) async fn a_journal_keeps_the_events_of_the_plan_in_order(make: Make) {
    let s = make(LIMITS);
    let (worker, run, _, mut commit) = claimed_run(&s, &[0]).await;
    let plan = |n| NewEvent { name: "step.ended", body: json!({}), plan: Some(plan_ended(n, 1)) };
    commit.events = vec![event(1), plan(0), event(2), plan(1)];
    commit.ready = vec![ready(5)];
    s.recorded(commit).await;
    let mut more = step_forward(run, 2);
    more.events = vec![plan(2)];
    s.recorded(more).await;
    let held = s.claim_one(worker).await.key;
    let journal = s.store.journal(run).await.unwrap().unwrap();
    assert_eq!(journal.events, [plan_ended(0, 1), plan_ended(1, 1), plan_ended(2, 1)]);
    assert_eq!((journal.version, journal.outcome), (3, None));
    assert_eq!(journal.in_flight, [(held, Some(worker))]);
    assert_eq!(journal.started_at, s.row(run).await.started_at);
}

pub(crate) async fn a_retry_waits_for_its_delay(make: Make) {
    let s = make(LIMITS);
    let (worker, run, _, mut commit) = claimed_run(&s, &[0]).await;
    commit.ended[0].outcome = Outcome::Failed;
    let step = StepIndex(0);
    commit.ready = vec![NewAttempt { step, attempt: 2, delay: Duration::from_secs(5), claim_for: None }];
    s.recorded(commit).await;
    assert_eq!(s.claim(worker, 1).await.next_due, Some(Duration::from_secs(5)));
    s.advance(Duration::from_secs(5));
    let second = s.claim_one(worker).await;
    assert_eq!((second.key, second.epoch), (AttemptKey { run, step, attempt: 2 }, 1));
}
