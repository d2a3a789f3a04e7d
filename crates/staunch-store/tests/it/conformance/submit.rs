//! Accepting runs.

use std::time::Duration;

use serde_json::json;
use staunch_flow::{Event, RunOutcome};
use staunch_store::{IdempotencyKey, NewEvent, RevisionId, RunId, RunState, StoreError};

use super::subject::{LIMITS, Make, end_of, event, new_run, step_forward};

fn key(name: &str, asked: u8) -> Option<IdempotencyKey> {
    Some(IdempotencyKey { key: name.to_owned(), asked: [asked; 32] })
}

pub(crate) async fn an_accepted_run_reads_back_as_it_was_sent(make: Make) {
    let s = make(LIMITS);
    let revision = s.publish("w").await;
    let mut run = new_run("w", &[0]);
    run.rerun_of = Some(RunId::generate());
    run.inputs = [("a".to_owned(), json!([1, "zwölf", null])), ("b".to_owned(), json!(null))].into();
    let submitted = s.store.submit(run.clone(), None).await.unwrap();
    assert_eq!((submitted.run, submitted.replayed), (run.id, false));
    let row = s.row(run.id).await;
    assert_eq!((row.head.id, row.head.workflow.as_str(), row.head.revision), (run.id, "w", revision));
    assert_eq!(row.head.inputs, run.inputs);
    assert_eq!((row.state, row.outcome, row.trigger.as_str()), (RunState::Queued, None, "api"));
    assert_eq!((row.rerun_of, row.cancel_requested), (run.rerun_of, false));
    assert_eq!((row.started_at, row.ended_at), (None, None));
    let journal = s.store.journal(run.id).await.unwrap().unwrap();
    assert_eq!((journal.version, journal.events.len(), journal.in_flight.len()), (1, 0, 1));
}

pub(crate) async fn an_unknown_revision_is_refused(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    let mut run = new_run("w", &[0]);
    run.revision = RevisionId::of(b"never seen");
    let refused = s.store.submit(run.clone(), None).await.unwrap_err();
    assert!(refused.to_string().contains("publish it first"), "{refused}");
    assert!(s.store.run(run.id).await.unwrap().is_none());
}

pub(crate) async fn an_id_is_taken_once(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    let run = new_run("w", &[0]);
    s.store.submit(run.clone(), None).await.unwrap();
    s.store.submit(run.clone(), None).await.unwrap_err();
    assert_eq!(s.attempts(run.id).await.len(), 1);
    assert_eq!(s.store.usage().await.unwrap().attempts_in_flight, 1);
}

pub(crate) async fn a_key_sent_again_brings_the_same_run(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    let first = s.store.submit(new_run("w", &[0]), key("k", 1)).await.unwrap();
    let again = new_run("w", &[0]);
    let second = s.store.submit(again.clone(), key("k", 1)).await.unwrap();
    assert_eq!((second.run, second.replayed), (first.run, true));
    assert!(s.store.run(again.id).await.unwrap().is_none(), "nothing new was made");
}

pub(crate) async fn a_key_with_another_body_is_refused(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    s.store.submit(new_run("w", &[0]), key("k", 1)).await.unwrap();
    let other = s.store.submit(new_run("w", &[0]), key("k", 2)).await;
    assert!(matches!(other, Err(StoreError::KeyReused)), "{other:?}");
    s.store.submit(new_run("w", &[0]), key("another", 2)).await.unwrap();
}

pub(crate) async fn a_key_is_forgotten_at_its_expiry_and_not_before(make: Make) {
    let mut limits = LIMITS;
    limits.idempotency_seconds = 10;
    let s = make(limits);
    s.publish("w").await;
    let first = s.store.submit(new_run("w", &[0]), key("k", 1)).await.unwrap().run;
    s.advance(Duration::from_millis(9_999));
    assert_eq!(s.store.submit(new_run("w", &[0]), key("k", 1)).await.unwrap().run, first);
    s.advance(Duration::from_millis(1));
    let anew = s.store.submit(new_run("w", &[0]), key("k", 2)).await.unwrap();
    assert!(!anew.replayed && anew.run != first, "no sweep was needed");
    let replay = s.store.submit(new_run("w", &[0]), key("k", 2)).await.unwrap();
    assert_eq!((replay.run, replay.replayed), (anew.run, true));
}

pub(crate) async fn a_key_of_a_refused_run_is_free(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    let mut bad = new_run("w", &[0]);
    bad.revision = RevisionId::of(b"never seen");
    s.store.submit(bad, key("k", 1)).await.unwrap_err();
    let good = s.store.submit(new_run("w", &[0]), key("k", 2)).await.unwrap();
    assert!(!good.replayed);
}

pub(crate) async fn a_key_has_at_most_255_bytes(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    s.store.submit(new_run("w", &[0]), key(&"k".repeat(254), 1)).await.unwrap();
    s.store.submit(new_run("w", &[0]), key(&"k".repeat(255), 1)).await.unwrap();
    let over = s.store.submit(new_run("w", &[0]), key(&"k".repeat(256), 1)).await.unwrap_err();
    assert!(over.to_string().contains("255 bytes"), "{over}");
}

pub(crate) async fn open_runs_are_bounded_below_at_over_and_back(make: Make) {
    let mut limits = LIMITS;
    limits.runs_open_max = 2;
    let s = make(limits);
    let worker = s.join().await;
    s.submit("w", &[0]).await;
    s.submit("w", &[0]).await;
    let over = s.store.submit(new_run("w", &[0]), None).await.unwrap_err();
    assert!(matches!(over, StoreError::Full { what: "runs", limit: 2, .. }), "{over}");
    for claimed in s.claim(worker, 2).await.claimed {
        let mut commit = step_forward(claimed.key.run, claimed.version);
        commit.ended = vec![end_of(&claimed, worker)];
        commit.outcome = Some(RunOutcome::Succeeded);
        s.recorded(commit).await;
    }
    let usage = s.store.usage().await.unwrap();
    assert_eq!((usage.runs["queued"], usage.runs["running"], usage.runs["ended"]), (0, 0, 2));
    s.submit("w", &[0]).await;
    s.submit("w", &[0]).await;
    s.store.submit(new_run("w", &[0]), None).await.unwrap_err();
}

pub(crate) async fn a_replay_needs_no_room(make: Make) {
    let mut limits = LIMITS;
    limits.runs_open_max = 1;
    let s = make(limits);
    s.publish("w").await;
    let first = s.store.submit(new_run("w", &[0]), key("k", 1)).await.unwrap();
    let replay = s.store.submit(new_run("w", &[0]), key("k", 1)).await.unwrap();
    assert_eq!((replay.run, replay.replayed), (first.run, true));
}

pub(crate) async fn a_run_with_nothing_to_do_ends_at_once(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    let mut run = new_run("w", &[]);
    run.outcome = Some(RunOutcome::Succeeded);
    run.events = vec![event(1)];
    s.store.submit(run.clone(), None).await.unwrap();
    let row = s.row(run.id).await;
    assert_eq!((row.state, row.outcome), (RunState::Ended, Some(RunOutcome::Succeeded)));
    assert_eq!((row.started_at, row.ended_at), (None, Some(row.head.created_at)));
    assert_eq!(s.store.usage().await.unwrap().runs["ended"], 1);
}

pub(crate) async fn a_run_without_attempts_and_outcome_is_refused(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    s.store.submit(new_run("w", &[]), None).await.unwrap_err();
    let mut both = new_run("w", &[0]);
    both.outcome = Some(RunOutcome::Succeeded);
    s.store.submit(both, None).await.unwrap_err();
    assert_eq!(s.store.usage().await.unwrap().runs["queued"], 0);
}

pub(crate) async fn events_are_numbered_from_one(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    let mut run = new_run("w", &[0]);
    let cancel = Event::CancelRequested { force: false };
    run.events = vec![event(1), NewEvent { name: "x", body: json!({}), plan: Some(cancel.clone()) }, event(3)];
    s.store.submit(run.clone(), None).await.unwrap();
    let events = s.events(run.id).await;
    assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(events[0].body, r#"{"number":1}"#);
    assert_eq!(s.store.journal(run.id).await.unwrap().unwrap().events, [cancel]);
}

pub(crate) async fn inputs_of_a_megabyte_read_back(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    let mut run = new_run("w", &[0]);
    run.inputs = [("big".to_owned(), json!("x".repeat(1 << 20)))].into();
    s.store.submit(run.clone(), None).await.unwrap();
    assert_eq!(s.row(run.id).await.head.inputs, run.inputs);
    let worker = s.join().await;
    assert_eq!(s.claim_one(worker).await.run.inputs, run.inputs);
}

pub(crate) async fn one_failure_does_not_spoil_those_beside_it(make: Make) {
    let s = make(LIMITS);
    s.publish("w").await;
    let twice = new_run("w", &[0]);
    let mut all = tokio::task::JoinSet::new();
    for i in 0..64 {
        let run = if i % 8 == 3 { twice.clone() } else { new_run("w", &[0, 1]) };
        let store = std::sync::Arc::clone(&s.store);
        all.spawn(async move { (run.id, store.submit(run, None).await.is_ok()) });
    }
    let mut taken = 0;
    for (id, ok) in all.join_all().await {
        taken += u64::from(ok);
        assert!(ok || id == twice.id);
        assert!(s.store.run(id).await.unwrap().is_some());
    }
    assert_eq!(taken, 57, "56 of their own, and one of eight with the same id");
    let usage = s.store.usage().await.unwrap();
    assert_eq!((usage.runs["queued"], usage.attempts_in_flight), (57, 56 * 2 + 1));
}
