//! Killing attempts in flight.

use std::time::Duration;

use staunch_flow::{Outcome, RunOutcome, StepIndex};
use staunch_store::{ClaimRequest, NewAttempt, Renewal, RunId, RunState};

use super::subject::{LIMITS, Make, Subject, TTL, end_of, new_run, ready, step_forward};

async fn kill(s: &Subject, run: RunId, step: u32, because: Outcome) {
    let mut commit = step_forward(run, s.version(run).await);
    commit.kill = vec![(StepIndex(step), 1, because)];
    s.recorded(commit).await;
}

pub(crate) async fn what_waits_is_due_at_once_and_comes_first(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let first = s.submit("w", &[0]).await;
    let mut waits = new_run("w", &[]);
    waits.ready = vec![NewAttempt { delay: Duration::from_secs(3_600), ..ready(3) }];
    s.store.submit(waits.clone(), None).await.unwrap();
    kill(&s, waits.id, 3, Outcome::TimedOut).await;
    let claims = s.claim(worker, 10).await;
    assert_eq!(claims.claimed.iter().map(|c| c.key.run).collect::<Vec<_>>(), [waits.id, first]);
    assert_eq!(claims.claimed.iter().map(|c| c.kill).collect::<Vec<_>>(), [Some(Outcome::TimedOut), None]);
    assert_eq!(claims.next_due, None);
}

pub(crate) async fn what_is_held_is_told_at_the_next_renewal(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let run = s.submit("w", &[0, 1]).await;
    let claimed = s.claim(worker, 2).await.claimed;
    assert_eq!(s.store.renew(worker, TTL).await.unwrap(), Renewal::Held { kill: vec![] });
    kill(&s, run, 1, Outcome::Cancelled).await;
    assert!(s.claim(worker, 10).await.claimed.is_empty(), "it is claimed already");
    let told = Renewal::Held { kill: vec![(claimed[1].key, Outcome::Cancelled)] };
    assert_eq!(s.store.renew(worker, TTL).await.unwrap(), told);
    assert_eq!(s.store.renew(worker, TTL).await.unwrap(), told, "until it has ended");
}

pub(crate) async fn kills_come_besides_slots_and_within_their_own_bound(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let run = s.submit("w", &[0, 1, 2, 3]).await;
    for step in [1, 2, 3] {
        kill(&s, run, step, Outcome::Cancelled).await;
    }
    let full = s.store.claim(ClaimRequest { worker, slots: 0, kills_max: 2 }).await.unwrap();
    assert_eq!(full.claimed.iter().map(|c| c.key.step.0).collect::<Vec<_>>(), [1, 2]);
    assert!(full.more);
    let none = s.store.claim(ClaimRequest { worker, slots: 0, kills_max: 0 }).await.unwrap();
    assert!(none.claimed.is_empty() && none.more);
    let rest = s.store.claim(ClaimRequest { worker, slots: 1, kills_max: 2 }).await.unwrap();
    assert_eq!(rest.claimed.iter().map(|c| c.key.step.0).collect::<Vec<_>>(), [3, 0]);
    assert!(!rest.more);
}

pub(crate) async fn a_claim_to_kill_starts_nothing(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let run = s.submit("w", &[0]).await;
    kill(&s, run, 0, Outcome::Cancelled).await;
    assert_eq!(s.claim(worker, 1).await.claimed.len(), 1);
    assert!(s.told(run).await.is_empty());
    let row = s.row(run).await;
    assert_eq!((row.state, row.started_at), (RunState::Queued, None));
}

pub(crate) async fn an_attempt_that_is_not_there_needs_no_killing(make: Make) {
    let s = make(LIMITS);
    let run = s.submit("w", &[0]).await;
    kill(&s, run, 77, Outcome::Cancelled).await;
    assert_eq!(s.version(run).await, 2);
    let worker = s.join().await;
    assert_eq!(s.claim_one(worker).await.kill, None);
}

pub(crate) async fn a_mark_outlives_the_worker(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let run = s.submit("w", &[0]).await;
    s.claim_one(worker).await;
    kill(&s, run, 0, Outcome::Cancelled).await;
    s.advance(TTL);
    s.store.reap(10).await.unwrap();
    let heir = s.join().await;
    let claimed = s.store.claim(ClaimRequest { worker: heir, slots: 0, kills_max: 1 }).await.unwrap().claimed;
    assert_eq!((claimed[0].kill, claimed[0].losses, claimed[0].epoch), (Some(Outcome::Cancelled), 1, 2));
}

pub(crate) async fn a_killed_attempt_ends_with_its_outcome(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let run = s.submit("w", &[0]).await;
    kill(&s, run, 0, Outcome::Cancelled).await;
    let claimed = s.claim(worker, 0).await.claimed.remove(0);
    let mut commit = step_forward(run, claimed.version);
    commit.ended = vec![end_of(&claimed, worker)];
    commit.outcome = Some(RunOutcome::Cancelled);
    s.recorded(commit).await;
    assert_eq!(s.attempts(run).await[0].outcome, Some(Outcome::Cancelled));
    let usage = s.store.usage().await.unwrap();
    assert_eq!((usage.runs["queued"], usage.runs["running"], usage.runs["ended"]), (0, 0, 1));
}

pub(crate) async fn what_is_made_ready_and_killed_at_once_is_handed_out_to_be_killed(make: Make) {
    let s = make(LIMITS);
    let worker = s.join().await;
    let run = s.submit("w", &[0]).await;
    let mut commit = step_forward(run, 1);
    commit.ready = vec![NewAttempt { claim_for: Some(worker), ..ready(1) }];
    commit.kill = vec![(StepIndex(1), 1, Outcome::TimedOut)];
    assert!(s.recorded(commit).await.2.is_empty());
    let claims = s.claim(worker, 0).await;
    assert_eq!((claims.claimed[0].key.step.0, claims.claimed[0].kill), (1, Some(Outcome::TimedOut)));
}
