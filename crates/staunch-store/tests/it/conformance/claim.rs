//! Claiming.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;
use staunch_flow::StepIndex;
use staunch_store::{ClaimRequest, Incarnation, NewEvent, RunState};

use super::subject::{LIMITS, Make, TTL, end_of, new_run, plan_ended, ready, step_forward};

pub(crate) async fn a_stranger_gets_nothing(make: Make) {
    let s = make(LIMITS);
    let run = s.submit("w", &[0]).await;
    let claims = s.claim(Incarnation::generate(), 10).await;
    assert!(claims.claimed.is_empty());
    assert_eq!(s.row(run).await.state, RunState::Queued);
}

pub(crate) async fn due_first_then_accepted_first_then_by_step(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    s.publish("w").await;
    let mut late = new_run("w", &[0]);
    late.ready[0].delay = Duration::from_secs(2);
    let mut soon = new_run("w", &[0]);
    soon.ready[0].delay = Duration::from_secs(1);
    s.store.submit(late.clone(), None).await.unwrap();
    s.store.submit(soon.clone(), None).await.unwrap();
    s.advance(Duration::from_secs(2));
    let two = s.submit("w", &[5, 4]).await;
    let order: Vec<_> = s.claim(worker, 10).await.claimed.iter().map(|c| (c.key.run, c.key.step.0)).collect();
    // `late` and `two` are due at the same time: `late` was accepted first. The steps of one run go in their order.
    assert_eq!(order, [(soon.id, 0), (late.id, 0), (two, 4), (two, 5)]);
}

pub(crate) async fn no_more_than_slots_and_more_is_told(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    s.submit("w", &[0, 1, 2]).await;
    let first = s.claim(worker, 2).await;
    assert_eq!((first.claimed.len(), first.more), (2, true));
    let second = s.claim(worker, 1).await;
    assert_eq!((second.claimed.len(), second.more), (1, false));
    let none = s.claim(worker, 10).await;
    assert_eq!((none.claimed.len(), none.more, none.next_due), (0, false, None));
    s.submit("w", &[0]).await;
    let full = s.claim(worker, 0).await;
    assert_eq!((full.claimed.len(), full.more), (0, true));
}

pub(crate) async fn only_begun_runs_go_on_if_so_asked(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let begun = s.submit("w", &[0, 1]).await;
    s.claim_one(worker).await;
    let queued = s.submit("w", &[0]).await;
    let asked = ClaimRequest { worker, slots: 10, kills_max: 10 };
    let claims = s.store.claim_begun(asked).await.unwrap();
    let keys: Vec<_> = claims.claimed.iter().map(|c| (c.key.run, c.key.step.0)).collect();
    assert_eq!((keys, claims.more, claims.next_due), (vec![(begun, 1)], false, None));
    assert_eq!(s.row(queued).await.state, RunState::Queued);
    // What is over begins no more, and what is queued is still there for whoever asks for all.
    assert!(s.store.claim_begun(asked).await.unwrap().claimed.is_empty());
    assert_eq!(s.claim_one(worker).await.key.run, queued);
}

pub(crate) async fn what_waits_is_not_due_before_its_time(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    s.publish("w").await;
    let mut run = new_run("w", &[0]);
    run.ready[0].delay = Duration::from_millis(1_500);
    s.store.submit(run, None).await.unwrap();
    assert_eq!(s.claim(worker, 1).await.next_due, Some(Duration::from_millis(1_500)));
    s.advance(Duration::from_millis(1_499));
    let before = s.claim(worker, 1).await;
    assert_eq!((before.claimed.len(), before.next_due), (0, Some(Duration::from_millis(1))));
    s.advance(Duration::from_millis(1));
    let at = s.claim(worker, 1).await;
    assert_eq!((at.claimed.len(), at.next_due), (1, None));
}

pub(crate) async fn an_epoch_grows_with_each_claim(make: Make) {
    let s = make(LIMITS);
    s.submit("w", &[0]).await;
    for epoch in 1..=4 {
        let worker = s.join().await;
        assert_eq!(s.claim_one(worker).await.epoch, epoch);
        s.store.leave(worker).await.unwrap();
    }
}

pub(crate) async fn a_start_is_told_and_moves_no_version(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let run = s.submit("w", &[7]).await;
    s.advance(Duration::from_secs(1));
    let claimed = s.claim_one(worker).await;
    assert_eq!((claimed.key.run, claimed.key.step, claimed.key.attempt), (run, StepIndex(7), 1));
    assert_eq!((claimed.losses, claimed.kill, claimed.version, claimed.fresh), (0, None, 1, true));
    let row = s.row(run).await;
    assert_eq!(*claimed.run.inputs.first_key_value().unwrap().1, json!("disk"));
    assert_eq!(claimed.run.created_at, row.head.created_at);
    assert_eq!(row.state, RunState::Running);
    assert_eq!(row.started_at.unwrap().0, row.head.created_at.0 + 1_000);
    assert_eq!(s.told(run).await, ["run.started", "step.started"]);
    let started: serde_json::Value = serde_json::from_str(&s.events(run).await[1].body).unwrap();
    assert_eq!(started, json!({ "step": 7, "attempt": 1, "epoch": 1 }));
    assert_eq!(s.version(run).await, 1);
}

pub(crate) async fn a_run_starts_once(make: Make) {
    let s = make(LIMITS);
    let run = s.submit("w", &[0, 1]).await;
    let worker = s.join().await;
    s.claim_one(worker).await;
    let started = s.row(run).await.started_at;
    s.advance(Duration::from_secs(1));
    s.claim_one(worker).await;
    s.store.leave(worker).await.unwrap();
    let worker = s.join().await;
    assert_eq!(s.claim(worker, 2).await.claimed.len(), 2);
    assert_eq!(s.told(run).await.iter().filter(|name| *name == "run.started").count(), 1);
    assert_eq!(s.row(run).await.started_at, started);
}

pub(crate) async fn a_run_is_fresh_until_its_journal_has_an_event(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let run = s.submit("w", &[0, 1, 2]).await;
    let first = s.claim_one(worker).await;
    assert!(first.fresh);
    assert!(s.claim_one(worker).await.fresh, "starts are not part of the journal");
    let mut commit = step_forward(run, 1);
    commit.ended = vec![end_of(&first, worker)];
    commit.events = vec![NewEvent { name: "step.ended", body: json!({}), plan: Some(plan_ended(0, 1)) }];
    s.recorded(commit).await;
    let third = s.claim_one(worker).await;
    assert_eq!((third.fresh, third.version), (false, 2));
}

pub(crate) async fn a_worker_whose_lease_ran_out_gets_nothing(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    s.submit("w", &[0, 1]).await;
    s.advance(TTL - Duration::from_millis(1));
    assert_eq!(s.claim(worker, 1).await.claimed.len(), 1, "the last millisecond counts");
    s.advance(Duration::from_millis(1));
    assert!(s.claim(worker, 1).await.claimed.is_empty());
}

pub(crate) async fn claims_at_once_never_share_an_attempt(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    s.submit("w", &(0..100).collect::<Vec<_>>()).await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let store = std::sync::Arc::clone(&s.store);
        let request = ClaimRequest { worker, slots: 3, kills_max: 1 };
        all.spawn(async move { store.claim(request).await.unwrap().claimed });
    }
    let mut seen = HashSet::new();
    for one in all.join_all().await {
        for claimed in one {
            assert!(seen.insert(claimed.key), "{:?} twice", claimed.key);
        }
    }
    assert_eq!(seen.len(), 100);
}

pub(crate) async fn several_of_one_run_are_told_without_holes(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    s.publish("w").await;
    let mut run = new_run("w", &[]);
    run.ready = (0..50).map(ready).collect();
    s.store.submit(run.clone(), None).await.unwrap();
    assert_eq!(s.claim(worker, 50).await.claimed.len(), 50);
    assert_eq!(s.told(run.id).await.len(), 51);
    assert_eq!(s.store.usage().await.unwrap().attempts_in_flight, 50);
}
